"""One server under examination: tus requests in few words, and every exchange remembered."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urljoin

from resumable.conformance.model import Exchange, Unclear
from resumable.conformance.wire import Answer, Fields, Flow, NoAnswer, Wire, fields_of

Headers = Mapping[str, str | tuple[str, ...] | None]
VERSION = "1.0.0"
OFFSET_TYPE = "application/offset+octet-stream"
_NOT_CREATED = "the upload that this row needs was not created"
SHA1_OF_SOMETHING_ELSE = "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="


@dataclass(frozen=True, slots=True)
class Offer:
    """What OPTIONS says."""

    answer: Answer
    versions: tuple[str, ...]
    extensions: tuple[str, ...]
    algorithms: tuple[str, ...]
    max_size: int | None


class Tus:
    """Speaks tus 1.0.0 to the server whose upload creation URL is `url`.

    Every helper takes headers beyond the usual ones; None leaves a usual one out. `metadata` are
    pairs that this server asks of each creation.
    """

    def __init__(
        self, url: str, *, extra: Fields = (), timeout: float = 10.0, metadata: str = ""
    ) -> None:
        self.url = url
        self.metadata = metadata
        self.timeout = timeout
        self.wire = Wire(url, extra=extra, timeout=timeout)
        self.exchanges: list[Exchange] = []
        # What `offers` has found out, and the exchange that showed it.
        self.seen: dict[str, bool] = {}
        self.shown: dict[str, Exchange] = {}
        self._made: list[str] = []

    # ------------------------------------------------------------ requests

    def begin(self, method: str, url: str | None = None, headers: Headers | None = None) -> Flow:
        """A request whose body the caller sends."""
        fields = fields_of({"Tus-Resumable": VERSION, **(headers or {})}.items())
        return self.wire.begin(method, url or self.url, fields)

    def answer(self, flow: Flow) -> Answer:
        """The answer to a request that was begun, remembered."""
        try:
            answer = flow.answer()
        except NoAnswer as silence:
            self.exchanges.append(silence.exchange)
            raise
        self.exchanges.append(answer.exchange)
        location = answer.get("Location")
        if answer.status == 201 and location:
            self._made.append(urljoin(self.url, location))
        return answer

    def ask(
        self,
        method: str,
        url: str | None = None,
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> Answer:
        """One request, whole, and its answer. Raises NoAnswer, OSError."""
        wanted = {**(headers or {})}
        if body or method in ("POST", "PATCH"):
            wanted.setdefault("Content-Length", str(len(body)))
        with self.begin(method, url, wanted) as flow:
            flow.send(body)
            return self.answer(flow)

    def post(self, headers: Headers, body: bytes = b"", url: str | None = None) -> Answer:
        """A creation."""
        needed = {"Upload-Metadata": self.metadata} if self.metadata else {}
        return self.ask("POST", url, {**needed, **headers}, body)

    def described(self, pairs: str) -> str:
        """These pairs of metadata, and those that this server asks for."""
        keys = {pair.partition(" ")[0] for pair in pairs.split(",")}
        needed = [p for p in self.metadata.split(",") if p and p.partition(" ")[0] not in keys]
        return ",".join([pairs, *needed])

    def head(self, url: str, headers: Headers | None = None) -> Answer:
        """An upload's state."""
        return self.ask("HEAD", url, headers)

    def patch(
        self, url: str, offset: int | str, body: bytes, headers: Headers | None = None
    ) -> Answer:
        """Bytes at an offset."""
        usual = {"Content-Type": OFFSET_TYPE, "Upload-Offset": str(offset)}
        return self.ask("PATCH", url, {**usual, **(headers or {})}, body)

    def begin_patch(
        self, url: str, offset: int, length: int | None, headers: Headers | None = None
    ) -> Flow:
        """A PATCH whose body of `length` bytes the caller sends; None: in chunks."""
        usual = {"Content-Type": OFFSET_TYPE, "Upload-Offset": str(offset)}
        size = {"Transfer-Encoding": "chunked"} if length is None else {}
        size |= {"Content-Length": str(length)} if length is not None else {}
        return self.begin("PATCH", url, {**usual, **size, **(headers or {})})

    # ------------------------------------------------------------ what rows begin with

    def create(self, length: int | None, headers: Headers | None = None) -> str:
        """A new upload's URL; a length of None is deferred. Raises Unclear where that fails."""
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        try:
            return self.location(self.post({**size, **(headers or {})}))
        except NoAnswer as silence:
            raise Unclear(_NOT_CREATED, evidence=silence.exchange) from silence

    def creation(self, length: int | str = 5, url: str | None = None) -> Answer:
        """The answer to a creation that says its length and nothing else."""
        return self.post({"Upload-Length": str(length)}, url=url)

    def begun(self, length: int | None, body: bytes) -> str:
        """A new upload's URL that has these bytes already. Raises Unclear where that fails."""
        return self.fill(self.create(length), body)

    def location(self, answer: Answer) -> str:
        """The URL that a creation names. Raises Unclear where there is none."""
        location = answer.get("Location")
        if not answer.good or not location:
            raise Unclear(_NOT_CREATED, evidence=answer.exchange)
        return urljoin(self.url, location)

    def fill(self, url: str, body: bytes, offset: int = 0, headers: Headers | None = None) -> str:
        """Sends bytes that must be taken. Raises Unclear where they are not."""
        answer = self.patch(url, offset, body, headers)
        if not answer.good:
            raise Unclear("the bytes that this row needs were not taken", evidence=answer.exchange)
        return url

    def offset(self, url: str) -> int:
        """The offset that HEAD tells. Raises Unclear where it tells none."""
        answer = self.head(url)
        offset = answer.get("Upload-Offset") or ""
        if not answer.good or not offset.isdigit():
            raise Unclear("HEAD does not tell the offset", evidence=answer.exchange)
        return int(offset)

    def stranger(self) -> str:
        """The URL of an upload that does not exist: an existing one's with another id."""
        return stranger_to(self.create(1))

    def content(self, url: str) -> bytes | None:
        """The finished bytes by GET, or None where this server does not hand them out."""
        answer = self.ask("GET", url)
        return answer.body if answer.status == 200 else None

    # ------------------------------------------------------------ the offer

    @cached_property
    def offer(self) -> Offer:
        """What OPTIONS says. Raises NoAnswer, OSError."""
        answer = self.ask("OPTIONS", headers={"Tus-Resumable": None})
        size = answer.get("Tus-Max-Size") or ""
        return Offer(
            answer,
            listed(answer.get("Tus-Version")),
            listed(answer.get("Tus-Extension")),
            listed(answer.get("Tus-Checksum-Algorithm")),
            int(size) if re.fullmatch(r"[0-9]{1,30}", size) else None,
        )

    def forget(self) -> None:
        """Deletes what a row has made, where the server lets us, and its exchanges."""
        made, self._made = self._made, []
        if "termination" in self.offer.extensions:
            for url in made:
                with suppress(NoAnswer, OSError):
                    self.ask("DELETE", url)
        self.exchanges = []


def listed(value: str | None) -> tuple[str, ...]:
    """The members of a comma list."""
    return tuple(member.strip() for member in (value or "").split(",") if member.strip())


def stranger_to(url: str) -> str:
    """A URL of the same shape with another id: each letter and digit becomes another one."""
    found = list(re.finditer(r"[A-Za-z0-9][A-Za-z0-9_-]{3,}", url))
    start, end = found[-1].span() if found else (len(url), len(url))
    return url[:start] + "".join(map(_other, url[start:end])) + url[end:]


def _other(letter: str) -> str:
    if letter in string.digits:
        return secrets.choice(string.digits)
    if letter in "abcdef":
        return secrets.choice("abcdef")
    if letter in string.ascii_lowercase:
        return secrets.choice(string.ascii_lowercase)
    if letter in string.ascii_uppercase:
        return secrets.choice(string.ascii_uppercase)
    return letter
