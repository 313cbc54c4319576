"""Resumable uploads in a Django app; try it with `PORT=8001 python examples/django_app.py`."""

import hashlib
import os
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, JsonResponse
from django.urls import path
from werkzeug.serving import run_simple

from resumable import Finished, ResumableUploads

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "for trials only"),
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
)
django.setup()
digests: dict[str, str] = {}  # a real app has a model here; the upload's id is its key


def completed(finished: Finished) -> None:
    """The file is whole and safe. Told at least once per upload, so do it once per id."""
    if finished.id not in digests:
        with app.uploads.open(finished) as file:
            digests[finished.id] = hashlib.file_digest(file, "sha256").hexdigest()


def page(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).with_name("page.html").open("rb"))


def received(request: HttpRequest) -> JsonResponse:
    uploads = request.environ["resumable.uploads"]
    return JsonResponse({"files": [entry(finished) for finished in uploads.list()]})


def entry(finished: Finished) -> dict[str, object]:
    return {
        "name": finished.filename,
        "size": finished.size,
        "url": f"/recordings/{finished.token}",
        "sha256": digests.get(finished.id),
    }


urlpatterns = [path("", page), path("received", received)]
# In a project this line stands at the end of wsgi.py.
app = ResumableUploads(
    get_wsgi_application(), os.environ.get("STORAGE", "./data"), completed=completed
)

if __name__ == "__main__":
    run_simple("127.0.0.1", int(os.environ.get("PORT", "8000")), app, threaded=True)
