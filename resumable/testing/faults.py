"""What can go wrong with a call that changes a storage: the process dies, or the call fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class Crash(BaseException):
    """The process has died here: no handler for errors may catch it."""


class Faults:
    """One process's calls that change the storage, counted; one of them may go wrong.

    In the `at`-th call (from 1) the process dies "before" anything is done, "torn" in the middle,
    or "after" all is done; or the call raises what `error` makes, and the process lives on. A
    store's lowest layer hands every such call to `around`.
    """

    def __init__(
        self,
        at: int | None = None,
        how: str = "before",
        error: Callable[[], Exception] | None = None,
    ) -> None:
        self.at = at
        self.how = how
        self.error = error
        self.calls = 0
        self.fired = False
        self.dead = False

    def disarm(self) -> None:
        """Nothing goes wrong any more, if it has not yet."""
        self.at = None

    def around(self, perform: Callable[[], _T], tear: Callable[[], object] | None = None) -> _T:
        """Perform a call, or let it go wrong; `tear` does a part of it."""
        if self.dead:
            raise Crash
        self.calls += 1
        if self.calls != self.at:
            return perform()
        self.fired = True
        if self.error is not None:
            if self.how == "after":
                perform()
            raise self.error()
        self.dead = True
        if self.how == "torn" and tear is not None:
            tear()
        if self.how == "after":
            perform()
        raise Crash
