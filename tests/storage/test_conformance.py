"""The conformance kit against ourselves: every storage, behind every kind of server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resumable.conformance import ROWS, Level, Outcome, Tus, examine
from tests.reliability import Record
from tests.servers.running import missing, run_server

# What no application can do about its server. 100 Continue is the server's: most send it before
# the application is asked. uWSGI reads no chunked bodies as it is started here: 411. cheroot shows
# the last of two headers of one name, as if there were no other.
SERVERS_OWN = {"uwsgi": {"T100", "T039", "T041"}, "cheroot": {"T100", "T012", "T033"}}
PAIRS = [
    ("gunicorn-gthread", "disk", ""),
    ("gunicorn-gthread", "ceph", ""),
    ("gunicorn-gthread", "memory", "/app/uploads"),
]
MORE = [
    (server, storage, prefix)
    for server in ("gunicorn-gthread", "gunicorn-gevent", "granian", "cheroot", "uwsgi")
    for storage in ("disk", "ceph", "memory", "gcs", "azurite")
    for prefix in ("", "/app/uploads")
    if (server, storage, prefix) not in PAIRS
    and not (server.endswith("gevent") and storage in ("ceph", "gcs", "azurite"))
]


def check(
    request: pytest.FixtureRequest, folder: Path, server: str, storage: str, prefix: str
) -> str:
    reason = missing(server)
    if reason:
        pytest.skip(reason)
    env = {"CONFORMANCE_PREFIX": prefix, "CONFORMANCE_STORAGE": str(folder / "data")}
    if storage == "memory":
        env["CONFORMANCE_STORAGE"] = "memory://conformance"
    elif storage != "disk":
        bucket = request.getfixturevalue(storage).fresh()
        env["CONFORMANCE_STORAGE"] = f"{bucket.url}/prefix"
        env["CONFORMANCE_OPTIONS"] = json.dumps(dict(bucket.options))
    # Memory is a process's own, and cheroot has one process.
    workers = 1 if storage == "memory" or server == "cheroot" else 2
    with run_server(server, "tests.conformance.own_app:app", env=env, workers=workers) as running:
        tus = Tus(f"{running.url}{prefix}/files/", timeout=20.0)
        results = list(examine(tus, ROWS))
    failed = [
        f"{one.row.number} {one.row.requirement} {one.reason}"
        for one in results
        if one.outcome in (Outcome.FAILED, Outcome.UNCLEAR)
        and one.row.number not in SERVERS_OWN.get(server, {"T100"})
    ]
    assert failed == [], "\n".join(failed)
    passed = [one for one in results if one.outcome is Outcome.PASSED]
    must = sum(one.row.level is Level.MUST for one in passed)
    assert len(passed) >= 110
    return f"{len(passed)} rows passed, {must} of them MUST, 0 failed"


@pytest.mark.parametrize(("server", "storage", "prefix"), PAIRS)
def test_we_conform(
    request: pytest.FixtureRequest, tmp_path: Path, server: str, storage: str, prefix: str
) -> None:
    check(request, tmp_path, server, storage, prefix)


@pytest.mark.chaos
@pytest.mark.parametrize(("server", "storage", "prefix"), MORE)
def test_we_conform_everywhere(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    server: str,
    storage: str,
    prefix: str,
    record_figure: Record,
) -> None:
    figure = check(request, tmp_path, server, storage, prefix)
    record_figure(f"tus conformance, {storage} behind {server} at {prefix or '/'}", figure)
