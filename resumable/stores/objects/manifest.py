"""What is fixed at an upload's birth, and what is remembered of its end, as stored text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from resumable.model import Chunk, Finished, Upload
from resumable.stores.objects.bucket import Description


@dataclass(frozen=True, slots=True)
class Manifest:
    """One birth of an upload. `birth` is its nonce: an id may be born again after a removal.

    `key` is the final object's. Nothing rewrites a manifest.
    """

    birth: str
    upload: Upload
    key: str
    description: Description

    def to_bytes(self) -> bytes:
        return _dump(
            {
                "birth": self.birth,
                "upload": asdict(self.upload),
                "key": self.key,
                "description": asdict(self.description),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        told = json.loads(data)
        return cls(
            told["birth"],
            Upload(**told["upload"]),
            told["key"],
            Description(**told["description"]),
        )


@dataclass(frozen=True, slots=True)
class End:
    """A finish or a cancel that has begun; a finish counts once it is decided to go on."""

    attempt: int
    kind: str
    length: int = 0
    facts: Mapping[str, Any] | None = None
    modified: float = 0.0

    def to_bytes(self) -> bytes:
        return _dump({"kind": self.kind, "length": self.length, "facts": dict(self.facts or {})})

    @classmethod
    def from_bytes(cls, attempt: int, data: bytes, modified: float) -> End:
        told = json.loads(data)
        return cls(attempt, told["kind"], told["length"], told["facts"], modified)


@dataclass(frozen=True, slots=True)
class Done:
    """What was finished, with all that late questions are answered from."""

    finished: Finished
    facts: Mapping[str, Any]
    chunks: Mapping[int, Chunk]

    def to_bytes(self) -> bytes:
        chunks = [
            [chunk.number, chunk.length, chunk.crc32c, chunk.start]
            for chunk in self.chunks.values()
        ]
        return _dump(
            {"finished": asdict(self.finished), "facts": dict(self.facts), "chunks": chunks}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Done:
        told = json.loads(data)
        chunks = {fields[0]: Chunk(*fields) for fields in told["chunks"]}
        return cls(Finished(**told["finished"]), told["facts"], chunks)


def dump_finished(finished: Finished) -> bytes:
    return _dump(asdict(finished))


def load_finished(data: bytes) -> Finished:
    return Finished(**json.loads(data))


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")
