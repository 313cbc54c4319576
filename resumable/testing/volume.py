"""A file system in memory that remembers every change, so that a crash can take some of it back."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

# Bytes that reach the disk together: small, so that every line of a journal can tear.
BLOCK = 4


@dataclass(eq=False)
class Node:
    """A file or a directory; `number` is its inode."""

    number: int
    entries: dict[str, int] | None = None
    data: bytearray = field(default_factory=bytearray)
    modified: float = 0.0
    faults: int = 0

    @property
    def is_directory(self) -> bool:
        return self.entries is not None


@dataclass(frozen=True, slots=True)
class Change:
    """One unit that reaches the disk alone.

    `kind` is "block" and "size" for a file; "add" and "drop" for an entry of a directory; "sync"
    makes earlier changes of the same inode durable and "failed" is a sync that did not; "promise"
    is what somebody was told at this moment (`value`). `call` numbers the call that made it.
    """

    kind: str
    inode: int
    call: int
    position: int = 0
    name: str = ""
    value: Any = None
    directory: bool = False


ROOT = 1


class Volume:
    """Inodes by number, directories by name, and, while `recording`, the changes in order."""

    def __init__(self, nodes: Iterable[Node] = (), *, recording: bool = False) -> None:
        self.nodes = {node.number: node for node in nodes} or {ROOT: Node(ROOT, {})}
        self.changes: list[Change] = []
        self.recording = recording
        self._numbers = itertools.count(max(self.nodes) + 1)
        self._call = 0

    def copied(self, *, recording: bool = False) -> Volume:
        """The same files, with nothing recorded yet."""
        return Volume(copy.deepcopy(list(self.nodes.values())), recording=recording)

    # ------------------------------------------------------------ changes

    def make(self, directory: Node, name: str, *, is_directory: bool = False) -> Node:
        """A new inode under a name."""
        node = Node(next(self._numbers), {} if is_directory else None)
        self.nodes[node.number] = node
        self.begin_call()
        self.add(directory, name, node)
        return node

    def begin_call(self) -> None:
        """What is recorded from here on belongs to one call."""
        self._call += 1

    def add(self, directory: Node, name: str, node: Node) -> None:
        self._do(
            Change(
                "add",
                directory.number,
                self._call,
                name=name,
                value=node.number,
                directory=node.is_directory,
            )
        )

    def drop(self, directory: Node, name: str) -> None:
        self._do(Change("drop", directory.number, self._call, name=name))

    def write(self, node: Node, data: bytes, position: int) -> None:
        """Bytes in blocks, each a change of its own, then the size if it has grown."""
        if not self.recording:
            _put(node.data, position, data)
            return
        self.begin_call()
        end, before = position + len(data), len(node.data)
        at = position
        while at < end:
            stop = min(end, at - at % BLOCK + BLOCK)
            piece = data[at - position : stop - position]
            self._do(Change("block", node.number, self._call, position=at, value=piece))
            at = stop
        if end > before:
            self._do(Change("size", node.number, self._call, position=end))

    def truncate(self, node: Node, length: int) -> None:
        self.begin_call()
        self._do(Change("size", node.number, self._call, position=length))

    def sync(self, node: Node, *, failed: bool = False) -> None:
        """All earlier changes of this inode are durable; if it failed, nobody knows which."""
        self.begin_call()
        self._record(Change("failed" if failed else "sync", node.number, self._call))

    def promise(self, value: object) -> None:
        """Somebody was told: whatever happens from now on, this holds."""
        self._record(Change("promise", 0, self._call, value=value))

    def _do(self, change: Change) -> None:
        self._record(change)
        apply(change, self.nodes)

    def _record(self, change: Change) -> None:
        if self.recording:
            self.changes.append(change)


def apply(change: Change, nodes: dict[int, Node]) -> None:
    """One change that reached the disk; bytes may lie behind the end that is known."""
    node = nodes.get(change.inode)
    if node is None:
        return
    if change.kind == "add" and node.entries is not None:
        node.entries[change.name] = change.value
    elif change.kind == "drop" and node.entries is not None:
        node.entries.pop(change.name, None)
    elif change.kind == "block":
        _put(node.data, change.position, change.value)
    elif change.kind == "size":
        _resize(node.data, change.position)


def _put(data: bytearray, position: int, value: bytes) -> None:
    if len(data) < position:
        data.extend(bytes(position - len(data)))
    data[position : position + len(value)] = value


def _resize(data: bytearray, length: int) -> None:
    if len(data) > length:
        del data[length:]
    else:
        data.extend(bytes(length - len(data)))


def rebuilt(base: Volume, survivors: Sequence[Change]) -> Volume:
    """The volume that is found after a crash: `base`, and the changes that reached the disk.

    The size of a file is a change of its own: blocks behind the last size that survived are cut.
    """
    nodes = {number: copy.deepcopy(node) for number, node in base.nodes.items()}
    sizes = {number: len(node.data) for number, node in nodes.items()}
    for change in survivors:
        if change.kind == "add":
            born = Node(change.value, {} if change.directory else None)
            nodes.setdefault(change.value, born)
            sizes.setdefault(change.value, len(nodes[change.value].data))
    for change in survivors:
        # A directory whose own name was lost may still have had entries.
        if change.inode not in nodes:
            continue
        apply(change, nodes)
        if change.kind == "size":
            sizes[change.inode] = change.position
    for number, node in nodes.items():
        _resize(node.data, sizes.get(number, 0))
    return Volume(nodes.values())
