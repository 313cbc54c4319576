"""The chunk protocol: numbered or positioned chunks, one finalize, a status that tells the truth.

POST|PUT /upload-chunk           one chunk, as a form or as a raw body with headers
POST     /finalize-upload        all chunks become one file
GET      /upload-status/{id}     what has arrived;  DELETE cancels
POST     /process-video-chunks   a whole small file in one form
GET      /upload-config          limits and the wished chunk size
GET      /recordings             the finished files, where listing is on
GET      /recordings/{token}/…   one finished file;  DELETE where that is on
POST     /jobs                   make something of a finished file, where jobs are on
GET      /jobs/{id}              how far that is;  DELETE calls it off
"""

from __future__ import annotations

import re
from typing import Any

from resumable.dialects import chunk_words as words
from resumable.dialects import job_words
from resumable.errors import BadRequest, NotFound, UploadError
from resumable.http import Request, Response, json_response
from resumable.job import JobState
from resumable.model import State
from resumable.operations import (
    Browse,
    ByClientId,
    CallOff,
    Cancel,
    Cancelled,
    Completed,
    Configuration,
    Configure,
    Deposit,
    Fetch,
    Finish,
    Found,
    Inspect,
    Known,
    Listing,
    Operation,
    Outcome,
    Place,
    Process,
    Remove,
    Watch,
    Working,
)

CHUNK, FINALIZE, STATUS = "upload-chunk", "finalize-upload", "upload-status"
DIRECT, CONFIG, RECORDINGS = "process-video-chunks", "upload-config", "recordings"
JOBS = "jobs"
_METHODS = {
    CHUNK: ("POST", "PUT"),
    FINALIZE: ("POST",),
    STATUS: ("GET", "HEAD", "DELETE"),
    DIRECT: ("POST",),
    CONFIG: ("GET", "HEAD"),
    RECORDINGS: ("GET", "HEAD"),
}
# These clients try anything again but a 4xx; a cut body and a garbled one deserve another try.
_STATUS = {499: 408, 460: 422}
_SECRET = re.compile(r"upload_[A-Za-z0-9_-]{22,}")
_CLOCK_AND_DICE = re.compile(r"upload_[0-9]+_[a-z0-9]*")
_LONGEST_ID = 256
# What browsers call a file part that has no name.
_NAMELESS = "blob"
_NOTES = {
    None: "Stored as it was sent; nothing was converted.",
    JobState.DONE: "Stored and processed.",
    JobState.FAILED: "Stored as it was sent; the processing failed.",
    JobState.CANCELLED: "Stored as it was sent; the processing was called off.",
}


class ChunkDialect:
    """The chunk protocol.

    `listing` puts the list of finished files on its route, `deleting` lets them be deleted, and
    `jobs` puts what is made of them on theirs.
    """

    name = "chunks"
    always: tuple[tuple[str, str], ...] = ()
    discovery: tuple[tuple[str, str], ...] = ()
    file_parts = frozenset({"chunk", "file"})

    def __init__(
        self, *, listing: bool = False, deleting: bool = False, jobs: bool = False
    ) -> None:
        self._listing = listing
        self._deleting = deleting
        self._jobs = jobs
        # An app without jobs may have a route of that name itself.
        self.heads = frozenset(_METHODS) | ({JOBS} if jobs else frozenset())

    def meant(self, request: Request) -> Request:
        return request

    def routes(self, request: Request) -> bool:
        head, rest = _split(request.path)
        if head == STATUS:
            return bool(rest)
        if head == RECORDINGS:
            return bool(rest) or self._listing
        if head == JOBS:
            return self._jobs
        return head in _METHODS and not rest

    def methods(self, request: Request) -> tuple[str, ...]:
        head, rest = _split(request.path)
        if head == JOBS:
            return ("GET", "HEAD", "DELETE") if rest else ("POST",)
        if head == RECORDINGS and rest and self._deleting:
            return (*_METHODS[RECORDINGS], "DELETE")
        return _METHODS[head]

    def body(self, request: Request) -> str:
        head, rest = _split(request.path)
        if head == JOBS and not rest:
            return "json"
        if head == CHUNK:
            form = request.content_type == "multipart/form-data" and request.method == "POST"
            return "form" if form else "raw"
        return {FINALIZE: "json", DIRECT: "form"}.get(head, "none")

    # ------------------------------------------------------------ words to operations

    def parse(self, request: Request, document: Any = None) -> Operation | None:
        head, rest = _split(request.path)
        if head == CHUNK:
            return _chunk(request)
        if head == FINALIZE:
            return _finalize(request, document)
        if head == DIRECT:
            return _direct(request)
        if head == STATUS:
            reference = _reference(rest)
            return Cancel(reference) if request.method == "DELETE" else Inspect(reference)
        if head == CONFIG:
            return Configure()
        if head == JOBS:
            return _about_job(request, rest) if rest else _process(document)
        token, _, name = rest.partition("/")
        if request.method == "DELETE":
            return Remove(token)
        return Fetch(token, name or None) if rest else Browse()

    # ------------------------------------------------------------ outcomes to words

    def render(self, request: Request, outcome: Outcome) -> Response:
        match outcome:
            case Known():
                placed = _split(request.path)[0] == CHUNK
                document = _placed(request, outcome) if placed else _status(request, outcome)
                return json_response(200, document)
            case Completed():
                document = _completed(request, outcome)
                if _split(request.path)[0] == DIRECT:
                    document["note"] = _note(outcome)
                return json_response(200, document)
            case Working():
                headers = () if outcome.job.state.ended else (("Retry-After", "1"),)
                status = 202 if outcome.begun else 200
                return json_response(status, job_words.document(request, outcome), headers)
            case Cancelled():
                return Response(204)
            case Configuration():
                return json_response(200, _configuration(outcome))
            case Listing():
                entries = [
                    _entry(request, one) | job_words.summary(request, outcome.jobs.get(one.token))
                    for one in outcome.finished
                ]
                return json_response(200, {"recordings": entries})
            case Found():
                raise NotFound("Recording not found")

    def refuse(self, request: Request, error: UploadError) -> Response:
        headers: tuple[tuple[str, str], ...] = ()
        if error.retry_after is not None:
            headers = (("Retry-After", str(error.retry_after)),)
        if error.status == 405:
            headers = (*headers, ("Allow", ", ".join((*self.methods(request), "OPTIONS"))))
        told = {"error": error.message, "code": error.code}
        if error.request_id is not None:
            told["request_id"] = error.request_id
        return json_response(_STATUS.get(error.status, error.status), told, headers)


def _split(path: str) -> tuple[str, str]:
    """The first segment of a path and the rest of it."""
    head, _, rest = path.removeprefix("/").partition("/")
    return head, rest


def _reference(client_id: str, name: str = "uploadId") -> ByClientId:
    if not client_id or len(client_id) > _LONGEST_ID or not client_id.isprintable():
        raise BadRequest(
            f"{name} must have 1 to {_LONGEST_ID} printable characters.", code="bad-id"
        )
    secret = _SECRET.fullmatch(client_id) and not _CLOCK_AND_DICE.fullmatch(client_id)
    return ByClientId(client_id, guessable=not secret)


def _chunk(request: Request) -> Place | None:
    said = words.ChunkWords(request)
    if not said.enough:
        return None
    if not said.has_bytes or not said.upload_id:
        raise BadRequest("Missing required chunk data", code="missing-chunk-data")
    position = said.range()
    return Place(
        reference=_reference(said.upload_id),
        number=said.number("chunkIndex", "X-Chunk-Index", missing="Missing required chunk data"),
        start=position.start,
        size=position.size,
        length=position.length,
        total_chunks=said.number("totalChunks", "X-Total-Chunks", least=1),
        chunk_size=said.number("chunkSize", "X-Chunk-Size", least=1),
        digest=said.digest(),
    )


def _note(completed: Completed) -> str:
    state = None if completed.job is None else completed.job.state
    return _NOTES.get(state, "Stored as it was sent; it is being processed.")


def _about_job(request: Request, id: str) -> Operation:
    if request.method == "DELETE":
        return CallOff(id)
    return Watch(id, words.wait(request.headers.get("prefer")))


def _process(document: Any) -> Process:
    if not isinstance(document, dict) or not isinstance(document.get("recording"), str):
        raise BadRequest(
            'Send JSON such as {"recording": "/recordings/…", "options": {…}}.', code="bad-json"
        )
    path = document["recording"]
    token = path.partition("/recordings/")[2] or path
    return Process(token=token.partition("/")[0], options=words.options(document.get("options")))


def _finalize(request: Request, document: Any) -> Finish:
    if not isinstance(document, dict):
        raise BadRequest("The body must be a JSON object.", code="bad-json")
    client_id = document.get("uploadId")
    if client_id is None or client_id == "":
        raise BadRequest("Missing uploadId", code="missing-id")
    if not isinstance(client_id, str):
        raise BadRequest("uploadId must be a text.", code="bad-id")
    return Finish(
        reference=_reference(client_id),
        filename=words.filename(document.get("filename")),
        options=words.options(document.get("options")),
        metadata=words.metadata(document.get("metadata")),
        total_chunks=words.json_number(document, "totalChunks", least=1),
        length=words.json_number(document, "totalSize"),
        digest=words.json_digest(document.get("digest")),
        wait=words.wait(request.headers.get("prefer")),
    )


def _direct(request: Request) -> Deposit:
    """With the name that the form says; without one there, the file's own."""
    if request.file_name is None:
        raise BadRequest("No file provided", code="missing-file")
    own = "" if request.file_name == _NAMELESS else request.file_name
    key = request.headers.get("idempotency-key")
    return Deposit(
        reference=None if key is None else _reference(words.key(key), "Idempotency-Key"),
        filename=words.filename(request.fields.get("filename", own)),
        options=words.options_in_form(request.fields.get("options")),
        wait=words.wait(request.headers.get("prefer")),
    )


def _placed(request: Request, known: Known) -> dict[str, Any]:
    status = known.status
    return {
        "ok": True,
        "uploadId": status.upload.client_id or status.upload.id,
        "chunkIndex": known.number,
        "received": True,
        "duplicate": known.duplicate,
        "completedChunks": status.completed_chunks,
        "offset": status.offset,
        "receivedBytes": status.received,
        "chunkSize": known.chunk_size,
    }


def _status(request: Request, known: Known) -> dict[str, Any]:
    status, finished = known.status, known.status.finished
    numbers = status.numbers()
    total = status.facts.get("total_chunks")
    document: dict[str, Any] = {
        "uploadId": status.upload.client_id or status.upload.id,
        "totalChunks": total,
        "receivedChunks": numbers,
        "completedChunks": status.completed_chunks,
        "isComplete": total is not None and len(numbers) == total,
        "offset": status.offset,
        "receivedBytes": status.received,
        "totalSize": status.length,
        "missing": [list(gap) for gap in status.missing()],
        "chunkSize": known.chunk_size,
    }
    if finished is not None and status.state is State.COMPLETE:
        document |= {
            "isComplete": True,
            "totalSize": finished.size,
            "missing": [],
            **_entry(request, finished),
        }
    return document


def _completed(request: Request, completed: Completed) -> dict[str, Any]:
    finished = completed.finished
    document: dict[str, Any] = {"ok": True, **_entry(request, finished)}
    if _split(request.path)[0] == FINALIZE:
        document["uploadId"] = finished.client_id or finished.id
    made = job_words.main(request, completed.job)
    if made is not None:
        document |= {**made, "original": _entry(request, finished)}
    return {
        **document,
        **job_words.summary(request, completed.job),
        "processed": completed.processed,
    }


_entry = job_words.entry


def _configuration(configuration: Configuration) -> dict[str, Any]:
    limits = configuration.limits
    return {
        "chunkSize": configuration.chunk_size,
        "partSize": configuration.part_size,
        "maxSize": limits.max_size,
        "maxChunkSize": limits.max_chunk_size,
        "maxChunks": limits.max_chunks,
        "expirySeconds": limits.expiry,
        "recordings": configuration.listing,
        "processing": configuration.processing,
    }
