"""What the tests of a store's contract are written with."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from resumable.errors import UploadError
from resumable.interfaces import Placed, Store
from resumable.model import Digest, Finished, Status, Upload

MakeStore = Callable[[], Store]


def an_upload(**more: Any) -> Upload:
    """A new upload that nobody else has."""
    values: dict[str, Any] = {"part_size": 8 << 20, "created": 1_700_000_000.0, **more}
    return Upload(id=secrets.token_urlsafe(16), token=secrets.token_urlsafe(16), **values)


def some_bytes(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


def describe(facts: Mapping[str, Any], head: bytes, crc32c: int | None, size: int) -> Finished:
    """Placeholder of `describing`, for calls that must fail before it is asked."""
    raise AssertionError("asked to describe what cannot be finished")


def describing(upload: Upload) -> Callable[..., Finished]:
    """What an engine says of a finished object."""

    def described(facts: Mapping[str, Any], head: bytes, crc32c: int | None, size: int) -> Finished:
        return Finished(
            id=upload.id,
            token=upload.token,
            size=size,
            crc32c=crc32c,
            content_type="application/octet-stream",
            filename=facts.get("filename", "file"),
            finished=1_700_000_100.0,
            digest=facts.get("digest"),
        )

    return described


def place(
    store: Store,
    upload: Upload,
    start: int,
    data: bytes,
    number: int | None = None,
    *,
    digest: Digest | None = None,
    piece: int = 1 << 16,
) -> Placed:
    """One request's bytes at a position, arriving in pieces."""
    with store.placing(upload, start, length=len(data), digest=digest) as placing:
        for at in range(0, len(data), piece):
            placing.write(memoryview(data)[at : at + piece])
        return placing.commit(number)


def keep(store: Store, upload: Upload, number: int | None, data: bytes) -> Placed:
    """A numbered chunk whose start is unknown."""
    with store.keeping(upload, number) as keeping:
        keeping.write(memoryview(data))
        return keeping.commit(number)


def finish(store: Store, upload: Upload, length: int, **more: Any) -> Status:
    return store.finish(upload, length, describing(upload), **more)


def content(store: Store, finished: Finished | None) -> bytes:
    """All bytes of a finished object."""
    assert finished is not None
    with closing(store.read(finished, 0, finished.size)) as stored:
        return b"".join(stored)


def loaded(store: Store, upload: Upload) -> Status:
    status = store.load(upload.id)
    assert status is not None
    return status


class GivenPayload:
    """A request's bytes, whole unless `cut` says why not."""

    def __init__(self, pieces: Iterable[bytes], cut: UploadError | None = None) -> None:
        self._pieces = list(pieces)
        self.cut = cut
        self.length = sum(map(len, self._pieces)) if cut is None else None
        self.whole = False

    def __iter__(self) -> Iterator[memoryview]:
        for piece in self._pieces:
            yield memoryview(piece)
        self.whole = self.cut is None


class ContractBase:
    """The fixtures that all rooms of the contract share."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Supplied by the store's own test class."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, make_store: MakeStore) -> Store:
        return make_store()

    @pytest.fixture
    def upload(self, store: Store) -> Upload:
        """An upload that has begun."""
        upload = an_upload()
        assert store.begin(upload)
        return upload


def shapes(length: int, seed: int) -> list[tuple[int, int]]:
    """Ranges that cover `[0, length)` in a random order, overlapping and repeated."""
    chance = random.Random(seed)
    cuts = sorted({0, length, *(chance.randrange(length + 1) for _ in range(chance.randrange(9)))})
    ranges = list(itertools.pairwise(cuts))
    for _ in range(chance.randrange(4)):
        start, end = sorted((chance.randrange(length + 1), chance.randrange(length + 1)))
        ranges.append((start, end))
    chance.shuffle(ranges)
    return ranges
