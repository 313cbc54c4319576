"""Bytes that belong to no upload yet, out of memory: a file of this machine, without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from resumable.errors import NoRoom, UploadError
from resumable.interfaces import Payload
from resumable.model import MIB


class TemporarySpool:
    """A payload read to its end, to be read again until it is closed.

    It lives for one request, in the system's folder for temporary files; it never outlives the
    process.
    """

    def __init__(self, payload: Payload) -> None:
        self.length = 0
        self.whole = False
        self.cut: UploadError | None = None
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            for view in payload:
                self._file.write(view)
                self.length += len(view)
        except OSError as error:
            self.close()
            raise NoRoom("This server has no room to hold the form's file.") from error
        except BaseException:
            self.close()
            raise
        self.whole, self.cut = payload.whole, payload.cut

    def __iter__(self) -> Iterator[memoryview]:
        if self._file.closed:
            return
        self._file.seek(0)
        while piece := self._file.read(MIB):
            yield memoryview(piece)

    def close(self) -> None:
        self._file.close()
