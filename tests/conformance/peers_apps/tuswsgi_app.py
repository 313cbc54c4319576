"""tuswsgi before an app that answers nothing itself."""

import os

from tuswsgi import TusMiddleware


def nothing(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b""]


app = TusMiddleware(nothing, upload_path="/files", tmp_dir=os.environ["DATA"], send_file=True)
