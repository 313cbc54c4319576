"""Several files, a few at a time, to an end or to Ctrl-C."""

from __future__ import annotations

import queue
import signal
import threading
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


class Ended(BaseException):
    """A signal said so."""

    def __init__(self, number: int) -> None:
        self.number = number


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
        self._at_once = min(at_once, len(items))
        self._faults: list[BaseException] = []
        self._ended = False
        self.failed = 0

    def run(self) -> int:
        """0, or 128 and the number of the signal that ended it."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._at_once)]
        try:
            with _signals():
                for thread in threads:
                    thread.start()
                for thread in threads:
                    while thread.is_alive():
                        thread.join(_LOOK_SECONDS)
        except Ended as ended:
            self._ended = True
            self._uploader.stop()
            for thread in threads:
                thread.join(_GRACE_SECONDS)
            return 128 + ended.number
        if self._faults:
            raise self._faults[0]
        return 0

    def _work(self) -> None:
        try:
            while not self._ended:
                self._upload(self._waiting.get_nowait())
        except queue.Empty:
            return
        except BaseException as error:
            self._faults.append(error)

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


@contextmanager
def _signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise `Ended`; a second one ends the process as it would have."""

    def end(number: int, frame: FrameType | None) -> None:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if one == signal.SIGINT else handler)
        raise Ended(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)
