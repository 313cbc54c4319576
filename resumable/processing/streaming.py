"""A finished recording as HLS: a playlist and the pieces that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from resumable.processing.failures import Refused
from resumable.processing.formats import can_be_kept
from resumable.processing.meter import Meter
from resumable.processing.work import Outcome, Result, Work

PLAYLIST = "playlist.m3u8"
_BEGINNING = "init.mp4"
_SEGMENTS = "segment_%05d.m4s"
_MOST_SEGMENTS = 2_000


@dataclass(frozen=True, slots=True)
class Hls:
    """Copies H.264 and AAC into pieces of `hlsSegment` seconds (RFC 8216, fragmented MP4).

    It cuts at key frames only: what `Mp4` has encoded has one every two seconds, what it has copied
    has those of its recorder.
    """

    name: ClassVar[str] = "hls"
    share: ClassVar[float] = 1.0
    of_result: ClassVar[bool] = True

    def __call__(self, work: Work) -> Outcome:
        facts = work.facts
        playable = facts.audio is None or facts.audio.codec == "aac"
        if not playable or (facts.video is not None and not can_be_kept(facts.video)):
            raise Refused(
                "HLS is made of H.264 and AAC; this recording has to become an MP4 first."
            )
        seconds = max(work.wishes.hls_segment, facts.duration / _MOST_SEGMENTS)
        # The names are relative to the folder, where the program runs: a path may hold a %.
        work.runner.run(
            (
                *work.input.arguments(work.settings.limits),
                *("-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy", "-fflags", "+bitexact"),
                *("-f", "hls", "-hls_time", f"{seconds:g}", "-hls_playlist_type", "vod"),
                *("-hls_flags", "independent_segments", "-hls_segment_type", "fmp4"),
                *("-hls_fmp4_init_filename", _BEGINNING, "-hls_segment_filename", _SEGMENTS),
                *("-y", PLAYLIST),
            ),
            watch=Meter(work.report, facts.duration),
        )
        work.report(1.0, 0.0)
        return Outcome(_results(work))


def _results(work: Work) -> tuple[Result, ...]:
    """The pieces, and last the playlist: nobody shall read it before they are there."""
    pieces = sorted(work.folder.glob("segment_*.m4s"))
    if not pieces:
        raise Refused("Nothing of the recording could be read, so there is no stream.")
    playlist = Result(
        work.folder / PLAYLIST,
        "playlist",
        "application/vnd.apple.mpegurl",
        {"segments": len(pieces)},
        mentions=(_BEGINNING, *(piece.name for piece in pieces)),
    )
    segments = (Result(piece, "segment", "video/iso.segment") for piece in pieces)
    return (Result(work.folder / _BEGINNING, "segment", "video/mp4"), *segments, playlist)
