"""An app that makes what is wished of each upload, or (`JOBS_THREADS` 0) leaves that to others."""

import os

from resumable import Processing, ResumableUploads

app = ResumableUploads(
    None,
    os.environ["JOBS_ROOT"],
    processing=Processing(run=int(os.environ.get("JOBS_THREADS", "1"))),
)
