"""Types by the bytes, and names that nothing trips over."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.media import EXTENSIONS, INLINE, UNKNOWN, default_name, safe_name, sniff

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "video/webm"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska", "video/x-matroska"),
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a<script>", "image/gif"),
        (b"RIFF\0\n\r\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI LIST", UNKNOWN),
        (b"<script>WEBP", UNKNOWN),
        (b"OggS" + bytes(24) + b"\x80theora", "video/ogg"),
        (b"OggS" + bytes(24) + b"OpusHead", "audio/ogg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xf3\x90", "audio/mpeg"),
        (b"fLaC\0", "audio/flac"),
        (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x14ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x14ftypisom", "video/mp4"),
        (b"\0\n\0\x14ftypmp42", "video/mp4"),
        (b"\0\0\0\x14ftypavif", UNKNOWN),
        (b"\0\0\0\x14ftypheic", UNKNOWN),
        (b"<!doctype html><script>", UNKNOWN),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", UNKNOWN),
        (b"<?xml version='1.0'?>", UNKNOWN),
        (b"%PDF-1.7", UNKNOWN),
        (b"MIME-Version: 1.0\r\nContent-Type: multipart/related", UNKNOWN),
        (b"ffconcat version 1.0", UNKNOWN),
        (b"#EXTM3U", UNKNOWN),
        (b"", UNKNOWN),
        (b"\x1a", UNKNOWN),
    ],
)
def test_the_first_bytes_tell(head: bytes, media_type: str) -> None:
    assert sniff(head) == media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("recorded.webm", "video/webm"), ("camera.mp4", "video/mp4")],
)
def test_real_recordings(name: str, media_type: str) -> None:
    assert sniff((FIXTURES / name).read_bytes()[: 64 * 1024]) == media_type


def test_no_type_that_runs_scripts_is_shown() -> None:
    assert not {
        kind for kind in INLINE if kind.partition("/")[0] not in ("video", "audio", "image")
    }
    assert not {kind for kind in INLINE if "svg" in kind or "xml" in kind}


@pytest.mark.parametrize(
    ("media_type", "name"),
    [("video/webm", "recording_1500.webm"), (UNKNOWN, "recording_1500.bin")],
)
def test_names_for_the_nameless(media_type: str, name: str) -> None:
    assert default_name(media_type, 1.5) == name
    assert media_type in EXTENSIONS or name.endswith(".bin")


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("film.webm", "film.webm"),
        ("../../x.webm", "x.webm"),
        ("..\\..\\x.webm", "x.webm"),
        ("/etc/passwd", "passwd"),
        ("C:\\Windows\\x.webm", "x.webm"),
        ("C:x.webm", "Cx.webm"),
        ("a\r\nSet-Cookie: x.webm", "aSet-Cookie x.webm"),
        ('a"b.webm', "ab.webm"),
        ("a\0b.webm", "ab.webm"),
        ("gpj.\u202egnp.exe", "gpj.gnp.exe"),
        ("  .hidden. ", "hidden"),
        ("e\u0301.webm", "é.webm"),
        ("Übung 1 – 😀.webm", "Übung 1 – 😀.webm"),
        ("\ud800.webm", "webm"),
        ("CON", "_CON"),
        ("nul.webm", "_nul.webm"),
        ("console.webm", "console.webm"),
        ("..", ""),
        ("///", ""),
        ("", ""),
        ("x" * 300 + ".webm", "x" * 195 + ".webm"),
        ("x" * 300, "x" * 200),
        ("x" * 199 + " y", "x" * 199),
    ],
)
def test_names(given_name: str, safe: str) -> None:
    assert safe_name(given_name) == safe


@given(st.text(alphabet=st.characters(), max_size=400))
def test_names_hold_nothing_that_hurts(name: str) -> None:
    safe = safe_name(name)
    assert len(safe) <= 201
    assert not set(safe) & set('/\\<>:"|?*')
    assert not [c for c in safe if unicodedata.category(c).startswith("C")]
    assert safe == safe.strip(" .")
    assert safe_name(safe) == safe
    safe.encode("utf-8")
