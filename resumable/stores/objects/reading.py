"""Looks at an upload: one listing, the parts, and what never changes from memory."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from resumable.errors import Unavailable
from resumable.forking import renew_after_fork
from resumable.model import State
from resumable.stores.objects.bucket import Bucket, Missing, Part, Parts, Stored
from resumable.stores.objects.doubt import looks
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.manifest import Done, End, Manifest
from resumable.stores.objects.names import (
    DONE,
    MANIFEST,
    NATIVE,
    VERDICT,
    is_read,
    parse_record,
    parse_segment,
    suffix,
)

_Value = TypeVar("_Value")
_MOST_REMEMBERED = 4096


class Remembered(Generic[_Value]):
    """The last few thousand values of one process."""

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._values: OrderedDict[str, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> _Value | None:
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: str, value: _Value) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def drop(self, key: str) -> None:
        with self._lock:
            self._values.pop(key, None)


@dataclass(frozen=True, slots=True)
class Asked:
    """A listing of parts under way, behind the first `known` of them."""

    native: str
    known: int
    answer: Callable[[], list[Part]]


class Reader:
    """What the storage knows of uploads below `root` (`bucket/prefix/.resumable`)."""

    def __init__(self, bucket: Bucket, parts: Callable[[], Parts | None], root: str) -> None:
        self._bucket = bucket
        self._parts = parts
        self.root = root
        self._texts: Remembered[bytes] = Remembered()
        self._windows: Remembered[dict[int, Part]] = Remembered(512)
        self._natives: Remembered[tuple[str, str]] = Remembered(512)

    def folder(self, id: str) -> str:
        return f"{self.root}/uploads/{id}/"

    def look(self, id: str) -> Knowledge | None:
        """All that is known of an upload; None where there is none. Raises Unavailable."""
        for _ in range(4):
            asked = self._ask_for_parts(id)
            listing = self._bucket.listed(self.folder(id))
            try:
                return self._looked(id, listing, asked)
            except Missing:
                # Removed, or finished, between the listing and the reading.
                continue
        raise Unavailable("The storage lists what it does not have. Try again.")

    def ids(self) -> list[str]:
        return self._bucket.folders(f"{self.root}/uploads/")

    def _ask_for_parts(self, id: str) -> Asked | None:
        """The same question as the last time, while the listing is under way."""
        parts, last = self._parts(), self._natives.get(id)
        if parts is None or last is None:
            return None
        known = len(self._windows.get(last[1]) or ())
        return Asked(last[1], known, parts.ask(*last, known - 1))

    def _looked(self, id: str, listing: list[Stored], asked: Asked | None) -> Knowledge | None:
        folder = self.folder(id)
        named = {one.key.removeprefix(folder): one for one in listing}
        stored = named.get(MANIFEST)
        if stored is None:
            return None
        text = self._texts_of([stored])[stored.key]
        if not text:
            return None
        manifest = Manifest.from_bytes(text)
        if manifest.upload.id != id:
            return None
        birth = manifest.birth + "/"
        mine = {
            name.removeprefix(birth): one for name, one in named.items() if name.startswith(birth)
        }
        known = Knowledge(manifest, stored.version)
        known.touched = max(one.modified for one in (stored, *mine.values()))
        self._learn(known, mine)
        if known.done is not None:
            self._natives.drop(id)
        elif known.native is not None:
            self._look_at_parts(known, id, set(mine), asked)
        return known

    # ------------------------------------------------------------ names

    def _learn(self, known: Knowledge, mine: dict[str, Stored]) -> None:
        found = self._texts_of(one for name, one in mine.items() if is_read(name))
        texts = {key: text for key, text in found.items() if text}
        for name, one in sorted(mine.items()):
            kind = name.partition(".")[0]
            if one.key in texts:
                self._learn_text(known, name, texts[one.key], one)
            elif kind == "b":
                segment = parse_segment(name, one.size, one.modified)
                if segment is not None:
                    known.segments[name] = segment
            elif kind == "c":
                record = parse_record(name)
                known.records.setdefault(record.number, record)
            elif kind == "t":
                known.told.add(suffix(name))
            elif kind == "o":
                known.echoed.add(int(suffix(name)))
        self._learn_end(known, mine, texts)

    def _learn_text(self, known: Knowledge, name: str, text: bytes, one: Stored) -> None:
        if name == NATIVE:
            known.native = text.decode()
        elif name == DONE:
            known.done = Done.from_bytes(text)
        elif name == VERDICT:
            known.accepted = text == b"accepted"
        elif name.startswith("f."):
            known.facts[suffix(name)] = json.loads(text)
        elif name.startswith("n."):
            known.claims[int(suffix(name))] = text.decode()

    def _learn_end(
        self, known: Knowledge, mine: dict[str, Stored], texts: dict[str, bytes]
    ) -> None:
        """The last try to end counts; those before it were decided against."""
        tries = [
            int(suffix(name))
            for name, one in mine.items()
            if name.startswith("e.") and one.key in texts
        ]
        if tries:
            last = mine[f"e.{max(tries)}"]
            known.end = End.from_bytes(max(tries), texts[last.key], last.modified)
            decided = mine.get(f"d.{max(tries)}")
            if decided is not None and decided.key in texts:
                known.decision = texts[decided.key].decode()

    def remember(self, key: str, data: bytes) -> None:
        """What has just been stored once and for all below a birth."""
        self._texts.put(key, data)

    def _texts_of(self, objects: Iterable[Stored]) -> dict[str, bytes]:
        """The content of small objects that never change; nothing of torn ones. Raises Missing."""
        texts: dict[str, bytes] = {}
        unknown: list[Stored] = []
        for one in objects:
            text = self._texts.get(_memory_of(one))
            if text is None:
                unknown.append(one)
            else:
                texts[one.key] = text
        if not unknown:
            return texts
        fetched = self._bucket.get_all([one.key for one in unknown])
        for one in unknown:
            if one.key not in fetched:
                raise Missing(one.key)
            if fetched[one.key] and (one.version or not _is_manifest(one)):
                self._texts.put(_memory_of(one), fetched[one.key])
        return {**texts, **fetched}

    # ------------------------------------------------------------ parts

    def _look_at_parts(
        self, known: Knowledge, id: str, listed: set[str], asked: Asked | None
    ) -> None:
        parts, native = self._parts(), known.native
        assert native is not None
        if parts is None:
            return
        try:
            known.parts = self._windows_of(known, native, asked)
        except Missing:
            # A finish takes the parts away after this listing was made: look again at that.
            folder = f"{self.folder(id)}{known.manifest.birth}/"
            names = {one.key.removeprefix(folder) for one in self._bucket.listed(folder)}
            if any(name.startswith(("e.", "d.", DONE)) for name in names - listed):
                raise
            if known.state is not State.RECEIVING or self._are_lost(known, native):
                return
        moments = [part.modified for part in known.parts.values()]
        known.touched = max(known.touched, *moments, 0.0)

    def _are_lost(self, known: Knowledge, native: str) -> bool:
        """Nobody has ended this upload: its parts count as lost when they stay away."""
        for _ in looks():
            try:
                known.parts = self._windows_of(known, native, None)
            except Missing:
                continue
            return False
        known.lost = True
        return True

    def _windows_of(self, known: Knowledge, native: str, asked: Asked | None) -> dict[int, Part]:
        """Parts stay until the end: behind the gap-free ones that are remembered is enough."""
        parts = self._parts()
        assert parts is not None
        remembered = self._windows.get(native) or {}
        key = known.manifest.key
        if asked is not None and (asked.native, asked.known) == (native, len(remembered)):
            listed = asked.answer()
        else:
            listed = parts.stored(key, native, len(remembered) - 1)
        self._natives.put(known.manifest.upload.id, (key, native))
        windows = dict(remembered)
        windows.update((part.window, part) for part in listed)
        self._windows.put(native, dict(_gap_free(windows)))
        return windows


def _is_manifest(one: Stored) -> bool:
    return one.key.endswith(f"/{MANIFEST}")


def _memory_of(one: Stored) -> str:
    """All but the manifest stand below one birth's nonce and never change."""
    return f"{one.key} {one.version}" if _is_manifest(one) else one.key


def _gap_free(windows: dict[int, Part]) -> Iterator[tuple[int, Part]]:
    window = 0
    while window in windows:
        yield window, windows[window]
        window += 1
