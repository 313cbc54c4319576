"""The unmodified screen-recorder client's way on the wire: it works, and better than it used to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import CHUNK, Lab, MakeBytes, until
from tests.browser.http_proxy import Answer, Cut, Exchange, Hold, refusal

pytestmark = pytest.mark.browser


OLD_CLIENT = """
window.oldUpload = async (name, { batch = Infinity, order, attempts = 4, id } = {}) => {
  const file = await fetchFile(name);
  const random = Math.random().toString(36).slice(2, 11).padEnd(9, '0');
  const uploadId = id ?? `upload_${Date.now()}_${random}`;
  const total = Math.ceil(file.size / 65536);
  const read = async (answer) => {
    const json = await answer.json();
    if (!answer.ok || !json.ok) throw new Error(json.error);
    return json;
  };
  const sendOnce = async (index) => {
    const form = new FormData();
    form.append('chunk', file.slice(index * 65536, (index + 1) * 65536));
    form.append('uploadId', uploadId);
    form.append('chunkIndex', String(index));
    form.append('totalChunks', String(total));
    return read(await fetch('/upload-chunk', { method: 'POST', body: form }));
  };
  const send = async (index) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await sendOnce(index);
      } catch (error) {
        if (attempt === attempts) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20 * 2 ** attempt));
      }
    }
  };
  const status = await fetch(`/upload-status/${uploadId}`);
  const first = status.ok ? (await status.json()).completedChunks : 0;
  const todo = Array.from({ length: total - first }, (_, at) => first + at);
  if (order === 'backwards') todo.reverse();
  for (let at = 0; at < todo.length; at += batch) {
    await Promise.all(todo.slice(at, at + batch).map(send));
  }
  const options = { resumable: true, maxConcurrent: 3, chunkThreshold: 5242880 };
  const body = JSON.stringify({ uploadId, filename: name, options });
  return read(await fetch('/finalize-upload', { method: 'POST', body }));
};
window.oldDirect = async (name) => {
  const form = new FormData();
  form.append('file', await fetchFile(name), name);
  form.append('options', JSON.stringify({ chunkThreshold: 5242880, maxConcurrent: 3 }));
  form.append('filename', name);
  return (await fetch('/process-video-chunks', { method: 'POST', body: form })).json();
};
"""


@pytest.fixture
def old(lab: Lab) -> Lab:
    lab.page.evaluate(OLD_CLIENT)
    return lab


def upload(lab: Lab, name: str, **how: Any) -> dict[str, Any]:
    answer: dict[str, Any] = lab.page.evaluate("all => oldUpload(...all)", [name, how])
    return answer


def nth_chunk(number: int, action: Any) -> Callable[[Exchange], Any]:
    """A rule for the chunk request that comes as number `number`, from 0."""
    arrived: list[Exchange] = []

    def rule(exchange: Exchange) -> Any:
        if not exchange.is_chunk:
            return None
        arrived.append(exchange)
        return action if len(arrived) == number + 1 else None

    return rule


@pytest.mark.parametrize("how", [{}, {"batch": 3}, {"batch": 1}, {"order": "backwards"}])
def test_chunks_in_every_order(old: Lab, make_bytes: MakeBytes, how: dict[str, Any]) -> None:
    data = old.give("screen.webm", make_bytes(20 * CHUNK + 123))
    answer = upload(old, "screen.webm", **how)
    assert old.fetch(answer["path"]) == data
    assert answer["size"] == len(data)
    assert re.fullmatch(r"upload_\d{13}_[0-9a-z]{9}", answer["uploadId"])
    assert [exchange.status for exchange in old.proxy.chunks] == [200] * 21


def test_backwards_one_by_one(old: Lab, make_bytes: MakeBytes) -> None:
    data = old.give("screen.webm", make_bytes(5 * CHUNK + 1))
    answer = upload(old, "screen.webm", order="backwards", batch=1)
    assert old.fetch(answer["path"]) == data


def test_a_held_chunk_holds_up_no_other(old: Lab, make_bytes: MakeBytes) -> None:
    data = old.give("screen.webm", make_bytes(5 * CHUNK))
    hold = Hold(after=1000)
    old.proxy.rule = nth_chunk(1, hold)
    old.page.evaluate("window.result = oldUpload('screen.webm'); null")
    hold.wait()
    until(
        old.page,
        """async (id) => {
          const answer = await fetch(`/upload-status/${id}`);
          return answer.ok && (await answer.json()).receivedChunks.length === 4;
        }""",
        old.proxy.seen("GET", "/upload-status/upload_")[0].path.rpartition("/")[2],
    )
    hold.release()
    assert old.fetch(old.page.evaluate("result")["path"]) == data


@pytest.mark.parametrize("spoilt", [refusal(503), Cut(after=30_000), Answer(200, b"{}")])
def test_a_lost_chunk(old: Lab, make_bytes: MakeBytes, spoilt: Any) -> None:
    data = old.give("screen.webm", make_bytes(6 * CHUNK))
    old.proxy.rule = nth_chunk(1, spoilt)
    answer = upload(old, "screen.webm")
    assert old.fetch(answer["path"]) == data
    assert len(old.proxy.chunks) == 7


def test_a_second_try_with_the_same_id_fills_the_gap(old: Lab, make_bytes: MakeBytes) -> None:
    data = old.give("screen.webm", make_bytes(6 * CHUNK))
    old.proxy.rule = nth_chunk(1, refusal(503))
    upload_id = "upload_1700000000000_abcdefghi"
    how = {"id": upload_id, "attempts": 1, "batch": 1}
    failed = old.page.evaluate(
        "([name, how]) => oldUpload(name, how).catch((error) => error.message)",
        ["screen.webm", how],
    )
    assert failed == "Refused with 503."
    answer = upload(old, "screen.webm", **how)
    assert old.fetch(answer["path"]) == data


def test_finalize_twice_gives_the_same_answer(old: Lab, make_bytes: MakeBytes) -> None:
    old.give("screen.webm", make_bytes(2 * CHUNK))
    first = upload(old, "screen.webm")
    order = {"uploadId": first["uploadId"], "filename": "other.webm", "options": {}}
    second = old.page.evaluate(
        """async (order) => {
          const body = JSON.stringify(order);
          return (await fetch('/finalize-upload', { method: 'POST', body })).json();
        }""",
        order,
    )
    assert second["path"] == first["path"]


def test_direct_upload(old: Lab, make_bytes: MakeBytes) -> None:
    data = old.give("small.webm", make_bytes(3000))
    answer = old.page.evaluate("oldDirect('small.webm')")
    assert answer["ok"] is True
    assert (answer["size"], answer["filename"]) == (3000, "small.webm")
    assert old.fetch(answer["path"]) == data
