"""Any order of tus requests, cuts, deaths and days, against a model that is made of bytes.

On a local store and on object storage, each in memory; another middleware for each "restart".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from resumable import Limits, ResumableUploads, wsgi
from resumable.engine import Engine
from resumable.model import Finished
from resumable.testing.faults import Faults
from tests.calls import Answer, call
from tests.stores.local_storage import MemoryStorage
from tests.stores.test_objects import Bucketful

EXPIRY, GRACE = 1000, 500
MOST = 64
GONE = (404, 410)
BYTES = {"Content-Type": "application/offset+octet-stream"}


@dataclass(eq=False)
class Known:
    """What one upload must be. Of a final upload `parts` are those that it is made of.

    `changed` is when its bytes were last changed, `met` when anything was last asked of it: it
    expires somewhere in between. A final upload is `doomed` once it has lost a part.
    """

    path: str
    length: int | None
    partial: bool
    words: dict[str, str]
    changed: float
    met: float
    content: bytes = b""
    parts: tuple[Known, ...] = ()
    joined: bool = False
    doomed: bool = False
    deleted: bool = False
    expired: bool = False

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def alive(self) -> bool:
        return not (self.deleted or self.expired)

    @property
    def open(self) -> bool:
        """Whether it takes bytes still."""
        return self.alive and not self.whole and not self.parts

    @property
    def whole(self) -> bool:
        return self.joined if self.parts else self.length == len(self.content)

    @property
    def oversize(self) -> bool:
        """Whether a final upload has turned out to be larger than uploads may be."""
        return sum(len(part.content) for part in self.parts) > MOST

    @property
    def computable(self) -> int | None:
        """The length of a final upload, once that of all its parts is known."""
        lengths = [part.length for part in self.parts]
        return None if None in lengths else sum(length or 0 for length in lengths)


@dataclass
class Host:
    """Middlewares on one storage with one clock; `heard` is what they told the host."""

    storage: Any
    heard: list[Finished] = field(default_factory=list)

    def middleware(self) -> ResumableUploads:
        store = self.storage.process(Faults())
        with (
            patch.object(wsgi, "connect", lambda *_, **__: store),
            patch.object(wsgi, "Engine", partial(Engine, clock=self.storage.clock)),
        ):
            limits = Limits(max_size=MOST, expiry=EXPIRY, grace=GRACE, free_space=0)
            return ResumableUploads(None, "unused", limits=limits, completed=self.heard.append)


class TusMachine(RuleBasedStateMachine):
    """`make` gives a storage that outlives its middlewares."""

    make: Callable[[], Any] = staticmethod(MemoryStorage)

    @initialize(seed=st.integers(0, 99))
    def begin(self, seed: int) -> None:
        self.random = Random(seed)
        self.host = Host(type(self).make())
        self.app = self.host.middleware()
        self.known: list[Known] = []
        self.done: set[str] = set()
        for length in (10, 7, None):
            self.create(length=length, partial=True, first=None, named=False)

    # ------------------------------------------------------------ helpers

    @property
    def now(self) -> float:
        now: float = self.host.storage.now
        return now

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> Answer:
        """A request whose body ends after `cut` bytes."""
        environ = {} if cut is None else {"CONTENT_LENGTH": str(len(body))}
        sent = {"Tus-Resumable": "1.0.0", **(headers or {})}
        arriving = body if cut is None else body[:cut]
        answer = call(self.app, method, path, arriving, sent, environ=environ)
        assert answer.status < 500, answer
        assert answer.headers["tus-resumable"] == "1.0.0"
        return answer

    def there(self, known: Known, answer: Answer) -> bool:
        """Whether it is still there, where the answer agrees with what must be."""
        gone = answer.status in GONE
        if known.deleted or known.expired:
            assert gone, answer
        mortal = known.partial or not known.whole
        if gone and not known.deleted and not known.expired:
            assert mortal, "a finished file has gone"
            assert self.now > known.changed + EXPIRY, "it is gone before its time"
            self._expire(known)
        elif mortal and self.now > known.met + EXPIRY and not known.deleted:
            assert gone, f"it should have expired: {answer}"
        if not gone:
            known.met = self.now
        return not gone

    def _expire(self, known: Known) -> None:
        known.expired = True
        for final in self._finals_of(known):
            final.doomed = True

    def _finals_of(self, known: Known) -> list[Known]:
        return [one for one in self.known if known in one.parts and not one.joined]

    def _grown(self, known: Known, data: bytes) -> None:
        known.content += data
        known.met = self.now
        if data:
            known.changed = self.now
        self._settle(known)

    def _settle(self, known: Known) -> None:
        """What is whole now is finished; so are those that waited for it."""
        if known.whole and not known.partial:
            self.done.add(known.id)
        for final in self._finals_of(known):
            self._join(final)

    def _join(self, final: Known) -> None:
        lost = final.deleted or final.expired
        whole = all(part.whole and not part.deleted for part in final.parts)
        if final.joined or lost or final.oversize or not whole:
            return
        # Only the host knows whether a sweep came before, or what has expired was used still.
        doubtful = final.doomed or self.now > final.changed + EXPIRY
        if doubtful and final.id not in {one.id for one in self.host.heard}:
            return
        final.joined, final.doomed = True, False
        final.content = b"".join(part.content for part in final.parts)
        final.length = len(final.content)
        self._settle(final)

    def _draw(self, data: st.DataObject, wanted: Callable[[Known], bool] = bool) -> Known:
        """One of them; most times one of those that something can still be done with."""
        likely = [known for known in self.known if wanted(known)]
        odd = not likely or data.draw(st.integers(0, 9)) == 0
        return data.draw(st.sampled_from(self.known if odd else likely), "upload")

    def _bytes(self, size: int) -> bytes:
        return self.random.randbytes(size)

    def _check_head(self, known: Known) -> None:
        answer = self.ask("HEAD", known.path)
        if not self.there(known, answer):
            return
        if known.oversize and answer.status == 413:
            assert all(part.whole and not part.deleted for part in known.parts)
            return
        assert answer.status == 200, answer
        assert known.doomed or not known.oversize or not all(one.whole for one in known.parts)
        headers = answer.headers
        assert headers["cache-control"] == "no-store"
        for name in ("upload-metadata", "upload-concat"):
            assert headers.get(name) == known.words.get(name), answer
        if known.parts and not known.joined:
            self._check_waiting(known, headers)
            return
        assert headers["upload-offset"] == str(len(known.content)), (known, answer)
        length = None if known.length is None else str(known.length)
        assert headers.get("upload-length") == length, (known, answer)
        assert headers.get("upload-defer-length") == ("1" if length is None else None)
        mortal = known.partial or not known.whole
        assert ("upload-expires" in headers) == mortal, (known, answer)

    def _check_waiting(self, known: Known, headers: Any) -> None:
        if "upload-offset" in headers:
            # It may have been put together of a part that has expired and was not swept yet.
            assert known.doomed
            assert all(part.whole and not part.deleted for part in known.parts)
            known.doomed = False
            self._join(known)
            assert known.joined
        elif not known.doomed:
            computable = known.computable
            length = None if computable is None else str(computable)
            assert headers.get("upload-length") == length, (known, headers)

    # ------------------------------------------------------------ what clients do

    @rule(
        length=st.none() | st.integers(0, 20) | st.integers(0, MOST),
        partial=st.booleans(),
        first=st.none() | st.integers(0, 20),
        named=st.booleans(),
    )
    def create(self, length: int | None, partial: bool, first: int | None, named: bool) -> None:
        words = {"upload-metadata": "filename YS5iaW4=,k"} if named else {}
        if partial:
            words["upload-concat"] = "partial"
        headers = dict(words)
        if length is None:
            headers["Upload-Defer-Length"] = "1"
        else:
            headers["Upload-Length"] = str(length)
        body = b""
        if first is not None:
            body = self._bytes(first if length is None else min(first, length))
            headers |= BYTES
        answer = self.ask("POST", "/files/", body, headers)
        assert answer.status == 201, answer
        assert answer.headers.get("upload-offset") == (None if first is None else str(len(body)))
        path = "/files/" + answer.headers["location"]
        known = Known(path, length, partial, words, self.now, self.now)
        self.known.append(known)
        self._grown(known, body)

    @rule(
        data=st.data(),
        size=st.integers(0, 20) | st.just(MOST),
        cut=st.none() | st.integers(0, MOST),
        checksum=st.sampled_from([None, None, "sha1", "crc32c", "wrong"]),
        declared=st.none() | st.integers(0, 3),
    )
    def append(
        self,
        data: st.DataObject,
        size: int,
        cut: int | None,
        checksum: str | None,
        declared: int | None,
    ) -> None:
        """The next bytes, of which only the first `cut` may arrive."""
        known = self._draw(data, lambda one: one.open)
        offset = len(known.content)
        whole = MOST if known.length is None else known.length
        size = min(size, max(0, whole - offset))
        content = self._bytes(size)
        headers = {"Upload-Offset": str(offset), **BYTES}
        length = known.length
        if declared is not None and length is None:
            length = min(offset + size + declared, MOST)
            headers["Upload-Length"] = str(length)
        if checksum is not None:
            headers["Upload-Checksum"] = _checksum(checksum, content)
        cut = cut if cut is not None and cut < size else None
        answer = self.ask("PATCH", known.path, content, headers, cut)
        if not self.there(known, answer):
            return
        if known.parts:
            assert answer.status == 403, answer
        elif cut is not None:
            assert (answer.status, answer.json["code"]) == (400, "interrupted"), answer
            self._grown(known, b"" if checksum else content[:cut])
        elif checksum == "wrong" and not known.whole:
            assert answer.status == 460, answer
            assert answer.headers["upload-offset"] == str(offset)
        else:
            assert answer.status == 204, (known, answer)
            known.length = length
            self._grown(known, content)
            assert answer.headers["upload-offset"] == str(len(known.content))

    @rule(data=st.data())
    def append_the_rest(self, data: st.DataObject) -> None:
        known = self._draw(data, lambda one: one.open)
        whole = len(known.content) + 5 if known.length is None else known.length
        rest = self._bytes(max(0, min(whole, MOST) - len(known.content)))
        offset = len(known.content)
        headers = {"Upload-Offset": str(offset), "Upload-Length": str(offset + len(rest)), **BYTES}
        answer = self.ask("PATCH", known.path, rest, headers)
        if not self.there(known, answer):
            return
        assert answer.status == (403 if known.parts else 204), (known, answer)
        if not known.parts:
            known.length = offset + len(rest)
            self._grown(known, rest)

    @rule(data=st.data(), more=st.integers(1, 9))
    def append_too_much(self, data: st.DataObject, more: int) -> None:
        known = self._draw(data, lambda one: one.open)
        whole = MOST if known.length is None else known.length
        content = self._bytes(max(0, whole - len(known.content)) + more)
        headers = {"Upload-Offset": str(len(known.content)), **BYTES}
        answer = self.ask("PATCH", known.path, content, headers)
        if self.there(known, answer):
            assert answer.status == (403 if known.parts else 413), answer

    @rule(data=st.data(), wrong=st.integers(-20, 20).filter(bool), size=st.integers(0, 9))
    def append_elsewhere(self, data: st.DataObject, wrong: int, size: int) -> None:
        known = self._draw(data)
        offset = max(0, len(known.content) + wrong)
        if offset == len(known.content):
            return
        headers = {"Upload-Offset": str(offset), **BYTES}
        answer = self.ask("PATCH", known.path, self._bytes(size), headers)
        if not self.there(known, answer):
            return
        assert answer.status == (403 if known.parts else 409), answer
        if not known.parts:
            assert answer.headers["upload-offset"] == str(len(known.content))

    @rule(data=st.data())
    def head(self, data: st.DataObject) -> None:
        self._check_head(self._draw(data))

    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        self._check_get(self._draw(data))

    def _check_get(self, known: Known) -> None:
        answer = self.ask("GET", known.path)
        if known.whole and not (known.deleted or known.expired or known.partial):
            assert answer.status == 200, (known, answer)
            assert answer.body == known.content
        elif known.whole and known.partial and answer.status == 200:
            assert answer.body == known.content
        else:
            assert answer.status in (*GONE, *[413] * known.oversize), (known, answer)

    @rule(data=st.data(), count=st.integers(1, 4), absolute=st.booleans())
    def concat(self, data: st.DataObject, count: int, absolute: bool) -> None:
        parts = [self._draw(data, lambda one: one.partial and one.alive) for _ in range(count)]
        root = "http://elsewhere/a" if absolute else ""
        words = {"upload-concat": "final;" + " ".join(root + part.path for part in parts)}
        answer = self.ask("POST", "/files/", headers=words)
        if answer.status != 201:
            assert answer.status in (400, 413, *GONE), answer
            self._check_refused(parts, answer)
            return
        for part in parts:
            assert part.partial
            assert self.there(part, answer)
        path = "/files/" + answer.headers["location"]
        known = Known(path, None, False, words, self.now, self.now, parts=tuple(parts))
        known.length = known.computable
        self.known.append(known)
        self._join(known)

    def _check_refused(self, parts: list[Known], answer: Answer) -> None:
        """There is a reason for a final upload to be refused."""
        if answer.status in GONE:
            dying = [one for one in parts if self.now > one.changed + EXPIRY]
            assert dying or any(one.deleted or one.expired for one in parts)
        elif answer.status == 400:
            assert not all(one.partial for one in parts)
        else:
            assert sum(one.length or len(one.content) for one in parts) > MOST

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        known = self._draw(data)
        answer = self.ask("DELETE", known.path)
        if not self.there(known, answer):
            return
        assert answer.status == 204, answer
        known.deleted = True
        for final in self._finals_of(known):
            final.doomed = True

    @rule(data=st.data(), size=st.integers(1, 20))
    def place_by_the_chunk_protocol(self, data: st.DataObject, size: int) -> None:
        """The other dialect's clients may go on with it, unless it is made of others."""
        known = self._draw(data, lambda one: one.open)
        whole = MOST if known.length is None else known.length
        offset = len(known.content)
        content = self._bytes(min(size, whole - offset)) if known.length != offset else b""
        if not content or known.deleted or known.expired or self.now > known.changed + EXPIRY:
            return
        headers = {"X-Upload-Id": known.id, "X-Byte-Offset": str(offset)}
        answer = call(self.app, "PUT", "/upload-chunk", content, headers)
        if known.parts:
            assert 400 <= answer.status < 500, answer
            return
        assert answer.status == 200, answer
        known.met = self.now
        self._grown(known, content)
        self._check_head(known)

    @precondition(lambda self: any(one.parts for one in self.known))
    @rule(data=st.data())
    def finalize_by_the_chunk_protocol(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from([one for one in self.known if one.parts]))
        answer = call(self.app, "POST", "/finalize-upload", json={"uploadId": known.id})
        if not known.whole:
            assert 400 <= answer.status < 500, answer

    # ------------------------------------------------------------ what happens to servers

    @rule(seconds=st.sampled_from([1, 1, 1, 300, 700, EXPIRY + 1, EXPIRY + GRACE + 1]))
    def time_passes(self, seconds: int) -> None:
        self.host.storage.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.app = self.host.middleware()

    @rule()
    def sweep(self) -> None:
        self.app.uploads.sweep()

    def teardown(self) -> None:
        if not hasattr(self, "known"):
            return
        self.app = self.host.middleware()
        for known in self.known:
            self._check_head(known)
        for known in self.known:
            self._check_get(known)
        self.told_at_once_and_once()

    @invariant()
    def told_at_once_and_once(self) -> None:
        heard = [one.id for one in self.host.heard]
        assert sorted(heard) == sorted(self.done), "not told once of each finished file"


def _checksum(kind: str, data: bytes) -> str:
    from resumable.digests import crc32c

    if kind == "crc32c":
        return "crc32c " + base64.b64encode(crc32c(data).to_bytes(4, "big")).decode()
    digest = hashlib.sha1(data if kind == "sha1" else data + b"!").digest()
    return "sha1 " + base64.b64encode(digest).decode()


class TusMachineOnObjects(TusMachine):
    make = staticmethod(Bucketful)


class TusMachineOnSegments(TusMachine):
    make = staticmethod(partial(Bucketful, parts=False))


MACHINES = [TusMachine, TusMachineOnObjects, TusMachineOnSegments]
_WANTED = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("machine", MACHINES)
def test_any_order(machine: type[TusMachine]) -> None:
    few = settings(_WANTED, max_examples=60, stateful_step_count=30, derandomize=True)
    run_state_machine_as_test(machine, settings=few)


@pytest.mark.chaos
@pytest.mark.parametrize("machine", MACHINES)
def test_any_order_at_length(machine: type[TusMachine]) -> None:
    many = settings(
        _WANTED, max_examples=1000, stateful_step_count=60, phases=[Phase.generate, Phase.shrink]
    )
    run_state_machine_as_test(machine, settings=many)
