"""Requests and responses as plain values."""

from __future__ import annotations

import pytest

from resumable.errors import BadRequest
from resumable.http import Headers, Request, Response, json_response, whole_number

NO_NUMBERS = ["", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x10", "1_000", "1,2", "٣", "²", "1\n"]


def test_headers_are_found_in_any_case() -> None:
    headers = Headers({"X-Upload-ID": "a"})
    assert headers["x-upload-id"] == headers["X-UPLOAD-ID"] == "a"
    assert "X-Upload-Id" in headers
    assert headers.get("other") is None
    assert list(headers) == ["x-upload-id"]


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("multipart/form-data; boundary=x", "multipart/form-data"),
        (" Text/PLAIN ;charset=utf-8", "text/plain"),
        ("", ""),
    ],
)
def test_the_media_type_stands_alone(content_type: str, media_type: str) -> None:
    assert Request("POST", "/", headers=Headers({"Content-Type": content_type})).content_type == (
        media_type
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9223372036854775807", 2**63 - 1), ("0000000000000000001", 1)],
)
def test_numbers(text: str, number: int) -> None:
    assert whole_number(text, "size") == number


@pytest.mark.parametrize(
    "text",
    [*NO_NUMBERS, "9223372036854775808", "9" * 19, "9" * 20, "9" * 10_000],
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(BadRequest, match="size must"):
        whole_number(text, "size")


@pytest.mark.parametrize(
    "value", ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "\x7f", "ä", "\u202e", "\t"]
)
def test_no_header_breaks_out_of_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Response(200, (("X-Name", value),))
    with pytest.raises(ValueError, match="printable ASCII"):
        Response(200).with_headers((value, "x"))


def test_size_of_a_body() -> None:
    assert Response(200, body=b"abc").size == 3
    assert Response(200, body=iter([b"abc"]), length=3).size == 3
    assert Response(200).size == 0


def test_head_keeps_the_size_and_frees_the_body() -> None:
    class Source:
        closed = False

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter([b"abc"])

        def close(self) -> None:
            self.closed = True

    source = Source()
    response = Response(200, body=source, length=3).without_body()
    assert (response.body, response.size, source.closed) == (b"", 3, True)
    assert Response(200, body=b"abc").without_body().size == 3


def test_json_is_ascii_and_not_cached() -> None:
    response = json_response(200, {"name": "\u202eé😀"})
    assert isinstance(response.body, bytes)
    assert response.body.isascii()
    assert ("Cache-Control", "no-store") in response.headers
