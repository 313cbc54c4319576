"""Whose upload it is: foreign looks like unknown, and `authorize` is asked for each verb."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from resumable import Forbidden, NotFound, ResumableUploads, Upload
from resumable.model import Finished
from tests.calls import Answer, call, file, snapshot

ID = "test123"
SECRET = "upload_" + "A1-_" * 6


def user(environ: Mapping[str, Any]) -> str | None:
    return environ.get("REMOTE_USER")


def ask(app: Any, who: str | None, method: str, target: str, **how: Any) -> Answer:
    return call(app, method, target, environ={"REMOTE_USER": who}, **how)


def begin(app: Any, who: str | None, id: str = ID, content: bytes = b"x") -> None:
    answer = ask(app, who, "PUT", f"/upload-chunk?uploadId={id}&chunkIndex=0", body=content)
    assert answer.status == 200, answer


def finish(app: Any, who: str | None, id: str = ID) -> str:
    answer = ask(app, who, "POST", "/finalize-upload", json={"uploadId": id})
    assert answer.status == 200, answer
    path: str = answer.json["path"]
    return path


@pytest.fixture
def app(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(
        None, tmp_path / "store", durability="process", owner=user, listing=True
    )


# ---------------------------------------------------------------- two users, all verbs

VERBS: dict[str, Callable[[Any, str | None, str], Answer]] = {
    "status": lambda app, who, id: ask(app, who, "GET", f"/upload-status/{id}"),
    "head": lambda app, who, id: ask(app, who, "HEAD", f"/upload-status/{id}"),
    "delete": lambda app, who, id: ask(app, who, "DELETE", f"/upload-status/{id}"),
    "finalize": lambda app, who, id: ask(
        app, who, "POST", "/finalize-upload", json={"uploadId": id}
    ),
}


@pytest.mark.parametrize("other", ["ben", None, ""])
@pytest.mark.parametrize("state", ["open", "finished"])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("id", [ID, SECRET])
def test_foreign_looks_like_unknown(
    app: ResumableUploads, tmp_path: Path, verb: str, state: str, other: str | None, id: str
) -> None:
    begin(app, "anna", id)
    if state == "finished":
        finish(app, "anna", id)
    before = snapshot(tmp_path)
    foreign = VERBS[verb](app, other, id)
    unknown = VERBS[verb](app, other, "unknown")
    assert foreign == unknown
    assert foreign.status == 404
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("verb", VERBS)
def test_nor_does_the_librarys_own_id_help(app: ResumableUploads, verb: str) -> None:
    begin(app, "anna")
    own_id = app.uploads.get(ID, owner="anna").upload.id
    for other in ("ben", None):
        assert VERBS[verb](app, other, own_id) == VERBS[verb](app, other, "unknown")
    assert app.uploads.get(ID, owner="anna").offset == 1


def test_two_users_may_choose_the_same_id(app: ResumableUploads) -> None:
    for who in ("anna", "ben", None):
        begin(app, who, content=str(who).encode())
    paths = {who: finish(app, who) for who in ("ben", None, "anna")}
    for who, path in paths.items():
        assert ask(app, who, "GET", path).body == str(who).encode()


def test_only_the_owner_reads(app: ResumableUploads) -> None:
    begin(app, "anna")
    path = finish(app, "anna")
    assert ask(app, "anna", "GET", path).status == 200
    unknown = ask(app, "ben", "GET", "/recordings/" + "A" * 22)
    for other in ("ben", None):
        assert ask(app, other, "GET", path) == unknown
    begin(app, None)
    assert ask(app, "ben", "GET", finish(app, None)).status == 200


def test_everybody_lists_their_own(app: ResumableUploads) -> None:
    paths = {}
    for who in ("anna", "ben", None):
        begin(app, who)
        paths[who] = finish(app, who)
    for who, path in paths.items():
        listed = ask(app, who, "GET", "/recordings").json["recordings"]
        assert [entry["path"] for entry in listed] == [path]


def test_an_owner_deletes_by_any_id(app: ResumableUploads) -> None:
    begin(app, "anna")
    assert ask(app, "anna", "DELETE", f"/upload-status/{ID}").status == 204
    assert ask(app, "anna", "GET", f"/upload-status/{ID}").status == 404


@pytest.mark.parametrize("nobody", [None, ""])
def test_an_empty_name_is_nobody(app: ResumableUploads, nobody: str | None) -> None:
    """REMOTE_USER is often there and empty: that must not be an owner whom all strangers share."""
    begin(app, nobody)
    assert ask(app, nobody, "DELETE", f"/upload-status/{ID}").status == 404
    [status] = [app.uploads.get(ID)]
    assert status.upload.owner is None


def test_direct_uploads_belong_to_their_sender(app: ResumableUploads) -> None:
    form = [file("file", b"x")]
    path = ask(app, "anna", "POST", "/process-video-chunks", form=form).json["path"]
    assert ask(app, "anna", "GET", path).status == 200
    assert ask(app, "ben", "GET", path).status == 404


@pytest.mark.parametrize("answer", [5, b"anna", ["anna"], False])
def test_an_owner_that_is_no_text_is_a_bug_of_the_host(
    tmp_path: Path, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = ResumableUploads(None, tmp_path, owner=lambda environ: answer)
    with caplog.at_level(logging.CRITICAL + 1, "resumable"):
        got = call(app, "GET", f"/upload-status/{ID}")
    assert (got.status, got.json["code"]) == (500, "broken")
    assert str(tmp_path) not in got.body.decode()


@pytest.mark.parametrize(("error", "status"), [(Forbidden("Log in."), 403), (KeyError("x"), 500)])
def test_owner_may_refuse(
    tmp_path: Path, error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def owner(environ: Mapping[str, Any]) -> str:
        raise error

    app = ResumableUploads(None, tmp_path / "store", owner=owner)
    with caplog.at_level(logging.CRITICAL + 1, "resumable"):
        answer = call(app, "PUT", "/upload-chunk?uploadId=a&chunkIndex=0", b"x")
    assert answer.status == status
    assert set(answer.json) == {"error", "code"} | ({"request_id"} if status >= 500 else set())
    assert snapshot(tmp_path) == {}


# ---------------------------------------------------------------- authorize

# Action -> a request that asks for it, with the upload `ID` open and `done` finished at `path`.
ACTIONS: dict[str, tuple[Callable[[Any, str], Answer], int]] = {
    "create": (lambda app, path: call(app, "PUT", "/upload-chunk?uploadId=n", b"x"), 403),
    "append": (
        lambda app, path: call(app, "PUT", f"/upload-chunk?uploadId={ID}&chunkIndex=1", b"y"),
        404,
    ),
    "inspect": (lambda app, path: call(app, "GET", f"/upload-status/{ID}"), 404),
    "finish": (
        lambda app, path: call(app, "POST", "/finalize-upload", json={"uploadId": ID}),
        404,
    ),
    "cancel": (lambda app, path: call(app, "DELETE", f"/upload-status/{SECRET}"), 404),
    "download": (lambda app, path: call(app, "GET", path), 404),
    "list": (lambda app, path: call(app, "GET", "/recordings"), 403),
}


class Door:
    """An `authorize` that notes what it is asked, and refuses one action."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.refused: str | None = None

    def __call__(self, caller: Any, action: str, upload: Any) -> bool:
        assert caller.environ["REQUEST_METHOD"]
        self.asked.append((action, upload))
        return action != self.refused


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def guarded(tmp_path: Path, door: Door) -> tuple[ResumableUploads, str]:
    app = ResumableUploads(
        None, tmp_path / "store", durability="process", authorize=door, listing=True
    )
    begin(app, None, "done")
    path = finish(app, None, "done")
    begin(app, None)
    begin(app, None, SECRET)
    door.asked.clear()
    return app, path


@pytest.mark.parametrize("action", ACTIONS)
def test_every_verb_asks(guarded: tuple[ResumableUploads, str], door: Door, action: str) -> None:
    app, path = guarded
    answer = ACTIONS[action][0](app, path)
    assert answer.status in (200, 204)
    subjects = [subject for asked, subject in door.asked if asked == action]
    kind = {"download": Finished, "list": type(None)}.get(action, Upload)
    assert subjects
    assert all(isinstance(subject, kind) for subject in subjects)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_refusal_changes_nothing_and_looks_like_absence(
    guarded: tuple[ResumableUploads, str], door: Door, tmp_path: Path, action: str
) -> None:
    app, path = guarded
    before = snapshot(tmp_path)
    door.refused = action
    send, status = ACTIONS[action]
    answer = send(app, path)
    assert answer.status == status
    if status == 404:
        door.refused = None
        unknown = send(ResumableUploads(None, tmp_path / "empty", listing=True), path)
        if action != "append":
            assert answer == unknown
        assert answer.json["code"] == "not-found"
    assert {
        name: kind for name, kind in snapshot(tmp_path).items() if not name.startswith("empty")
    } == before


def test_a_door_that_breaks_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def authorize(caller: Any, action: str, upload: Any) -> bool:
        raise LookupError("no such table")

    app = ResumableUploads(None, tmp_path / "s", durability="process", authorize=authorize)
    with caplog.at_level(logging.CRITICAL + 1, "resumable"):
        for answer in (
            call(app, "PUT", "/upload-chunk?uploadId=a&chunkIndex=0", b"x"),
            call(app, "POST", "/process-video-chunks", form=[file("file", b"x")]),
        ):
            assert (answer.status, answer.json["code"]) == (500, "broken")
            assert b"table" not in answer.body
    assert snapshot(tmp_path / "s") == {}


# ---------------------------------------------------------------- the host's own code


def test_the_host_names_the_owner_it_means(app: ResumableUploads) -> None:
    begin(app, "anna", content=b"anna's")
    begin(app, "ben", content=b"ben")
    assert app.uploads.get(ID, owner="anna").offset == 6
    assert app.uploads.get(ID, owner="ben").offset == 3
    with pytest.raises(NotFound):
        app.uploads.get(ID, owner="carl")
    with pytest.raises(NotFound):
        app.uploads.get(ID)


def test_but_finds_an_upload_by_its_own_id_whoever_it_belongs_to(app: ResumableUploads) -> None:
    begin(app, "anna")
    known = app.uploads.get(ID, owner="anna")
    assert app.uploads.get(known.upload.id) == known
    app.uploads.cancel(known.upload.id)
    with pytest.raises(NotFound):
        app.uploads.get(ID, owner="anna")


def test_nobody_asks_the_host_about_itself(tmp_path: Path) -> None:
    app = ResumableUploads(
        None, tmp_path, durability="process", authorize=lambda caller, action, upload: False
    )
    upload = app.uploads.create(length=5)
    assert app.uploads.get(upload.id).length == 5
    app.uploads.cancel(upload.id)
