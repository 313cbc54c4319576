"""Recordings made into what was wished: one local file in, files out, nothing else in reach."""

from resumable.processing.chain import Chain, chain_for
from resumable.processing.converting import Mp4, Overlay
from resumable.processing.copying import Repair
from resumable.processing.failures import (
    Cancelled,
    LimitReached,
    ProcessingFailed,
    ProgramMissing,
    Refused,
    Unfinished,
)
from resumable.processing.looking import Probe, Sha256
from resumable.processing.options import Rules, Wishes, parse
from resumable.processing.pictures import Poster, Sprite
from resumable.processing.program import Program, find_program
from resumable.processing.settings import ProcessingLimits, VideoSettings
from resumable.processing.streaming import Hls
from resumable.processing.work import Outcome, Processor, Report, Result, Work

__all__ = [
    "Cancelled",
    "Chain",
    "Hls",
    "LimitReached",
    "Mp4",
    "Outcome",
    "Overlay",
    "Poster",
    "Probe",
    "ProcessingFailed",
    "ProcessingLimits",
    "Processor",
    "Program",
    "ProgramMissing",
    "Refused",
    "Repair",
    "Report",
    "Result",
    "Rules",
    "Sha256",
    "Sprite",
    "Unfinished",
    "VideoSettings",
    "Wishes",
    "Work",
    "chain_for",
    "find_program",
    "parse",
]
