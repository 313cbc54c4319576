"""Every state that a crash may leave of recorded changes, and what a recovery makes of each.

Three models: `kill`, the process dies and everything it did survives; `ordered`, power is cut
under a file system like ext4 with data=ordered; `weak`, power is cut and only what was synced is
certain (POSIX).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from resumable.testing.volume import Change, Volume, rebuilt

# So many free units are tried in every combination; of more, a sample is.
_EXHAUSTIVE = 10
_DATA = ("block", "size")
_ENTRIES = ("add", "drop")


@dataclass(frozen=True, slots=True)
class CrashState:
    """One state: what is found, what had been promised, and whether the power was cut."""

    volume: Volume
    promises: tuple[object, ...]
    power: bool
    where: str


@dataclass
class Finding:
    """How often a recovery lost, shortened or corrupted what it had promised, of how many."""

    states: int = 0
    lost: int = 0
    short: int = 0
    corrupt: int = 0
    examples: dict[str, str] = field(default_factory=dict)

    def count(self, crash: CrashState, faults: Iterable[tuple[str, str]]) -> None:
        """One more state, and what was wrong with it: "lost", "short" or "corrupt", and words."""
        self.states += 1
        for kind in {kind for kind, _ in faults}:
            setattr(self, kind, getattr(self, kind) + 1)
        for kind, words in faults:
            self.examples.setdefault(kind, f"{crash.where}: {words}")

    def add(self, other: Finding, where: str = "") -> Finding:
        """Count another exploration's states as well."""
        for kind in ("states", "lost", "short", "corrupt"):
            setattr(self, kind, getattr(self, kind) + getattr(other, kind))
        for kind, words in other.examples.items():
            self.examples.setdefault(kind, f"{where} {words}".strip())
        return self

    @property
    def clean(self) -> bool:
        return not (self.lost or self.short or self.corrupt)

    def __str__(self) -> str:
        counts = f"{self.states} states: {self.lost} / {self.short} / {self.corrupt}"
        return "\n  ".join([counts, *(f"{kind}: {at}" for kind, at in self.examples.items())])


def explore(
    base: Volume,
    changes: Sequence[Change],
    recover: Callable[[CrashState], Sequence[tuple[str, str]]],
    *,
    model: str,
    samples: int = 300,
    seed: int = 0,
    most: int | None = None,
) -> Finding:
    """Run a recovery on the states that `model` allows after any of the recorded changes.

    `recover` says what is wrong with a state. `samples` bounds the states of one moment, `most`
    the states in all, evenly taken.
    """
    finding = Finding()
    chance = random.Random(seed)
    moments = list(_moments(changes, model))
    if most is not None and len(moments) > most:
        moments = sorted(chance.sample(moments, most))
    each = samples if most is None else max(1, min(samples, most // max(1, len(moments))))
    for moment in moments:
        before = changes[:moment]
        promises = tuple(change.value for change in before if change.kind == "promise")
        for survivors in _states(before, model, each, chance):
            where = f"{model}, after change {moment} of {len(changes)}"
            crash = CrashState(rebuilt(base, survivors), promises, model != "kill", where)
            finding.count(crash, list(recover(crash)))
    return finding


def _moments(changes: Sequence[Change], model: str) -> Iterator[int]:
    """When the crash may come: a kill between any two units, a power cut between two calls.

    A power cut inside a call leaves what one behind it may leave.
    """
    for moment in range(len(changes) + 1):
        inside = 0 < moment < len(changes) and changes[moment - 1].call == changes[moment].call
        if model == "kill" or not inside or changes[moment - 1].kind == "promise":
            yield moment


def _states(
    before: Sequence[Change], model: str, samples: int, chance: random.Random
) -> Iterator[list[Change]]:
    if model == "kill":
        yield [change for change in before if change.kind in _DATA + _ENTRIES]
    elif model == "weak":
        yield from _weak(before, samples, chance)
    elif model == "ordered":
        yield from _ordered(before, samples, chance)
    else:
        raise ValueError(f"There is no model {model}.")


def _parted(before: Sequence[Change], *, one_journal: bool) -> tuple[set[int], list[int]]:
    """The positions of changes that are certain, and of those that are free to get lost.

    A sync makes certain what it names; with `one_journal` every sync makes all earlier entries
    and sizes certain. After a failed sync nothing makes the bytes before it certain any more.
    """
    certain: set[int] = set()
    free: list[int] = []
    doomed: list[int] = []
    for position, change in enumerate(before):
        if change.kind in _DATA + _ENTRIES:
            free.append(position)
        elif change.kind == "failed":
            gone = {
                at for at in free if before[at].inode == change.inode and before[at].kind == "block"
            }
            doomed += gone
            free = [at for at in free if at not in gone]
        elif change.kind == "sync":
            now = {
                at
                for at in free
                if before[at].inode == change.inode
                or (one_journal and before[at].kind in (*_ENTRIES, "size"))
            }
            certain |= now
            free = [at for at in free if at not in now]
    return certain, sorted(doomed + free)


def _weak(before: Sequence[Change], samples: int, chance: random.Random) -> Iterator[list[Change]]:
    certain, free = _parted(before, one_journal=False)
    for kept in _subsets(before, free, samples, chance):
        yield _chosen(before, certain | kept)


def _ordered(
    before: Sequence[Change], samples: int, chance: random.Random
) -> Iterator[list[Change]]:
    """Free entries and sizes survive as a prefix; a size brings all earlier blocks of its file."""
    certain, free = _parted(before, one_journal=True)
    metadata = [at for at in free if before[at].kind != "block"]
    blocks = [at for at in free if before[at].kind == "block"]
    lengths = range(len(metadata) + 1)
    each = max(1, min(4, samples // len(lengths)))
    if len(lengths) > samples:
        lengths = sorted(chance.sample(lengths, samples))  # type: ignore[assignment]
    for length in lengths:
        kept = certain | set(metadata[:length])
        sized = {before[at].inode: at for at in sorted(kept) if before[at].kind == "size"}
        dragged = {at for at in blocks if at < sized.get(before[at].inode, -1)}
        loose = [at for at in blocks if at not in dragged]
        for more in itertools.islice(_subsets(before, loose, each, chance), each):
            yield _chosen(before, kept | dragged | more)


def _chosen(before: Sequence[Change], kept: set[int]) -> list[Change]:
    return [before[at] for at in sorted(kept)]


def _subsets(
    before: Sequence[Change], free: list[int], samples: int, chance: random.Random
) -> Iterator[set[int]]:
    """Which of the free ones survive: all combinations of few, a mixed sample of many.

    Single blocks alone would hardly ever leave a whole line of a journal: whole calls survive or
    get lost too, and single ones of them in part.
    """
    if 2 ** len(free) <= max(samples, 2) and len(free) <= _EXHAUSTIVE:
        for size in range(len(free) + 1):
            yield from map(set, itertools.combinations(free, size))
        return
    calls: dict[int, list[int]] = {}
    for at in free:
        calls.setdefault(before[at].call, []).append(at)
    groups = list(calls.values())
    if len(groups) <= _EXHAUSTIVE and 2 ** len(groups) <= samples // 2:
        for choice in itertools.product((False, True), repeat=len(groups)):
            yield {at for group, kept in zip(groups, choice, strict=True) if kept for at in group}
        samples -= 2 ** len(groups)
    for _ in range(samples):
        yield _sample(groups, chance)


def _sample(groups: list[list[int]], chance: random.Random) -> set[int]:
    style = chance.random()
    if style < 0.2:
        likely = chance.choice((0.2, 0.5, 0.8))
        return {at for group in groups for at in group if chance.random() < likely}
    kept: set[int] = set()
    likely = chance.choice((0.1, 0.5, 0.5, 0.9))
    for group in groups:
        kept.update(_torn(group, chance) if chance.random() < 0.2 else ())
        if chance.random() < likely:
            kept.update(group)
    return kept


def _torn(group: list[int], chance: random.Random) -> list[int]:
    cut = chance.randrange(len(group) + 1)
    way = chance.random()
    if way < 0.4:
        return [*group[:cut], group[-1]]
    if way < 0.8:
        return group[cut:]
    return [at for at in group if chance.random() < 0.5]
