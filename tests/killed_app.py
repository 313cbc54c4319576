"""The application whose workers are killed."""

from __future__ import annotations

import os

from resumable.serve import application

app = application(os.environ["KILLS_ROOT"])
