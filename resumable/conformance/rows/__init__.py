"""All rows, in the order of the protocol's text."""

from resumable.conformance.model import Row, Section
from resumable.conformance.rows import (
    checksum,
    clients,
    concatenation,
    creation,
    defer,
    expiration,
    final_uploads,
    general,
    head,
    interruptions,
    metadata,
    numbers,
    patch,
    termination,
    with_upload,
)

SECTIONS: tuple[Section, ...] = (
    general.SECTION,
    numbers.SECTION,
    head.SECTION,
    patch.SECTION,
    interruptions.SECTION,
    creation.SECTION,
    metadata.SECTION,
    defer.SECTION,
    with_upload.SECTION,
    expiration.SECTION,
    checksum.SECTION,
    termination.SECTION,
    concatenation.SECTION,
    final_uploads.SECTION,
    clients.SECTION,
)
ROWS: tuple[Row, ...] = tuple(row for section in SECTIONS for row in section.rows)
