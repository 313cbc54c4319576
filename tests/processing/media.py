"""Makes small recordings for tests, and looks into files with an eye of its own."""

from __future__ import annotations

import io
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

FIXTURES = Path(__file__).parents[1] / "fixtures"


class Media:
    """ffmpeg as a test uses it: without limits, on files of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def make(self, name: str, *arguments: str) -> Path:
        """A file made by ffmpeg with these arguments, once."""
        path = self._folder / name
        if not path.exists():
            self.run(*arguments, str(path))
        return path

    def run(self, *arguments: str) -> bytes:
        done = subprocess.run(
            [self._program, "-v", "error", "-nostdin", "-y", *arguments],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def knows(self, option: str) -> bool:
        """Whether this version of ffmpeg has an option."""
        return option in self.run("-h", "full").decode()

    def picture(self, path: Path, at: float = 0.0) -> Image.Image:
        """The frame that is seen `at` seconds."""
        data = self.run(
            *("-ss", f"{at:.3f}", "-i", str(path), "-frames:v", "1"),
            *("-f", "image2pipe", "-c:v", "png", "-"),
        )
        assert data, f"{path.name} shows nothing at {at} s"
        return Image.open(io.BytesIO(data)).convert("RGB")

    def digests(self, path: Path) -> list[str]:
        """A digest of each picture that comes out."""
        copied = ("-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")
        said = self.run("-i", str(path), *copied).decode()
        return [line.rsplit(",", 1)[1] for line in said.splitlines() if not line.startswith("#")]

    def loudness(self, path: Path) -> float:
        """The mean of the sound's absolute values, from 0 to 1."""
        data = self.run("-i", str(path), "-map", "0:a:0", "-ac", "1", "-f", "s16le", "-")
        values = struct.unpack(f"<{len(data) // 2}h", data)
        return float(sum(map(abs, values)) / len(values) / 32768)

    def colours(self, name: str = "colours.webm", sound: bool = True) -> Path:
        """Four seconds: red, green, blue, white; and a tone."""
        graph = "".join(
            f"color=c={colour}:s=320x240:r=10:d=1[{number}];"
            for number, colour in enumerate(("red", "lime", "blue", "white"))
        )
        tone = ("-f", "lavfi", "-i", "sine=f=440:d=4", "-map", "0:a") if sound else ()
        return self.make(
            name,
            *tone,
            *("-filter_complex", f"{graph}[0][1][2][3]concat=n=4[v]", "-map", "[v]"),
            *("-c:v", "libvpx", "-b:v", "500k", "-g", "100"),
        )

    def resizing(self) -> Path:
        """VP8 that is 320 x 240, then 200 x 150, then 320 x 240: a window that was resized."""
        path = self._folder / "resizing.webm"
        if not path.exists():
            packets = [
                packet
                for number, size in enumerate(("320x240", "200x150", "320x240"))
                for packet in _packets(self._red(f"part{number}.ivf", size))
            ]
            head = bytearray(self._red("part0.ivf", "320x240").read_bytes()[:32])
            head[24:28] = struct.pack("<I", len(packets))
            timed = (
                struct.pack("<IQ", len(data), number) + data for number, data in enumerate(packets)
            )
            joined = self._folder / "joined.ivf"
            joined.write_bytes(bytes(head) + b"".join(timed))
            self.run("-i", str(joined), "-c", "copy", str(path))
        return path

    def _red(self, name: str, size: str) -> Path:
        source = f"color=c=red:s={size}:r=10:d=1"
        return self.make(name, "-f", "lavfi", "-i", source, "-c:v", "libvpx", "-b:v", "200k")


def _packets(path: Path) -> Iterator[bytes]:
    data, position = path.read_bytes(), 32
    while position < len(data):
        size = int(struct.unpack("<I", data[position : position + 4])[0])
        yield data[position + 12 : position + 12 + size]
        position += 12 + size


def boxes(path: Path) -> list[str]:
    """The names of an MP4's outermost boxes, in order (ISO/IEC 14496-12)."""
    found, data, position = [], path.read_bytes(), 0
    while position + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[position : position + 8])
        if size == 1:
            size = int(struct.unpack(">Q", data[position + 8 : position + 16])[0])
        found.append(name.decode("latin-1"))
        position += size or len(data)
    return found


def h264_level(path: Path) -> int:
    """The level in an MP4's decoder configuration, times ten (ISO/IEC 14496-15, 5.2.4.1)."""
    data = path.read_bytes()
    return data[data.index(b"avcC") + 4 + 3]


def near(colour: object, expected: tuple[int, int, int], by: int = 6) -> bool:
    """Whether a colour is the expected one, as far as a video codec keeps it."""
    assert isinstance(colour, tuple)
    return all(abs(one - other) <= by for one, other in zip(colour, expected, strict=True))
