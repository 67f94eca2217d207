"""What becomes of one record of a source, and the interface of whatever turns records into events.

A source is what a venue writes: a topic of its bus, or files of its own. A translator is pure: it
takes the bytes of one record and says which canonical records they make, that they are of no kind
that is wanted, or why they cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from monitor.venues.parse import UnreadableError


class Translation(NamedTuple):
    """What one record of a source makes: exactly one of the three is set.

    records: kind, key of the Kafka record (the symbol; the account where there is none), canonical
    JSON. skipped: the source's own word for a kind that the map leaves out. refused: why the record
    cannot be read. The contract has not judged `records` yet: it does as it does with any.
    """

    records: tuple[tuple[str, str, bytes], ...] = ()
    skipped: str | None = None
    refused: UnreadableError | None = None


class Translator(Protocol):
    """Turns the records of one source into the contract's events."""

    def translate(self, raws: Sequence[bytes]) -> list[Translation]:
        """Of each record (the value of a Kafka record, or a line) what it makes, in order."""
        ...
