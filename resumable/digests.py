"""Digests of bytes: those that clients name, and a CRC32C that joins without reading again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Protocol

import crc32c as _crc32c

from resumable.errors import BadRequest
from resumable.model import KIB, Digest

# The reflected CRC-32C polynomial (RFC 3720, appendix B.4).
_POLYNOMIAL = 0x82F63B78
_ONE = 1 << 31
_QUICK = 128 * KIB


class Hasher(Protocol):
    """A digest in the making."""

    def update(self, data: memoryview | bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32c:
    """CRC32C as a hasher; its digest is four bytes, most significant first."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: memoryview | bytes, /) -> None:
        self.value = crc32c(data, self.value)

    def digest(self) -> bytes:
        return self.value.to_bytes(4, "big")


def crc32c(data: memoryview | bytes, value: int = 0) -> int:
    """CRC32C of `data`, going on from `value`."""
    # To hand the interpreter's lock over and wait for it takes longer than this much arithmetic.
    release = 0 if len(data) <= _QUICK else -1
    return int(_crc32c.crc32c(data, value, release))


def join_crc32c(first: int, second: int, second_length: int) -> int:
    """CRC32C of two byte strings one behind the other, from the CRC32C of each.

    Appending n bytes multiplies the first remainder by x^(8n) modulo the polynomial.
    """
    return _multiply(_power_of_x(8 * second_length), first) ^ second


HASHERS: Mapping[str, Callable[[], Hasher]] = {
    "crc32c": Crc32c,
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
}
SIZES = {"crc32c": 4, "md5": 16, "sha1": 20, "sha256": 32}


def hasher(algorithm: str) -> Hasher:
    """A new hasher for a `Digest.algorithm` that `parse_digest` has let through."""
    return HASHERS[algorithm]()


def parse_digest(text: str, *, algorithms: Iterable[str] = tuple(HASHERS)) -> Digest:
    """`"sha256:<hex>"` as a Digest; raises BadRequest naming the algorithms that are known."""
    algorithm, _, digits = text.partition(":")
    algorithm = algorithm.strip().lower()
    if algorithm not in algorithms:
        raise BadRequest(
            f"A digest must read algorithm:hex with one of {', '.join(sorted(algorithms))}.",
            code="unknown-digest",
        )
    try:
        value = bytes.fromhex(digits) if digits.isalnum() else b""
    except ValueError:
        value = b""
    if len(value) != SIZES[algorithm]:
        raise BadRequest(
            f"A {algorithm} digest has {2 * SIZES[algorithm]} hexadecimal digits.",
            code="bad-digest",
        )
    return Digest(algorithm, value)


def _multiply(first: int, second: int) -> int:
    """The product of two polynomials modulo the CRC's, bits reflected (x^0 is bit 31)."""
    product = 0
    for bit in range(31, -1, -1):
        if first >> bit & 1:
            product ^= second
        second = (second >> 1) ^ (_POLYNOMIAL if second & 1 else 0)
    return product


@lru_cache(maxsize=1024)
def _power_of_x(exponent: int) -> int:
    """x^exponent modulo the polynomial, by squaring."""
    power, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            power = _multiply(square, power)
        square = _multiply(square, square)
        exponent >>= 1
    return power
