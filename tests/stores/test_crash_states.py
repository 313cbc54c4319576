"""What a crash at any moment may leave of the local store's writes, and what is found then."""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from types import SimpleNamespace

import pytest

from resumable.errors import Conflict, DigestMismatch, NotFound, UploadError
from resumable.model import Digest, State
from resumable.stores import history, placing
from resumable.stores.publishing import seal
from resumable.testing.baton import Baton
from resumable.testing.crash_states import CrashState, Finding, explore
from resumable.testing.faults import Faults
from resumable.testing.memory import MemoryDisk
from tests.stores.local_world import (
    FIRST_BOOT,
    NEXT_BOOT,
    ROOT,
    Client,
    Machine,
    an_upload,
    some_bytes,
    wrongs,
)

pytestmark = pytest.mark.usefixtures("either_way")
MODELS = ("kill", "ordered", "weak")
Script = Callable[[Machine], None]


def three_chunks(machine: Machine) -> None:
    """Positioned chunks, a look, a finish."""
    client = Client(machine, machine.process(), an_upload(), some_bytes(36))
    client.begin()
    for number in range(3):
        client.place(12 * number, 12 * number + 12, number)
    client.look()
    client.finish(filename="name")


def kept_chunks(machine: Machine) -> None:
    """Numbered chunks out of order wait in files of their own, and other processes look."""
    client = Client(machine, machine.process(), an_upload(), some_bytes(30), bounds=(9, 15, 24, 30))
    client.begin()
    client.note(total_chunks=4)
    client.keep(3, 24, 30)
    client.keep(1, 9, 15)
    client.store = machine.process()
    client.keep(2, 15, 24)
    client.look()
    client.place(0, 9, 0)
    client.look()
    client.finish()


def long_request(machine: Machine) -> None:
    """A body with marks and syncs in the middle, cut, and continued over what is known."""
    client = Client(machine, machine.process(), an_upload(), some_bytes(52))
    client.begin()
    client.cut(0, 30)
    client.place(20, 52, None, 5, 5, 5, 5, 5)
    client.finish()


def cancelled(machine: Machine) -> None:
    """An upload that ends without an object, and another one after it under the same id."""
    client = Client(machine, machine.process(), an_upload(), some_bytes(20), bounds=(10, 15, 20))
    client.begin()
    client.place(0, 10, 0)
    client.keep(2, 15, 20)
    client.cancel()
    client.remove()
    again = Client(machine, machine.process(), an_upload("two"), some_bytes(12, 1))
    again.begin()
    again.place(0, 12, 0)


def finished_twice(machine: Machine) -> None:
    """A finish is asked again by a process that knows nothing of the first."""
    client = Client(machine, machine.process(), an_upload(), some_bytes(10))
    client.begin()
    client.place(0, 10)
    client.finish(filename="name")
    client.store = machine.process()
    client.finish(filename="another")
    client.remove()


def garbage_behind_the_end(machine: Machine) -> None:
    """Bytes that were not what the client meant lie behind those that are finished."""
    client = Client(machine, machine.process(), an_upload(), some_bytes(12))
    client.begin()
    with (
        contextlib.suppress(DigestMismatch),
        client.store.placing(client.upload, 12, digest=Digest("md5", bytes(16))) as placing,
    ):
        placing.write(memoryview(b"garbage behind the end"))
        placing.commit()
    client.place(0, 12)
    client.finish()


def deposited(machine: Machine) -> None:
    """A whole file in one step, and an empty one that another process looks at."""
    client = Client(machine, machine.process(), an_upload(), some_bytes(21))
    client.deposit(8, 8, filename="name")
    empty = Client(machine, machine.process(), an_upload("two"), b"")
    empty.deposit()
    empty.store = machine.process()
    empty.look()


SCRIPTS = (
    three_chunks,
    kept_chunks,
    long_request,
    cancelled,
    finished_twice,
    garbage_behind_the_end,
    deposited,
)


@pytest.fixture(autouse=True)
def _small_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "_MARK", 8)
    monkeypatch.setattr(placing, "_SYNC", 16)


def explored(script: Script, model: str, *, most: int | None, samples: int = 300) -> Finding:
    machine = Machine()
    script(machine)
    changes = machine.volume.changes
    return explore(machine.base, changes, wrongs, model=model, most=most, samples=samples)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_that_was_told_is_lost(script: Script, model: str) -> None:
    finding = explored(script, model, most=400)
    assert finding.clean, finding


@pytest.mark.chaos
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_that_was_told_is_lost_in_full(script: Script, model: str) -> None:
    finding = explored(script, model, most=None)
    print(f"\n{script.__name__}, {model}: {finding}")
    assert finding.clean, finding


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_syncs_a_dead_process_loses_nothing(script: Script) -> None:
    machine = Machine(durability="process")
    script(machine)

    def recover(crash: CrashState) -> list[tuple[str, str]]:
        return list(wrongs(crash, durability="process"))

    finding = explore(machine.base, machine.volume.changes, recover, model="kill", most=400)
    assert finding.clean, finding


def test_without_syncs_a_power_cut_loses_but_never_lies() -> None:
    machine = Machine(durability="process")
    client = Client(machine, machine.process(), an_upload(), some_bytes(30), bounds=(9, 15, 24, 30))
    client.begin()
    client.keep(2, 15, 24)
    client.place(0, 9, 0)
    client.cut(24, 28)

    def recover(crash: CrashState) -> list[tuple[str, str]]:
        return list(wrongs(crash, durability="process"))

    finding = explore(machine.base, machine.volume.changes, recover, model="weak", most=400)
    assert (finding.short, finding.corrupt) == (0, 0), finding
    assert finding.lost


def test_a_full_store_finishes_what_another_has_only_sealed() -> None:
    """Bytes that nobody has synced are synced before anybody hears of the object."""
    machine = Machine(durability="process")
    client = Client(machine, machine.process(), an_upload(), some_bytes(24))
    client.begin()
    client.place(0, 24)
    with client.store._session(client.upload) as session:
        seal(session, 24, None, {})
    machine.durability = "full"
    client.store = machine.process()
    client.finish()

    def recover(crash: CrashState) -> list[tuple[str, str]]:
        full = tuple(one for one in crash.promises if one.state is State.COMPLETE)
        return list(wrongs(replace(crash, promises=full)))

    finding = explore(machine.base, machine.volume.changes, recover, model="weak", most=600)
    assert finding.clean, finding


# ---------------------------------------------------------------- races


@dataclass(frozen=True)
class Plan:
    """Which task begins, and after how many steps each time the next one runs."""

    first: int = 0
    turns: tuple[int, ...] = ()
    one_process: bool = False


def plans(sweep: range, samples: int) -> Iterator[Plan]:
    """One task is interrupted once, wherever in `sweep`, and some plans of many interruptions."""
    for first, steps in product((0, 1), sweep):
        yield Plan(first, (steps,), one_process=bool(steps % 2))
    for seed in range(samples):
        chance = random.Random(seed)
        longest = chance.choice((3, 10, 40, 120))
        turns = [chance.randrange(longest) + 1 for _ in range(chance.randrange(1, 14))]
        yield Plan(seed % 3, tuple(turns), one_process=bool(seed % 2))


def all_plans() -> Iterator[Plan]:
    """Every single interruption, a grid of two, and many samples."""
    for first, steps, one_process in product(range(4), range(1, 140), (False, True)):
        yield Plan(first, (steps,), one_process)
    for first, one, other in product(range(2), range(1, 120, 9), range(1, 120, 7)):
        yield Plan(first, (one, other))
    yield from plans(range(0), 300)


def _beginners(machine: Machine) -> tuple[Callable[[], object], ...]:
    """Two processes begin the same upload and send different parts of it."""

    def send(client: Client, start: int) -> None:
        client.begin()
        client.place(start, start + 12, start // 12)
        client.look()

    clients = [Client(machine, machine.process(), an_upload(), some_bytes(24)) for _ in range(2)]
    return tuple(
        lambda client=client, start=start: send(client, start)
        for client, start in zip(clients, (0, 12), strict=True)
    )


def _same_bytes(machine: Machine) -> tuple[Callable[[], object], ...]:
    """Two processes send the same bytes in other pieces, a third one looks."""
    one, two, other = (
        Client(machine, machine.process(), an_upload(), some_bytes(24)) for _ in range(3)
    )
    one.begin()

    def send(client: Client, *pieces: int) -> None:
        client.place(0, 24, None, *pieces)

    return (
        lambda: send(one, 8, 8),
        lambda: send(two, 12),
        lambda: [other.look() for _ in range(3)],
    )


def _other_bytes_both_ways(machine: Machine) -> tuple[Callable[[], object], ...]:
    """The same, where one is held until it is whole and the others cannot be."""
    return _other_bytes(machine, known_length=False)


def _other_bytes(
    machine: Machine, *, known_length: bool = True
) -> tuple[Callable[[], object], ...]:
    """Three processes send different bytes for the same range; one of them gives up."""
    contents = [some_bytes(16, seed) for seed in range(3)]
    one, two, three = (
        Client(machine, machine.process(), an_upload(), content, rivals=tuple(contents))
        for content in contents
    )
    one.begin()

    def give_up() -> None:
        with (
            contextlib.suppress(Conflict),
            three.store.placing(three.upload, 4, length=8 if known_length else None) as placing,
        ):
            placing.write(memoryview(three.content[4:12]))

    def send(client: Client, start: int, end: int, known_length: bool = True) -> None:
        with contextlib.suppress(Conflict):
            client.place(start, end, None, 4, known_length=known_length)
        client.look()

    return lambda: send(one, 0, 12), lambda: send(two, 4, 16, known_length), give_up


def _movers(machine: Machine) -> tuple[Callable[[], object], ...]:
    """Two processes move the same kept chunks, one of them by finishing."""
    one, two = (
        Client(machine, machine.process(), an_upload(), some_bytes(24), bounds=(8, 16, 24))
        for _ in range(2)
    )
    one.begin()
    one.keep(1, 8, 16)
    one.keep(2, 16, 24)
    one.place(0, 4)

    def finish() -> None:
        with contextlib.suppress(Conflict):
            two.finish()

    return lambda: one.place(0, 8, 0), lambda: [two.look(), finish()]


def _finishers(machine: Machine) -> tuple[Callable[[], object], ...]:
    """Two processes finish, a third one cancels: all or nothing."""
    clients = [Client(machine, machine.process(), an_upload(), some_bytes(12)) for _ in range(3)]
    clients[0].begin()
    clients[0].place(0, 12)

    def ending(end: Callable[[], object]) -> None:
        with contextlib.suppress(UploadError):
            end()

    return (
        lambda: ending(clients[0].finish),
        lambda: ending(clients[1].finish),
        lambda: ending(clients[2].cancel),
    )


def _finish_and_write(machine: Machine) -> tuple[Callable[[], object], ...]:
    """One process finishes what is there while another one adds to it: only one of them can."""
    one, two = (Client(machine, machine.process(), an_upload(), some_bytes(24)) for _ in range(2))
    one.begin()
    one.place(0, 12)

    def finish() -> None:
        with contextlib.suppress(Conflict):
            one.finish(length=12)

    def write() -> None:
        with contextlib.suppress(Conflict):
            two.place(12, 24, None, 8)

    return finish, write


def _finish_and_last_bytes(machine: Machine) -> tuple[Callable[[], object], ...]:
    """One process finishes as soon as the last bytes of another one are there."""
    one, two = (Client(machine, machine.process(), an_upload(), some_bytes(24)) for _ in range(2))
    one.begin()

    def finish() -> None:
        for _ in range(4):
            with contextlib.suppress(Conflict):
                one.finish()

    return lambda: two.place(0, 24, None, 8), finish


def _begin_again(machine: Machine) -> tuple[Callable[[], object], ...]:
    """A cancelled upload is removed by two processes while others begin it anew."""
    clients = [Client(machine, machine.process(), an_upload(), some_bytes(12, 7)) for _ in range(4)]
    old = Client(machine, machine.process(), an_upload(), some_bytes(12))
    old.store.begin(old.upload)
    with old.store.placing(old.upload, 0) as placing:
        placing.write(memoryview(old.content))
        placing.commit()
    old.store.discard(old.upload)

    def begin(client: Client) -> None:
        client.begin()
        with contextlib.suppress(NotFound):
            client.place(0, 12)

    return (
        clients[0].remove_if_cancelled,
        lambda: begin(clients[1]),
        clients[2].remove_if_cancelled,
        lambda: begin(clients[3]),
    )


def _early_bird(machine: Machine) -> tuple[Callable[[], object], ...]:
    """A process that has heard of an upload sends to it while it is being born."""
    one, two = (Client(machine, machine.process(), an_upload(), some_bytes(12)) for _ in range(2))

    def send() -> None:
        for _ in range(5):
            with contextlib.suppress(NotFound):
                two.place(0, 12)

    return one.begin, send


def _begin_after_a_torn_birth(machine: Machine) -> tuple[Callable[[], object], ...]:
    """What a crash left of a birth is in the way of two processes that begin."""
    one, two = (Client(machine, machine.process(), an_upload(), some_bytes(12)) for _ in range(2))
    one.store.begin(one.upload)
    disk = MemoryDisk(machine.volume)
    journal = ROOT / ".resumable" / "uploads" / one.upload.id
    disk.truncate(disk.open(journal), 50)

    def send(client: Client) -> None:
        client.begin()
        client.place(0, 12)

    machine.forget_processes()
    one.store, two.store = machine.process(), machine.process()
    return lambda: send(one), lambda: send(two)


def _onlooker(machine: Machine) -> tuple[Callable[[], object], ...]:
    """One process sends, another one looks: what it is told was a promise too."""
    one, two = (
        Client(machine, machine.process(), an_upload(), some_bytes(16), bounds=(8, 16))
        for _ in range(2)
    )
    one.begin()

    def send() -> None:
        one.keep(1, 8, 16)
        one.place(0, 8, 0)

    return send, lambda: [two.look() for _ in range(3)]


def _tidy_beside_a_birth(machine: Machine) -> tuple[Callable[[], object], ...]:
    """An empty journal of a dead beginner is swept while another one begins with it."""
    one, two = (Client(machine, machine.process(), an_upload(), some_bytes(12)) for _ in range(2))
    another = Client(machine, machine.process(), an_upload("two"), b"")
    another.begin()
    disk = MemoryDisk(machine.volume)
    disk.close(disk.create(ROOT / ".resumable" / "uploads" / one.upload.id))

    def begin() -> None:
        one.begin()
        one.place(0, 12)

    return begin, lambda: two.store.tidy(5000.0)


def _deposit_beside_a_sweep(machine: Machine) -> tuple[Callable[[], object], ...]:
    """Another process comes upon a deposit and ends what it finds sealed."""
    one, two = (Client(machine, machine.process(), an_upload(), some_bytes(12)) for _ in range(2))

    def sweep() -> None:
        for _ in range(4):
            for status in two.store.each():
                if status.state is State.FINISHING:
                    two.finish(length=0, filename="another")

    return lambda: one.deposit(5, filename="name"), sweep


RACES = (
    _deposit_beside_a_sweep,
    _tidy_beside_a_birth,
    _begin_after_a_torn_birth,
    _onlooker,
    _beginners,
    _same_bytes,
    _other_bytes,
    _other_bytes_both_ways,
    _movers,
    _finishers,
    _finish_and_write,
    _finish_and_last_bytes,
    _begin_again,
    _early_bird,
)


Race = Callable[[Machine], tuple[Callable[[], object], ...]]


def raced(
    race: Race,
    plan: Plan,
    *,
    states: int,
    failing: int | None = None,
    durability: str = "full",
) -> Finding:
    """One race by one plan: what was told holds at its end, and after a crash in it.

    With `failing` that call of the first process fails, and whoever is refused gives up.
    """
    baton = Baton(plan.turns)
    machine = Machine(baton=baton, one_process=plan.one_process, durability=durability)
    if failing is not None:
        machine.faults = Faults(failing, error=lambda: OSError(errno.EIO, "broken"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(history, "threading", SimpleNamespace(Lock=baton.lock))
        tasks = race(machine)
        first = plan.first % len(tasks)
        raised = [error for error in baton.run(*tasks[first:], *tasks[:first]) if error]
    if failing is not None:
        raised = [error for error in raised if not isinstance(error, UploadError)]
    assert not raised, f"{plan}: {raised}"
    changes = machine.volume.changes
    told = tuple(change.value for change in changes if change.kind == "promise")
    end = CrashState(machine.volume.copied(), told, power=False, where="at the end")
    finding = Finding()
    finding.count(end, wrongs(end))
    models = ("kill", "weak") if durability == "full" else ("kill",)
    for model in models if states else ():
        finding.add(explore(machine.base, changes, wrongs, model=model, most=states))
    return Finding().add(finding, str(plan))


@pytest.mark.parametrize("race", RACES)
def test_a_race_keeps_its_word(race: Race) -> None:
    finding = Finding()
    for plan in plans(range(1, 120), 0):
        finding.add(raced(race, plan, states=0))
    for plan in plans(range(5, 120, 23), 20):
        finding.add(raced(race, plan, states=12))
    assert finding.clean, finding


def test_a_deposit_without_syncs_beside_a_sweep_keeps_its_word() -> None:
    """Its bytes are renamed where others are linked: the sweep may have linked them before."""
    finding = Finding()
    for plan in plans(range(1, 120), 0):
        finding.add(raced(_deposit_beside_a_sweep, plan, states=12, durability="process"))
    assert finding.clean, finding


@pytest.mark.chaos
@pytest.mark.parametrize("race", RACES)
def test_a_race_keeps_its_word_in_full(race: Race) -> None:
    finding = Finding()
    for plan in all_plans():
        finding.add(raced(race, plan, states=10))
    print(f"\n{race.__name__}: {finding}")
    assert finding.clean, finding


def failing_races(race: Race, samples: int, *, states: int) -> Finding:
    """A call of one process fails in the middle of a race."""
    finding = Finding()
    for seed, plan in enumerate(plans(range(0), samples)):
        failing = random.Random(-seed).randrange(30, 70)
        plan = replace(plan, one_process=False)
        with contextlib.suppress(UploadError):
            more = raced(race, plan, states=states, failing=failing)
            finding.add(more, f"call {failing} failed")
    return finding


@pytest.mark.parametrize("race", [_same_bytes, _other_bytes, _other_bytes_both_ways, _movers])
def test_a_race_with_a_failing_call(race: Race) -> None:
    finding = failing_races(race, 24, states=12)
    assert finding.clean, finding


@pytest.mark.chaos
@pytest.mark.parametrize("race", [_same_bytes, _other_bytes, _other_bytes_both_ways, _movers])
def test_a_race_with_a_failing_call_in_full(race: Race) -> None:
    finding = failing_races(race, 400, states=50)
    print(f"\n{race.__name__}, failing calls: {finding}")
    assert finding.clean, finding


# ---------------------------------------------------------------- worse than one crash


def twice(script: Script, seed: int, *, states: int) -> Finding:
    """A crash, a recovery that goes on, and a power cut in the middle of that."""
    chance = random.Random(seed)
    machine = Machine()
    script(machine)
    first: list[CrashState] = []
    explore(
        machine.base,
        machine.volume.changes,
        lambda crash: first.append(crash) or [],  # type: ignore[func-returns-value]
        model=chance.choice(MODELS),
        most=40,
        seed=seed,
    )
    found = chance.choice(first)
    again = Machine(
        found.volume.copied(recording=True), boot=NEXT_BOOT if found.power else FIRST_BOOT
    )
    upload = an_upload()
    told = [one for one in found.promises if one.upload == upload]
    if told and not any(one.cancelling for one in told):
        client = Client(again, again.process(), upload, told[0].content, bounds=told[0].bounds)
        with contextlib.suppress(UploadError):
            client.complete()

    def recover(crash: CrashState) -> list[tuple[str, str]]:
        crash = replace(crash, promises=(*found.promises, *crash.promises))
        return list(wrongs(crash, boot="boot-3"))

    return Finding().add(
        explore(again.base, again.volume.changes, recover, model="weak", most=states),
        f"after {found.where}",
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_two_crashes_in_a_row(script: Script) -> None:
    finding = Finding()
    for seed in range(8):
        finding.add(twice(script, seed, states=60))
    assert finding.clean, finding


@pytest.mark.chaos
@pytest.mark.parametrize("script", SCRIPTS)
def test_two_crashes_in_a_row_in_full(script: Script) -> None:
    finding = Finding()
    for seed in range(120):
        finding.add(twice(script, seed, states=150))
    print(f"\n{script.__name__}, twice: {finding}")
    assert finding.clean, finding


def failing(script: Script, call: int, *, states: int) -> tuple[bool, Finding]:
    """One call fails and the process lives on; whoever is refused tries again; then a power cut.

    After a failed sync the kernel takes the pages for clean: later syncs do not write them.
    """
    machine = Machine()
    faults = Faults(call, error=lambda: OSError(errno.EIO, "broken"))
    processes = iter([machine.process(faults)])
    normal = machine.process
    machine.process = lambda *_: next(processes, None) or normal()  # type: ignore[method-assign]
    for _ in range(3):
        try:
            script(machine)
            break
        except (UploadError, OSError):
            continue
    finding = explore(machine.base, machine.volume.changes, wrongs, model="weak", most=states)
    return faults.fired, finding


@pytest.mark.parametrize("script", [three_chunks, kept_chunks, long_request])
def test_a_power_cut_after_a_failed_call(script: Script) -> None:
    finding = Finding()
    for call in range(1, 500):
        fired, more = failing(script, call, states=16)
        finding.add(more, f"call {call}")
        if not fired:
            break
    assert finding.clean, finding


@pytest.mark.chaos
@pytest.mark.parametrize("script", [three_chunks, kept_chunks, long_request])
def test_a_power_cut_after_a_failed_call_in_full(script: Script) -> None:
    finding = Finding()
    for call in range(1, 500):
        fired, more = failing(script, call, states=400)
        finding.add(more, f"call {call}")
        if not fired:
            break
    print(f"\n{script.__name__}, failed calls: {finding}")
    assert finding.clean, finding
