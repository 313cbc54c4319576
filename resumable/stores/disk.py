"""The operating system's file calls that the local store is made of, each in one place.

A test puts a recorder here and replays what a crash may have left of the calls.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from resumable.errors import Broken, NoRoom, TooLarge, Unavailable, UploadError

try:
    import fcntl
except ImportError:  # Windows: `LocalStore` says so in a sentence when somebody wants one
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
# Old kernels, two file systems, network file systems.
_NO_COPY = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF)
_COPY = 1 << 30
_COPY_BY_HAND = 1 << 20
_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
# struct flock: type, whence, start, length, pid; a length of 0 reaches to the end of all files.
_FLOCK = "hhqqi4x"


class Disk:
    """Plain files by path and descriptor; positions and lengths in bytes."""

    # ------------------------------------------------------------ names

    def make_directory(self, path: Path, *, private: bool = True) -> None:
        """One directory; raises FileExistsError."""
        os.mkdir(path, _PRIVATE_DIRECTORY if private else 0o777)

    def exists(self, path: Path) -> bool:
        return os.path.lexists(path)

    def names(self, path: Path) -> list[str]:
        """What a directory holds, in no order."""
        return os.listdir(path)

    def identity_of(self, path: Path) -> tuple[int, int]:
        """What tells the file that has this name now from every other one that exists now."""
        status = os.lstat(path)
        return status.st_dev, status.st_ino

    def modified_of(self, path: Path) -> float:
        """The moment of a file's last write, by the file system's clock."""
        return os.lstat(path).st_mtime

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        """A second name for a file; raises FileExistsError, and one of `NO_HARD_LINKS`."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def sync_directory(self, path: Path) -> None:
        """The directory's entries survive a power cut when this returns."""
        descriptor = self.open_to_read(path)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free(self, path: Path) -> int:
        """Bytes that an ordinary user may still write."""
        usage = os.statvfs(path)
        return usage.f_bavail * usage.f_frsize

    # ------------------------------------------------------------ files

    def create(self, path: Path, *, append: bool = False) -> int:
        """A new file, opened for reading and writing; raises FileExistsError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(path, flags | (os.O_APPEND if append else 0), _PRIVATE_FILE)

    def open(self, path: Path, *, append: bool = False, create: bool = False) -> int:
        """A file for reading and writing; raises FileNotFoundError unless it may be made."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        flags |= (os.O_APPEND if append else 0) | (os.O_CREAT if create else 0)
        return os.open(path, flags, _PRIVATE_FILE)

    def open_to_read(self, path: Path) -> int:
        """An existing file or directory for reading."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def modified(self, descriptor: int) -> float:
        """The moment of the last write, by the file system's clock."""
        return os.fstat(descriptor).st_mtime

    def identity(self, descriptor: int) -> tuple[int, int]:
        """What tells this file from every other one that exists now."""
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino

    def write_at(self, descriptor: int, data: memoryview, position: int) -> None:
        """All of `data` at `position`."""
        while data:
            written = os.pwrite(descriptor, data, position)
            data, position = data[written:], position + written

    def add(self, descriptor: int, data: bytes) -> None:
        """All of `data` to the end in one call, so that two appenders never mix.

        A short write is an error.
        """
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def append(self, descriptor: int, data: bytes) -> int:
        """The same, and where it ends in the file."""
        self.add(descriptor, data)
        return os.lseek(descriptor, 0, os.SEEK_CUR)

    def read_at(self, descriptor: int, length: int, position: int) -> bytes:
        """Up to `length` bytes from `position`."""
        return os.pread(descriptor, length, position)

    def copy_at(self, source: int, start: int, descriptor: int, length: int, position: int) -> None:
        """`length` bytes of `source` from `start` to `position`; raises OSError where it has fewer.

        The system copies them, or shares them where the file system can, so that none of them
        passes through this process.
        """
        while length:
            copied = self._copy_some(source, start, descriptor, min(length, _COPY), position)
            if not copied:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            start, length, position = start + copied, length - copied, position + copied

    def _copy_some(
        self, source: int, start: int, descriptor: int, length: int, position: int
    ) -> int:
        try:
            return os.copy_file_range(source, descriptor, length, start, position)
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_COPY:
                raise
        piece = os.pread(source, min(length, _COPY_BY_HAND), start)
        self.write_at(descriptor, memoryview(piece), position)
        return len(piece)

    def truncate(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def sync_data(self, descriptor: int) -> None:
        """The file's bytes survive a power cut when this returns."""
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync leaves the bytes in the drive's cache
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(descriptor)

    # ------------------------------------------------------------ locks

    @contextlib.contextmanager
    def range_locked(self, descriptor: int, start: int, length: int) -> Iterator[None]:
        """No other holder of an overlapping range; `length` 0 reaches to the end.

        Held around single system calls only, never across a read from a client. The lock belongs
        to the open file, so threads exclude each other too, and dies with the process.
        """
        _lock_range(descriptor, start, length, held=True)
        try:
            yield
        finally:
            _lock_range(descriptor, start, length, held=False)

    def mark_live(self, descriptor: int) -> None:
        """Say that a request is at work until the descriptor is closed."""
        fcntl.flock(descriptor, fcntl.LOCK_SH)

    def unmark(self, descriptor: int) -> None:
        """No request is at work any more."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def try_claim(self, descriptor: int) -> bool:
        """Keep requests out until the descriptor is closed; False when one is at work."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _lock_range(descriptor: int, start: int, length: int, *, held: bool) -> None:
    if hasattr(fcntl, "F_OFD_SETLKW"):
        kind = fcntl.F_WRLCK if held else fcntl.F_UNLCK
        fcntl.fcntl(
            descriptor, fcntl.F_OFD_SETLKW, struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
        )
    else:  # macOS has no public per-open-file range lock: the whole file, for as short a time
        fcntl.flock(descriptor, fcntl.LOCK_EX if held else fcntl.LOCK_UN)


def boot_id() -> str:
    """What tells this run of the operating system from the one before a crash."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:13]
    with contextlib.suppress(OSError, ValueError):
        import subprocess

        shown = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=True
        )
        return shown.stdout.strip()[:13]
    return f"process-{os.getpid()}"


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what the operating system says into what a client can be told."""
    try:
        yield
    except OSError as error:
        raise _translation(error, what) from error


def _translation(error: OSError, what: str) -> UploadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom("The storage is full. Try again when there is room.", retry_after=60)
    if error.errno == errno.EFBIG:
        return TooLarge("The storage cannot hold a file of this size.")
    if error.errno == errno.ELOOP:
        return Broken(f"The storage has a symbolic link where it must not be ({what}).")
    return Unavailable(f"The storage failed ({what}: {os.strerror(error.errno or 0)}).")
