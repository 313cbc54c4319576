"""A storage that may not be used as it should: one sentence at start-up, 503s, no lost upload."""

from __future__ import annotations

import gc
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest

from resumable import ResumableUploads
from resumable.connect import connect
from resumable.errors import Unavailable
from resumable.model import DAY, KIB, Objects
from resumable.stores.objects.bucket import Missing
from resumable.stores.objects.store import ObjectStore
from tests.calls import Answer, call
from tests.servers.fault_proxy import Side
from tests.storage.http_message import Head
from tests.storage.server import StorageServer
from tests.storage.test_command import resumable
from tests.storage.weather import Weather

PART = 64 * KIB
PAGE = Path(__file__).parents[2] / "docs" / "storage" / "s3.md"
OBJECTS = {"PutObject", "GetObject", "DeleteObject"}
PARTS = {"AbortMultipartUpload", "ListMultipartUploadParts"}
LISTS = {"ListBucket", "ListBucketMultipartUploads"}
# What else one may do to a bucket and its objects.
OTHERS = {
    *("GetBucketLocation", "GetBucketAcl", "GetBucketPolicy", "GetBucketVersioning"),
    *("GetBucketCORS", "GetLifecycleConfiguration", "PutLifecycleConfiguration"),
    *("CreateBucket", "DeleteBucket", "PutBucketAcl", "PutBucketCORS", "PutBucketPolicy"),
    *("GetObjectAcl", "PutObjectAcl", "GetObjectTagging", "PutObjectTagging"),
    *("GetObjectVersion", "DeleteObjectVersion", "ListBucketVersions", "RestoreObject"),
}
SENTENCE = "the key has no permission for this"


def documented() -> set[str]:
    """The actions of the policy that the page says is enough."""
    found = re.search(r"```text\n(\{.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    policy = json.loads(found[1])
    return {
        action.removeprefix("s3:")
        for statement in policy["Statement"]
        for action in statement["Action"]
    }


def forbid(bucket: StorageServer, actions: Iterable[str]) -> None:
    """Deny these to everybody, the owner too."""
    name = f"arn:aws:s3:::{bucket.bucket}"
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": [f"s3:{action}" for action in sorted(actions)],
        "Resource": [name, f"{name}/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    bucket.client().put_bucket_policy(Bucket=bucket.bucket, Policy=json.dumps(policy))


def allow(bucket: StorageServer) -> None:
    bucket.client().delete_bucket_policy(Bucket=bucket.bucket)


def application(bucket: StorageServer, options: Mapping[str, Any] | None = None) -> Any:
    sizes = {"part_size": PART, "least_part": PART, "largest_part": 2 * PART}
    options = {**bucket.options, **sizes, **(options or {})}
    return ResumableUploads(None, f"{bucket.url}/prefix", storage_options=options)


class Client:
    """One upload of some parts and an end, in chunks of a part, step by step."""

    def __init__(self, app: Any, name: str, size: int = 3 * PART + 777) -> None:
        self.app = app
        self.name = name
        self.data = os.urandom(size)
        self.count = -(-size // PART)

    def send(self, number: int) -> Answer:
        words = f"uploadId={self.name}&chunkIndex={number}&chunkSize={PART}"
        words += f"&totalChunks={self.count}&totalSize={len(self.data)}"
        chunk = self.data[number * PART : (number + 1) * PART]
        return call(self.app, "PUT", f"/upload-chunk?{words}", chunk)

    def finish(self) -> Answer:
        asked = {"uploadId": self.name, "filename": "film.webm"}
        return call(self.app, "POST", "/finalize-upload", json=asked)

    def cancel(self) -> Answer:
        return call(self.app, "DELETE", f"/upload/{self.name}")

    def check(self) -> None:
        done = self.finish()
        assert done.status == 200, done
        assert call(self.app, "GET", done.json["path"]).body == self.data


def check_is_discreet(answer: Answer, bucket: StorageServer) -> None:
    assert answer.status == 503, answer
    assert answer.json["request_id"]
    assert "retry-after" in answer.headers
    for secret in (bucket.bucket, "prefix", "Traceback", "test-key", "AccessDenied"):
        assert secret not in answer.body.decode()


@pytest.mark.parametrize("action", sorted(OBJECTS | PARTS | {"ListBucket"}))
def test_a_missing_permission_is_one_sentence(ceph: StorageServer, action: str) -> None:
    bucket = ceph.fresh()
    forbid(bucket, {action})
    words = ("serve", "--bind", "127.0.0.1:0", "--storage", f"{bucket.url}/prefix")
    result = resumable(bucket.options, *words)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1, result.output
    assert SENTENCE in result.output
    allow(bucket)
    assert application(bucket).uploads.check() == []


@pytest.mark.parametrize("action", sorted(OBJECTS | PARTS | {"ListBucket"}))
def test_an_upload_survives_a_permission_that_is_lost(ceph: StorageServer, action: str) -> None:
    """Whatever step meets it first; once it is given again the same upload goes on."""
    bucket = ceph.fresh()
    client = Client(application(bucket), "one")
    assert client.send(0).status == 200
    forbid(bucket, {action})
    # A new process: the old one remembers what it has read.
    client.app = application(bucket)
    answers = [client.send(2), client.send(1), client.send(3), client.finish()]
    refused = [answer for answer in answers if answer.status != 200]
    for answer in refused:
        if answer.status != 400:  # A finish of what has not arrived.
            check_is_discreet(answer, bucket)
    assert refused or action == "AbortMultipartUpload"
    allow(bucket)
    if client.finish().status != 200:
        for number in range(client.count):
            assert client.send(number).status == 200
    client.check()


class OnlyThePrefix(Weather):
    """As AWS answers a key that may list `prefix/*` alone: what is missing is a 403.

    The question for an object names no prefix. Ceph tells the owner of a bucket all the same.
    """

    refused = 0

    async def _exchange(self, client: Side, head: Head) -> bool:
        method, target, _ = head.start.split(" ", 2)
        path, _, query = target.partition("?")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        if method not in ("GET", "HEAD") or not key or query or self._has(bucket, key):
            return await super()._exchange(client, head)
        self.refused += 1
        body = b"" if method == "HEAD" else b"<Error><Code>AccessDenied</Code></Error>"
        said = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        client.writer.write(said)
        await client.writer.drain()
        return True

    def _has(self, bucket: str, key: str) -> bool:
        listed = self.behind.client().list_objects_v2(Bucket=bucket, Prefix=key)
        return any(one["Key"] == key for one in listed.get("Contents", ()))


def test_what_is_missing_is_missing_where_only_the_prefix_may_be_listed(
    ceph: StorageServer,
) -> None:
    with OnlyThePrefix(ceph.fresh()) as line:
        bucket = line.server
        store = connect(f"{bucket.url}/prefix", bucket.options)
        assert isinstance(store, ObjectStore)
        assert store.check() == []
        key = f"{bucket.bucket}/prefix/there"
        store.bucket.put(key + "-is-more", b"x")
        assert store.bucket.head(key) is None
        assert store.bucket.get_all([key, key + "-is-more"]) == {key + "-is-more": b"x"}
        with pytest.raises(Missing):
            store.bucket.get(key)
        app = ResumableUploads(
            None,
            f"{bucket.url}/prefix",
            storage_options={**bucket.options, "part_size": PART, "least_part": PART},
            objects=Objects(key="{date}/{id}", if_exists="refuse"),
        )
        assert call(app, "GET", f"/recordings/{'A' * 22}").status == 404
        client = Client(app, "one")
        assert {client.send(number).status for number in range(client.count)} == {200}
        client.check()
        assert line.refused >= 5


def test_what_may_not_be_read_is_not_missing(ceph: StorageServer) -> None:
    bucket = ceph.fresh()
    store = connect(f"{bucket.url}/prefix", bucket.options)
    assert isinstance(store, ObjectStore)
    key = f"{bucket.bucket}/prefix/there"
    store.bucket.put(key, b"x")
    forbid(bucket, {"GetObject"})
    for ask in (store.bucket.head, store.bucket.get, lambda key: store.bucket.get_all([key])):
        with pytest.raises(Unavailable, match=SENTENCE):
            ask(key)


def live_whole_lives(bucket: StorageServer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Uploads of every shape to every end, and a sweep of what is old: all statuses."""
    app = application(bucket)
    app.uploads.check()
    statuses = []
    for name, size in (("parts", 3 * PART + 777), ("piece", 777)):
        client = Client(app, name, size)
        statuses += [client.send(number).status for number in range(client.count)]
        statuses.append(client.finish().status)
        app.uploads.delete(app.uploads.list()[0])
    left = Client(app, "left")
    statuses += [left.send(0).status, left.send(1).status]
    late = SimpleNamespace(time=lambda: time.time() + 30 * DAY)
    monkeypatch.setattr("resumable.stores.objects.leftovers.time", late)
    cancelled = Client(app, app.uploads.create(length=2 * PART).id, 2 * PART)
    statuses.append(cancelled.send(0).status)
    app.uploads.cancel(cancelled.name)
    app.uploads.sweep()
    return statuses


def test_the_documented_permissions_are_enough(
    ceph: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = ceph.fresh()
    assert documented() == OBJECTS | PARTS | LISTS
    forbid(bucket, OTHERS)
    assert set(live_whole_lives(bucket, monkeypatch)) == {200}


@pytest.mark.parametrize("action", sorted(OBJECTS | PARTS | LISTS))
def test_each_documented_permission_is_needed(
    ceph: StorageServer, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    bucket = ceph.fresh()
    forbid(bucket, {action})
    with pytest.raises(Unavailable, match=SENTENCE):
        live_whole_lives(bucket, monkeypatch)


def test_no_credentials_at_all(
    ceph: StorageServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    options = {name: one for name, one in ceph.options.items() if name not in ("key", "secret")}
    words = ("serve", "--bind", "127.0.0.1:0", "--storage", f"{ceph.url}/prefix")
    result = resumable(options, *words)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1, result.output
    assert "no credentials are configured" in result.output
    app = ResumableUploads(None, f"{ceph.url}/prefix", storage_options=options)
    check_is_discreet(Client(app, "one").send(0), ceph)


class Elsewhere(Weather):
    """A server that keeps the bucket in another region."""

    answer = b""

    async def _exchange(self, client: Side, head: Head) -> bool:
        if not self.answer:
            return await super()._exchange(client, head)
        await self._refuse(client, head)
        body = b"" if head.start.startswith("HEAD ") else self.answer.partition(b"\n")[2]
        status = self.answer.partition(b"\n")[0]
        said = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
        client.writer.write(said)
        await client.writer.drain()
        return True


REGIONS = {
    "moved": (
        b"301 Moved Permanently\n<Error><Code>PermanentRedirect</Code><Message>The bucket must be "
        b"addressed using the specified endpoint.</Message></Error>",
        "in another region",
    ),
    "a proxy that wants another scheme": (
        b"301 Moved Permanently\n<html><body>301 Moved Permanently</body></html>",
        "at another endpoint",
    ),
    "signed for another": (
        b"400 Bad Request\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region "
        b"'us-east-1' is wrong; expecting 'eu-west-1'</Message></Error>",
        "region is wrong",
    ),
    "made for another": (
        b"400 Bad Request\n<Error><Code>IllegalLocationConstraintException</Code><Message>The "
        b"eu-west-1 location constraint is incompatible.</Message></Error>",
        "in another region",
    ),
}


@pytest.fixture
def elsewhere(ceph: StorageServer) -> Iterator[Elsewhere]:
    with Elsewhere(ceph.fresh()) as line:
        yield line


@pytest.fixture
def no_collection() -> Iterator[None]:
    """botocore calls itself as deep as it may; nobody's leavings are to be collected there."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", REGIONS)
def test_a_bucket_in_another_region(elsewhere: Elsewhere, name: str, no_collection: None) -> None:
    bucket = elsewhere.server
    client = Client(application(bucket), "one")
    assert client.send(0).status == 200
    elsewhere.answer, sentence = REGIONS[name]
    words = ("serve", "--bind", "127.0.0.1:0", "--storage", f"{bucket.url}/prefix")
    result = resumable(bucket.options, *words)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1, result.output
    assert sentence in result.output
    check_is_discreet(client.send(1), bucket)
    elsewhere.answer = b""
    for number in range(1, client.count):
        assert client.send(number).status == 200
    client.check()


@pytest.mark.parametrize(
    ("url", "missing"), [("s3://bucket/p", "s3fs"), ("gs://bucket/p", "gcsfs")]
)
def test_a_server_does_not_start_without_the_package(
    url: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = resumable({}, "serve", "--bind", "127.0.0.1:0", "--storage", url)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1, result.output
    assert f"needs the package {missing}" in result.output
