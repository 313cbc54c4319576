"""A recording that goes behind the library takes nothing along: what was made of it stays."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from werkzeug.test import Client

from resumable import Processing, ResumableUploads
from resumable.processing import Outcome, Work
from resumable.processing.work import Result


class Poster:
    """Makes a picture without ffmpeg."""

    name = "poster"
    share = 1.0
    of_result = False

    def __call__(self, work: Work) -> Outcome:
        picture = work.folder / "picture.jpg"
        picture.write_bytes(b"a picture")
        return Outcome((Result(picture, "poster", "image/jpeg"),))


@pytest.mark.parametrize("durability", ["full", "process"])
def test_results_outlive_a_recording_that_somebody_removed(tmp_path: Path, durability: str) -> None:
    processing = Processing(run=0, processors=(Poster(),), scratch_space=0)
    root = tmp_path / "data"
    app = ResumableUploads(None, root, durability=durability, listing=True, processing=processing)
    client = Client(app)
    form = {"uploadId": "a", "chunkIndex": "0", "totalChunks": "1"}
    client.post("/upload-chunk", data={**form, "chunk": (io.BytesIO(b"film"), "blob")})
    answer = client.post("/finalize-upload", json={"uploadId": "a"}).json
    assert app.uploads.work(answer["job"])
    (root / answer["path"].split("/")[2]).unlink()
    for _ in range(2):
        app.uploads.sweep()
    assert client.get(answer["path"]).status_code == 404
    assert client.get("/recordings").json["recordings"] == []
    told = client.get(answer["status_url"]).json
    (result,) = told["results"]
    assert (told["state"], client.get(result["path"]).data) == ("done", b"a picture")

    app.uploads.delete(app.uploads.find(result["path"].split("/")[2]))
    assert client.get(result["path"]).status_code == 404
    assert [path.name for path in root.iterdir()] == [".resumable"]
