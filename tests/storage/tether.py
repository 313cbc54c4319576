"""Becomes the given program, which then dies with the process that started it.

python tether.py PARENT PROGRAM WORD…

A test run that is killed has no time to end its servers: the kernel does it (Linux only).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program, *words = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit("the process that asked for this program is gone")
    os.execvp(program, [program, *words])


if __name__ == "__main__":
    main()
