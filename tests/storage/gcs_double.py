"""A double of Google's storage: the part of its JSON API that a store needs, in memory.

    with run_gcs_double(tmp_path) as server: ...

It is no Google: no emulator that pip can install decides conditions or knows the limit of 32
sources, so this one was written from the documentation. What passes here is well formed and
races right; that Google agrees it cannot prove. Known: insert (media, multipart, resumable), get,
read with Range, list, patch, delete, compose, rewrite, copy, move, with generations and conditions.
Not known: batch, the XML API, signatures, object versions, rates, storage classes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from tests.servers.running import HOST, REPOSITORY
from tests.storage.daemon import free_ports, run, wait_for_answer
from tests.storage.gcs_objects import Bucket, Conditions, Facts, Refused, Stored
from tests.storage.gcs_sessions import Sessions
from tests.storage.gcs_words import answered, described, listed, refused, resource, two_parts
from tests.storage.server import StorageServer, gcs_server

BUCKET = "resumable-test"


@contextmanager
def run_gcs_double(folder: Path) -> Iterator[StorageServer]:
    """A double of its own, in a process of its own."""
    (port,) = free_ports(1)
    words = [sys.executable, "-m", "tests.servers.launch", "waitress"]
    words += ["tests.storage.gcs_double:application", HOST, str(port), "16"]
    with run("gcs-double", words, folder, {"PYTHONPATH": str(REPOSITORY)}) as daemon:
        wait_for_answer(daemon, port)
        with gcs_server("gcs-double", f"http://{HOST}:{port}", BUCKET) as server:
            yield server


class Google:
    """All buckets of one process."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.sessions = Sessions()

    def __call__(self, request: Request) -> Response:
        path = [unquote(each) for each in request.environ["REQUEST_URI"].split("?")[0].split("/")]
        query = request.args
        match [request.method, *path[1:]]:
            case ["POST", "storage", "v1", "b"]:
                return self.make(request.get_json()["name"])
            case ["GET", "storage", "v1", "b", bucket]:
                return answered({"kind": "storage#bucket", "name": self.at(bucket).name})
            case [_, "upload", "storage", "v1", "b", _, "o"] if "upload_id" in query:
                return self.sessions.continued(request)
            case ["POST", "upload", "storage", "v1", "b", bucket, "o"]:
                return self.insert(self.at(bucket), request)
            case ["GET", "storage", "v1", "b", bucket, "o"]:
                return listed(self.at(bucket), query)
            case [method, *_, "storage", "v1", "b", bucket, "o", name]:
                return one_object(method, self.at(bucket), name, request)
            case ["POST", "storage", "v1", "b", bucket, "o", name, *verb]:
                return self.made_of(self.at(bucket), name, verb, request)
        raise Refused(404, "notFound", "this double does not know that address")

    def make(self, name: str) -> Response:
        if name in self.buckets:
            raise Refused(409, "conflict", f"The bucket {name} exists.")
        self.buckets[name] = Bucket(name)
        return answered({"kind": "storage#bucket", "name": name})

    def at(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    def insert(self, bucket: Bucket, request: Request) -> Response:
        query, body = request.args, request.get_data()
        conditions = Conditions(query)
        match query["uploadType"]:
            case "media":
                facts: Facts = {"contentType": request.content_type, "name": query["name"]}
            case "multipart":
                facts, body = two_parts(request.headers["Content-Type"], body)
            case "resumable":
                facts = {"contentType": request.headers.get("X-Upload-Content-Type")}
                facts |= json.loads(body) if body else {}
                name = str(query.get("name") or facts["name"])
                return self.sessions.begun(bucket, name, facts, conditions, request)
            case _:
                raise Refused(400, "invalid", "Unknown uploadType.")
        name = str(query.get("name") or facts["name"])
        stored = Stored(name, body, facts, 0)
        for field, own in (("crc32c", stored.crc32c), ("md5Hash", stored.md5)):
            if facts.get(field) not in (None, own):
                raise Refused(400, "invalid", f"Provided {field} doesn't match calculated {own}.")
        return described(bucket, bucket.put(name, body, facts, conditions))

    def made_of(self, bucket: Bucket, name: str, verb: list[str], request: Request) -> Response:
        body = request.get_json(silent=True) or {}
        conditions = Conditions(request.args)
        match verb:
            case ["compose"]:
                facts = body.get("destination", {})
                return described(
                    bucket, bucket.compose(name, body["sourceObjects"], facts, conditions)
                )
            case ["rewriteTo" | "copyTo" as kind, "b", other, "o", target]:
                source = source_of(bucket, name, request)
                facts = body or source.facts
                copy = self.at(other).put(target, source.content, facts, conditions)
                made = resource(self.at(other), copy)
                done = {"kind": "storage#rewriteResponse", "done": True, "resource": made}
                return answered(done if kind == "rewriteTo" else made)
            case ["moveTo", "o", target]:
                source = source_of(bucket, name, request)
                return described(bucket, bucket.move(source, target, conditions))
        raise Refused(404, "notFound", "this double does not know that verb")


def source_of(bucket: Bucket, name: str, request: Request) -> Stored:
    query = request.args
    source = bucket.get(name, Conditions({}), query.get("sourceGeneration"))
    Conditions(query, "Source").check(source)
    return source


def one_object(method: str, bucket: Bucket, name: str, request: Request) -> Response:
    query = request.args
    conditions, generation = Conditions(query), query.get("generation")
    if method == "DELETE":
        bucket.delete(name, conditions, generation)
        return Response(status=204)
    if method == "PATCH":
        return described(bucket, bucket.change(name, request.get_json(), conditions))
    stored = bucket.get(name, conditions, generation)
    if query.get("alt") != "media":
        return described(bucket, stored)
    response = Response(stored.content, content_type=stored.facts.get("contentType"))
    response.headers["x-goog-generation"] = str(stored.generation)
    response.headers["x-goog-hash"] = f"crc32c={stored.crc32c}"
    response.headers["x-goog-stored-content-length"] = str(len(stored.content))
    return response.make_conditional(request, True, len(stored.content))


google = Google()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    try:
        response = google(Request(environ))
    except Refused as refusal:
        response = refused(refusal)
    except HTTPException as error:
        status = error.code or 500
        response = refused(Refused(status, error.name, error.description or error.name))
    return response(environ, start_response)
