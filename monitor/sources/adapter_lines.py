"""A venue's adapter as a translator: the lines of its own feed, one a record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from monitor.sources.translation import Translation
from monitor.venues.adapter import LineAdapter
from monitor.venues.parse import UnreadableError


class AdapterTranslator:
    """Translates the lines of a venue's feed. The adapter keeps what the feed itself says (open
    orders, a local book), so a source has one of its own."""

    def __init__(self, adapter: LineAdapter) -> None:
        self._adapter = adapter
        self._left_out = Counter(adapter.left_out)

    def translate(self, raws: Sequence[bytes]) -> list[Translation]:
        """What each line makes. A line without records is skipped under the adapter's words for
        it."""
        return [self._translate_line(raw) for raw in raws]

    @property
    def notes(self) -> Mapping[str, int]:
        """What else the adapter noticed: a sentence, and how often."""
        return self._adapter.notes

    def guess_kind(self, raw: bytes) -> str | None:
        """The kind that an unreadable line was meant to be, where a quick look shows it."""
        return self._adapter.guess_kind(raw)

    def _translate_line(self, raw: bytes) -> Translation:
        try:
            records = self._adapter.encode_records(raw)
        except UnreadableError as error:
            return Translation(refused=error)
        if not records:
            new = self._adapter.left_out - self._left_out
            self._left_out = Counter(self._adapter.left_out)
            return Translation(skipped=next(iter(new), "line that only changes what is open"))
        return Translation(tuple((kind, _key(record), record) for kind, record in records))


def _key(record: bytes) -> str:
    fields = json.loads(record)
    return str(fields.get("symbol") or fields.get("account") or "")
