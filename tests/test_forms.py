"""Forms as they arrive: whole, cut at every byte, hostile; and files held for their fields."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.errors import BadRequest, Interrupted, TooLarge, UploadError
from resumable.forms import (
    LONGEST_PART_HEADER,
    MOST_FIELD_BYTES,
    MOST_OVERHEAD,
    MOST_PARTS,
    Form,
    boundary_of,
)
from resumable.holding import Holding
from resumable.model import MIB
from resumable.stores.local import LocalStore
from tests.calls import BOUNDARY, file, multipart

FILES = frozenset({"chunk", "file"})
OLD_ORDER = [file("chunk", b"some bytes"), ("uploadId", "a"), ("chunkIndex", "0")]


class Source:
    """A payload from memory, in pieces, cut where the test wants it."""

    def __init__(
        self, content: bytes, *, piece: int = 64 * 1024, cut: UploadError | None = None
    ) -> None:
        self.length: int | None = None
        self.whole = cut is None
        self.cut = cut
        self.closed = False
        self._pieces = [content[at : at + piece] for at in range(0, len(content), piece)]

    def __iter__(self) -> Iterator[memoryview]:
        try:
            yield from map(memoryview, self._pieces)
        finally:
            self.closed = True


def form_of(content: bytes, **how: Any) -> Form:
    return Form(Source(content, **how), BOUNDARY, file_parts=FILES)


def read(form: Form) -> tuple[dict[str, str], bytes | None]:
    """All of a form: its fields and its file."""
    part = form.to_file()
    if part is None:
        return form.fields, None
    content = b"".join(bytes(view) for view in part)
    if part.cut is not None:
        raise part.cut
    assert part.whole
    return form.fields, content


# ---------------------------------------------------------------- whole forms


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 100_000])
def test_a_file_that_comes_first(piece: int) -> None:
    fields, content = read(form_of(multipart(OLD_ORDER), piece=piece))
    assert fields == {"uploadId": "a", "chunkIndex": "0"}
    assert content == b"some bytes"


def test_fields_that_come_first_are_known_with_the_file() -> None:
    form = form_of(multipart([("a", "1"), file("file", b"x", "name.webm"), ("b", "ü")]))
    part = form.to_file()
    assert part is not None
    assert (part.name, part.field, form.fields) == ("name.webm", "file", {"a": "1"})
    assert b"".join(part) == b"x"
    assert form.fields == {"a": "1", "b": "ü"}


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (file("chunk", b"x", None), ""),
        (file("file", b"x", None), ""),
        (file("other", b"x", "name"), "name"),
        (file("other", b"x", ""), ""),
        (file("file", b"x", "a%22b%0D%0A.webm"), 'a"b\r\n.webm'),
        (file("file", b"x", "übung😀.webm"), "übung😀.webm"),
    ],
)
def test_what_is_a_file(part: bytes, name: str) -> None:
    form = form_of(multipart([part]))
    found = form.to_file()
    assert found is not None
    assert found.name == name
    assert b"".join(found) == b"x"


def test_a_form_without_a_file() -> None:
    assert read(form_of(multipart([("a", "1"), ("", "2")]))) == ({"a": "1", "": "2"}, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\n--" + BOUNDARY.encode()[:-1],
        b"--" + BOUNDARY.encode() + b"--",
        b"\r" * 5000,
        b"\r\n-" * 5000,
        bytes(range(256)) * 300,
    ],
)
@pytest.mark.parametrize("piece", [1000, 4096, 100_000])
def test_bytes_that_look_like_a_boundary(content: bytes, piece: int) -> None:
    assert read(form_of(multipart([file("file", content)]), piece=piece))[1] == content


def test_then_is_asked_with_everything_read_and_may_refuse() -> None:
    form = form_of(multipart(OLD_ORDER))
    part = form.to_file()
    assert part is not None

    def refuse() -> None:
        assert form.fields == {"uploadId": "a", "chunkIndex": "0"}
        raise BadRequest("no")

    part.then = refuse
    with pytest.raises(BadRequest, match="no"):
        list(part)


# ---------------------------------------------------------------- cuts


def test_a_cut_at_every_byte_is_seen() -> None:
    """No cut form is ever whole, whatever the fault, and no field of it is half believed."""
    content = multipart(OLD_ORDER)
    # The line feed behind the last boundary carries nothing.
    for end in range(len(content) - 2):
        for cut in (Interrupted("cut"), None):
            form = form_of(content[:end], cut=cut, piece=50)
            with pytest.raises((Interrupted, BadRequest)):
                read(form)
            assert not form.complete
            assert form.fields.items() <= {"uploadId": "a", "chunkIndex": "0"}.items()


def test_the_bytes_before_a_cut_are_a_prefix() -> None:
    content = multipart([("uploadId", "a"), file("file", b"abcdefghij" * 100)])
    for end in range(content.index(b"abcd"), len(content) - 2, 7):
        part = form_of(content[:end], cut=Interrupted("cut")).to_file()
        assert part is not None
        arrived = b"".join(bytes(view) for view in part)
        assert (b"abcdefghij" * 100).startswith(arrived)
        assert isinstance(part.cut, Interrupted)


def test_chunks_that_are_malformed_keep_what_came_before() -> None:
    content = multipart([file("file", b"some bytes")])
    cut = BadRequest("The chunked body is malformed; what came before is kept.")
    part = form_of(content[:-40], cut=cut).to_file()
    assert part is not None
    list(part)
    assert part.cut is cut


def test_an_end_that_nothing_proves_is_a_cut() -> None:
    """A chunked body without its last boundary, on a server that does not tell cuts."""
    source = Source(multipart(OLD_ORDER)[:-6])
    source.whole = False
    with pytest.raises(Interrupted):
        read(Form(source, BOUNDARY, file_parts=FILES))


def test_closing_lets_go_of_the_body() -> None:
    source = Source(multipart(OLD_ORDER), piece=10)
    form = Form(source, BOUNDARY, file_parts=FILES)
    form.to_file()
    form.close()
    assert source.closed


# ---------------------------------------------------------------- hostile forms

MINIMAL = multipart([file("file", b"x")])
HEAD = b"--" + BOUNDARY.encode() + b"\r\n"


HOSTILE: dict[str, tuple[bytes, type[UploadError], str]] = {
    "nothing": (b"", BadRequest, "bad-form"),
    "no form": (b"no form at all", BadRequest, "bad-form"),
    "line feeds alone": (MINIMAL.replace(b"\r\n", b"\n"), BadRequest, "bad-form"),
    "text on the boundary's line": (b"x" + MINIMAL, BadRequest, "bad-form"),
    "no header": (HEAD + b"\r\n\r\nx\r\n" + HEAD, BadRequest, "bad-form"),
    "no disposition": (HEAD + b"Content-Type: a\r\n\r\nx\r\n" + HEAD, BadRequest, "bad-form"),
    "inline": (HEAD + b"Content-Disposition: inline\r\n\r\nx", BadRequest, "bad-form"),
    "header without a colon": (HEAD + b"no header\r\n\r\nx", BadRequest, "bad-form"),
    "header not UTF-8": (
        HEAD + b"Content-Disposition: form-data; name=\xff\r\n\r\nx",
        BadRequest,
        "bad-form",
    ),
    "folded": (HEAD + b" folded: x\r\n\r\nx", BadRequest, "bad-form"),
    "a field twice": (multipart([("a", "1"), ("a", "1")]), BadRequest, "bad-form"),
    "twice behind the file": (
        multipart([file("file", b"x"), ("a", "1"), ("a", "2")]),
        BadRequest,
        "bad-form",
    ),
    "two files": (multipart([file("file", b"x"), file("file", b"y")]), BadRequest, "bad-form"),
    "two files by name": (
        multipart([file("file", b"x"), file("b", b"y", "n")]),
        BadRequest,
        "bad-form",
    ),
    "a field not UTF-8": (
        multipart([b'Content-Disposition: form-data; name="a"\r\n\r\n\xff']),
        BadRequest,
        "bad-form",
    ),
    "a part too many": (
        multipart([(str(n), "") for n in range(MOST_PARTS + 1)]),
        BadRequest,
        "form-limits",
    ),
    "50,000 parts": (
        multipart([(str(n), "") for n in range(50_000)]),
        BadRequest,
        "form-limits",
    ),
    "a long field": (multipart([("a", "x" * (MOST_FIELD_BYTES + 1))]), TooLarge, "too-large"),
    "long fields together": (
        multipart([("a", "x" * 40_000), ("b", "x" * 40_000)]),
        TooLarge,
        "too-large",
    ),
    "100,000 headers": (HEAD + b"X: y\r\n" * 100_000, BadRequest, "form-limits"),
    "a long header": (
        HEAD + b"X: " + b"y" * (LONGEST_PART_HEADER + 1) + b"\r\n",
        BadRequest,
        "form-limits",
    ),
    "a header of 16 MiB": (HEAD + b"X: " + b"y" * 16 * MIB, BadRequest, "form-limits"),
    "a preamble of 16 MiB": (b"p" * 16 * MIB + b"\r\n" + MINIMAL, TooLarge, "too-large"),
    "an epilogue of 16 MiB": (MINIMAL + b"e" * 16 * MIB, TooLarge, "too-large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_forms_are_refused(name: str) -> None:
    content, kind, code = HOSTILE[name]
    with pytest.raises(kind) as caught:
        read(form_of(content))
    assert caught.value.code == code


def test_a_flood_takes_no_memory() -> None:
    pieces = [b"p" * MIB] * 64
    source = Source(b"")
    source._pieces = pieces
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            read(Form(source, BOUNDARY, file_parts=FILES))
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB + MOST_OVERHEAD
    finally:
        tracemalloc.stop()


@given(data=st.data(), content=st.just(multipart(OLD_ORDER)))
def test_a_damaged_form_is_read_or_refused(data: st.DataObject, content: bytes) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        length = data.draw(st.integers(0, 5))
        damaged[at : at + length] = data.draw(st.binary(max_size=5))
    with contextlib.suppress(BadRequest, TooLarge):
        read(form_of(bytes(damaged), piece=data.draw(st.integers(1, 300))))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('Multipart/Form-Data; charset=x; boundary="a b"', "a b"),
        ("multipart/form-data;boundary=" + "x" * 256, "x" * 256),
    ],
)
def test_boundaries(content_type: str, boundary: str) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=x",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 257,
        "multipart/form-data; boundary=ä",
        "; boundary=x",
    ],
)
def test_no_boundaries(content_type: str) -> None:
    with pytest.raises(BadRequest):
        boundary_of(content_type)


# ---------------------------------------------------------------- holding


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", durability="process")


def held_bytes(holding: Holding) -> int:
    """What is reserved now of a budget of 100."""
    free = 0
    while holding.reserve(1):
        free += 1
    holding.release(free)
    return 100 - free


def test_what_fits_is_held_in_memory(store: LocalStore) -> None:
    holding = Holding(store, budget=100, each=60, most=None)
    held = holding.hold(Source(b"0123456789" * 5, piece=7))
    assert held_bytes(holding) == held.length == 50
    assert held.whole
    for _ in range(2):
        assert b"".join(held) == b"0123456789" * 5
    held.close()
    held.close()
    assert held_bytes(holding) == 0
    assert not store.root.exists()


@pytest.mark.parametrize(("budget", "each"), [(100, 20), (20, 100), (0, 100), (100, 0)])
def test_what_does_not_goes_to_the_disk(store: LocalStore, budget: int, each: int) -> None:
    holding = Holding(store, budget=100, each=each, most=None)
    holding.reserve(100 - budget)
    held = holding.hold(Source(b"0123456789" * 5, piece=7))
    assert held_bytes(holding) == 100 - budget
    for _ in range(2):
        assert b"".join(held) == b"0123456789" * 5
    held.close()
    assert list((store.root / ".resumable" / "spool").iterdir()) == []


def test_memory_is_given_back_before_a_slow_rest_has_come(store: LocalStore) -> None:
    holding = Holding(store, budget=100, each=50, most=None)

    class Slow(Source):
        def __iter__(self) -> Iterator[memoryview]:
            yield memoryview(b"x" * 50)
            yield memoryview(b"x")
            assert held_bytes(holding) == 0
            yield memoryview(b"y")

    held = holding.hold(Slow(b""))
    assert b"".join(held) == b"x" * 51 + b"y"
    held.close()


class Broken(Source):
    def __iter__(self) -> Iterator[memoryview]:
        yield from super().__iter__()
        raise OSError("gone")


@pytest.mark.parametrize("each", [20, 100])
def test_nothing_stays_reserved_after_trouble(store: LocalStore, each: int) -> None:
    holding = Holding(store, budget=100, each=each, most=None)
    with pytest.raises((OSError, UploadError)):
        holding.hold(Broken(b"0123456789" * 5, piece=7))
    assert held_bytes(holding) == 0


@pytest.mark.parametrize("each", [20, 100])
def test_more_than_the_limit_is_refused_while_it_comes(store: LocalStore, each: int) -> None:
    holding = Holding(store, budget=100, each=each, most=40)
    with pytest.raises(TooLarge, match="40 bytes"):
        holding.hold(Source(b"0123456789" * 5, piece=7))
    assert held_bytes(holding) == 0
    holding.hold(Source(b"0123456789" * 4, piece=7)).close()


def test_a_cut_is_told_by_what_is_held(store: LocalStore) -> None:
    for each in (20, 100):
        holding = Holding(store, budget=100, each=each, most=None)
        held = holding.hold(Source(b"0123456789" * 5, cut=Interrupted("cut")))
        assert not held.whole
        assert isinstance(held.cut, Interrupted)
        held.close()
