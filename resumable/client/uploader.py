"""The public door of the client: files and streams in, addresses out."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import httpx

from resumable.client.chunk_line import list_recordings
from resumable.client.continuing import Continuation
from resumable.client.errors import Forgotten, Stopped
from resumable.client.halt import Halt
from resumable.client.lines import Journey, Line, safe
from resumable.client.memory import Entry, Memory, Remembered
from resumable.client.model import Listener, Retry, Uploaded, Wish
from resumable.client.pace import Meter, RateLimit
from resumable.client.persistence import Persistence
from resumable.client.protocols import Protocol, find
from resumable.client.run import Run, journey_of
from resumable.client.sending import Manner
from resumable.client.source import (
    SeekableSource,
    Stream,
    opened,
    source_of,
)
from resumable.client.transport import Transport
from resumable.digests import HASHERS


class Uploader:
    """Uploads to one endpoint: the root of an app with this library, or any tus server's endpoint.

    * `protocol`: `auto` looks for the chunk protocol first, then for tus.
    * `parts`: connections for one file.
    * `chunk_size`: bytes in a request; None: 256 KiB to 64 MiB, so that each takes 2 to 8 seconds.
    * `limit_rate`: bytes a second over all that this uploader sends.
    * `checksum`: `sha256`, `crc32c`, … : the server checks each chunk before it counts.
    * `headers`: sent with every request to the endpoint's own server, and to no other.
    * `retry`: see `Retry`.
    * `memory`: the folder of what is unfinished; None: `$XDG_STATE_HOME/resumable`.
    * `client`: an `httpx.Client` of the caller's, for certificates, proxies or tests.

    Any thread may use it, several at a time. Errors are of `resumable.client.errors`.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        protocol: Protocol = "auto",
        parts: int = 3,
        chunk_size: int | None = None,
        limit_rate: int | None = None,
        checksum: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: Retry | None = None,
        memory: str | os.PathLike[str] | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        for name, value in (
            ("parts", parts),
            ("chunk_size", chunk_size),
            ("limit_rate", limit_rate),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}.")
        if protocol not in ("auto", "tus", "chunks"):
            raise ValueError(f"protocol is auto, tus or chunks, not {protocol}.")
        self._transport = Transport(endpoint, headers=headers, client=client)
        self._shown = self._transport.endpoint
        self._protocol: Protocol = protocol
        self._parts = parts
        if checksum is not None and checksum not in HASHERS:
            raise ValueError(f"checksum knows {', '.join(HASHERS)}, not {checksum}.")
        self._manner = Manner(retry or Retry(), RateLimit(limit_rate), chunk_size, checksum)
        self._memory = Memory(None if memory is None else Path(memory))
        self._line: Line | None = None
        self._looking = threading.Lock()
        self._halt = Halt()

    def __enter__(self) -> Uploader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        self._transport.close()

    def stop(self) -> None:
        """End everything that goes on, and all that is asked for later, with `Stopped`.

        From another thread or a signal handler.
        """
        self._halt.set()

    # ------------------------------------------------------------ uploading

    def upload(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        *,
        filename: str | None = None,
        metadata: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        progress: Listener | None = None,
        wait: bool = False,
        keep: bool = False,
    ) -> Uploaded:
        """Upload a file by its path, a file object from where it stands, or a stream to its end.

        The same path again goes on where an earlier call, or an earlier process, came to; a file
        that has changed since begins anew. File objects and streams are not remembered.

        `filename` is the name on the server (default: the path's, or `upload`), `metadata` goes
        with it, `options` are wishes for processing. `progress` is called from several threads,
        one at a time. With `wait` the processing is waited for. With `keep` a finished file stays
        remembered, so that a batch which is begun again leaves it out, until `forget`.
        """
        if isinstance(file, str | os.PathLike):
            wish = self._wish(filename or os.path.basename(file), metadata, options)
            return self._upload_path(file, wish, progress, wait, keep)
        wish = self._wish(filename or _name_of(file), metadata, options)
        return self._upload_source(source_of(file), wish, progress, wait)

    def cancel(self, path: str | os.PathLike[str]) -> bool:
        """Delete what was uploaded of the file, here and there; False: nothing was unfinished."""
        real = os.path.realpath(path)
        found = [known for known in self.unfinished() if known.identity.path == real]
        for known in found:
            self.delete(known)
        return bool(found)

    def delete(self, known: Remembered) -> None:
        """Delete an unfinished upload on the server and forget it. Raises `InUse`."""
        with self._entry(known) as entry:
            journey = self._journey(known)
            with suppress(Forgotten):
                self._persistence().insist(journey.cancel)
            entry.forget()

    def unfinished(self) -> Iterator[Remembered]:
        """What was begun from here to this endpoint, by any process of this user."""
        return (known for known in self._memory.each(self._shown) if known.url is None)

    def arrived(self, known: Remembered) -> int | None:
        """How many bytes of it are safe on the server; None: it knows nothing of it (any more)."""
        journey = self._journey(known)
        try:
            tracks = self._persistence().insist(journey.tracks)
        except Forgotten:
            return None
        return safe(tracks, known.identity.size)

    def finished(self) -> list[dict[str, Any]]:
        """The caller's finished files as the app there lists them, addresses whole."""
        return self._persistence().insist(partial(list_recordings, self._transport))

    def forget(self, path: str | os.PathLike[str]) -> None:
        """Remember nothing of the file; the server is not asked. Raises `InUse`."""
        real = os.path.realpath(path)
        for known in self._memory.each(self._shown):
            if known.identity.path == real:
                with self._entry(known) as entry:
                    entry.forget()

    # ------------------------------------------------------------ one file

    def _upload_path(
        self,
        path: str | os.PathLike[str],
        wish: Wish,
        listener: Listener | None,
        wait: bool,
        keep: bool,
    ) -> Uploaded:
        with opened(path) as source:
            if isinstance(source, Stream):
                return self._upload_source(source, wish, listener, wait)
            real = source.identity.path
            with self._memory.of(real, self._shown, wish.filename) as entry:
                meter = Meter(wish.filename, source.size, listener)
                with self._running(meter):
                    run = self._run(meter, wish)
                    return Continuation(run, source, entry, self._shown).upload(wait, keep)

    def _upload_source(
        self, source: SeekableSource | Stream, wish: Wish, listener: Listener | None, wait: bool
    ) -> Uploaded:
        length = None if isinstance(source, Stream) else source.size
        meter = Meter(wish.filename, length, listener)
        with self._running(meter):
            run = self._run(meter, wish)
            if isinstance(source, Stream):
                length, done = run.stream(source)
            else:
                length, done = source.size, run.file(source, None, lambda line: None)
            return run.uploaded(done, length, wait)

    @contextmanager
    def _running(self, meter: Meter) -> Iterator[None]:
        """Whatever is stopped says how far it had come."""
        try:
            if self._halt.is_set():
                raise Stopped(0, None)
            yield
        except Stopped:
            raise Stopped(meter.now.acknowledged, meter.now.length) from None

    def _run(self, meter: Meter, wish: Wish) -> Run:
        line = self._found(Persistence(self._manner.retry, meter, self._halt))
        return Run(self._transport, line, self._manner, meter, self._halt, self._parts, wish)

    def _found(self, persistence: Persistence) -> Line:
        """The protocol at the endpoint, looked for once."""
        with self._looking:
            if self._line is None:
                self._line = persistence.insist(lambda: find(self._transport, self._protocol))
            return self._line

    # ------------------------------------------------------------ what was begun earlier

    def _journey(self, known: Remembered) -> Journey:
        line = self._found(self._persistence())
        return journey_of(line, known, Wish(known.filename), self._parts)

    def _persistence(self) -> Persistence:
        return Persistence(self._manner.retry, Meter("", None, None), self._halt)

    def _entry(self, known: Remembered) -> AbstractContextManager[Entry]:
        return self._memory.of(known.identity.path, self._shown, known.filename)

    def _wish(
        self, filename: str, metadata: Mapping[str, str] | None, options: Mapping[str, Any] | None
    ) -> Wish:
        told = dict(metadata or {})
        if not all(isinstance(text, str) for pair in told.items() for text in pair):
            raise ValueError("metadata are texts by name.")
        return Wish(filename, told, dict(options or {}), self._manner.checksum)


def _name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    return (
        os.path.basename(name) if isinstance(name, str) and name.strip("<>") == name else "upload"
    )
