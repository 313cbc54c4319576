"""The faulty line does each of its faults, counts right, and signatures hold through it."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.storage.faults import Fault, Kind
from tests.storage.http_message import Head, copy_body, read_answer_head
from tests.storage.operations import azure_operation, gcs_operation, s3_operation
from tests.storage.server import MEBIBYTE, StorageServer, s3_client
from tests.storage.weather import Weather


@pytest.fixture
def line(ceph: StorageServer) -> Iterator[Weather]:
    with Weather(ceph.fresh()) as line:
        yield line


@pytest.fixture
def through(line: Weather) -> Iterator[Any]:
    """A client that goes through the line and repeats nothing."""
    options = line.server.options
    client = s3_client(line.server.endpoint, options["key"], options["secret"])
    yield client
    client.close()


def stored(line: Weather) -> dict[str, int]:
    """What the server really has, seen past the line."""
    listing = line.behind.client().list_objects_v2(Bucket=line.behind.bucket)
    return {each["Key"]: each["Size"] for each in listing.get("Contents", [])}


def put(client: Any, line: Weather, key: str, content: bytes = b"content") -> str:
    """How it ended for the client: "done", "reset" or the error's code."""
    try:
        client.put_object(Bucket=line.behind.bucket, Key=key, Body=content)
    except ConnectionClosedError:
        return "reset"
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {code}"
    return "done"


@pytest.mark.parametrize(
    ("kind", "client_sees", "is_stored"),
    [
        ("lost", "reset", True),
        ("denied", "500 InternalError", True),
        ("error", "500 InternalError", False),
        ("slow-down", "503 SlowDown", False),
        ("reset", "reset", False),
        ("delay", "done", True),
    ],
)
@pytest.mark.parametrize("size", [0, 7, 3 * MEBIBYTE])
def test_each_fault_happens_once_and_is_what_it_says(
    through: Any, line: Weather, kind: Kind, client_sees: str, is_stored: bool, size: int
) -> None:
    line.bring(Fault(kind, operation="put_object", nth=2))
    assert put(through, line, "first") == "done"
    assert put(through, line, "second", bytes(size)) == client_sees
    expected = {"first": 7, "second": size} if is_stored else {"first": 7}
    assert stored(line) == expected
    assert put(through, line, "second", bytes(size)) == "done"
    assert line.spoiled == [(kind, "put_object")]
    assert line.take() == {"put_object": 3}


def test_a_delay_takes_its_time(through: Any, line: Weather) -> None:
    line.bring(Fault("delay", seconds=0.3))
    started = time.monotonic()
    assert put(through, line, "late") == "done"
    assert time.monotonic() - started >= 0.3


def test_a_fault_without_a_number_strikes_each_until_the_sky_clears(
    through: Any, line: Weather
) -> None:
    line.bring(Fault("error", method="PUT", target=r"/bad-\d\b", nth=None))
    keys = ["bad-1", "good", "bad-2"]
    assert [put(through, line, key) != "done" for key in keys] == [True, False, True]
    line.clear()
    assert [put(through, line, key) for key in keys] == ["done"] * 3
    assert line.take() == {"put_object": 6}
    assert line.take() == {}


def test_of_two_faults_the_first_wins_and_both_count(through: Any, line: Weather) -> None:
    line.bring(Fault("slow-down", nth=1), Fault("error", nth=1), Fault("reset", nth=2))
    seen = [put(through, line, "object") for _ in range(3)]
    assert seen == ["503 SlowDown", "reset", "done"]


def test_every_operation_of_an_upload_is_counted_by_its_name(through: Any, line: Weather) -> None:
    of = {"Bucket": line.behind.bucket, "Key": "folder/ä ö+%"}
    of["UploadId"] = through.create_multipart_upload(**of)["UploadId"]
    for number in (1, 2):
        through.upload_part(**of, PartNumber=number, Body=bytes(line.server.smallest_part))
    listed = through.list_parts(**of)["Parts"]
    parts = [{"PartNumber": each["PartNumber"], "ETag": each["ETag"]} for each in listed]
    through.complete_multipart_upload(**of, MultipartUpload={"Parts": parts})
    del of["UploadId"]
    through.head_object(**of)
    through.list_objects_v2(Bucket=of["Bucket"], Prefix="folder/")
    with through.get_object(**of)["Body"] as body:
        assert len(body.read()) == 2 * line.server.smallest_part
    through.copy_object(**of | {"Key": "copy"}, CopySource=of)
    through.delete_object(**of)
    assert line.take() == {
        "create_multipart_upload": 1,
        "upload_part": 2,
        "list_parts": 1,
        "complete_multipart_upload": 1,
        "head_object": 1,
        "list_objects": 1,
        "get_object": 1,
        "copy_object": 1,
        "delete_object": 1,
    }
    assert stored(line) == {"copy": 2 * line.server.smallest_part}


def test_many_threads_share_the_line(through: Any, line: Weather) -> None:
    contents = {f"object-{number}": bytes([number]) * 100_000 for number in range(24)}
    line.bring(Fault("lost", target="object-13"))
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda item: put(through, line, *item), contents.items()))
    assert ends == ["done"] * 13 + ["reset"] + ["done"] * 10
    assert stored(line) == {key: len(content) for key, content in contents.items()}
    assert line.take() == {"put_object": 24}


def test_a_refusal_before_the_body_came_reaches_the_client(line: Weather) -> None:
    address = line.server.endpoint.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.putrequest("PUT", f"/{line.behind.bucket}/unsigned")
    connection.putheader("Content-Length", str(100 * MEBIBYTE))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"AccessDenied" in answer.read()) == (403, True)
    connection.close()


def test_a_server_that_is_gone_is_a_connection_that_breaks(line: Weather) -> None:
    line.upstream = ("127.0.0.1", 9)  # Where nobody listens.
    with pytest.raises(httpx.TransportError):
        httpx.get(line.server.endpoint)


def test_other_storages_are_told_in_their_own_words(gcs: StorageServer) -> None:
    with Weather(gcs.fresh()) as line, httpx.Client(base_url=line.server.endpoint) as client:
        address = f"/upload/storage/v1/b/{line.server.bucket}/o"
        wanted = {"uploadType": "media", "name": "a/b", "ifGenerationMatch": "0"}
        line.bring(Fault("denied", operation="insert"))
        answers = [client.post(address, params=wanted, content=b"x") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [500, 412]
        assert answers[0].json()["error"]["code"] == 500
        assert line.take() == {"insert": 2}


def test_chunked_bodies_and_preliminary_answers_pass_unchanged() -> None:
    preliminary = b"HTTP/1.1 100 Continue\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"3;x=y\r\na\r\n\r\n1\r\nb\r\n0\r\nTrailer: t\r\n\r\n"
    passed = bytearray()

    async def keep(piece: bytes) -> None:
        passed.extend(piece)

    async def pass_one() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(preliminary + head + chunks + b"HTTP/1.1 next")
        answer: Head = await read_answer_head(reader, keep)
        await keep(answer.raw)
        await copy_body(answer, reader, keep)
        reader.feed_eof()
        return await reader.read()

    assert asyncio.run(pass_one()) == b"HTTP/1.1 next"
    assert bytes(passed) == preliminary + head + chunks


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("PUT", "/b/k?partNumber=1&uploadId=u", "upload_part"),
        ("POST", "/b/k?uploads", "create_multipart_upload"),
        ("POST", "/b/k?uploadId=u", "complete_multipart_upload"),
        ("DELETE", "/b/k?uploadId=u", "abort_multipart_upload"),
        ("GET", "/b?uploads&prefix=p", "list_multipart_uploads"),
        ("GET", "/b?list-type=2", "list_objects"),
        ("POST", "/b?delete", "delete_objects"),
        ("HEAD", "/b", "head_bucket"),
        ("GET", "/", "list_buckets"),
    ],
)
def test_names_of_s3_requests(method: str, target: str, name: str) -> None:
    assert s3_operation(method, target, {}) == name


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("POST", "/storage/v1/b/b/o/k%2Fl/compose?ifGenerationMatch=0", "compose"),
        ("POST", "/storage/v1/b/b/o/k/rewriteTo/b/b/o/l", "rewrite"),
        ("POST", "/upload/storage/v1/b/b/o?uploadType=resumable&name=k", "insert"),
        ("PUT", "/upload/storage/v1/b/b/o?upload_id=u", "insert_piece"),
        ("POST", "/upload/storage/v1/b/b/o?upload_id=u", "insert_piece"),
        ("GET", "/download/storage/v1/b/b/o/k?alt=media", "read"),
        ("GET", "/storage/v1/b/b/o/k", "get"),
        ("GET", "/storage/v1/b/b/o?prefix=k", "list"),
    ],
)
def test_names_of_gcs_requests(method: str, target: str, name: str) -> None:
    assert gcs_operation(method, target, {}) == name


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("PUT", "/a/c/k?comp=block&blockid=MDA%3D", "put_block"),
        ("PUT", "/a/c/k?comp=blocklist", "put_block_list"),
        ("GET", "/a/c/k?comp=blocklist&blocklisttype=all", "get_block_list"),
        ("GET", "/a/c?restype=container&comp=list", "list_blobs"),
        ("PUT", "/a/c/k", "put_blob"),
        ("HEAD", "/a/c/k", "head_blob"),
        ("DELETE", "/a/c/k", "delete_blob"),
    ],
)
def test_names_of_azure_requests(method: str, target: str, name: str) -> None:
    assert azure_operation(method, target, {}) == name
