"""CRC32C that joins, and digests as clients write them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.digests import HASHERS, SIZES, crc32c, hasher, join_crc32c, parse_digest
from resumable.errors import BadRequest
from resumable.model import GIB, Digest


def slow_crc32c(data: bytes) -> int:
    """RFC 3720, appendix B.4, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_the_known_values_of_crc32c(data: bytes, expected: int) -> None:
    assert crc32c(data) == slow_crc32c(data) == expected
    assert crc32c(memoryview(data)) == expected


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_crc32c_goes_on(first: bytes, second: bytes) -> None:
    assert crc32c(second, crc32c(first)) == crc32c(first + second)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_two_crc32c_join(first: bytes, second: bytes) -> None:
    joined = join_crc32c(crc32c(first), crc32c(second), len(second))
    assert joined == crc32c(first + second)


@given(st.lists(st.binary(max_size=50), max_size=12))
def test_many_crc32c_join(pieces: list[bytes]) -> None:
    value = 0
    for piece in pieces:
        value = join_crc32c(value, crc32c(piece), len(piece))
    assert value == crc32c(b"".join(pieces))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)
def test_joining_is_associative(a: int, b: int, c: int, b_length: int, c_length: int) -> None:
    left = join_crc32c(join_crc32c(a, b, b_length), c, c_length)
    right = join_crc32c(a, join_crc32c(b, c, c_length), b_length + c_length)
    assert left == right


def test_joining_lengths_that_nobody_reads_again() -> None:
    zeros = 0
    block, length = crc32c(bytes(1 << 20)), 1 << 20
    for _ in range(1024):
        zeros = join_crc32c(zeros, block, length)
    doubled = block
    while length < GIB:
        doubled, length = join_crc32c(doubled, doubled, length), length * 2
    assert zeros == doubled


@pytest.mark.parametrize("algorithm", sorted(HASHERS))
@given(pieces=st.lists(st.binary(max_size=40), max_size=6))
def test_a_hasher_takes_its_bytes_in_pieces(algorithm: str, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    making = hasher(algorithm)
    for piece in pieces:
        making.update(memoryview(piece))
    if algorithm == "crc32c":
        assert making.digest() == slow_crc32c(data).to_bytes(4, "big")
    else:
        assert making.digest() == hashlib.new(algorithm, data).digest()
    assert len(making.digest()) == SIZES[algorithm]


@pytest.mark.parametrize("algorithm", sorted(HASHERS))
def test_a_digest_is_read_as_it_is_written(algorithm: str) -> None:
    digest = Digest(algorithm, bytes(range(SIZES[algorithm])))
    assert parse_digest(str(digest)) == digest
    assert parse_digest(str(digest).upper()) == digest
    assert parse_digest(f" {digest}") == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 66,
        "sha256:" + "g" * 64,
        "sha256:" + " 0" * 32,
        "sha256:" + "００" * 32,
        "sha256:" + "0" * 62 + "\n0",
        "crc32c:1234",
        "crc32c:-1234567",
        "md5:" + "0" * 31,
        "sha512:" + "0" * 128,
        "SHA-256:" + "0" * 64,
        "\x00sha256:" + "0" * 64,
    ],
)
def test_a_digest_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_digest(text)
    assert refused.value.code in ("unknown-digest", "bad-digest")


def test_a_dialect_takes_only_what_it_knows() -> None:
    with pytest.raises(BadRequest, match="md5, sha1"):
        parse_digest("sha256:" + "0" * 64, algorithms=("sha1", "md5"))


@given(st.text(max_size=80))
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    try:
        digest = parse_digest(text)
    except BadRequest:
        return
    assert len(digest.value) == SIZES[digest.algorithm]
