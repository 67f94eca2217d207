"""The Python interface: recorded days, replays and margin as typed objects and tables.

>>> from tempfile import mkdtemp
>>> folder = Path(mkdtemp()) / "day"
>>> day = simulate(folder, SimulationSettings(minutes=1, symbols=2, accounts=20, rate=20.0))
>>> fills = open_day(folder).to_arrow("fill")
>>> fills.schema.field("ts").type, fills.schema.field("price").type
(TimestampType(timestamp[ns, tz=UTC]), DataType(double))
>>> run = replay(folder, bands=True)
>>> [alert.summary for alert in run if isinstance(alert, Alert)]
[]
>>> run.summary.records == day.records
True
>>> run.bands.to_arrow().num_rows > 0
True
>>> diff(run, replay(folder)).changes
()
>>> answer = margin({"regime": "hyperliquid", "tiers": [{"lower_bound": 0,
...     "maintenance_rate": "0.0125"}], "pool": {"equity": 130},
...     "positions": [{"symbol": "BTC", "quantity": 10, "mark": 100}]})
>>> round(answer[0].liquidation, 4)
Decimal('88.1013')
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import pyarrow as pa

from monitor.config import Config, load
from monitor.core.bands.market_bands import VenueBands
from monitor.core.bands.records import market_record, venue_record
from monitor.core.contract.alert import Alert
from monitor.core.contract.outputs import MarketBandsRecord, VenueBandsRecord
from monitor.core.margin.calculator import solve
from monitor.core.margin.calculator_input import MarginInputError
from monitor.errors import BrinkwatchError, ConfigError
from monitor.plugins import detector_factories
from replay import commands
from replay.day import Day
from replay.day.reader import TIMESTAMP, to_pandas
from replay.day.sequence import DaySequence
from replay.incident_changes import IncidentChange, RunComparison, compare_runs
from replay.run import AlertFilter, ReplayOptions, ReplaySummary, replay_outputs
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import SimulatedDay, simulate

__all__ = [
    "Alert", "AlertFilter", "Alerts", "Bands", "BrinkwatchError", "Config", "ConfigError", "Day",
    "IncidentChange", "MarginAnswer", "MarginInputError", "MarketBandsRecord", "PositionPrices",
    "Replay", "ReplayOptions", "ReplaySummary", "RunComparison", "SimulatedDay",
    "SimulationSettings", "VenueBandsRecord", "diff", "import_map", "load_alerts", "margin",
    "open_day", "replay", "simulate",
]  # fmt: skip

BandsRecord = MarketBandsRecord | VenueBandsRecord
TRIGGERS = ("warn", "liquidation", "backstop", "bankruptcy")
Item = TypeVar("Item")


def open_day(path: Path | str) -> Day:
    """The recorded day in the folder `path`; raises `ConfigError` where it is none."""
    return commands.open_day(Path(path))


def import_map(map_file: Path | str, out: Path | str, files: Sequence[Path | str] = ()) -> Day:
    """The recorded day `out` of a venue's own files, by the field map in `map_file`.

    files: paths, patterns or URIs; without them those that the map names. Raises `ConfigError` for
    a wrong map and for files that are not there, `BrinkwatchError` where (nearly) nothing is as the
    map says.
    """
    path = Path(map_file)
    commands.write_mapped_day(path, [*map(str, files)], Path(out))
    return open_day(out)


def replay(
    day: Day | Path | str,
    config: Config | Path | str | None = None,
    options: ReplayOptions | None = None,
    *,
    bands: bool = False,
) -> Replay:
    """A replay of a recorded day; it runs while it is iterated over.

    `config`: settings, or a configuration file; None: the defaults and the environment. `bands`:
    keep and yield the bands too, one record for each market at each interval. Raises `ConfigError`
    for a folder that is no recorded day and for a wrong configuration.
    """
    recorded = day if isinstance(day, Day) else open_day(day)
    if not isinstance(config, Config):
        config = load(None if config is None else Path(config))
    options = commands.with_silences(options or ReplayOptions(), config, DaySequence([recorded]))
    return Replay(recorded, config, options, bands)


def load_alerts(path: Path | str) -> Alerts:
    """The alerts of a file that `replay --alerts` wrote; raises `ConfigError` for another file."""
    from monitor.desk.published_alerts import read_alerts_file

    return Alerts([*read_alerts_file(Path(path)).alerts])


def diff(
    before: Iterable[Alert | BandsRecord], after: Iterable[Alert | BandsRecord]
) -> RunComparison:
    """What differs between two runs of one day, incident by incident.

    `before`, `after`: replays or their alerts; bands in them are skipped.
    """
    runs = ([item for item in run if isinstance(item, Alert)] for run in (before, after))
    return compare_runs(*runs)


def margin(document: Mapping[str, Any] | Sequence[Any]) -> MarginAnswer:
    """Liquidation prices of positions, as `brinkwatch margin` gives them.

    `document`: as in `monitor/core/margin/calculator.py`, numbers as int, float, Decimal or text.
    Raises `MarginInputError` that says how to mend the document.
    """
    result: Any = solve(document)
    rows = []
    for pool, answer in enumerate(result["pools"]):
        for position in answer["positions"]:
            symbol, tier, trace = (position[name] for name in ("symbol", "tier", "trace"))
            quantity, price = Decimal(trace["quantity"]), Decimal(trace["price"])
            prices: dict[str, Any] = {
                name: position[name] and Decimal(position[name]) for name in TRIGGERS
            }
            row = pool, symbol, trace["mode"], quantity, price
            rows.append(PositionPrices(*row, **prices, tier=tier, trace=trace))
    return MarginAnswer(rows)


@dataclass(frozen=True, slots=True)
class PositionPrices:
    """The prices of one position, quote currency; None where no price triggers it.

    pool: index of its pool in the document. quantity: above 0 where long. price: the mark (or entry
    price) that the document gives. tier: index of the maintenance tier at the liquidation price.
    trace: how the prices were computed, with every input.
    """

    pool: int
    symbol: str
    mode: str
    quantity: Decimal
    price: Decimal
    warn: Decimal | None
    liquidation: Decimal | None
    backstop: Decimal | None
    bankruptcy: Decimal | None
    tier: int | None
    trace: Mapping[str, Any]


class _Rows(Sequence[Item], Generic[Item]):
    """Typed objects that are also a table."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        return self._items[index]

    def to_arrow(self) -> pa.Table:
        """An Arrow table: real numbers as doubles, times as timestamps in UTC."""
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """`to_arrow` as a pandas DataFrame; raises `ImportError` where pandas is missing."""
        return to_pandas(self.to_arrow())


class MarginAnswer(_Rows[PositionPrices]):
    """The positions of a margin document in their order; its table has a row for each."""

    def to_arrow(self) -> pa.Table:
        prices = ("quantity", "price", *TRIGGERS)
        types = {"pool": pa.int64(), "symbol": pa.string(), "mode": pa.string()}
        types |= dict.fromkeys(prices, pa.float64()) | {"tier": pa.int64()}
        rows = [{name: getattr(row, name) for name in types} for row in self]
        for row in rows:
            row |= {name: None if row[name] is None else float(row[name]) for name in prices}
        return pa.Table.from_pylist(rows, schema=pa.schema(list(types.items())))


class Alerts(_Rows[Alert]):
    """Alerts in the order of their decision; the table has a row for each."""

    def to_arrow(self) -> pa.Table:
        account = pa.struct([("account", pa.string()), ("share", pa.float64())])
        texts = (
            "id", "incident", "fingerprint", "status", "severity", "layer", "kind", "summary",
            "reproduce",
        )  # fmt: skip
        types = {"ts": TIMESTAMP, "since": TIMESTAMP}
        types |= dict.fromkeys(("symbols", "streams"), pa.list_(pa.string()))
        types |= {"accounts": pa.list_(account), "forced_notional": pa.float64()}
        types |= dict.fromkeys(texts, pa.string())
        rows = [
            {name: getattr(alert, name) for name in ("ts", "since", "symbols", *texts)}
            | {
                "streams": [part.stream for part in alert.evidence],
                "accounts": [dataclasses.asdict(carrier) for carrier in alert.accounts],
                "forced_notional": alert.at_stake and alert.at_stake.forced_notional,
            }
            for alert in self
        ]
        return pa.Table.from_pylist(rows, schema=pa.schema(list(types.items())))


class Bands(_Rows[BandsRecord]):
    """Bands by time, the venue's record before those of the markets.

    The table has a row for each market, side ("long", "short") and distance from the mark.
    """

    def to_arrow(self) -> pa.Table:
        fields = {"ts": TIMESTAMP, "symbol": pa.string(), "side": pa.string()}
        numbers = ("mark", "sigma", "nearest", "distance_pct", "pct", "forced", "depth", "absorbed")
        fields |= dict.fromkeys(numbers, pa.float64())
        rows = [
            dict(record) | {"side": side} | dict(bands) | dict(within)
            for record in self
            if isinstance(record, MarketBandsRecord)
            for side, bands in (("long", record.long), ("short", record.short))
            for within in bands.within
        ]
        return pa.Table.from_pylist(rows, schema=pa.schema(list(fields.items())))


class Replay:
    """One replay. Iterating runs it and yields alerts (and bands) as they are decided.

    What was yielded is kept: a second iteration starts at the beginning without another run, and
    `alerts`, `bands` and `summary` run the replay to its end first.
    """

    def __init__(self, day: Day, config: Config, options: ReplayOptions, bands: bool) -> None:
        self._shown, self._with_bands = options.shown, bands
        self._summary = ReplaySummary()
        factories = detector_factories(config.streams)
        self._outputs = replay_outputs(day, config.engine(), factories, options, self._summary)
        self._items: list[Alert | BandsRecord] = []

    def __iter__(self) -> Iterator[Alert | BandsRecord]:
        position = 0
        while position < len(self._items) or self._advance():
            while position < len(self._items):
                yield self._items[position]
                position += 1

    def _advance(self) -> bool:
        """Run one step of the engine; False at the end."""
        output = next(self._outputs, None)
        if output is None:
            return False
        shown = [alert for alert in output.alerts if self._shown.matches(alert)]
        self._summary.alerts += len(shown)
        self._items += shown
        if self._with_bands:
            self._items += [record for bands in output.bands for record in _typed_bands(bands)]
        return True

    def _finish(self) -> None:
        while self._advance():
            pass

    @property
    def alerts(self) -> Alerts:
        """All alerts that are shown."""
        self._finish()
        return Alerts([item for item in self._items if isinstance(item, Alert)])

    @property
    def bands(self) -> Bands:
        """All bands; raises `ValueError` where the replay does not keep them."""
        if not self._with_bands:
            raise ValueError("the replay keeps no bands: ask for them with replay(…, bands=True)")
        self._finish()
        return Bands([item for item in self._items if not isinstance(item, Alert)])

    @property
    def summary(self) -> ReplaySummary:
        """The numbers of the whole replay, its digest among them."""
        self._finish()
        return self._summary


def _typed_bands(bands: VenueBands) -> list[BandsRecord]:
    markets = (market_record(bands.ts, market) for market in bands.markets)
    venue = VenueBandsRecord.model_validate(venue_record(bands))
    return [venue, *map(MarketBandsRecord.model_validate, markets)]
