"""One child process under limits, in a group that dies with it, with its cancel, or with us."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from resumable.processing.settings import ProcessingLimits

# Waits on a pipe that only we can close, by will or by death, and takes the group along.
_GUARD = ("/bin/sh", "-c", "read -r _; kill -KILL 0")
# Of ours, a program gets these variables and no others: no proxies, no settings of its own.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
_GRACE_CPU_SECONDS = 10


class Child:
    """A running program: no input, two pipes out, its own process group.

    The group's leader is a shell that does nothing but wait for our end of a pipe to close. So the
    program is gone when this process is killed, whatever it does with its signals.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, limits: ProcessingLimits, niceness: int
    ) -> None:
        self._guard = subprocess.Popen(
            _GUARD,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=self._guard.pid,
            )
        except BaseException:
            self._end_guard()
            raise
        _bound(self.process.pid, limits, niceness)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Whatever is left of the group is killed; nothing is left to be waited for."""
        self._end_guard()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def ended(self, seconds: float) -> bool:
        """Whether the program ends within so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def cpu_seconds(self) -> float:
        """Processor time that the program has used; 0 where the system does not tell."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text("ascii", "replace")
            fields = text.rpartition(") ")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return 0.0

    def _end_guard(self) -> None:
        # The guard is not yet waited for, so its number cannot be anybody else's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "LC_ALL": "C", "HOME": str(folder), "TMPDIR": str(folder)}


def _bound(pid: int, limits: ProcessingLimits, niceness: int) -> None:
    """Limits from outside: code between fork and exec is not safe beside other threads."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
    if sys.platform == "linux":
        cpu = limits.cpu_seconds
        for what, soft, hard in (
            (resource.RLIMIT_AS, limits.memory, limits.memory),
            (resource.RLIMIT_CPU, cpu, cpu + _GRACE_CPU_SECONDS),
            (resource.RLIMIT_FSIZE, limits.output_bytes, limits.output_bytes),
            (resource.RLIMIT_CORE, 0, 0),
        ):
            _limit(pid, what, soft, hard)


def _limit(pid: int, what: int, soft: int, hard: int) -> None:
    """Lower one limit; what the system has set lower already stays."""
    with suppress(ProcessLookupError):
        _, most = resource.prlimit(pid, what)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.prlimit(pid, what, (soft, hard))
