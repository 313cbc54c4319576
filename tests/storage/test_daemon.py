"""No server outlives the test run that started it, and one that fails says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.servers.raw_client import wait_for
from tests.servers.running import REPOSITORY
from tests.storage.daemon import run, wait_until

FOREVER = "import subprocess; subprocess.run(['sleep', '600'])"
STARTER = """
import sys, time
from pathlib import Path
from tests.storage.daemon import run
with run("sleeper", ["sleep", "600"], Path(sys.argv[1])) as daemon:
    print(daemon.process.pid, flush=True)
    time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel does this")
def test_a_killed_test_run_takes_its_servers_along(tmp_path: Path) -> None:
    words = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        sleeper = psutil.Process(pid)
        wait_for("the tether to become it", lambda: sleeper.cmdline() == ["sleep", "600"])
        os.kill(starter.pid, signal.SIGKILL)
    wait_for("the kernel to end it", lambda: is_gone(pid))


def test_a_server_ends_with_its_children(tmp_path: Path) -> None:
    with run("parent", [sys.executable, "-c", FOREVER], tmp_path) as daemon:
        parent = psutil.Process(daemon.process.pid)
        wait_until("its child", lambda: bool(parent.children()), [daemon])
        pids = [parent.pid, parent.children()[0].pid]
    wait_for("both to end", lambda: all(is_gone(pid) for pid in pids))


def test_a_server_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "raise SystemExit('no such option')"]
    with (
        run("broken", words, tmp_path) as daemon,
        pytest.raises(RuntimeError, match=r"broken ended with 1:\nno such option"),
    ):
        wait_until("an answer", lambda: False, [daemon])
