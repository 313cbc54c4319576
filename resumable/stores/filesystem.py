"""One fsspec file system per process: made lazily, and anew after a fork."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from importlib.metadata import metadata
from typing import Any, TypeVar

import fsspec
import fsspec.asyn

from resumable.forking import renew_after_fork

_T = TypeVar("_T")
_AT_ONCE = 32

if hasattr(os, "register_at_fork"):
    # A fork while another thread makes the loop would leave its lock taken in the child for ever.
    os.register_at_fork(after_in_child=fsspec.asyn.reset_lock)


class Filesystem:
    """The file system that a URL and its options name. Nothing is touched before the first call."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url
        self.options = dict(options)
        self._pid: int | None = None
        self._made: Any = None
        self._inherited: list[Any] = []
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        # A child that tidied the parent's connections up would take them off the parent's own loop.
        self._inherited.append(self._made)

    @property
    def path(self) -> str:
        """The URL's path in the file system's own words; nothing is connected for it.

        Raises ValueError for a protocol that fsspec does not know, RuntimeError where a package
        is missing.
        """
        try:
            made = fsspec.get_filesystem_class(self._protocol)
        except ImportError as error:
            raise RuntimeError(_missing_package(self._protocol, error)) from None
        return str(made._strip_protocol(self.url))

    @property
    def fs(self) -> Any:
        """This process's own."""
        pid = os.getpid()
        if self._pid != pid:
            refuse_gevent()
            with self._lock:
                if self._pid != pid:
                    self._made, _ = fsspec.core.url_to_fs(self.url, **self.options)
                    self._pid = pid
        return self._made

    def another(self) -> Any:
        """One that nobody else has; those on fsspec's own thread bear everybody and are shared."""
        if self.shared:
            return self.fs
        made, _ = fsspec.core.url_to_fs(self.url, skip_instance_cache=True, **self.options)
        return made

    @property
    def shared(self) -> bool:
        """Whether it runs on fsspec's own thread."""
        return bool(fsspec.get_filesystem_class(self._protocol).async_impl)

    @property
    def _protocol(self) -> str:
        return self.url.partition("://")[0].lower()

    def run(self, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any, **more: Any) -> _T:
        """Wait for a coroutine of the file system."""
        result: _T = fsspec.asyn.sync(self.fs.loop, function, *args, **more)
        return result

    def start(self, coroutine: Coroutine[Any, Any, _T]) -> Any:
        """A coroutine of the file system as a future of its own thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.fs.loop)

    def run_all(
        self, coroutines: Sequence[Callable[[], Awaitable[_T]]]
    ) -> list[_T | BaseException]:
        """Many at once, but not too many; what went wrong is among the results."""

        async def gathered() -> list[_T | BaseException]:
            gate = asyncio.Semaphore(_AT_ONCE)

            async def one(begin: Callable[[], Awaitable[_T]]) -> _T:
                async with gate:
                    return await begin()

            return await asyncio.gather(
                *(one(begin) for begin in coroutines), return_exceptions=True
            )

        return self.run(gathered)

    def close(self) -> None:
        """The next call makes a new file system; fsspec itself keeps the connections."""
        self._pid, self._made = None, None


def _missing_package(protocol: str, error: ImportError) -> str:
    """fsspec's own words, and the command where fsspec has one."""
    extras = metadata("fsspec").get_all("Provides-Extra") or []
    command = f" Install it with: pip install 'fsspec[{protocol}]'" if protocol in extras else ""
    return f"Storage of {protocol}:// URLs: {str(error).rstrip('.')}.{command}"


def refuse_gevent() -> None:
    """Raise RuntimeError where greenlets would wait for the thread of fsspec for ever."""
    monkey = sys.modules.get("gevent.monkey")
    patcher = sys.modules.get("eventlet.patcher")
    patched = monkey is not None and monkey.is_module_patched("threading")
    if patched or (patcher is not None and patcher.is_monkey_patched("thread")):
        raise RuntimeError(
            "Object storage through fsspec does not work under gevent or eventlet. "
            "Use threads instead: gunicorn --worker-class gthread."
        )
