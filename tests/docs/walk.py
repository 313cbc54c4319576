"""Walks through a page as its reader would: files, servers, commands, in one empty folder."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.docs import fronts
from tests.docs.blocks import Block
from tests.servers.running import HOST, free_port

COMMAND_SECONDS = 60
START_SECONDS = 30
_HOW_TO_GET = {
    "uwsgi": "pip install uWSGI (needs a C compiler)",
    "nginx": "apt-get install nginx-light",
    "apache2": "apt-get install apache2-bin",
    "curl": "apt-get install curl",
}


class Walk:
    """One page's folder, servers and last output. The page's port 8000 is a free one here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = ""
        self.missing: list[str] = []
        self._ports = {"8000": str(free_port()), "8080": str(free_port())}
        self._server: subprocess.Popen[bytes] | None = None
        self._front: subprocess.Popen[bytes] | None = None
        self._served = True
        self._namespace: dict[str, Any] = {"__name__": "page"}

    def take(self, block: Block) -> None:
        """Do what the block says, and fail where it does not do what the page says."""
        if block.why_not_run:
            return
        if block.title:
            self._write(block)
        elif block.said == "server":
            self._serve(block)
        elif self._served:
            {
                "python": self._python,
                "sh": self._shell,
                "json": self._answer,
                "text": self._text,
            }.get(block.language, _nothing)(block)

    def close(self) -> None:
        for process in (self._front, self._server):
            _stop(process)
        self._front = self._server = None

    # ------------------------------------------------------------ files and code

    def _write(self, block: Block) -> None:
        path = self.folder / str(block.title)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._here(block.source))

    def _python(self, block: Block) -> None:
        source = "\n" * (block.line - 1) + self._here(block.source)
        exec(compile(source, str(block.page), "exec", dont_inherit=True), self._namespace)

    def _here(self, text: str) -> str:
        return re.sub(r"\b80[08]0\b", lambda match: self._ports[match[0]], text)

    # ------------------------------------------------------------ commands and what they print

    def _shell(self, block: Block) -> None:
        done = subprocess.run(
            ["bash", "-eu", "-c", self._here(block.source)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        self.output = done.stdout
        assert done.returncode == 0, f"{block.name}\n{block.source}\n{done.stdout}{done.stderr}"

    def _answer(self, block: Block) -> None:
        answers = list(_documents(self.output))
        assert answers, f"{block.name}: nothing was printed"
        answer = json.dumps(answers[-1], indent=2)
        assert _alike(json.loads(block.source), answers[-1]), f"{block.name}: it answers {answer}"

    def _text(self, block: Block) -> None:
        if block.said != "prints":
            return
        printed = iter(self.output.splitlines())
        for line in filter(str.strip, self._here(block.source).splitlines()):
            # What stands behind an arrow is for the reader.
            pattern = _pattern(line.partition("  <- ")[0].strip())
            found = any(pattern.fullmatch(other.strip()) for other in printed)
            assert found, f"{block.name}: {line!r} is not in\n{self.output}"

    # ------------------------------------------------------------ servers

    def _serve(self, block: Block) -> None:
        if block.language in fronts.PROGRAMS:
            self._serve_front(block)
            return
        self.close()
        program = shlex.split(block.source)[0]
        self._served = self._has(program)
        if self._served:
            self._server = self._started(["bash", "-c", f"exec {self._here(block.source)}"])
            self._wait(self._server, self._ports["8000"])

    def _serve_front(self, block: Block) -> None:
        _stop(self._front)
        program = fronts.PROGRAMS[block.language]
        self._served = self._has(program)
        if self._served:
            command = fronts.command(
                block.language, self._here(block.source), self.folder, self._ports["8080"]
            )
            self._front = self._started(command)
            self._wait(self._front, self._ports["8080"])

    def _has(self, program: str) -> bool:
        if shutil.which(program, path=self._environment()["PATH"]):
            return True
        how = _HOW_TO_GET.get(program, "pip install -e '.[test]'")
        self.missing.append(f"{program} is not installed: {how}")
        return False

    def _started(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / ".server.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, process: subprocess.Popen[bytes], port: str) -> None:
        give_up = time.monotonic() + START_SECONDS
        while not _answers(int(port)):
            log = (self.folder / ".server.log").read_text(errors="replace")
            assert process.poll() is None, f"{process.args!r} ended:\n{log}"
            assert time.monotonic() < give_up, f"{process.args!r} does not answer:\n{log}"
            time.sleep(0.05)

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
        return {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix, "HOME": str(self.folder)}


def _nothing(block: Block) -> None:
    """Other tests look at this language."""


def _stop(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/upload-config")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _documents(text: str) -> Iterator[Any]:
    """The JSON documents of several answers, one behind the other."""
    position = 0
    while position < len(text):
        document, position = json.JSONDecoder().raw_decode(text, position)
        yield document
        position += len(text[position:]) - len(text[position:].lstrip())


def _alike(shown: Any, real: Any) -> bool:
    """Whether an answer is the one shown: … stands for any text, times differ."""
    if isinstance(shown, dict) and isinstance(real, dict):
        return shown.keys() == real.keys() and all(_alike(shown[key], real[key]) for key in shown)
    if isinstance(shown, list) and isinstance(real, list):
        return len(shown) == len(real) and all(map(_alike, shown, real))
    if isinstance(shown, str) and isinstance(real, str):
        return _pattern(shown).fullmatch(real) is not None
    if isinstance(shown, float):
        return isinstance(real, float)
    return type(shown) is type(real) and bool(shown == real)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("…")), re.DOTALL)
