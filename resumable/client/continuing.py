"""A path's upload, begun or gone on with by what an earlier call or process had done of it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from resumable.client.errors import ClientError, Forgotten, Refused
from resumable.client.lines import Done
from resumable.client.memory import Entry, Remembered
from resumable.client.model import Uploaded
from resumable.client.run import Run, as_asked
from resumable.client.source import FileSource


class Continuation:
    """One file's upload to `endpoint`, with the `entry` that remembers it."""

    def __init__(self, run: Run, source: FileSource, entry: Entry, endpoint: str) -> None:
        self._run = run
        self._source = source
        self._entry = entry
        self._endpoint = endpoint

    def upload(self, wait: bool, keep: bool) -> Uploaded:
        """See `Uploader.upload`."""
        if not self._entry.lasting:
            self._run.note(
                "The folder of unfinished uploads cannot be written: "
                f"{self._source.path} could not be gone on with later."
            )
        known = self._known()
        if known is not None and known.url is not None:
            done = self._done_before(known) if keep or wait else None
            if done is not None:
                return replace(self._ended(done, wait, keep), already=True)
            known = None
        state = None if known is None else known.line
        return self._ended(self._run.file(self._source, state, self._begun), wait, keep)

    def _known(self) -> Remembered | None:
        """What is remembered, where it is of this file and of these wishes."""
        known = self._entry.read()
        if known is None:
            return None
        if known.identity != self._source.identity:
            self._let_go(known, "has changed since its upload began")
            return None
        if known.url is None and not self._run.goes_on_with(known):
            self._let_go(known, "was begun with other wishes")
            return None
        return known

    def _let_go(self, known: Remembered, why: str) -> None:
        """What nobody will go on with need not lie on the server; one try is enough."""
        self._run.note(f"{self._source.path} {why}: it begins anew.")
        if known.url is None:
            with suppress(ClientError):
                self._run.journey(known).cancel()

    def _begun(self, line: dict[str, Any]) -> None:
        self._keep(line, None)

    def _ended(self, done: Done, wait: bool, keep: bool) -> Uploaded:
        """What is finished is known until its processing has been waited for."""
        if keep or wait:
            self._keep({}, done)
        uploaded = self._run.uploaded(done, self._source.size, wait)
        if not keep:
            self._entry.forget()
        return uploaded

    def _done_before(self, known: Remembered) -> Done | None:
        """The file of an earlier run, where it is still there and all was wished alike."""
        if known.wish != as_asked(self._run.wish) or known.url is None:
            return None
        if known.protocol != self._run.protocol:
            return None
        try:
            self._run.look(known.url)
        except Forgotten:
            return None
        except Refused:
            # Not everybody lets their files be asked for.
            pass
        return Done(known.url, known.answer)

    def _keep(self, line: dict[str, Any], done: Done | None) -> None:
        known = Remembered(
            self._source.identity,
            self._endpoint,
            self._run.protocol,
            self._run.wish.filename,
            as_asked(self._run.wish),
            line,
            time.time(),
        )
        if done is not None:
            known = replace(known, url=done.url, answer=dict(done.answer))
        self._entry.keep(known)
