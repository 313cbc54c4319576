"""Upload-Metadata: kept as it was sent, and never trusted."""

from __future__ import annotations

import re
from base64 import b64encode

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.session import Tus
from resumable.conformance.wire import Answer

SECTION = Section("Metadata")
_PLAIN = "note d29ybGQudHh0"
_SEVERAL = "zeta ejE=,note d29ybGQudHh0,alpha YTE=,mid bTE="
_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_PAIR = re.compile(rf"[^ ,]+(?: (?:{_BASE64}))?")


@SECTION.row("T058", Level.MUST, "HEAD returns Upload-Metadata with the very value that was sent.")
def told_back(tus: Tus) -> None:
    for value in map(tus.described, (_PLAIN, _SEVERAL)):
        url = tus.location(_created(tus, value))
        for when in ("a new upload", "a complete upload"):
            seen = tus.head(url)
            # The text lets a server ignore metadata, but a client that resumes misses it.
            there = seen.get("Upload-Metadata") is not None
            expect.that(there, f"{when}: Upload-Metadata is missing", seen, level=Level.RECOMMENDED)
            same = sorted((seen.get("Upload-Metadata") or "").split(",")) == sorted(
                value.split(",")
            )
            rewritten = same and seen.get("Upload-Metadata") != value
            sentence = f"{when}: Upload-Metadata has the same pairs in another order"
            expect.that(not rewritten, sentence, seen)
            expect.header(seen, "Upload-Metadata", value, when=when)
            tus.patch(url, 0, b"abcde")


@SECTION.row("T059", Level.RECOMMENDED, "Without metadata HEAD has no Upload-Metadata.")
def none_given(tus: Tus) -> None:
    if tus.metadata:
        raise NotOffered("this server asks for metadata")
    expect.absent(tus.head(tus.create(5)), "Upload-Metadata", when="no metadata was given")


@SECTION.row("T065", Level.MUST, "A key may come without a value.")
def key_alone(tus: Tus) -> None:
    _accepted(tus, "note d29ybGQ=,is_confidential")


@SECTION.row("T066", Level.MUST, "An empty value may keep the space before it.")
def key_and_space(tus: Tus) -> None:
    _accepted(tus, "is_confidential ,note d29ybGQ=")


@SECTION.row("T067", Level.MUST, "A key that comes twice is refused, or at least never told back.")
def key_twice(tus: Tus) -> None:
    _malformed(tus, "note YQ==,note Yg==")


@SECTION.row(
    "T068", Level.MUST, "A value that is no Base64 is refused, or at least never told back."
)
def no_base64(tus: Tus) -> None:
    for value in ("k ?!?!", "k YQ", "k YQ=", "k Pz8_Pz8-"):
        _malformed(tus, value)


@SECTION.row(
    "T069", Level.MUST, "Empty keys and pairs of three words are refused, or never told back."
)
def no_pairs(tus: Tus) -> None:
    for value in (",", "a YQ==,,b Yg==", "k  YQ==", "k YQ== YQ=="):
        _malformed(tus, value)


@SECTION.row("T070", Level.RECOMMENDED, "White space around commas is accepted: proxies add it.")
def space_around_commas(tus: Tus) -> None:
    _accepted(tus, "a YQ==, b Yg==", level=Level.RECOMMENDED)
    lines = ("a YQ==", tus.described("b Yg=="))
    twice = tus.post({"Upload-Length": "5", "Upload-Metadata": lines})
    expect.taken(twice, when="Upload-Metadata sent as two headers", level=Level.RECOMMENDED)


@SECTION.row("T071", Level.RECOMMENDED, "An empty Upload-Metadata means none: tuspy sends it.")
def empty_header(tus: Tus) -> None:
    if tus.metadata:
        raise NotOffered("this server asks for metadata")
    answer = tus.post({"Upload-Length": "5", "Upload-Metadata": ""})
    expect.taken(answer, when="an empty Upload-Metadata")


@SECTION.row(
    "T072", Level.SHOULD, "Decoded values never break a response header, a path or the server."
)
def hostile_values(tus: Tus) -> None:
    names = (
        b"a\r\nX-Injected: yes",
        b"../../x",
        b"C:\\x",
        b"n\x00ul",
        b"n" * 3000,
        "ü\u202e".encode(),
    )
    for name in names:
        value = f"filename {b64encode(name).decode()},filetype {b64encode(name).decode()}"
        created = tus.post({"Upload-Length": "3", "Upload-Metadata": tus.described(value)})
        _harmless(created, name)
        if not created.good:
            continue
        url = tus.location(created)
        for answer in (tus.head(url), tus.patch(url, 0, b"abc"), tus.ask("GET", url)):
            _harmless(answer, name)


def _harmless(answer: Answer, name: bytes) -> None:
    injected = "x-injected" in answer.names()
    expect.that(not injected, f"the filename {name[:40]!r} becomes a header", answer)
    crashed = answer.status >= 500 and answer.status != 501
    expect.that(not crashed, f"the filename {name[:40]!r} is answered {answer.status}", answer)


@SECTION.row("T073", Level.RECOMMENDED, "A value may be any bytes, not only UTF-8.")
def any_bytes(tus: Tus) -> None:
    value = tus.described(f"key {b64encode(bytes(range(128, 160))).decode()}")
    answer = _created(tus, value, check=False)
    expect.taken(answer, when="a value that is not UTF-8")
    seen = tus.head(tus.location(answer))
    expect.header(seen, "Upload-Metadata", value, when="a value that is not UTF-8")


def _created(tus: Tus, metadata: str, *, check: bool = True) -> Answer:
    answer = tus.post({"Upload-Length": "5", "Upload-Metadata": metadata})
    if check and not answer.good:
        raise NotOffered(f"this server refuses the metadata {metadata!r}")
    return answer


def _accepted(tus: Tus, metadata: str, *, level: Level | None = None) -> None:
    """Legal metadata is taken and told back; judged only where plain metadata is."""
    _created(tus, tus.described(_PLAIN))
    answer = _created(tus, tus.described(metadata), check=False)
    expect.taken(answer, when=f"the metadata {metadata!r}", level=level)


def _malformed(tus: Tus, metadata: str) -> None:
    """The text tells clients not to send it and servers not to answer it."""
    answer = _created(tus, tus.described(metadata), check=False)
    if answer.good:
        seen = tus.head(tus.location(answer))
        back = seen.get("Upload-Metadata")
        expect.that(
            back is None or _well_formed(back),
            f"the malformed metadata {metadata!r} is told back as {back!r}",
            seen,
        )
    expect.status(answer, 400, when=f"the malformed metadata {metadata!r}", level=Level.RECOMMENDED)


def _well_formed(value: str) -> bool:
    pairs = [pair.strip() for pair in value.split(",")]
    keys = [pair.partition(" ")[0] for pair in pairs]
    return all(_PAIR.fullmatch(pair) for pair in pairs) and len(set(keys)) == len(keys)
