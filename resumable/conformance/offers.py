"""Which extensions a server has: what OPTIONS lists, and what is seen to work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from resumable.conformance.model import NotOffered, Unclear, Unmet
from resumable.conformance.session import OFFSET_TYPE, SHA1_OF_SOMETHING_ELSE, Tus
from resumable.conformance.wire import Answer, chunks_of

_SHA1_OF_ABC = "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0="


def offered(tus: Tus, extension: str) -> bool:
    """Whether the extension is listed, or works although it is not."""
    return extension in tus.offer.extensions or works(tus, extension)


def works(tus: Tus, extension: str) -> bool:
    """Whether the extension is seen to work; looked at once."""
    if extension not in tus.seen:
        tus.seen[extension] = False
        with suppress(Unclear):
            tus.seen[extension] = _PROBES[extension](tus)
        tus.shown[extension] = tus.exchanges[-1]
    return tus.seen[extension]


def listed_truly(tus: Tus, extension: str) -> None:
    """Raises Unmet unless the extension is listed if, and only if, it works."""
    is_listed, is_seen = extension in tus.offer.extensions, works(tus, extension)
    if not is_listed and not is_seen:
        raise NotOffered(f"{extension} is neither listed nor seen")
    if is_seen and not is_listed:
        raise Unmet(
            f"{extension} works and is not in Tus-Extension", evidence=tus.shown.get(extension)
        )
    if is_listed and not is_seen:
        raise Unmet(
            f"{extension} is in Tus-Extension and does not work", evidence=tus.shown.get(extension)
        )


def _creation(tus: Tus) -> bool:
    answer = tus.post({"Upload-Length": "1"})
    return answer.good and answer.get("Location") is not None


def _defer(tus: Tus) -> bool:
    url = tus.create(None)
    return tus.head(url).get("Upload-Defer-Length") == "1"


def _with_upload(tus: Tus) -> bool:
    answer = tus.post({"Upload-Length": "5", "Content-Type": OFFSET_TYPE}, b"abc")
    return tus.offset(tus.location(answer)) == 3


def _expiration(tus: Tus) -> bool:
    return expiry_seen(tus) is not None


def expiry_seen(tus: Tus) -> Answer | None:
    """An answer with Upload-Expires, of a creation or a PATCH; None where neither has it."""
    created = tus.post({"Upload-Length": "5"})
    appended = tus.patch(tus.location(created), 0, b"abc")
    answers = (created, appended)
    return next((each for each in answers if each.get("Upload-Expires") is not None), None)


def _checksum(tus: Tus) -> bool:
    url = tus.create(5)
    answer = tus.patch(url, 0, b"abc", {"Upload-Checksum": SHA1_OF_SOMETHING_ELSE})
    return 400 <= answer.status < 500 and tus.offset(url) == 0


def _trailer(tus: Tus) -> bool:
    wrong, right = tus.create(3), tus.create(3)
    return not with_trailer(tus, wrong, SHA1_OF_SOMETHING_ELSE).good and (
        with_trailer(tus, right, _SHA1_OF_ABC).good
    )


def with_trailer(tus: Tus, url: str, checksum: str) -> Answer:
    """A PATCH of `abc` in chunks whose digest comes behind the bytes."""
    with tus.begin_patch(url, 0, None, {"Trailer": "Upload-Checksum"}) as flow:
        flow.send(chunks_of(b"abc") + b"0\r\nUpload-Checksum: " + checksum.encode() + b"\r\n\r\n")
        return tus.answer(flow)


def _termination(tus: Tus) -> bool:
    url = tus.create(5)
    return tus.ask("DELETE", url).good and not tus.head(url).good


def _concatenation(tus: Tus) -> bool:
    part = tus.fill(tus.create(3, {"Upload-Concat": "partial"}), b"abc")
    joined = tus.post({"Upload-Concat": f"final;{part}"})
    return joined.good and tus.head(tus.location(joined)).get("Upload-Length") == "3"


def _unfinished(tus: Tus) -> bool:
    part = tus.create(3, {"Upload-Concat": "partial"})
    return works(tus, "concatenation") and tus.post({"Upload-Concat": f"final;{part}"}).good


_PROBES: dict[str, Callable[[Tus], bool]] = {
    "creation": _creation,
    "creation-defer-length": _defer,
    "creation-with-upload": _with_upload,
    "expiration": _expiration,
    "checksum": _checksum,
    "checksum-trailer": _trailer,
    "termination": _termination,
    "concatenation": _concatenation,
    "concatenation-unfinished": _unfinished,
}
