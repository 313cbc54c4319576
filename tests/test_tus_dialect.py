"""tus 1.0.0 as tables: request -> operation, outcome -> response; no server, no store."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pytest

from resumable import errors
from resumable.dialects.tus import TusDialect
from resumable.errors import UploadError
from resumable.extents import Extents
from resumable.http import Headers, Request
from resumable.model import Digest, Finished, State, Status, Upload
from resumable.operations import (
    Append,
    ById,
    Cancel,
    Cancelled,
    Concatenate,
    Create,
    Inspect,
    Known,
    Operation,
    Retrieve,
)

ID = "i" * 22
DIALECT = TusDialect(max_size=1000, expiry=3600)
BYTES = "application/offset+octet-stream"
SHA1 = base64.b64encode(hashlib.sha1(b"x").digest()).decode()
NAME = "filename " + base64.b64encode(b"a.txt").decode()


def request(method: str, path: str, *, root: str = "", **headers: str) -> Request:
    """A request of this version; a header of None is left out."""
    fields = {"Tus-Resumable": "1.0.0", **{k.replace("_", "-"): v for k, v in headers.items()}}
    length = fields.pop("Content-Length", None)
    return Request(
        method,
        path,
        root,
        headers=Headers(fields),
        content_length=None if length is None else int(length),
    )


def parsed(asked: Request) -> Operation | None:
    meant = DIALECT.meant(asked)
    assert DIALECT.routes(meant)
    assert meant.method in DIALECT.methods(meant)
    return DIALECT.parse(meant)


BORN = {"sequential": True}
ASKED: list[tuple[Request, Operation]] = [
    (request("POST", "/files/", Upload_Length="10"), Create(length=10, **BORN)),
    (request("POST", "/files", Upload_Length="010"), Create(length=10, **BORN)),
    (request("POST", "/files/", Upload_Length="0"), Create(length=0, **BORN)),
    (request("POST", "/files/", Upload_Defer_Length="1"), Create(**BORN)),
    (
        request("POST", "/files/", Upload_Length="10", Upload_Metadata=NAME + ",flag"),
        Create(
            length=10,
            filename="a.txt",
            metadata={"filename": "a.txt", "flag": ""},
            words={"metadata": NAME + ",flag"},
            **BORN,
        ),
    ),
    (
        request("POST", "/files/", Upload_Length="10", Content_Type=BYTES),
        Create(length=10, append=True, **BORN),
    ),
    (
        request("POST", "/files/", Upload_Length="1", Content_Type="text/plain"),
        Create(length=1, **BORN),
    ),
    (
        request("POST", "/files/", Upload_Length="9", Upload_Concat="partial"),
        Create(length=9, partial=True, words={"concat": "partial"}, **BORN),
    ),
    (
        request(
            "POST", "/files/", Upload_Length="1", Content_Type=BYTES, Upload_Checksum=f"sha1 {SHA1}"
        ),
        Create(
            length=1,
            append=True,
            digest=Digest("sha1", hashlib.sha1(b"x").digest()),
            **BORN,
        ),
    ),
    (
        request("POST", "/files/", Upload_Concat="final;/files/a http://h/x/files/b c ./d%2De"),
        Concatenate(
            partials=(ById("a"), ById("b"), ById("c"), ById("d-e")),
            words={"concat": "final;/files/a http://h/x/files/b c ./d%2De"},
        ),
    ),
    (request("HEAD", f"/files/{ID}"), Inspect(ById(ID), sequential=True)),
    (request("GET", f"/files/{ID}"), Retrieve(ById(ID))),
    (request("DELETE", f"/files/{ID}"), Cancel(ById(ID), finished=True)),
    (
        request("PATCH", f"/files/{ID}", Upload_Offset="5", Content_Type=BYTES + "; charset=x"),
        Append(reference=ById(ID), offset=5),
    ),
    (
        request("PATCH", f"/files/{ID}", Upload_Offset="5", Upload_Length="9", Content_Type=BYTES),
        Append(reference=ById(ID), offset=5, length=9),
    ),
    (
        request(
            "POST",
            f"/files/{ID}",
            X_HTTP_Method_Override=" patch",
            Upload_Offset="0",
            Content_Type=BYTES,
        ),
        Append(reference=ById(ID), offset=0),
    ),
    (
        request("GET", f"/files/{ID}", X_HTTP_Method_Override="DELETE"),
        Cancel(ById(ID), finished=True),
    ),
]


@pytest.mark.parametrize(("asked", "operation"), ASKED)
def test_words_become_operations(asked: Request, operation: Operation) -> None:
    assert parsed(asked) == operation


def test_who_only_looks_need_not_say_the_version() -> None:
    for method in ("HEAD", "GET"):
        asked = Request(method, f"/files/{ID}")
        assert DIALECT.parse(asked) is not None
    for method in ("PATCH", "DELETE"):
        with pytest.raises(errors.UnknownVersion):
            DIALECT.parse(Request(method, f"/files/{ID}"))


def patch(**headers: str) -> Request:
    return request(
        "PATCH", f"/files/{ID}", **{"Upload_Offset": "0", "Content_Type": BYTES} | headers
    )


def post(**headers: str) -> Request:
    return request("POST", "/files/", **headers)


NOT_NUMBERS = ("+5", " 5", "5.0", "0x5", "-1", "", "5,5", "1" + "0" * 30, "\u0665")
REFUSED: list[tuple[Request, int]] = [
    *((patch(Upload_Offset=text), 400) for text in NOT_NUMBERS),
    *((patch(Upload_Length=text), 400) for text in NOT_NUMBERS),
    *((post(Upload_Length=text), 400) for text in NOT_NUMBERS),
    *((post(Upload_Defer_Length=text), 400) for text in ("0", "2", "true", "")),
    (post(), 400),
    (post(Upload_Length="1", Upload_Defer_Length="1"), 400),
    (request("PATCH", f"/files/{ID}", Content_Type=BYTES), 400),
    (patch(Content_Type="application/octet-stream"), 415),
    (request("PATCH", f"/files/{ID}", Upload_Offset="0"), 415),
    (patch(Tus_Resumable="0.2.2"), 412),
    (request("HEAD", f"/files/{ID}", Tus_Resumable="2.0.0"), 412),
    *(
        (post(Upload_Length="1", Upload_Metadata=text), 400)
        for text in (
            "a YQ==,a YQ==",
            "a YQ",
            "a Y-Q_",
            ",",
            "a YQ==,",
            "a  YQ==",
            "a YQ== YQ==",
            "\xfc YQ==",
            "a \xfc",
        )
    ),
    *(
        (patch(Upload_Checksum=text), 400)
        for text in (
            "sha1",
            f"sha1  {SHA1}",
            f"sha1{SHA1}",
            "sha1 !!!",
            "sha1 YQ==",
            f"SHA1 {SHA1}",
            f"crc {SHA1}",
            "",
            f"sha1 {SHA1} ",
        )
    ),
    (patch(Trailer="Upload-Checksum"), 400),
    (patch(Trailer="X, upload-checksum"), 400),
    *(
        (post(Upload_Concat=text), 400)
        for text in (
            "final",
            "final;",
            "final; ",
            "partial;x",
            "foo",
            "",
            "final;/files/a  /files/b",
            "final;http://h/elsewhere/a",
            "final;http://[h/files/a",
            "Final;/files/a",
        )
    ),
    (post(Upload_Concat="final;/files/a", Upload_Length="3"), 400),
    (post(Upload_Concat="final;/files/a", Content_Length="3"), 403),
    (post(Upload_Concat="final;/files/a", Transfer_Encoding="chunked"), 403),
]


@pytest.mark.parametrize(("asked", "status"), REFUSED)
def test_what_is_no_tus_is_refused(asked: Request, status: int) -> None:
    with pytest.raises(UploadError) as caught:
        parsed(asked)
    answer = DIALECT.refuse(asked, caught.value)
    assert answer.status == status
    assert ("Tus-Version" in dict(answer.headers)) == (status == 412)


@pytest.mark.parametrize("text", ["a YQ==, b YQ==", "a YQ==\t,\tb YQ==", "b YQ==,a YQ=="])
def test_white_space_around_commas_is_allowed(text: str) -> None:
    operation = parsed(post(Upload_Length="1", Upload_Metadata=text))
    assert isinstance(operation, Create)
    assert operation.metadata == {"a": "a", "b": "a"}
    assert operation.words == {"metadata": text.replace("\t", " ")}


@pytest.mark.parametrize("text", ["", " "])
def test_empty_metadata_are_none(text: str) -> None:
    operation = parsed(post(Upload_Length="1", Upload_Metadata=text))
    assert operation == Create(length=1, **BORN)


def test_a_value_may_be_any_bytes() -> None:
    value = base64.b64encode(b"\xff\x00\r\n").decode()
    operation = parsed(post(Upload_Length="1", Upload_Metadata=f"k {value}"))
    assert isinstance(operation, Create)
    assert operation.metadata == {"k": "\ufffd\x00\r\n"}


@pytest.mark.parametrize(
    ("path", "routed"),
    [("/files", True), ("/files/", True), (f"/files/{ID}", True), ("/files/a/b", False)],
)
def test_routes(path: str, routed: bool) -> None:
    assert DIALECT.routes(Request("GET", path)) is routed


def test_methods() -> None:
    assert DIALECT.methods(Request("PUT", "/files/")) == ("POST",)
    assert DIALECT.methods(Request("PUT", f"/files/{ID}")) == ("HEAD", "PATCH", "DELETE", "GET")
    assert "GET" not in TusDialect(downloads=False).methods(Request("PUT", f"/files/{ID}"))


# ---------------------------------------------------------------- outcomes to words

UPLOAD = Upload(ID, "t" * 22, 8 << 20, 0.0, length=10)
FINISHED = Finished(ID, "t" * 22, 10, 1, "text/plain", "a.txt", 9.0)
OPEN = Status(UPLOAD, State.RECEIVING, Extents([(0, 4)]), {}, {}, 0.0)
DONE = replace(OPEN, state=State.COMPLETE, finished=FINISHED)
DEFERRED = replace(OPEN, upload=replace(UPLOAD, length=None))
PARTIAL = replace(OPEN, upload=replace(UPLOAD, partial=True, words={"concat": "partial"}))
FINAL = replace(OPEN, upload=replace(UPLOAD, partials=(ID,)), extents=Extents())
WORDS = replace(OPEN, upload=replace(UPLOAD, words={"metadata": "a YQ==, b"}))
EXPIRES = {"Upload-Expires": "Thu, 01 Jan 1970 01:00:00 GMT"}
# An answer without a body has a type all the same: wsgiref.validate demands it.
NOTHING = {"Content-Type": "text/plain"}
HEAD = {"Cache-Control": "no-store", **NOTHING}

SAID: list[tuple[Status, Mapping[str, str]]] = [
    (OPEN, {"Upload-Offset": "4", "Upload-Length": "10", **EXPIRES}),
    (DONE, {"Upload-Offset": "10", "Upload-Length": "10"}),
    (DEFERRED, {"Upload-Offset": "4", "Upload-Defer-Length": "1", **EXPIRES}),
    (
        replace(DEFERRED, facts={"length": 2**53 + 1}),
        {"Upload-Offset": "4", "Upload-Length": "9007199254740993", **EXPIRES},
    ),
    (
        PARTIAL,
        {"Upload-Offset": "4", "Upload-Length": "10", "Upload-Concat": "partial", **EXPIRES},
    ),
    (FINAL, {"Upload-Length": "10", **EXPIRES}),
    (replace(FINAL, upload=replace(FINAL.upload, length=None)), EXPIRES),
    (
        WORDS,
        {"Upload-Offset": "4", "Upload-Length": "10", "Upload-Metadata": "a YQ==, b", **EXPIRES},
    ),
]


@pytest.mark.parametrize(("status", "headers"), SAID)
def test_what_head_says(status: Status, headers: Mapping[str, str]) -> None:
    answer = DIALECT.render(request("HEAD", f"/files/{ID}"), Known(status, 8))
    assert (answer.status, dict(answer.headers)) == (200, {**headers, **HEAD})


def test_what_patch_and_delete_say() -> None:
    answer = DIALECT.render(patch(), Known(OPEN, 8))
    assert (answer.status, dict(answer.headers)) == (204, {"Upload-Offset": "4", **EXPIRES})
    answer = DIALECT.render(patch(), Known(DONE, 8))
    assert (answer.status, dict(answer.headers)) == (204, {"Upload-Offset": "10"})
    assert DIALECT.render(request("DELETE", f"/files/{ID}"), Cancelled()).status == 204


@pytest.mark.parametrize(("path", "location"), [("/files/", ID), ("/files", f"files/{ID}")])
def test_a_program_gets_a_location_beside_the_request(path: str, location: str) -> None:
    """Right behind a proxy that takes a prefix away and says nothing of it."""
    answer = DIALECT.render(request("POST", path, root="/app"), Known(OPEN, 8))
    told = {"Location": location, **EXPIRES, **NOTHING}
    assert (answer.status, dict(answer.headers)) == (201, told)


@pytest.mark.parametrize("path", ["/files/", "/files"])
@pytest.mark.parametrize("label", [{"Origin": "http://a"}, {"Sec-Fetch-Site": "same-origin"}])
@pytest.mark.parametrize(
    ("root", "location"),
    [
        ("", f"/files/{ID}"),
        ("/app", f"/app/files/{ID}"),
        ("/\xfc ~", f"/%C3%BC%20~/files/{ID}"),
    ],
)
def test_a_page_gets_a_location_from_the_root(
    path: str, label: Mapping[str, str], root: str, location: str
) -> None:
    answer = DIALECT.render(request("POST", path, root=root, **label), Known(OPEN, 8))
    assert dict(answer.headers)["Location"] == location


def test_a_birth_with_bytes_tells_how_many() -> None:
    path = "/files/"
    answer = DIALECT.render(request("POST", path, Content_Type=BYTES), Known(OPEN, 8))
    assert dict(answer.headers)["Upload-Offset"] == "4"


def test_a_conflict_tells_where_to_go_on() -> None:
    error = errors.Conflict("no", code="offset-conflict")
    error.known = OPEN
    answer = DIALECT.refuse(patch(), error)
    assert answer.status == 409
    assert {"Upload-Offset": "4", **EXPIRES}.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("no"), 404),
        (errors.Gone("no"), 410),
        (errors.TooLarge("no"), 413),
        (errors.DigestMismatch("no"), 460),
        (errors.Interrupted("cut"), 400),
        (errors.IdleTimeout("slow"), 503),
        (errors.Conflict("other length", code="total-conflict"), 400),
        (errors.Unavailable("later"), 503),
        (errors.TooMany("later", retry_after=60), 429),
        (errors.NoRoom("full"), 507),
    ],
)
def test_what_an_error_is_called(error: UploadError, status: int) -> None:
    answer = DIALECT.refuse(patch(), error)
    assert answer.status == status
    assert ("Retry-After" in dict(answer.headers)) == (error.retry_after is not None)
    assert "Upload-Offset" not in dict(answer.headers)


def test_options_say_what_there_is() -> None:
    told = dict(DIALECT.discovery)
    assert told["Tus-Version"] == "1.0.0"
    assert told["Tus-Max-Size"] == "1000"
    assert "checksum-trailer" not in told["Tus-Extension"]
    assert told["Tus-Checksum-Algorithm"].split(",")[0] == "sha1"
    assert "Tus-Max-Size" not in dict(TusDialect().discovery)


def test_every_answer_names_the_version() -> None:
    assert DIALECT.always == (("Tus-Resumable", "1.0.0"),)


@pytest.mark.parametrize("path", ["/uploads", "/a/b"])
def test_it_may_be_mounted_elsewhere(path: str) -> None:
    dialect = TusDialect(path=path)
    assert dialect.heads == {path.split("/")[1]}
    assert dialect.routes(Request("POST", path + "/"))
    assert dialect.routes(Request("HEAD", f"{path}/{ID}"))
    assert not dialect.routes(Request("HEAD", "/files/"))
