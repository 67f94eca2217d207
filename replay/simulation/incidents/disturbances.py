"""What a day's incidents change in some seconds of the simulated markets.

The simulator draws its usual day, and multiplies, adds or leaves out as these arrays say. What
named accounts do is not in them: it follows from `PlantedIncident.parts` (`cancel_burst`,
`layering`, `leverage_surge`), whose times are exact to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64
from monitor.core.contract.events import KINDS
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from replay.simulation.incidents.planted import LAYERS_REST, IncidentKind, PlantedIncident

BPS = 1e-4
CLUSTER_S, CLUSTER_THIN_S = 10, 3
"""A cluster is thin in so many of so many seconds."""
CROWD_DEPTHS, SHOCK_DEPTHS, LAYER_SHARE = 0.02, 2.0, 0.05
"""What takers take beyond the usual, usual depths of a side within 25 bps: in a second, for each 10
bps of a crowd's premium; in all, for each percent of a price shock; in all, after a layering,
as a share of its layers, which go unfilled: that makes it one.
(Displacement grows with net
taker volume over the depth within 1 % to the power 0.9, one percent for about twice that depth.)"""
PLACES = {kind: place for place, kind in enumerate(KINDS)}
"""The place of a kind of record in `delay_ns` and `silent`."""


@dataclass(frozen=True, slots=True)
class Disturbances:
    """Beside a usual day; all arrays have the shape (seconds, markets), and `usual` says what they
    hold where nothing happens."""

    start_ts: int
    """Time of the first second, ns UTC."""
    cancel_rate: Float64
    """Times the usual rate of cancels, those of the burst's accounts included; usual: 1."""
    leverage_rate: Float64
    """Times the usual rate of leverage changes, those of a surge included; usual: 1."""
    depth_kept: Float64
    """Share of their usual depth that makers quote; usual: 1."""
    index_return: Float64
    """Log return of the world's price in this second beyond its own; usual: 0."""
    index_error: Float64
    """What the published index is wrong by, a fraction, and the mark with it; usual: 0."""
    premium: Float64
    """What the mark's premium over the index has beyond its own, a fraction; usual: 0."""
    taken_depths: Float64
    """What takers buy (below 0: sell) in this second beyond the usual, in usual depths of one side
    within 25 bps; usual: 0."""
    delay_ns: NDArray[np.int64]
    """By kind of record too (`PLACES`), ns by which records are published later; usual: 0."""
    silent: NDArray[np.bool_]
    """By kind of record too: whether no record is published; usual: False."""

    @classmethod
    def usual(cls, start_ts: int, seconds: int, markets: int) -> Disturbances:
        """None at all."""
        shape, by_kind = (seconds, markets), (seconds, markets, len(KINDS))
        return cls(
            start_ts,
            cancel_rate=np.ones(shape),
            leverage_rate=np.ones(shape),
            depth_kept=np.ones(shape),
            index_return=np.zeros(shape),
            index_error=np.zeros(shape),
            premium=np.zeros(shape),
            taken_depths=np.zeros(shape),
            delay_ns=np.zeros(by_kind, np.int64),
            silent=np.zeros(by_kind, np.bool_),
        )

    def of_records(
        self, kind: str, ts: Int64, market: NDArray[np.int32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which records of a kind are not published, and by how much (ns) each is delayed.

        `market` below 0: records of no market, which only incidents of all markets concern.
        """
        second = np.clip((ts - self.start_ts) // SECOND_NS, 0, len(self.silent) - 1)
        silent, delay_ns = self.silent[..., PLACES[kind]], self.delay_ns[..., PLACES[kind]]
        of_none = market < 0
        return (
            np.where(
                of_none, np.logical_and.reduce(silent, axis=1)[second], silent[second, market]
            ),
            np.where(of_none, delay_ns.min(axis=1)[second], delay_ns[second, market]),
        )


def disturbances(
    parts: list[PlantedIncident], names: list[str], start_ts: int, seconds: int
) -> Disturbances:
    """Those of incidents' parts in `seconds` from `start_ts` on, in the markets `names`."""
    out = Disturbances.usual(start_ts, seconds, len(names))
    until = start_ts + seconds * SECOND_NS
    for part in parts:
        disturb = _DISTURB.get(part.kind)
        if disturb and part.start_ts < until and part.end_ts > start_ts:
            market = names.index(part.symbol) if part.symbol else slice(None)
            first = max(0, (part.start_ts - start_ts) // SECOND_NS)
            last = min(seconds, -((start_ts - part.end_ts) // SECOND_NS))
            # The second of the incident in which each of these seconds lies.
            since = np.arange(first, last) - (part.start_ts - start_ts) // SECOND_NS
            disturb(out, part, (slice(first, last), market), since)
    return out


_Cells = tuple[slice, int | slice]
_Disturb = Callable[[Disturbances, PlantedIncident, _Cells, Int64], None]
"""Changes the cells of an incident; their seconds, counted from its first."""


def _length_s(part: PlantedIncident) -> int:
    """Seconds that a part touches."""
    return -(-(part.end_ts - part.start_ts // SECOND_NS * SECOND_NS) // SECOND_NS)


def _column(values: Float64, cells: _Cells) -> Float64:
    """`values` by second, for the cells of one market or of all."""
    return values if isinstance(cells[1], int) else values[:, None]


def _raise_cancels(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    out.cancel_rate[cells] += part.size - 1


def _raise_leverage(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    out.leverage_rate[cells] += part.size - 1


def _thin(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    out.depth_kept[cells] /= part.size


def _thin_often(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    thin = since % CLUSTER_S < CLUSTER_THIN_S
    out.depth_kept[cells] /= _column(np.where(thin, part.size, 1.0), cells)


def _withdraw(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    done = np.minimum(1.0, (since + 1) / max(1, _length_s(part) // 2))
    out.depth_kept[cells] *= _column(1 - done * (1 - 1 / part.size), cells)


def _mislead(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    out.index_error[cells] += part.size * BPS


def _silence(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    for kind in part.records:
        out.silent[*cells, PLACES[kind]] = True


def _delay(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    for kind in part.records:
        out.delay_ns[*cells, PLACES[kind]] += round(part.size * MILLISECOND_NS)


def _crowd(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    # The premium builds up over the first quarter: a crowd does not come in one second.
    built = np.minimum(1.0, (since + 1) / max(1, _length_s(part) // 4))
    out.premium[cells] += _column(built * part.size * BPS, cells)
    out.taken_depths[cells] += part.size / 10 * CROWD_DEPTHS


def _shock(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    seconds = _length_s(part)
    out.index_return[cells] += float(np.log1p(part.size / 100)) / seconds
    out.taken_depths[cells] += part.size * SHOCK_DEPTHS / seconds


def _go_through(out: Disturbances, part: PlantedIncident, cells: _Cells, since: Int64) -> None:
    last_s = max(1, round(_length_s(part) * (1 - LAYERS_REST)))
    takers = np.where(since >= _length_s(part) - last_s, LAYER_SHARE * part.size / last_s, 0.0)
    out.taken_depths[cells] += _column(-takers if part.side == "buy" else takers, cells)


_DISTURB: dict[IncidentKind, _Disturb] = {
    "cancel_burst": _raise_cancels,
    "leverage_surge": _raise_leverage,
    "thin_book": _thin,
    "thin_book_cluster": _thin_often,
    "depth_withdrawal": _withdraw,
    "index_fault": _mislead,
    "feed_silence": _silence,
    "latency_flip": _delay,
    "crowded_funding": _crowd,
    "price_shock": _shock,
    "layering": _go_through,
}
