"""The chunk protocol as tables: request -> operation, outcome -> response; no server, no store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from resumable import errors
from resumable.dialects.chunks import ChunkDialect
from resumable.errors import BadRequest, UploadError
from resumable.extents import Extents
from resumable.http import Headers, Request, Response
from resumable.job import Ending, Job, JobState, JobStatus, Made
from resumable.model import Chunk, Digest, Finished, Limits, State, Status, Upload
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
    Inspect,
    Known,
    Listing,
    Operation,
    Place,
    Process,
    Remove,
    Watch,
    Working,
)

DIALECT = ChunkDialect()
LISTING = ChunkDialect(listing=True)
FORM = "multipart/form-data; boundary=x"
TOKEN = "t" * 22


def request(
    method: str,
    path: str,
    *,
    fields: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    file_name: str | None = None,
    complete: bool = True,
    root: str = "",
    **headers: str,
) -> Request:
    """A request; one with `fields` is a form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if fields is not None:
        named["Content-Type"] = FORM
    return Request(
        method,
        path,
        root=root,
        query=query or {},
        headers=Headers(named),
        fields=fields or {},
        file_name=file_name,
        form_complete=complete,
    )


# ---------------------------------------------------------------- routes


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/upload-chunk", "raw"),
        ("PUT", "/upload-chunk", "raw"),
        ("POST", "/finalize-upload", "json"),
        ("GET", "/upload-status/test123", "none"),
        ("HEAD", "/upload-status/test123", "none"),
        ("DELETE", "/upload-status/test123", "none"),
        ("GET", "/upload-status/a/b", "none"),
        ("POST", "/process-video-chunks", "form"),
        ("GET", "/upload-config", "none"),
        ("GET", f"/recordings/{TOKEN}", "none"),
        ("GET", f"/recordings/{TOKEN}/film.webm", "none"),
    ],
)
def test_its_routes(method: str, path: str, body: str) -> None:
    asked = request(method, path)
    assert DIALECT.routes(asked)
    assert path.split("/")[1] in DIALECT.heads
    assert method in DIALECT.methods(asked)
    assert DIALECT.body(asked) == body


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/upload",
        "/upload-video",
        "/convert",
        "/api/versions",
        "/upload-chunk/x",
        "/upload-chunks",
        "/Upload-Chunk",
        "/finalize-upload/x",
        "/process-video-chunks/x",
        "/upload-config/x",
        "/upload-status",
        "/upload-status/",
        "/recordings",
        "/recordings/",
        "//upload-chunk",
        "/x/upload-chunk",
    ],
)
def test_routes_of_others(path: str) -> None:
    assert not DIALECT.routes(request("POST", path))


def test_the_list_is_a_route_where_it_is_on() -> None:
    assert LISTING.routes(request("GET", "/recordings"))
    assert LISTING.parse(request("GET", "/recordings")) == Browse()


def test_a_form_is_read_as_one_when_it_is_posted() -> None:
    assert DIALECT.body(request("POST", "/upload-chunk", Content_Type=FORM)) == "form"
    assert DIALECT.body(request("PUT", "/upload-chunk", Content_Type=FORM)) == "raw"
    assert DIALECT.body(request("POST", "/upload-chunk", Content_Type="text/plain")) == "raw"


# ---------------------------------------------------------------- requests -> operations


def test_the_old_clients_chunk() -> None:
    """The file part comes first: nothing is decided before all fields are known."""
    fields = {"uploadId": "t1", "chunkIndex": "0", "totalChunks": "3"}
    early = request("POST", "/upload-chunk", fields={}, file_name="blob", complete=False)
    assert DIALECT.parse(early) is None
    late = request("POST", "/upload-chunk", fields=fields, file_name="blob")
    assert DIALECT.parse(late) == Place(reference=ByClientId("t1"), number=0, total_chunks=3)


@pytest.mark.parametrize(
    ("fields", "decided"),
    [
        ({}, False),
        ({"uploadId": "a"}, False),
        ({"uploadId": "a", "chunkIndex": "0"}, False),
        ({"uploadId": "a", "totalChunks": "3"}, False),
        ({"uploadId": "a", "chunkIndex": "0", "totalChunks": "3"}, True),
    ],
)
def test_fields_before_the_file_decide(fields: dict[str, str], decided: bool) -> None:
    asked = request("POST", "/upload-chunk", fields=fields, file_name="blob", complete=False)
    assert (DIALECT.parse(asked) is not None) is decided


CHUNKS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"chunkIndex": "0"}, {"number": 0}),
    ({"chunkIndex": "00007"}, {"number": 7}),
    ({"totalChunks": "3"}, {"total_chunks": 3}),
    ({"chunkIndex": "2", "chunkSize": "100"}, {"number": 2, "chunk_size": 100}),
    ({"byteOffset": "100"}, {"start": 100}),
    ({"totalSize": "250"}, {"length": 250}),
    ({"totalSize": "0"}, {"length": 0}),
    ({"chunkDigest": "crc32c:364b3fb7"}, {"digest": Digest("crc32c", b"6K?\xb7")}),
    ({"unknown": "x"}, {}),
]


@pytest.mark.parametrize(("words", "meant"), CHUNKS)
def test_a_chunk_as_a_form(words: dict[str, str], meant: dict[str, Any]) -> None:
    asked = request("POST", "/upload-chunk", fields={"uploadId": "a", **words}, file_name="x")
    assert DIALECT.parse(asked) == Place(reference=ByClientId("a"), **meant)


@pytest.mark.parametrize(("words", "meant"), CHUNKS)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_chunk_as_a_raw_body(method: str, words: dict[str, str], meant: dict[str, Any]) -> None:
    asked = request(method, "/upload-chunk", query={"uploadId": "a", **words})
    assert DIALECT.parse(asked) == Place(reference=ByClientId("a"), **meant)


def test_a_raw_chunk_with_headers() -> None:
    asked = request(
        "PUT",
        "/upload-chunk",
        X_Upload_Id="a",
        X_Chunk_Index="1",
        X_Total_Chunks="3",
        X_Chunk_Size="100",
        X_Chunk_Digest="crc32c:364b3fb7",
        Content_Range="bytes 100-199/250",
    )
    assert DIALECT.parse(asked) == Place(
        reference=ByClientId("a"),
        number=1,
        start=100,
        size=100,
        length=250,
        total_chunks=3,
        chunk_size=100,
        digest=Digest("crc32c", b"6K?\xb7"),
    )


@pytest.mark.parametrize(
    ("fields", "file_name"),
    [
        ({"uploadId": "a", "chunkIndex": "0", "totalChunks": "1"}, None),
        ({"chunkIndex": "0", "totalChunks": "1"}, "blob"),
        ({"uploadId": "", "chunkIndex": "0"}, "blob"),
        ({"uploadId": "a", "chunkIndex": "abc"}, "blob"),
        ({"uploadId": "a", "chunkIndex": "-1"}, "blob"),
        ({"uploadId": "a", "chunkIndex": "1.5"}, "blob"),
        ({"uploadId": "a", "chunkIndex": ""}, "blob"),
        ({}, None),
    ],
)
def test_missing_chunk_data(fields: dict[str, str], file_name: str | None) -> None:
    with pytest.raises(BadRequest, match=r"^Missing required chunk data$"):
        DIALECT.parse(request("POST", "/upload-chunk", fields=fields, file_name=file_name))


@pytest.mark.parametrize("client_id", ["a" * 257, "a\0b", "a\nb", "\u202e", "\ud800", "\x7f"])
def test_an_id_is_a_short_printable_text(client_id: str) -> None:
    for asked in (
        request("PUT", "/upload-chunk", query={"uploadId": client_id}),
        request("GET", f"/upload-status/{client_id}"),
        request("DELETE", f"/upload-status/{client_id}"),
    ):
        with pytest.raises(BadRequest, match="uploadId must have"):
            DIALECT.parse(asked)


FINALIZES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"filename": "x.webm"}, {"filename": "x.webm"}),
    ({"filename": ""}, {}),
    ({"filename": None}, {}),
    ({"filename": "../../x.webm"}, {"filename": "x.webm"}),
    ({"options": {"chunkThreshold": 5242880, "maxConcurrent": 3, "resumable": True}}, {}),
    ({"options": {"convertToMp4": True}}, {"options": {"convertToMp4": True}}),
    ({"options": None}, {}),
    ({"totalChunks": 3}, {"total_chunks": 3}),
    ({"totalChunks": "3"}, {"total_chunks": 3}),
    ({"totalSize": 24}, {"length": 24}),
    ({"totalSize": 0}, {"length": 0}),
    ({"digest": "crc32c:364b3fb7"}, {"digest": Digest("crc32c", b"6K?\xb7")}),
    ({"unknown": [1]}, {}),
]


@pytest.mark.parametrize(("words", "meant"), FINALIZES)
def test_finalize(words: dict[str, Any], meant: dict[str, Any]) -> None:
    asked = request("POST", "/finalize-upload")
    assert DIALECT.parse(asked, {"uploadId": "t1", **words}) == Finish(
        reference=ByClientId("t1"), **meant
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "Missing uploadId"),
        ({"uploadId": ""}, "Missing uploadId"),
        ({"uploadId": None}, "Missing uploadId"),
        ({"uploadId": 5}, "uploadId must be a text."),
        ({"uploadId": ["a"]}, "uploadId must be a text."),
        ([], "The body must be a JSON object."),
        (None, "The body must be a JSON object."),
        ("a", "The body must be a JSON object."),
        ({"uploadId": "a", "totalChunks": 0}, "totalChunks must be at least 1."),
        ({"uploadId": "a", "totalSize": -1}, "totalSize must be at least 0."),
        ({"uploadId": "a", "options": []}, "options must be a JSON object."),
    ],
)
def test_a_finalize_that_is_none(document: Any, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        DIALECT.parse(request("POST", "/finalize-upload"), document)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/upload-status/t1", Inspect(ByClientId("t1"))),
        ("HEAD", "/upload-status/t1", Inspect(ByClientId("t1"))),
        ("GET", "/upload-status/../../evil", Inspect(ByClientId("../../evil"))),
        ("DELETE", "/upload-status/t1", Cancel(ByClientId("t1"))),
        ("GET", "/upload-config", Configure()),
        ("GET", f"/recordings/{TOKEN}", Fetch(TOKEN)),
        ("GET", f"/recordings/{TOKEN}/film.webm", Fetch(TOKEN, "film.webm")),
        ("GET", f"/recordings/{TOKEN}/../../x", Fetch(TOKEN, "../../x")),
        ("GET", "/recordings/../x", Fetch("..", "x")),
    ],
)
def test_questions(method: str, path: str, operation: Operation) -> None:
    assert DIALECT.parse(request(method, path)) == operation


@pytest.mark.parametrize(
    ("client_id", "guessable"),
    [
        ("test123", True),
        ("upload_1700000000000_k3j9x0a2b", True),
        ("upload_1700000000000_", True),
        ("upload_" + "A" * 21, True),
        ("upload_" + "1" * 30 + "_" + "a" * 30, True),
        ("upload_" + "Az09-_" * 4, False),
        ("upload_" + "A" * 22, False),
        ("upload_" + "A" * 22 + "!", True),
    ],
)
def test_which_ids_are_secrets(client_id: str, guessable: bool) -> None:
    operation = DIALECT.parse(request("DELETE", f"/upload-status/{client_id}"))
    assert operation == Cancel(ByClientId(client_id, guessable=guessable))


# ---------------------------------------------------------------- the direct upload


def direct(
    fields: dict[str, str], file_name: str | None = "blob", complete: bool = True
) -> Request:
    return request(
        "POST", "/process-video-chunks", fields=fields, file_name=file_name, complete=complete
    )


def test_a_direct_upload_begins_at_once() -> None:
    assert DIALECT.parse(direct({}, complete=False)) == Deposit()
    with pytest.raises(BadRequest, match=r"^No file provided$"):
        DIALECT.parse(direct({}, None))


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("abc", "abc"),
        (' "abc" ', "abc"),
        (r'"a \"b\" \\"', 'a "b" \\'),
        ('"abc', '"abc'),
        (r'"a\b"', r'"a\b"'),
        ("x" * 256, "x" * 256),
    ],
)
def test_a_direct_upload_may_have_a_key(header: str, key: str) -> None:
    asked = request("POST", "/process-video-chunks", file_name="blob", Idempotency_Key=header)
    assert DIALECT.parse(asked) == Deposit(reference=ByClientId(key))


@pytest.mark.parametrize(
    ("fields", "file_name", "filename", "options"),
    [
        ({}, "", None, {}),
        ({}, "blob", None, {}),
        ({}, "test.webm", "test.webm", {}),
        ({}, "../../test.webm", "test.webm", {}),
        ({"filename": "d.webm"}, "test.webm", "d.webm", {}),
        ({"filename": ""}, "test.webm", None, {}),
        ({"options": "{}"}, "blob", None, {}),
        ({"options": "no json"}, "blob", None, {}),
        ({"options": '{"frame":true,"resumable":true}'}, "blob", None, {"frame": True}),
    ],
)
def test_and_learns_its_name_and_options_in_the_end(
    fields: dict[str, str], file_name: str, filename: str | None, options: dict[str, Any]
) -> None:
    operation = DIALECT.parse(direct(fields, file_name))
    assert isinstance(operation, Deposit)
    assert (operation.filename, operation.options) == (filename, options)
    assert operation == DIALECT.parse(direct({}, complete=False))


@pytest.mark.parametrize(
    "fields", [{"options": '{"frame":5}'}, {"filename": "x" * 1025}, {"options": '{"label":[]}'}]
)
def test_bad_words_are_refused_before_the_bytes_count(fields: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        DIALECT.parse(direct(fields))


# ---------------------------------------------------------------- outcomes -> responses

UPLOAD = Upload(id="i" * 22, token=TOKEN, part_size=8, created=1.0, client_id="t1")
# Chunks 0 and 2 of three are here, each of eight bytes.
STATUS = Status(
    upload=UPLOAD,
    state=State.RECEIVING,
    extents=Extents([(0, 8)]),
    chunks={0: Chunk(0, 8, 1, 0), 2: Chunk(2, 8, 1, None)},
    facts={"total_chunks": 3},
    touched=1.0,
)
FINISHED = Finished(
    id="i" * 22,
    token=TOKEN,
    size=24,
    crc32c=1,
    content_type="video/webm",
    filename="x y.webm",
    finished=5.5,
    client_id="t1",
)


def answered(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    assert ("Content-Type", "application/json") in response.headers
    return json.loads(response.body)


def test_a_chunk_was_received() -> None:
    response = DIALECT.render(
        request("POST", "/upload-chunk", fields={}), Known(STATUS, chunk_size=16, number=2)
    )
    assert response.status == 200
    assert answered(response) == {
        "ok": True,
        "uploadId": "t1",
        "chunkIndex": 2,
        "received": True,
        "duplicate": False,
        "completedChunks": 1,
        "offset": 8,
        "receivedBytes": 16,
        "chunkSize": 16,
    }


def test_status_of_an_upload_with_a_gap() -> None:
    """`completedChunks` is the length of the gap-free prefix (section 7, rule 1)."""
    response = DIALECT.render(request("GET", "/upload-status/t1"), Known(STATUS, chunk_size=16))
    assert response.status == 200
    assert answered(response) == {
        "uploadId": "t1",
        "totalChunks": 3,
        "receivedChunks": [0, 2],
        "completedChunks": 1,
        "isComplete": False,
        "offset": 8,
        "receivedBytes": 16,
        "totalSize": None,
        "missing": [[8, None]],
        "chunkSize": 16,
    }


def test_status_after_the_finish() -> None:
    """It goes on answering, with the path (section 7, rule 2)."""
    from dataclasses import replace

    status = replace(STATUS, state=State.COMPLETE, finished=FINISHED)
    document = answered(
        DIALECT.render(request("GET", "/upload-status/t1"), Known(status, chunk_size=16))
    )
    assert document["isComplete"] is True
    assert document["missing"] == []
    assert document["path"] == f"/recordings/{TOKEN}/x%20y.webm"
    assert document["size"] == document["totalSize"] == 24


ENTRY = {
    "path": f"/recordings/{TOKEN}/x%20y.webm",
    "url": f"/recordings/{TOKEN}/x%20y.webm",
    "filename": "x y.webm",
    "size": 24,
    "type": "video/webm",
    "finished": 5.5,
}


def test_a_finalize_was_done() -> None:
    response = DIALECT.render(request("POST", "/finalize-upload"), Completed(FINISHED))
    assert response.status == 200
    assert answered(response) == {"ok": True, **ENTRY, "uploadId": "t1", "processed": False}


def job_status(state: JobState, results: tuple[Made, ...] = ()) -> JobStatus:
    job = Job("J", FINISHED.token, None, {"poster": True}, 5.0)
    if not state.ended:
        return JobStatus(job, state, 1, 0.25, 3.04)
    sentence = "It is broken." if state is JobState.FAILED else None
    ending = Ending(job, state, 1, "w", 6.0, results, {"d": 1}, ("a note",), sentence, "refused")
    return JobStatus(job, state, 1, 1.0, None, ending)


VIDEO = Made("v" * 22, "video", "a b.mp4", 7, "video/mp4", {"duration": 1.5})
POSTER = Made("p" * 22, "poster", "a.jpg", 8, "image/jpeg")
SEGMENT = Made("s" * 22, "segment", "s.m4s", 9, "video/iso.segment")
MADE = {
    "path": f"/recordings/{'v' * 22}/a%20b.mp4",
    "url": f"/recordings/{'v' * 22}/a%20b.mp4",
    "filename": "a b.mp4",
    "size": 7,
    "type": "video/mp4",
}


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (None, "nothing was converted"),
        (JobState.QUEUED, "is being processed"),
        (JobState.RUNNING, "is being processed"),
        (JobState.DONE, "Stored and processed"),
        (JobState.FAILED, "failed"),
        (JobState.CANCELLED, "called off"),
    ],
)
def test_a_direct_upload_says_what_was_done(state: JobState | None, word: str) -> None:
    from dataclasses import replace

    finished = replace(FINISHED, client_id=None)
    job = None if state is None else job_status(state)
    document = answered(DIALECT.render(direct({}), Completed(finished, job)))
    assert word in document.pop("note")
    told = {"ok": True, **ENTRY, "processed": state is JobState.DONE}
    if job is not None:
        told |= {"job": "J", "status_url": "/jobs/J", "state": job.state.value, "results": []}
    assert document == told


def test_who_waited_is_given_what_was_made() -> None:
    job = job_status(JobState.DONE, (SEGMENT, VIDEO, POSTER))
    document = answered(DIALECT.render(direct({}), Completed(FINISHED, job)))
    assert {name: document[name] for name in MADE} == MADE
    assert document["original"] == ENTRY
    assert [one["role"] for one in document["results"]] == ["video", "poster"]
    assert document["processed"]


JOBS = ChunkDialect(listing=True, deleting=True, jobs=True)


def test_a_job_in_words() -> None:
    asked = request("GET", "/jobs/J", root="/app")
    response = JOBS.render(asked, Working(job_status(JobState.RUNNING), FINISHED))
    assert response.status == 200
    assert ("Retry-After", "1") in response.headers
    assert answered(response) == {
        "job": "J", "status_url": "/app/jobs/J", "state": "running", "results": [],
        "progress": 0.25, "percent": 25, "secondsLeft": 3.0, "attempt": 1, "error": None,
        "code": None, "notes": [], "facts": {},
        "original": ENTRY | {"url": "/app" + ENTRY["path"]},
    }  # fmt: skip
    failed = answered(JOBS.render(asked, Working(job_status(JobState.FAILED), None)))
    assert (failed["error"], failed["code"], failed["notes"]) == (
        "It is broken.", "refused", ["a note"],
    )  # fmt: skip
    assert failed["original"] is None
    begun = JOBS.render(request("POST", "/jobs"), Working(job_status(JobState.QUEUED), None, True))
    assert begun.status == 202


def test_a_list_with_jobs() -> None:
    done = job_status(JobState.DONE, (VIDEO, POSTER))
    listing = Listing((FINISHED,), {FINISHED.token: done})
    (entry,) = answered(JOBS.render(request("GET", "/recordings"), listing))["recordings"]
    assert entry["status_url"] == "/jobs/J"
    assert entry["results"][0] == {"role": "video", **MADE, "facts": {"duration": 1.5}}


@pytest.mark.parametrize(
    ("method", "path", "document", "operation"),
    [
        ("GET", "/jobs/J", None, Watch("J")),
        ("DELETE", "/jobs/J", None, CallOff("J")),
        ("DELETE", f"/recordings/{TOKEN}/a.webm", None, Remove(TOKEN)),
        ("POST", "/jobs", {"recording": TOKEN}, Process(token=TOKEN)),
        (
            "POST",
            "/jobs",
            {"recording": f"/app/recordings/{TOKEN}/a.webm", "options": {"poster": True, "x": 1}},
            Process(token=TOKEN, options={"poster": True}),
        ),
    ],
)
def test_questions_about_jobs(method: str, path: str, document: Any, operation: Any) -> None:
    asked = request(method, path)
    assert JOBS.routes(asked)
    assert method in JOBS.methods(asked)
    assert JOBS.parse(asked, document) == operation


@pytest.mark.parametrize(
    "document", [None, [], {}, {"recording": 5}, {"recording": TOKEN, "options": 5}]
)
def test_what_is_no_order(document: Any) -> None:
    with pytest.raises(BadRequest):
        JOBS.parse(request("POST", "/jobs"), document)


def test_without_jobs_their_route_is_the_apps() -> None:
    assert not DIALECT.routes(request("GET", "/jobs/J"))
    assert "jobs" not in DIALECT.heads
    assert "DELETE" not in DIALECT.methods(request("DELETE", f"/recordings/{TOKEN}/a"))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("wait=5", 5), ("respond-async, wait=10", 10), ("wait=7; x", 7), ("", 0), ("wait=-1", 0),
        ("wait=x", 0), ("await=5", 0), ("wait=9999999", 0),
    ],
)  # fmt: skip
def test_how_long_a_client_waits(said: str, seconds: float) -> None:
    asked = request("GET", "/jobs/J", prefer=said)
    assert JOBS.parse(asked) == Watch("J", seconds)


@pytest.mark.parametrize(
    ("root", "url"), [("/app", "/app/recordings"), ("/ä b~", "/%C3%A4%20b~/recordings")]
)
def test_under_a_mount_the_url_has_it_and_the_path_has_not(root: str, url: str) -> None:
    asked = request("POST", "/finalize-upload", root=root)
    document = answered(DIALECT.render(asked, Completed(FINISHED)))
    assert document["path"] == f"/recordings/{TOKEN}/x%20y.webm"
    assert document["url"] == f"{url}/{TOKEN}/x%20y.webm"


def test_other_outcomes() -> None:
    deleted = DIALECT.render(request("DELETE", "/upload-status/t1"), Cancelled())
    assert (deleted.status, deleted.body) == (204, b"")
    listed = LISTING.render(request("GET", "/recordings"), Listing((FINISHED,)))
    assert answered(listed) == {"recordings": [ENTRY]}
    limits = Limits(max_size=100, max_chunk_size=10, max_chunks=5, expiry=60)
    configured = DIALECT.render(
        request("GET", "/upload-config"), Configuration(limits, 10, 8, listing=True)
    )
    assert answered(configured) == {
        "chunkSize": 10,
        "partSize": 8,
        "maxSize": 100,
        "maxChunkSize": 10,
        "maxChunks": 5,
        "expirySeconds": 60,
        "recordings": True,
        "processing": False,
    }


# ---------------------------------------------------------------- errors -> responses


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BadRequest("Missing chunk 1", code="missing-chunk"), 400),
        (errors.Forbidden("no"), 403),
        (errors.NotFound("Upload not found"), 404),
        (errors.MethodNotAllowed("no"), 405),
        (errors.IdleTimeout("no"), 408),
        (errors.Interrupted("no"), 408),
        (errors.Conflict("no"), 409),
        (errors.Gone("no"), 410),
        (errors.LengthRequired("no"), 411),
        (errors.TooLarge("no"), 413),
        (errors.UnsupportedType("no"), 415),
        (errors.DigestMismatch("no"), 422),
        (errors.TooMany("no", retry_after=60), 429),
        (errors.HeadersTooLarge("no"), 431),
        (errors.Broken("no"), 500),
        (errors.Unavailable("no"), 503),
        (errors.NoRoom("no", retry_after=60), 507),
    ],
)
def test_errors_have_one_shape(error: UploadError, status: int) -> None:
    response = DIALECT.refuse(request("POST", "/upload-chunk"), error)
    assert response.status == status
    assert answered(response) == {"error": error.message, "code": error.code}
    headers = dict(response.headers)
    wanted = None if error.retry_after is None else str(error.retry_after)
    assert headers.get("Retry-After") == wanted
    assert headers.get("Allow") == ("POST, PUT, OPTIONS" if status == 405 else None)


def test_what_passes_says_when() -> None:
    headers = dict(DIALECT.refuse(request("GET", "/"), errors.Unavailable("no")).headers)
    assert headers["Retry-After"] == "2"
