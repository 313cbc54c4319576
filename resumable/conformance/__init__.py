"""A black-box tester for any tus 1.0.0 server: one row per requirement, over HTTP and nothing else.

It imports nothing else of this package, so it can judge our own server as a stranger would.
"""

from resumable.conformance.model import Exchange, Level, Outcome, Result, Row, Section
from resumable.conformance.rows import ROWS, SECTIONS
from resumable.conformance.run import Unreachable, examine, select
from resumable.conformance.session import Tus

__all__ = [
    "ROWS",
    "SECTIONS",
    "Exchange",
    "Level",
    "Outcome",
    "Result",
    "Row",
    "Section",
    "Tus",
    "Unreachable",
    "examine",
    "select",
]
