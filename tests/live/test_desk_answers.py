"""A running sidecar answers a desk as its recorded day does, and never in the way of the stage."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from monitor.config import Config, HttpSettings
from monitor.core.accounts.ledger_kernels import ACCOUNT_OPEN
from monitor.errors import BusyError, ConfigError, UnknownNameError
from monitor.http.port import serve
from monitor.live import desk_answers
from monitor.sidecar import Sidecar
from replay.day import Day
from tests.cases.front_door import brinkwatch
from tests.live.helpers import (
    configuration,
    replay_to_file,
    run_sidecar,
    send,
    wait_for_digest,
    write_day,
)
from tests.live.sidecars import write_toml

TOKEN = "only the desk has it"
START_S = 60.0
T = TypeVar("T")


class Served:
    """A sidecar that has read a day, on a loop in a thread of its own, with its HTTP port."""

    def __init__(self, config: Config, day: Day, digest: str, folder: Path) -> None:
        self.day, self.token_file, self.toml = day, folder / "token", folder / "run.toml"
        write_toml(self.toml, config)
        self.token_file.write_text(TOKEN + "\n")
        self.sidecar: Sidecar
        self.url = ""
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(config, digest),))
        self._thread.start()
        assert self._ready.wait(START_S)

    async def _serve(self, config: Config, digest: str) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        settings = HttpSettings(port=0, token_file=self.token_file)
        async with run_sidecar(config) as self.sidecar:
            await wait_for_digest(self.sidecar, digest)
            async with serve(self.sidecar, settings) as port:
                self.url = f"http://127.0.0.1:{port}"
                self._ready.set()
                await self._end.wait()

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run it on the sidecar's loop."""

        async def on_loop() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(START_S)

    @property
    def account(self) -> str:
        """The one with the most open positions."""
        session = self.sidecar.venue_session()
        assert session is not None
        ledger = session.venue.venue_state.ledger
        most = ledger.account_rows[:, ACCOUNT_OPEN].argmax()
        (name,) = ledger.names.names(np.array([most]))
        return name

    def ask(self, path: str, **parameters: list[str]) -> Any:
        """The answer of the sidecar itself."""
        return json.loads(self.run(lambda: self.sidecar.ask(path, parameters)))

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(START_S)


@pytest.fixture(scope="module")
def served(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    config, folder = configuration(kafka), tmp_path_factory.mktemp("served")
    day = write_day(folder, config)
    digest, _ = replay_to_file(day, config, folder / "alerts")
    send(day, config)
    one = Served(config, day, digest, folder)
    yield one
    one.end()


def printed(*words: str | Path) -> tuple[list[str], dict[str, Any]]:
    """What was shown for people, and the JSON; without the time, which a day's end rounds."""
    done = brinkwatch(*words, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    del answer["at"]
    return [line for line in done.stderr.splitlines() if "as of" not in line], answer


@pytest.mark.parametrize(
    "words",
    [["account", "PLACE", "ACCOUNT"], ["rules", "PLACE"],
     ["stress", "PLACE", "--shock=-5%", "--factor=-10%", "--depth-survives", "1,0.1"]],
)  # fmt: skip
def test_a_sidecar_answers_as_the_day_does(served: Served, words: list[str]) -> None:
    words = [served.account if word == "ACCOUNT" else word for word in words]
    live = (served.url if word == "PLACE" else word for word in words)
    of_day = (str(served.day.path) if word == "PLACE" else word for word in words)
    got = printed(*live, "--token-file", served.token_file)
    assert got == printed(*of_day, "--config", served.toml)
    assert len(got[0]) > 3


def test_what_a_sidecar_refuses_ends_the_command_with_its_sentence(served: Served) -> None:
    refused = brinkwatch("rules", served.url)
    assert (refused.returncode, "--token-file" in refused.stderr) == (2, True)
    token = "--token-file", served.token_file
    near = brinkwatch("account", served.url, served.account + "x", *token)
    assert (near.returncode, "did you mean" in near.stderr) == (2, True)
    for done in (refused, near):
        assert len(done.stderr.strip().splitlines()) == 1


def test_one_question_at_a_time_and_none_in_a_long_step(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_answers, "COPY_S", 0.1)

    async def two() -> list[Any]:
        asked = (served.sidecar.ask("rules", {}) for _ in range(2))
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second = served.run(two)
    assert json.loads(first)["markets"]
    assert isinstance(second, BusyError)

    async def in_a_step() -> bytes:
        session = served.sidecar.venue_session()
        assert session is not None
        async with session.stage_lock:
            return await served.sidecar.ask("rules", {})

    with pytest.raises(BusyError, match="in a long step"):
        served.run(in_a_step)
    assert served.ask("rules")["markets"]


def test_what_takes_too_long_or_is_too_long_is_said(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(desk_answers, "ANSWER_BYTES_MAX", 100)
        with pytest.raises(ConfigError, match="ask for some markets"):
            served.ask("rules")
    with monkeypatch.context() as patched:
        patched.setattr(desk_answers, "ANSWER_S", 0.0)
        with pytest.raises(BusyError, match="takes longer than"):
            served.ask("rules")
    answer = b""
    while not answer:  # the one that nobody waits for any more comes to its end
        with contextlib.suppress(BusyError):
            answer = served.run(lambda: served.sidecar.ask("rules", {}))


@pytest.mark.parametrize(
    ("path", "parameters", "error"),
    [("stress", {"shok": ["-1%"]}, ConfigError), ("stress", {"shock": ["much"]}, ConfigError),
     ("stress", {"shock": ["1%"] * 51}, ConfigError), ("account", {}, ConfigError),
     ("stress", {"symbol": ["NONE"]}, UnknownNameError)],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_refused(
    served: Served, path: str, parameters: dict[str, list[str]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        served.ask(path, **parameters)


def test_a_member_without_the_venue_stage_says_who_has_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.sidecar, "venue_session", lambda: None)
    with pytest.raises(BusyError, match="lists partition 0"):
        served.ask("rules")


def test_what_nobody_has_said_is_a_metric(served: Served) -> None:
    registry = served.sidecar.registry
    counts = {what: registry.get_sample_value("brinkwatch_rules_unstated", {"what": what})
              for what in ("tiers", "insurance_fund", "mark_rule")}  # fmt: skip
    assert set(counts.values()) == {0.0}
