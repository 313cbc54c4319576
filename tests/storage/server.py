"""What a test needs to know of a running storage server, whichever it is."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

REGION = "us-east-1"
MEBIBYTE = 1024 * 1024
S3_SMALLEST_PART = 5 * MEBIBYTE
"""What S3 asks of every part but the last, in bytes."""


@dataclass(frozen=True)
class StorageServer:
    """A running server and one bucket of it.

    `url` and `options` are what fsspec takes. `smallest_part` is the server's least size of a part
    that is not the last, in bytes (0: it does not care).
    """

    name: str
    scheme: str
    endpoint: str
    bucket: str
    options: Mapping[str, Any]
    smallest_part: int
    raw: Any
    create: Callable[[str], object]

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.bucket}"

    def client(self) -> Any:
        """The vendor's own client, for asserts that shall not trust fsspec; closed by its maker."""
        return self.raw

    def fresh(self) -> Self:
        """The same server with a new, empty bucket."""
        bucket = f"test-{secrets.token_hex(6)}"
        self.create(bucket)
        return replace(self, bucket=bucket)

    def at(self, address: str) -> Self:
        """The same server as fsspec sees it through a line at this "host:port" in front of it.

        `client()` keeps going to the server itself.
        """
        own = urlsplit(self.endpoint).netloc
        options = {
            name: value.replace(own, address) if isinstance(value, str) else value
            for name, value in self.options.items()
        }
        return replace(self, endpoint=self.endpoint.replace(own, address), options=options)


@contextmanager
def s3_server(
    name: str, endpoint: str, key: str, secret: str, bucket: str, smallest_part: int
) -> Iterator[StorageServer]:
    """The S3 server that answers at `endpoint`; the bucket is made when it is not there."""
    client = s3_client(endpoint, key, secret)
    try:
        if bucket not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        yield StorageServer(
            name,
            "s3",
            endpoint,
            bucket,
            s3_options(endpoint, key, secret),
            smallest_part,
            client,
            lambda fresh: client.create_bucket(Bucket=fresh),
        )
    finally:
        client.close()


@contextmanager
def gcs_server(name: str, endpoint: str, bucket: str) -> Iterator[StorageServer]:
    """The double or emulator of Google's storage at `endpoint`; makes the bucket.

    Its `client()` is a plain HTTP client with that base, to speak the JSON API by hand.
    """
    import httpx

    options = {
        "token": "anon",
        "project": "test",
        "endpoint_url": endpoint,
        "consistency": "none",
        "use_listings_cache": False,
    }
    with httpx.Client(base_url=endpoint, timeout=30) as client:

        def create(name: str) -> None:
            answer = client.post("/storage/v1/b", params={"project": "test"}, json={"name": name})
            answer.raise_for_status()

        create(bucket)
        yield StorageServer(name, "gs", endpoint, bucket, options, 0, client, create)


def s3_options(endpoint: str, key: str, secret: str) -> dict[str, Any]:
    """The storage options of s3fs."""
    return {
        "key": key,
        "secret": secret,
        "endpoint_url": endpoint,
        "client_kwargs": {"region_name": REGION},
        "config_kwargs": _s3_config(),
        "use_listings_cache": False,
    }


def s3_client(endpoint: str, key: str, secret: str) -> Any:
    """A botocore client that says at once what the server said: it repeats nothing."""
    return botocore.session.Session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(**_s3_config(), retries={"max_attempts": 0}),
    )


def _s3_config() -> dict[str, Any]:
    return {
        "signature_version": "s3v4",
        "s3": {"addressing_style": "path"},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
