"""An SFTP server of asyncssh, which serves one folder to a user with a password.

    with run_sftp(tmp_path) as server: ...     # a Sftp: url, options, kill()

By hand: python -m tests.storage.sftp PORT FOLDER PASSWORD
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.servers.running import HOST, REPOSITORY
from tests.storage.daemon import Daemon, free_ports, run, wait_until

USER = "tester"


def missing() -> str | None:
    """Why SFTP cannot run here and how to get it, or `None`."""
    if find_spec("asyncssh") is None or find_spec("paramiko") is None:
        return "asyncssh or paramiko is not installed: pip install -e '.[test]'"
    return None


@dataclass(frozen=True)
class Sftp:
    """A running server; `folder` is what its clients see as `/`."""

    daemon: Daemon
    folder: Path
    options: dict[str, Any]

    @property
    def url(self) -> str:
        return f"sftp://{HOST}"


@contextmanager
def run_sftp(folder: Path, port: int | None = None, password: str | None = None) -> Iterator[Sftp]:
    """A server of its own, in a process of its own; `port` and `password` as an earlier one had."""
    port = port or free_ports(1)[0]
    password = password or secrets.token_hex(8)
    served = folder / "served"
    served.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "tests.storage.sftp", str(port), str(served), password]
    with run("sftp", words, folder, {"PYTHONPATH": str(REPOSITORY)}) as daemon:
        wait_until("sftp", lambda: "ready" in daemon.log(), [daemon])
        options = {
            "port": port,
            "username": USER,
            "password": password,
            "look_for_keys": False,
            "allow_agent": False,
        }
        yield Sftp(daemon, served, options)


def serve(port: int, folder: str, password: str) -> None:
    import asyncssh

    class OnePassword(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, given: str) -> bool:
            return (username, given) == (USER, password)

    class OneFolder(asyncssh.SFTPServer):
        def __init__(self, channel: Any) -> None:
            super().__init__(channel, chroot=folder)

    async def main() -> None:
        await asyncssh.listen(
            HOST,
            port,
            server_factory=OnePassword,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            sftp_factory=OneFolder,
        )
        print("ready", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], sys.argv[3])
