"""The S3 servers that other tests trust do what is said of them, and so does Azurite."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest
from botocore.exceptions import ClientError

from tests.storage.ceph import missing, run_ceph
from tests.storage.moto_server import StrictR2
from tests.storage.server import S3_SMALLEST_PART, StorageServer, s3_client

RACERS = 12
KEY = "folder/an object"


@pytest.fixture(params=["ceph", "moto", "strict_r2", "weak", "rclone"])
def s3(request: pytest.FixtureRequest) -> StorageServer:
    server: StorageServer = request.getfixturevalue(request.param)
    return server.fresh()


class Upload:
    """A multipart upload under `KEY`, with botocore alone."""

    def __init__(self, server: StorageServer, **chosen: Any) -> None:
        self.client = server.client()
        self.of = {"Bucket": server.bucket, "Key": KEY}
        self.of["UploadId"] = self.client.create_multipart_upload(**self.of, **chosen)["UploadId"]

    def put(self, number: int, size: int) -> None:
        content = bytes([number]) * size
        self.client.upload_part(**self.of, PartNumber=number, Body=content)

    def sizes(self) -> dict[int, int]:
        parts = self.client.list_parts(**self.of).get("Parts", [])
        return {part["PartNumber"]: part["Size"] for part in parts}

    def complete(self, **conditions: str) -> None:
        parts = [
            {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
            for part in self.client.list_parts(**self.of)["Parts"]
        ]
        self.client.complete_multipart_upload(
            **self.of, MultipartUpload={"Parts": parts}, **conditions
        )


def refusal(act: Callable[[], object]) -> str | None:
    """The server's own word for its refusal, or `None` when it did as asked."""
    try:
        act()
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return None


def complete_with(server: StorageServer, *sizes: int) -> str | None:
    upload = Upload(server)
    for number, size in enumerate(sizes, 1):
        upload.put(number, size)
    return refusal(upload.complete)


def put_if_absent(server: StorageServer, content: bytes) -> str | None:
    wanted = {"Bucket": server.bucket, "Key": KEY, "IfNoneMatch": "*"}
    return refusal(lambda: server.client().put_object(**wanted, Body=content))


def read(server: StorageServer, key: str = KEY) -> bytes:
    answer = server.client().get_object(Bucket=server.bucket, Key=key)
    with answer["Body"] as body:
        content: bytes = body.read()
        return content


def test_one_racer_creates_an_object_and_weak_servers_let_several_win(s3: StorageServer) -> None:
    contents = [b"racer %d" % number for number in range(RACERS)]
    with ThreadPoolExecutor(RACERS) as pool:
        refusals = list(pool.map(lambda content: put_if_absent(s3, content), contents))
    winners = [number for number, refused in enumerate(refusals) if refused is None]
    if s3.name in ("rclone", "weak"):
        assert len(winners) > 1
    else:
        assert set(refusals) == {None, "PreconditionFailed"}
        assert [contents[winner] for winner in winners] == [read(s3)]


def test_a_part_is_listed_as_soon_as_it_is_put(s3: StorageServer) -> None:
    upload = Upload(s3)
    known: dict[int, int] = {}
    for number in (3, 1, 2):
        size = s3.smallest_part + number
        upload.put(number, size)
        known[number] = size
        assert upload.sizes() == known


def test_the_smallest_part_is_as_small_as_was_asked(s3: StorageServer) -> None:
    smallest = s3.smallest_part or 1000
    assert complete_with(s3, smallest, smallest, 1) is None
    assert len(read(s3)) == 2 * smallest + 1
    too_small = complete_with(s3, smallest - 1, smallest - 1, 1)
    assert too_small == (None if s3.name == "rclone" else "EntityTooSmall")


def test_an_object_appears_whole_with_all_that_was_said_at_its_birth(s3: StorageServer) -> None:
    of = {"Bucket": s3.bucket, "Key": KEY}
    upload = Upload(s3, ContentType="video/webm", Metadata={"id": "some-id"})
    upload.put(1, 1000)
    assert refusal(lambda: s3.client().head_object(**of)) == "404"
    upload.complete()
    head = s3.client().head_object(**of)
    # rclone gives the names back in other letters.
    metadata = {name.lower(): value for name, value in head["Metadata"].items()}
    seen = (head["ContentLength"], head["ContentType"], metadata)
    assert seen == (1000, "video/webm", {"id": "some-id"})


def test_a_wrong_etag_is_refused_and_only_rclone_destroys_the_upload(s3: StorageServer) -> None:
    upload = Upload(s3)
    upload.put(1, 1000)
    wrong = {"Parts": [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]}
    client = s3.client()
    code = refusal(lambda: client.complete_multipart_upload(**upload.of, MultipartUpload=wrong))
    assert code == "InvalidPart"
    assert refusal(upload.complete) == ("NoSuchUpload" if s3.name == "rclone" else None)


def test_a_condition_on_the_completion_is_decided_by_moto_alone(s3: StorageServer) -> None:
    first, second = Upload(s3), Upload(s3)
    first.put(1, 1000)
    second.put(1, 2000)
    assert refusal(lambda: first.complete(IfNoneMatch="*")) is None
    decides = s3.name in ("moto", "strict-r2")
    expected = "PreconditionFailed" if decides else None
    assert refusal(lambda: second.complete(IfNoneMatch="*")) == expected


def test_signatures_are_looked_at_by_all_but_motos(s3: StorageServer) -> None:
    stranger = s3_client(s3.endpoint, s3.options["key"], "not the secret")
    try:
        code = refusal(lambda: stranger.put_object(Bucket=s3.bucket, Key=KEY, Body=b""))
    finally:
        stranger.close()
    assert code == (None if s3.name in ("moto", "strict-r2", "weak") else "SignatureDoesNotMatch")


def test_fresh_buckets_are_empty_and_fsspec_gets_there(s3: StorageServer) -> None:
    filesystem, root = fsspec.core.url_to_fs(s3.url, **s3.options)
    assert filesystem.ls(root) == []
    filesystem.pipe_file(f"{root}/{KEY}", b"content")
    assert read(s3) == b"content"
    assert s3.fresh().bucket != s3.bucket
    assert filesystem.ls(f"s3://{s3.fresh().bucket}") == []


def test_r2_wants_equal_parts_and_a_last_one_that_is_not_larger(
    strict_r2: StrictR2, moto: StorageServer
) -> None:
    size = strict_r2.smallest_part
    assert complete_with(strict_r2.fresh(), size, size, size) is None
    assert complete_with(strict_r2.fresh(), size, size, 1) is None
    assert complete_with(strict_r2.fresh(), size) is None
    assert complete_with(strict_r2.fresh(), size, size + 1, 1) == "InvalidPart"
    assert complete_with(strict_r2.fresh(), size, size + 1) == "InvalidPart"
    assert complete_with(moto.fresh(), size, size + 1, 1) is None


def test_r2_loses_the_part_whose_repetition_fails(strict_r2: StrictR2) -> None:
    upload = Upload(strict_r2.fresh())
    upload.put(1, 1000)
    upload.put(2, 2000)
    strict_r2.fail_part(1)
    upload.put(2, 3000)
    assert refusal(lambda: upload.put(1, 1000)) == "InternalError"
    assert upload.sizes() == {2: 3000}
    upload.put(1, 1000)
    assert upload.sizes() == {1: 1000, 2: 3000}


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_ceph_with_the_part_size_of_s3_itself(tmp_path: Path) -> None:
    with run_ceph(tmp_path, S3_SMALLEST_PART) as server:
        assert complete_with(server, S3_SMALLEST_PART - 1, 1) == "EntityTooSmall"
        assert complete_with(server, S3_SMALLEST_PART, 1) is None


def test_azurite_decides_conditions_and_lists_blocks(azurite: StorageServer) -> None:
    from azure.core import MatchConditions
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.blob import BlobBlock

    server = azurite.fresh()
    blob = server.client().get_blob_client(server.bucket, KEY)
    for position in ("MDE=", "MDA="):
        blob.stage_block(position, position.encode())
    _, waiting = blob.get_block_list("uncommitted")
    assert {block.id: block.size for block in waiting} == {"MDE=": 4, "MDA=": 4}
    blocks = [BlobBlock("MDA="), BlobBlock("MDE=")]
    blob.commit_block_list(blocks, match_condition=MatchConditions.IfMissing)
    with pytest.raises(ResourceExistsError):
        blob.commit_block_list(blocks, match_condition=MatchConditions.IfMissing)
    filesystem, root = fsspec.core.url_to_fs(server.url, **server.options)
    assert filesystem.cat_file(f"{root}/{KEY}") == b"MDA=MDE="
    with pytest.raises(FileExistsError):
        filesystem.pipe_file(f"{root}/{KEY}", b"", mode="create")
