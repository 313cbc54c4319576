"""Ourselves as one more tus server to hold the kit against."""

from __future__ import annotations

import json
import os

from resumable import Limits, ResumableUploads

app = ResumableUploads(
    None,
    os.environ["CONFORMANCE_STORAGE"],
    storage_options=json.loads(os.environ.get("CONFORMANCE_OPTIONS", "{}")),
    prefix=os.environ.get("CONFORMANCE_PREFIX", ""),
    limits=Limits(max_size=1 << 30, free_space=0),
)
