"""The command line on a real S3 server, and what it says where the configuration is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from resumable import ResumableUploads
from resumable.cli import main
from resumable.cli.lifecycle import rules
from resumable.cli.options import VARIABLE
from tests.calls import call
from tests.storage.server import StorageServer

NOWHERE = "http://127.0.0.1:9"


def resumable(options: Mapping[str, Any], *words: str) -> Result:
    return CliRunner().invoke(main, list(words), env={VARIABLE: json.dumps(dict(options))})


def upload(app: ResumableUploads, data: bytes) -> str:
    words = f"?uploadId=one&chunkIndex=0&totalChunks=1&totalSize={len(data)}"
    sent = call(app, "PUT", f"/upload-chunk{words}", data)
    assert sent.status == 200, sent
    asked = {"uploadId": "one", "filename": "film.webm"}
    done = call(app, "POST", "/finalize-upload", json=asked)
    assert done.status == 200, done
    path = done.json["path"]
    assert isinstance(path, str)
    return path


def test_what_a_bucket_holds(ceph: StorageServer) -> None:
    bucket = ceph.fresh()
    url = f"{bucket.url}/prefix"
    app = ResumableUploads(None, url, storage_options=bucket.options)
    upload(app, b"some bytes")
    call(app, "PUT", "/upload-chunk?uploadId=two&chunkIndex=0&totalSize=10", b"half")
    listed = resumable(bucket.options, "ls", url)
    assert "film.webm" in listed.output
    assert "receiving two" in listed.output
    swept = resumable(bucket.options, "sweep", url, "--expiry-days", "0", "--json")
    assert json.loads(swept.output)["expired"] == 0, "an hour may be somebody at work"
    examined = resumable(bucket.options, "doctor", url)
    assert examined.exit_code == 0, examined.output
    assert "1 finished files can be read." in examined.output


def test_the_doctor_knows_a_server_that_ignores_conditions(rclone: StorageServer) -> None:
    bucket = rclone.fresh()
    examined = resumable(bucket.options, "doctor", bucket.url)
    assert examined.exit_code == 1
    assert "ignores If-None-Match" in examined.output


def test_lifecycle_rules_are_taken(ceph: StorageServer) -> None:
    bucket = ceph.fresh()
    made = rules(f"{bucket.url}/prefix")
    assert made is not None
    client = bucket.client()
    client.put_bucket_lifecycle_configuration(Bucket=bucket.bucket, LifecycleConfiguration=made[0])
    kept = client.get_bucket_lifecycle_configuration(Bucket=bucket.bucket)["Rules"]
    assert {rule["ID"] for rule in kept} == {rule["ID"] for rule in made[0]["Rules"]}


def wrong(server: StorageServer, name: str) -> tuple[str, dict[str, Any]]:
    """A URL and options with one thing wrong."""
    options = {**server.options}
    url = f"{server.url}/prefix"
    if name == "no bucket":
        url = f"{server.scheme}://no-such-bucket-here/prefix"
    elif name == "wrong key":
        options["key"] = "nobody"
    elif name == "wrong secret":
        options["secret"] = "wrong"
    elif name == "wrong endpoint":
        options["endpoint_url"] = NOWHERE
    return url, options


WRONG = {
    "no bucket": "there is no such bucket",
    "wrong key": "the access key is not known",
    "wrong secret": "the secret key is wrong",
    "wrong endpoint": "does not answer",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_configuration_is_one_sentence(ceph: StorageServer, name: str) -> None:
    """At the start of a server; and while one runs, a 503 that tells a client nothing."""
    url, options = wrong(ceph, name)
    options["config_kwargs"] = {**options["config_kwargs"], "retries": {"max_attempts": 0}}
    result = resumable(options, "serve", "--bind", "127.0.0.1:0", "--storage", url)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1, result.output
    assert WRONG[name] in result.output
    app = ResumableUploads(None, url, storage_options=options)
    answer = call(app, "PUT", "/upload-chunk?uploadId=a&chunkIndex=0", b"x")
    assert answer.status == 503
    assert answer.json["request_id"]
    assert "retry-after" in answer.headers
    for secret in ("no-such-bucket-here", "prefix", "Traceback", "127.0.0.1", "nobody"):
        assert secret not in answer.body.decode()


def test_an_upload_goes_on_when_the_configuration_is_mended(ceph: StorageServer) -> None:
    bucket = ceph.fresh()
    url, options = wrong(bucket, "wrong secret")
    right = ResumableUploads(None, url, storage_options=bucket.options)
    words = "?uploadId=one&chunkIndex=0&totalChunks=2&chunkSize=5"
    assert call(right, "PUT", f"/upload-chunk{words}", b"first").status == 200
    words = "?uploadId=one&chunkIndex=1&totalChunks=2&chunkSize=5"
    broken = ResumableUploads(None, url, storage_options=options)
    assert call(broken, "PUT", f"/upload-chunk{words}", b"2nd").status == 503
    assert call(right, "PUT", f"/upload-chunk{words}", b"2nd").status == 200
    done = call(right, "POST", "/finalize-upload", json={"uploadId": "one"})
    assert call(right, "GET", done.json["path"]).body == b"first2nd"


@pytest.mark.parametrize(
    ("url", "missing"),
    [("s3://bucket/p", "s3fs"), ("gs://bucket/p", "gcsfs"), ("az://box/p", "adlfs")],
)
def test_a_missing_package_is_named_with_its_command(
    url: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = resumable({}, "ls", url)
    assert result.exit_code == 1
    assert f"needs the package {missing}" in result.output
    assert "pip install 'wsgi-resumable[" in result.output


@pytest.mark.parametrize("words", ["nothing", "=x"])
def test_options_that_make_no_sense(words: str) -> None:
    result = resumable({}, "ls", "s3://bucket/p", "-o", words)
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.output
