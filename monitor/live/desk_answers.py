"""Answers to the questions of a desk from the running venue stage: one at a time, beside it.

A question is answered from a copy of the venue's state between two steps, in a thread of its own:
the stage waits for the copy, and for nothing else.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from monitor.config import Config
from monitor.console import DisplayLog
from monitor.core.bands.maker import BandMaker
from monitor.core.cascade.zone_shocks import pass_zones
from monitor.core.event_time.clock_state import NEVER
from monitor.core.venue.state import VenueState
from monitor.desk.questions import DISPLAY, Parameters, Question, read_question
from monitor.errors import BusyError, ConfigError
from monitor.live.venue_session import VenueSession

COPY_S = 2.0
"""A question waits this long for the step under way."""
ANSWER_S = 30.0
"""Whoever asks waits this long for the answer."""
ANSWER_BYTES_MAX = 8 << 20


class DeskAnswers:
    """Answers for one sidecar."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._thread = ThreadPoolExecutor(1)
        self._is_busy = False

    async def answer(
        self, session: VenueSession | None, path: str, parameters: Parameters
    ) -> bytes:
        """The answer to the question at `path`, as JSON.

        `session`: of the venue stage; None: another member has it. Raises `BusyError` where there
        is no answer now or here, and `ConfigError` where the question cannot be asked.
        """
        wanted = {**parameters}
        wants_display = wanted.pop(DISPLAY, ()) not in ((), ["false"])
        question = read_question(path, wanted)
        if session is None:
            raise BusyError(
                "this member does not have the venue stage: ask the member of the group "
                f"{self._config.kafka.group} whose /state lists partition 0"
            )
        if self._is_busy:
            raise BusyError("another question is being answered: ask again in a few seconds")
        self._is_busy = True
        try:
            at_ns, state = await _copy_state(session)
        except BaseException:
            self._is_busy = False
            raise
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(
            self._thread, self._answer, question, at_ns, state, wants_display
        )
        work.add_done_callback(self._finish)
        try:
            return await asyncio.wait_for(asyncio.shield(work), ANSWER_S)
        except TimeoutError:
            raise BusyError(
                f"the answer takes longer than {ANSWER_S:g} s: ask for less, or ask a recorded day"
            ) from None

    def _finish(self, work: asyncio.Future[bytes]) -> None:
        self._is_busy = False
        if not work.cancelled():
            work.exception()  # whoever asked may not wait for it any more

    def _answer(
        self, question: Question, at_ns: int, state: dict[str, Any], wants_display: bool
    ) -> bytes:
        venue, display = VenueState(self._config.engine()), DisplayLog()
        venue.restore(state)
        answer = question.answer(at_ns, venue, BandMaker(venue.ledger, pass_zones), display)
        if wants_display:
            answer[DISPLAY] = display.parts
        raw = json.dumps(answer).encode() + b"\n"
        if len(raw) > ANSWER_BYTES_MAX:
            raise ConfigError(
                f"the answer would have {len(raw) >> 20} MiB, more than "
                f"{ANSWER_BYTES_MAX >> 20}: ask for some markets (symbol) or fewer shocks"
            )
        return raw

    def close(self) -> None:
        """Wait for no answer."""
        self._thread.shutdown(wait=False, cancel_futures=True)


async def _copy_state(session: VenueSession) -> tuple[int, dict[str, Any]]:
    """The event time that the venue has passed, ns, and its state."""
    try:
        await asyncio.wait_for(session.stage_lock.acquire(), COPY_S)
    except TimeoutError:
        raise BusyError("the venue stage is in a long step: ask again in a few seconds") from None
    try:
        at_ns = session.venue.passed_ns
        if at_ns == NEVER:
            raise BusyError("no second of the venue is decided yet: ask again in a few seconds")
        return at_ns, await session.copy_venue()
    finally:
        session.stage_lock.release()
