"""Jobs and finished files as the chunk protocol spells them in JSON."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from resumable.http import Request
from resumable.job import JobState, JobStatus, Made
from resumable.model import Finished
from resumable.operations import Working

# Pieces of others: whoever wants them finds them by the text that names them.
_PIECES = ("segment",)


def entry(request: Request, finished: Finished) -> dict[str, Any]:
    """One finished file."""
    return {
        "path": finished.path,
        "url": _below(request, finished.path),
        "filename": finished.filename,
        "size": finished.size,
        "type": finished.content_type,
        "finished": finished.finished,
    }


def summary(request: Request, job: JobStatus | None) -> dict[str, Any]:
    """What the words of a finished file say of its job."""
    if job is None:
        return {}
    path = f"/jobs/{job.job.id}"
    return {
        "job": job.job.id,
        "status_url": _below(request, path),
        "state": job.state.value,
        "results": _results(request, job),
    }


def document(request: Request, working: Working) -> dict[str, Any]:
    """All that is told of a job."""
    job, ending = working.job, working.job.ending
    left = job.seconds_left
    return {
        **summary(request, job),
        "progress": round(job.progress, 4),
        "percent": int(job.progress * 100),
        "secondsLeft": None if left is None else round(left, 1),
        "attempt": job.attempt,
        "error": ending and ending.error,
        "code": ending and ending.code,
        "notes": list(ending.notes) if ending else [],
        "facts": dict(ending.facts) if ending else {},
        "original": working.original and entry(request, working.original),
    }


def main(request: Request, job: JobStatus | None) -> dict[str, Any] | None:
    """The recording that a job has made of a recording."""
    if job is None or job.state is not JobState.DONE or job.ending is None:
        return None
    made = (one for one in job.ending.results if one.role in ("video", "audio"))
    return next((_made(request, one) for one in made), None)


def _results(request: Request, job: JobStatus) -> list[dict[str, Any]]:
    made = job.ending.results if job.ending else ()
    return [
        {"role": one.role, **_made(request, one), "facts": dict(one.facts)}
        for one in made
        if one.role not in _PIECES
    ]


def _made(request: Request, made: Made) -> dict[str, Any]:
    return {
        "path": made.path,
        "url": _below(request, made.path),
        "filename": made.filename,
        "size": made.size,
        "type": made.content_type,
    }


def _below(request: Request, path: str) -> str:
    """What a browser of this request asks for."""
    return quote(request.root, safe="/~") + path
