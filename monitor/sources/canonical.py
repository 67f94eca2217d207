"""A source that is in the contract's form already: its records stay as they are, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.core.contract.keys import key_column
from monitor.core.decode.codec import UNKNOWN, kind_of
from monitor.sources.translation import Translation


class _Names(msgspec.Struct):
    """What the key of a record is taken from; other fields are skipped."""

    symbol: str = ""
    account: str = ""


class CanonicalTranslator:
    """Finds the kind and the key of each record. `kind`: of all records; None: each names its own.

    A record that cannot be read so far goes on with an empty key: the contract refuses it, in its
    own words.
    """

    def __init__(self, kind: str | None) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(_Names)

    def translate(self, raws: Sequence[bytes]) -> list[Translation]:
        return [self._translate(raw) for raw in raws]

    def _translate(self, raw: bytes) -> Translation:
        kind = self._kind or kind_of(raw) or UNKNOWN
        try:
            names = self._decoder.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            names = _Names()
        return Translation(records=((kind, getattr(names, key_column(kind)), raw),))
