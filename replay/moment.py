"""A recorded day as it stood at a moment, and what is asked of it then."""

from __future__ import annotations

from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.desk.questions import Question
from replay.day import Day
from replay.day.prefetch import prefetch
from replay.selection import check_selection
from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX

ROWS = 65_536


def answer_at(
    question: Question, day: Day, config: Config, console: Console, at_ns: int | None
) -> dict[str, Any]:
    """Answer from the venue of `day` as it stood at `at_ns` (None: at its end)."""
    check_selection(day, frozenset(question.symbols), None, at_ns)
    with console.progress("reading up to the moment, records", day.record_count) as show:
        engine = engine_at(day, config.engine(), at_ns, show)
    moment = day.span.last_ts if at_ns is None and day.span else at_ns or 0
    return question.answer(moment, engine.venue, engine.stage.band_maker, console)


def engine_at(day: Day, settings: EngineSettings, at_ns: int | None, show: Any) -> Engine:
    """The engine when everything up to `at_ns` (None: the day's end) has been read, and nothing
    later. It judges nothing: the accounts, marks and books need no detectors.
    """
    bare = settings.model_copy(update={"streams": ()})
    engine = Engine(bare, [], day.partition_count, WINDOWS_PER_CLOSE_MAX)
    engine.control(day.controls(settings.accounts.bands_interval_ns, settings.topics))
    records = 0
    for batch in prefetch(day.batches(ROWS)):
        records += len(batch) + len(batch.refused)
        show(records)
        engine.step(batch if at_ns is None else batch.select_rows(batch.numbers["ts"] <= at_ns))
        if at_ns is not None and engine.passed_ns > at_ns:
            break
    engine.finish()
    return engine
