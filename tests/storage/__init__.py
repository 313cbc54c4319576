"""Real storage servers, doubles where there is none, and a faulty line in front of them."""

from __future__ import annotations

import os

# Before anybody imports gcsfs: else it asks Google by gRPC what kind of bucket it has.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
