"""`resumable lifecycle`: rules by which a bucket itself removes what nobody will finish."""

from __future__ import annotations

import json
from typing import Any

import click

# Longer than any upload may rest, so that the bucket never takes what the sweep would keep.
UNFINISHED_DAYS = 14
STATE_DAYS = 30


@click.command()
@click.argument("url")
def lifecycle(url: str) -> None:
    """Print lifecycle rules for the bucket of URL as JSON, with the command that sets them."""
    made = rules(url)
    if made is None:
        raise click.ClickException(
            "There are lifecycle rules for s3://, r2://, gs:// and az:// URLs. For other storage "
            "run `resumable sweep` now and then."
        )
    document, command = made
    click.echo(json.dumps(document, indent=2))
    click.echo(f"Set them with: {command}", err=True)


def rules(url: str) -> tuple[dict[str, Any], str] | None:
    """The rules and how to set them; None for a storage that has none."""
    scheme, _, path = url.partition("://")
    if scheme == "r2":
        path = path.partition("/")[2]
    bucket, _, prefix = path.strip("/").partition("/")
    root = f"{prefix}/" if prefix else ""
    if not bucket:
        return None
    if scheme in ("s3", "s3a", "r2"):
        return _s3(bucket, root, r2=scheme == "r2")
    if scheme in ("gs", "gcs"):
        return _gcs(bucket, root)
    if scheme in ("az", "abfs", "abfss"):
        return _azure(bucket.partition("@")[0], root)
    return None


def _s3(bucket: str, root: str, *, r2: bool) -> tuple[dict[str, Any], str]:
    document = {
        "Rules": [
            {
                "ID": "resumable-unfinished",
                "Status": "Enabled",
                "Filter": {"Prefix": root},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED_DAYS},
            },
            {
                "ID": "resumable-state",
                "Status": "Enabled",
                "Filter": {"Prefix": f"{root}.resumable/uploads/"},
                "Expiration": {"Days": STATE_DAYS},
            },
        ]
    }
    endpoint = " --endpoint-url https://ACCOUNT.r2.cloudflarestorage.com" if r2 else ""
    return document, (
        f"aws s3api put-bucket-lifecycle-configuration --bucket {bucket}{endpoint} "
        "--lifecycle-configuration file://rules.json"
    )


def _gcs(bucket: str, root: str) -> tuple[dict[str, Any], str]:
    document = {
        "rule": [
            {
                "action": {"type": "Delete"},
                "condition": {"age": STATE_DAYS, "matchesPrefix": [f"{root}.resumable/uploads/"]},
            }
        ]
    }
    return document, f"gcloud storage buckets update gs://{bucket} --lifecycle-file=rules.json"


def _azure(container: str, root: str) -> tuple[dict[str, Any], str]:
    document = {
        "rules": [
            {
                "enabled": True,
                "name": "resumable-state",
                "type": "Lifecycle",
                "definition": {
                    "filters": {
                        "blobTypes": ["blockBlob"],
                        "prefixMatch": [f"{container}/{root}.resumable/uploads/"],
                    },
                    "actions": {
                        "baseBlob": {"delete": {"daysAfterModificationGreaterThan": STATE_DAYS}}
                    },
                },
            }
        ]
    }
    return document, (
        "az storage account management-policy create --account-name ACCOUNT "
        "--resource-group GROUP --policy @rules.json"
    )
