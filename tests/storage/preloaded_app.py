"""The application that a master makes, and uses, before it forks its workers."""

from __future__ import annotations

import json
import os

from werkzeug.test import Client

from resumable.serve import application

app = application(
    os.environ["PRELOADED_ROOT"], storage_options=json.loads(os.environ["PRELOADED_OPTIONS"])
)
_client = Client(app)
_sent = _client.put("/upload-chunk?uploadId=before&chunkIndex=0&totalChunks=1", data=b"the fork")
assert _sent.status_code == 200, _sent.text
