"""One file's way: begin or go on, send, finish, wait for what is made of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from resumable.client.errors import ClientError, Forgotten, Refused, Stopped
from resumable.client.halt import Halt
from resumable.client.jobs import follow
from resumable.client.lines import Done, Journey, Line, Track, safe
from resumable.client.memory import Remembered
from resumable.client.model import MIB, Phase, Uploaded, Wish
from resumable.client.pace import Meter
from resumable.client.persistence import Persistence, apart
from resumable.client.sending import Manner, Sender
from resumable.client.source import Source, Stream
from resumable.client.transport import Transport

# Pieces of a stream wait in memory until they are safe.
_STREAM_CHUNK = 4 * MIB

# How long a server is asked, when all shall stop, what has arrived.
_LAST_SECONDS = 3.0

Remember = Callable[[dict[str, Any]], None]


class Run:
    """What one call of `Uploader.upload` does, once it is clear where."""

    def __init__(
        self,
        transport: Transport,
        line: Line,
        manner: Manner,
        meter: Meter,
        halt: Halt,
        parts: int,
        wish: Wish,
    ) -> None:
        self._transport = transport
        self._line = line
        self._meter = meter
        self._halt = halt
        self._parts = parts
        self.wish = wish
        self._manner = manner
        self._persistence = Persistence(manner.retry, meter, halt)
        self.protocol = line.protocol

    def file(self, source: Source, state: dict[str, Any] | None, remember: Remember) -> Done:
        """All of `source`; goes on with `state`, and begins anew when the server has lost it."""
        self._check_size(source.size)
        try:
            return self._whole(source, state, remember)
        except Forgotten as error:
            self._meter.note(f"{error.sentence} The upload begins anew.")
        try:
            return self._whole(source, None, remember)
        except Forgotten as error:
            raise ClientError(f"The server forgets what it is sent: {error.sentence}") from None

    def stream(self, stream: Stream) -> tuple[int, Done]:
        """All of `stream`, and its length in bytes."""
        manner = replace(self._manner, chunk_size=self._manner.chunk_size or _STREAM_CHUNK)
        journey = self._begin(None)
        self._persistence.insist(journey.create)
        (track,) = self._tracks(journey)
        self._meter.phase(Phase.UPLOADING)
        try:
            length = self._sender(journey, manner).send_stream(stream, track)
            self._meter.length(length)
            return length, self._finish(journey, length)
        except Forgotten as error:
            raise ClientError(
                f"The server has lost the stream, which cannot be read again: {error.sentence}"
            ) from None

    def uploaded(self, done: Done, size: int, wait: bool) -> Uploaded:
        """The end of it; with `wait` that of its processing too."""
        job = None
        if wait:
            persistence = self._persistence
            job = follow(
                self._transport, done.url, done.answer, self._meter, persistence, self._halt
            )
        self._meter.phase(Phase.DONE)
        return Uploaded(done.url, size, self.wish.filename, self.protocol, done.answer, job)

    def goes_on_with(self, known: Remembered) -> bool:
        """Whether what was begun then can become what is wished now."""
        same = known.wish == as_asked(self.wish) or not self._line.fixes_wishes
        return same and known.protocol == self.protocol

    def journey(self, known: Remembered) -> Journey:
        """What was begun then. Raises `ClientError`."""
        return journey_of(self._line, known, self.wish, self._parts)

    def look(self, url: str) -> None:
        """Ask whether a finished file is there. Raises `Forgotten`, `Refused`."""
        self._persistence.insist(partial(self._line.look, url))

    def note(self, sentence: str) -> None:
        """Something that a person should know."""
        self._meter.note(sentence)

    # ------------------------------------------------------------ steps

    def _whole(self, source: Source, state: dict[str, Any] | None, remember: Remember) -> Done:
        if state is None:
            journey = self._begin(source.size)
            self._persistence.insist(journey.create)
            remember(journey.state)
        else:
            journey = self._line.go_on(state, self.wish, source.size, self._parts)
        tracks = self._tracks(journey)
        self._meter.known(safe(tracks, source.size))
        self._meter.phase(Phase.UPLOADING)
        try:
            self._sender(journey, self._manner).send_file(source, tracks)
        except Stopped:
            # Of requests that were cut off the server may have kept a part.
            with suppress(ClientError):
                self._meter.known(safe(self._at_last(journey), source.size))
            raise
        source.check()
        return self._finish(journey, source.size)

    def _at_last(self, journey: Journey) -> list[Track]:
        """What is missing, asked once more though all shall stop; but not for long."""
        patience = Halt()
        timer = threading.Timer(_LAST_SECONDS, patience.set)
        timer.daemon = True
        timer.start()
        try:
            return apart(journey.tracks, patience)
        finally:
            timer.cancel()

    def _begin(self, length: int | None) -> Journey:
        return self._line.begin(self.wish, length, self._parts)

    def _tracks(self, journey: Journey) -> list[Track]:
        return self._persistence.insist(journey.tracks)

    def _finish(self, journey: Journey, length: int) -> Done:
        self._meter.phase(Phase.FINISHING)
        return self._persistence.insist(lambda: journey.finish(length))

    def _sender(self, journey: Journey, manner: Manner) -> Sender:
        return Sender(journey, manner, self._meter, self._halt, self._line.sizes)

    def _check_size(self, size: int) -> None:
        most = self._line.sizes.most_in_all
        if most is not None and size > most:
            raise Refused(
                f"The server takes at most {most:,} bytes; this has {size:,}.", status=413
            )


def journey_of(line: Line, known: Remembered, wish: Wish, parts: int) -> Journey:
    """What was begun then; raises `ClientError` where its protocol is not spoken there now."""
    if line.protocol != known.protocol:
        raise ClientError(
            f"{known.identity.path} was begun by {known.protocol}, which is not there."
        )
    return line.go_on(known.line, wish, known.identity.size, parts)


def as_asked(wish: Wish) -> dict[str, Any]:
    """What makes two uploads of a file different ones."""
    return {"metadata": dict(wish.metadata), "options": dict(wish.options)}
