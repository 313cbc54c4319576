"""An app that makes what is wished of each upload."""

import os

from resumable import Processing, ResumableUploads

app = ResumableUploads(None, os.environ["JOBS_ROOT"], processing=Processing())
