"""From a cloud storage's URL and options to its store; no SDK is imported before it is named."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resumable.interfaces import Capabilities
from resumable.model import MIB, Objects
from resumable.stores.filesystem import Filesystem, refuse_gevent
from resumable.stores.objects.destination import Destination
from resumable.stores.objects.store import ObjectStore

Options = Mapping[str, Any]
_S3_PART = 5 * MIB
_READ_ONLY = frozenset(
    {"http", "https", "data", "github", "git", "zip", "tar", "libarchive", "reference", "jar"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Options of ours among a backend's own. Sizes in bytes.

    `memory` bounds one process's buffers, `pipeline` the windows that one request has under way.
    """

    part_size: int = 8 * MIB
    largest_part: int = 64 * MIB
    least_part: int = _S3_PART
    memory: int = 256 * MIB
    pipeline: int = 3


def split_options(options: Options) -> tuple[Tuning, dict[str, Any]]:
    """Ours, and the backend's. Raises ValueError for sizes that make no sense."""
    names = set(Tuning.__slots__)
    ours = {name: value for name, value in options.items() if name in names}
    for name, value in ours.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number above 0, not {value!r}.")
    tuning = Tuning(**ours)
    if not tuning.least_part <= tuning.part_size <= tuning.largest_part:
        raise ValueError(
            f"part_size must be between least_part ({tuning.least_part} bytes) and largest_part "
            f"({tuning.largest_part} bytes), not {tuning.part_size}."
        )
    if tuning.memory < tuning.largest_part:
        raise ValueError(
            f"memory must hold one part at least: {tuning.largest_part} bytes (largest_part)."
        )
    return tuning, {name: value for name, value in options.items() if name not in names}


def need(module: str, extra: str) -> None:
    """Raise RuntimeError with the command that installs what is missing."""
    if importlib.util.find_spec(module) is None:
        raise RuntimeError(
            f"This storage needs the package {module}. "
            f"Install it with: pip install 'wsgi-resumable[{extra}]'"
        )


def s3_store(url: str, options: Options, objects: Objects) -> ObjectStore:
    """`s3://bucket/prefix`, of AWS or whoever `endpoint_url` names."""
    need("s3fs", "s3")
    refuse_gevent()
    from resumable.stores.s3 import S3Bucket
    from resumable.stores.s3_parts import S3Parts

    tuning, backend = split_options(options)
    root = _root(url)
    filesystem = Filesystem(f"s3://{root}", s3_options(backend))
    bucket = S3Bucket(filesystem, f"{root}/.resumable/probe/")
    parts = S3Parts(bucket)
    return ObjectStore(
        bucket,
        # Hosts that cannot agree on one multipart upload must not use it before the end.
        lambda: parts if bucket.conditions else None,
        root,
        Destination(root, objects),
        capabilities=Capabilities(
            part_size=tuning.part_size,
            most_parts=parts.most,
            least_part=tuning.least_part,
            largest_part=tuning.largest_part,
            presence=False,
        ),
        memory=tuning.memory,
        pipeline=tuning.pipeline,
    )


def s3_options(options: Options) -> dict[str, Any]:
    """What s3fs must be told so that other hosts' writes are seen and R2, RGW and B2 agree."""
    config = {
        "signature_version": "s3v4",
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "read_timeout": 60,
        "max_pool_connections": 50,
        **options.get("config_kwargs", {}),
    }
    if options.get("endpoint_url") and "s3" not in config:
        config["s3"] = {"addressing_style": "path"}
    return {**options, "use_listings_cache": False, "config_kwargs": config}


def r2_store(url: str, options: Options, objects: Objects) -> ObjectStore:
    """`r2://account/bucket/prefix`: endpoint and region are filled in."""
    account, _, rest = url.partition("://")[2].partition("/")
    if not re.fullmatch(r"[0-9a-f]{32}", account) or not rest:
        raise ValueError(
            "An R2 URL reads r2://ACCOUNT/BUCKET/PREFIX; ACCOUNT is the 32 hexadecimal digits in "
            "the dashboard's address."
        )
    filled = {
        "endpoint_url": f"https://{account}.r2.cloudflarestorage.com",
        **options,
        "client_kwargs": {"region_name": "auto", **options.get("client_kwargs", {})},
    }
    return s3_store(f"s3://{rest}", filled, objects)


def gcs_store(url: str, options: Options, objects: Objects) -> ObjectStore:
    """`gs://bucket/prefix`."""
    need("gcsfs", "gcs")
    refuse_gevent()
    # Else gcsfs asks by gRPC what kind of bucket it has, and waits a minute where nobody answers.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    from resumable.stores.gcs import GcsBucket

    tuning, backend = split_options(options)
    root = _root(url)
    filesystem = Filesystem(f"gs://{root}", {**backend, "use_listings_cache": False})
    return ObjectStore(
        GcsBucket(filesystem, f"{root}/.resumable"),
        lambda: None,
        root,
        Destination(root, objects),
        capabilities=Capabilities(part_size=tuning.part_size, presence=False),
        memory=tuning.memory,
        pipeline=tuning.pipeline,
    )


def azure_store(url: str, options: Options, objects: Objects) -> ObjectStore:
    """`az://container/prefix` or `abfs://container@account.dfs.core.windows.net/prefix`."""
    need("adlfs", "azure")
    refuse_gevent()
    from resumable.stores.azure import AzureBucket, AzureParts

    tuning, backend = split_options(options)
    filesystem = Filesystem(url, {**backend, "use_listings_cache": False})
    root = filesystem.path.strip("/")
    bucket = AzureBucket(filesystem, f"{root}/.resumable")
    parts = AzureParts(bucket)
    return ObjectStore(
        bucket,
        lambda: parts,
        root,
        Destination(root, objects),
        capabilities=Capabilities(
            part_size=tuning.part_size,
            most_parts=parts.most,
            least_part=tuning.least_part,
            largest_part=tuning.largest_part,
            presence=False,
        ),
        memory=tuning.memory,
        pipeline=tuning.pipeline,
    )


def generic_store(url: str, options: Options, objects: Objects) -> ObjectStore:
    """Any other file system that fsspec knows. Raises ValueError, RuntimeError with a sentence."""
    from resumable.stores.generic import GenericBucket

    protocol = url.partition("://")[0]
    if "::" in url or protocol in _READ_ONLY:
        raise ValueError(f"{protocol} is nothing that uploads could be written to.")
    tuning, backend = split_options(options)
    filesystem = Filesystem(url, backend)
    root = filesystem.path.rstrip("/")
    bucket = GenericBucket(filesystem, f"{root}/.resumable")
    return ObjectStore(
        bucket,
        lambda: None,
        root,
        Destination(root, objects),
        capabilities=Capabilities(part_size=tuning.part_size, presence=False),
        memory=tuning.memory,
        pipeline=tuning.pipeline,
    )


def _root(url: str) -> str:
    root = url.partition("://")[2].strip("/")
    if not root or ".." in root.split("/"):
        raise ValueError(f"Name a bucket, as in s3://bucket/prefix; {url!r} has none.")
    return root
