"""The expiration extension."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.offers import expiry_seen
from resumable.conformance.session import Tus
from resumable.conformance.wire import Answer

SECTION = Section("Expiration")
_NEEDS = ("creation", "expiration")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DATE = re.compile(rf"({'|'.join(_DAYS)}), \d\d ({_MONTHS}) \d{{4}} \d\d:\d\d:\d\d GMT")
# An upload that lives no longer than this is watched until it is gone.
_PATIENCE_SECONDS = 15.0


@SECTION.row("T110", Level.MUST, "expiration is listed where Upload-Expires is told.")
def expiration_is_listed(tus: Tus) -> None:
    answer = expiry_seen(tus)
    listed = "expiration" in tus.offer.extensions
    if answer is None:
        raise NotOffered("no Upload-Expires is seen" if listed else "expiration is not offered")
    expect.that(listed, "Upload-Expires is told, and expiration is not in Tus-Extension", answer)


@SECTION.row(
    "T111",
    Level.MUST,
    "Every answer to PATCH on an upload that will expire has Upload-Expires.",
    needs=_NEEDS,
)
def told_by_every_patch(tus: Tus) -> None:
    created = _expiring(tus)
    url = tus.location(created)
    for offset in (0, 1):
        answer = tus.patch(url, offset, b"a")
        told = "upload-expires" in answer.names()
        expect.that(told, f"a PATCH at {offset}: Upload-Expires is missing", answer)
    conflict = tus.patch(url, 0, b"a")
    expect.that(
        "upload-expires" in conflict.names(),
        "a PATCH at a wrong offset: Upload-Expires is missing",
        conflict,
        level=Level.RECOMMENDED,
    )


@SECTION.row(
    "T112",
    Level.MUST,
    "The answer to a creation has Upload-Expires when the date is known by then.",
    needs=_NEEDS,
)
def told_by_creation(tus: Tus) -> None:
    _expiring(tus)
    created = tus.creation()
    seen = tus.head(tus.location(created))
    missing = "upload-expires" not in created.names()
    known = missing and "upload-expires" in seen.names()
    expect.that(not known, "HEAD has Upload-Expires, the creation before it had none", created)
    # It may be fixed only by the first PATCH, which nobody outside can tell.
    expect.that(not missing, "the creation has no Upload-Expires", created, level=Level.RECOMMENDED)


@SECTION.row("T113", Level.MUST, "Upload-Expires is an HTTP date (IMF-fixdate, GMT).", needs=_NEEDS)
def date_of_http(tus: Tus) -> None:
    created = _expiring(tus)
    appended = tus.patch(tus.location(created), 0, b"a")
    for answer in (created, appended):
        value = answer.get("Upload-Expires")
        if value is None:
            continue
        good = _DATE.fullmatch(value) is not None
        expect.that(good, f"Upload-Expires is {value!r}, no HTTP date", answer)
        day = _DAYS[parsedate_to_datetime(value).weekday()]
        expect.that(value.startswith(day), f"{value!r} names a wrong day of the week", answer)


@SECTION.row("T115", Level.SHOULD, "After its date an upload is answered 404 or 410.", needs=_NEEDS)
def gone_afterwards(tus: Tus) -> None:
    created = _expiring(tus)
    expires = created.get("Upload-Expires")
    if expires is None or not _DATE.fullmatch(expires):
        raise NotOffered("the creation tells no date to wait for")
    left = parsedate_to_datetime(expires) - datetime.now(UTC)
    if left > timedelta(seconds=_PATIENCE_SECONDS):
        raise NotOffered(f"uploads live longer than the {_PATIENCE_SECONDS:.0f} s that are waited")
    time.sleep(max(0.0, left.total_seconds()) + 1.1)
    url = tus.location(created)
    for method, answer in (("HEAD", tus.head(url)), ("PATCH", tus.patch(url, 0, b"a"))):
        expect.status(answer, 404, 410, when=f"{method} after the upload has expired")


def _expiring(tus: Tus) -> Answer:
    """A creation on a server that is seen to tell dates."""
    if expiry_seen(tus) is None:
        raise NotOffered("expiration is listed, and no upload has a date here")
    return tus.creation()
