"""The application whose workers are killed; it writes down what it hears."""

from __future__ import annotations

import json
import os

from resumable import Finished
from resumable.serve import application


def completed(finished: Finished) -> None:
    """One line for each time that this host hears of a file."""
    heard = os.environ.get("KILLS_HEARD")
    if heard:
        with open(heard, "a") as file:
            file.write(f"{finished.id} {finished.token}\n")


app = application(
    os.environ["KILLS_ROOT"],
    storage_options=json.loads(os.environ.get("KILLS_OPTIONS", "{}")),
    completed=completed,
)
