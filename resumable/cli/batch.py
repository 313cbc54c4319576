"""Several files, a few at a time, to an end or to Ctrl-C."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from resumable.cli.display import Display

if TYPE_CHECKING:
    from resumable.client import Progress, Uploaded, Uploader

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Item:
    """A file by the name that the user knows, and what uploads it and tells of its progress."""

    file: str
    upload: Callable[[Callable[[Progress], None]], Uploaded]


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
        self._lost = ""
        # How far the files are that have begun and not ended.
        self._open: dict[str, Progress | None] = {}
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
        if self._signal:
            self._tell_of_the_rest()
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

    def _tell_of_the_rest(self) -> None:
        for file, now in tuple(self._open.items()):
            at, length = (0, None) if now is None else (now.acknowledged, now.length)
            self._display.paused(file, at, length)
        with suppress(queue.Empty):
            while True:
                self._display.not_begun(self._waiting.get_nowait().file)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def stop(number: int, frame: FrameType | None) -> None:
            if self._signal:
                self._display.leave()
                os._exit(128 + number)
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
        from resumable.client import ClientError, Refused, Stopped, Unreachable

        if self._lost:
            return self._failed(item.file, self._lost)
        self._open[item.file] = None
        try:
            self._display.done(item.file, item.upload(partial(self._progress, item.file)))
        except Stopped as stopped:
            self._paused(item.file, stopped.acknowledged, stopped.length)
        except Refused as error:
            self._failed(item.file, error.sentence, status=error.status, code=error.code)
        except Unreachable as error:
            # It would not be there for the next file either, only later.
            self._lost = error.sentence
            self._failed(item.file, error.sentence)
        except ClientError as error:
            self._failed(item.file, error.sentence)
        except BrokenPipeError:
            raise
        except Exception as error:
            self._failed(item.file, f"{type(error).__name__}: {error}")
        finally:
            self._open.pop(item.file, None)

    def _progress(self, file: str, now: Progress) -> None:
        self._open[file] = now
        self._display.progress(file, now)

    def _paused(self, file: str, acknowledged: int, length: int | None) -> None:
        if self._signal:
            self._display.paused(file, acknowledged, length)
        else:
            self._failed(file, "It was stopped.")

    def _failed(self, file: str, sentence: str, **more: Any) -> None:
        self.failed += 1
        self._display.failed(file, sentence, **more)
