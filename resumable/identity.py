"""Ids: 128 random bits, or derived from what a client chose; checked at the one entrance."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

from resumable.errors import NotFound

_ID = re.compile(r"[A-Za-z0-9_-]{22,64}")
_BYTES = 16


def new_id() -> str:
    """22 characters of `[A-Za-z0-9_-]` that nobody can guess."""
    return _spelt(secrets.token_bytes(_BYTES))


def new_ids() -> tuple[str, str]:
    """Two of them for the price of one."""
    bits = secrets.token_bytes(2 * _BYTES)
    return _spelt(bits[:_BYTES]), _spelt(bits[_BYTES:])


def _spelt(bits: bytes) -> str:
    return base64.urlsafe_b64encode(bits).rstrip(b"=").decode("ascii")


def derived_id(owner: str | None, client_id: str, generation: int) -> str:
    """The id of the n-th upload that `owner` sends under one name of their own.

    Two owners may both choose "test123"; one owner may choose it again when the first is done.
    """
    parts = ("" if owner is None else f"+{owner}", client_id, str(generation))
    text = "".join(f"{len(part)}:{part}" for part in parts)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode("ascii")


def job_id(original: str, number: int) -> str:
    """The id of the n-th job of a finished object: nobody guesses it, and none has to be listed."""
    return derived_id(None, f"job {original}", number)


def output_id(job: str, attempt: int, number: int) -> str:
    """The upload id of the n-th object that an attempt at a job makes."""
    return derived_id(None, f"output {job} {attempt}", number)


def is_id(text: str) -> bool:
    """Whether this can be an id of ours at all."""
    return _ID.fullmatch(text) is not None


def checked_id(text: str, what: str = "Upload") -> str:
    """`text`, if it can be an id at all; NotFound otherwise, as for any unknown one."""
    if not is_id(text):
        raise NotFound(f"{what} not found")
    return text
