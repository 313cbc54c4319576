"""Several files, a few at a time, to an end or to Ctrl-C."""

from __future__ import annotations

import itertools
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from resumable.cli.display import Display

if TYPE_CHECKING:
    from resumable.client import Uploaded, Uploader

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Item:
    """A file by the name that the user knows, and what uploads it."""

    file: str
    upload: Callable[[], Uploaded]


class Batch:
    """Uploads `items`, at most `at_once` at a time, and tells `display`."""

    def __init__(
        self, uploader: Uploader, items: Sequence[Item], at_once: int, display: Display
    ) -> None:
        self._uploader = uploader
        self._waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        for item in items:
            self._waiting.put(item)
        self._display = display
        self._ends = [threading.Event() for _ in range(min(at_once, len(items)))]
        self._numbers = itertools.count()
        self._faults: list[BaseException] = []
        self._signal = 0
        self.failed = 0

    def run(self) -> int:
        """0, or 128 and the number of the signal that ended it.

        Ctrl-C and SIGTERM stop what goes on; a second one ends the process as it always would.
        """
        with self._listening():
            threads = [threading.Thread(target=self._work, daemon=True) for _ in self._ends]
            for thread in threads:
                thread.start()
            self._wait()
        if self._faults:
            raise self._faults[0]
        return 128 + self._signal if self._signal else 0

    def _wait(self) -> None:
        """Until all have ended; after a signal only for a while."""
        for end in self._ends:
            while not self._signal and not end.wait(_LOOK_SECONDS):
                pass
        deadline = time.monotonic() + _GRACE_SECONDS
        for end in self._ends:
            end.wait(max(0.0, deadline - time.monotonic()))

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def stop(number: int, frame: FrameType | None) -> None:
            for one in before:
                signal.signal(one, signal.SIG_DFL)
            self._signal = number
            self._uploader.stop()

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _work(self) -> None:
        end = self._ends[next(self._numbers)]
        try:
            while not self._signal:
                self._upload(self._waiting.get_nowait())
        except queue.Empty:
            return
        except BaseException as error:
            self._faults.append(error)
        finally:
            end.set()

    def _upload(self, item: Item) -> None:
        from resumable.client import ClientError, Refused, Stopped

        try:
            self._display.done(item.file, item.upload())
        except Stopped as stopped:
            self._display.paused(item.file, stopped.acknowledged, stopped.length)
        except Refused as error:
            self.failed += 1
            more = {"status": error.status, "code": error.code}
            self._display.failed(item.file, error.sentence, **more)
        except ClientError as error:
            self.failed += 1
            self._display.failed(item.file, error.sentence)
