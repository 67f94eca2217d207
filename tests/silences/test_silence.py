"""Which alerts a silence covers, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.config import load
from monitor.core.contract.alert import Alert, alert_json, parse_alert
from monitor.errors import ConfigError
from monitor.silences.recorded import FILE, read_recorded, silences_json
from monitor.silences.silence import AlertSilence, Silences, moment_ns, moment_text
from tests.core.alerts.findings import alert, alerts_of, finding, joint_finding

EVER = "2100-01-01T00:00:00Z"


def silence(**keys: Any) -> AlertSilence:
    return AlertSilence(**{"name": "quiet", "end": EVER, **keys})


@pytest.mark.parametrize(
    ("keys", "covers"),
    [
        ({}, True),
        ({"kind": ["burst"]}, True),
        ({"kind": ["bur*", "x"]}, True),
        ({"kind": ["burs"]}, False),
        ({"symbol": ["SOL-????"]}, True),
        ({"symbol": ["sol-perp"]}, False),
        ({"layer": ["execution"], "severity": ["warning", "critical"]}, True),
        ({"layer": ["execution"], "severity": ["info"]}, False),
        ({"incident": ["cafe"]}, True),
        ({"kind": ["burst"], "incident": ["c0de"]}, False),
    ],
)
def test_every_list_that_is_not_empty_has_to_fit(keys: dict[str, Any], covers: bool) -> None:
    one = alert()
    marked = Silences([silence(**keys)]).mark(one)
    assert marked.silenced_by == ("quiet" if covers else None)
    assert parse_alert(alert_json(marked)) == marked
    assert (b"silenced_by" in alert_json(marked)) == covers


def test_an_alert_on_two_markets_is_covered_where_both_are() -> None:
    (both,) = alerts_of(joint_finding(), finding(symbol="ETH"))
    assert set(both.symbols) == {"ETH", "SOL"}
    covered = [silence(symbol=names).covers(both) for names in (["SOL"], ["SOL", "ETH"], ["*"])]
    assert covered == [False, True, True]
    venue = alert(symbol="", stream="fill_silence", detector="silence")
    assert [silence(symbol=names).covers(venue) for names in (["*"], [])] == [False, True]


def test_a_resolution_is_never_silenced() -> None:
    fired, over = alerts_of(finding(), until=2**40)
    assert [silence().covers(one) for one in (fired, over)] == [True, False]


def test_a_silence_begins_with_its_start_and_is_over_at_its_end() -> None:
    at = alert().ts
    moments = [moment_text(at + seconds * 10**9) for seconds in (-1, 0, 1)]
    spans = [(moments[0], moments[1]), (moments[1], moments[2]), (moments[2], EVER)]
    assert [silence(start=a, end=b).covers(alert()) for a, b in spans] == [False, True, False]


@pytest.mark.parametrize(
    ("weekly", "inside", "outside"),
    [
        ("Sun 02:00-04:00", "2026-01-04T02:00:00Z 2026-01-04T03:59:59Z",
         "2026-01-04T01:59:59Z 2026-01-04T04:00:00Z 2026-01-05T03:00:00Z"),
        ("Sun 23:00-01:00", "2026-01-04T23:00:00Z 2026-01-05T00:59:59Z",
         "2026-01-04T22:59:59Z 2026-01-05T01:00:00Z 2026-01-04T00:30:00Z"),
        ("Wed 00:00-24:00", "2026-01-07T00:00:00Z 2026-01-07T23:59:59Z",
         "2026-01-06T23:59:59Z 2026-01-08T00:00:00Z"),
    ],
)  # fmt: skip
def test_a_window_recurs_each_week(weekly: str, inside: str, outside: str) -> None:
    one = AlertSilence(name="maintenance", weekly=weekly)
    week_ns = 7 * 86_400 * 10**9
    for texts, wanted in ((inside, True), (outside, False)):
        for text in texts.split():
            times = [moment_ns(text) + n * week_ns for n in (-3, 0, 40)]
            assert [one.is_in_force(ts) for ts in times] == [wanted] * 3, text


def test_of_two_silences_the_first_is_named_and_a_day_adds_those_of_other_names() -> None:
    first, second = silence(name="a", kind=["burst"]), silence(name="b")
    assert Silences([first, second]).mark(alert()).silenced_by == "a"
    joined = Silences([first]).joined_with([silence(name="a"), second])
    assert joined.every == (first, second)


def test_a_recorded_day_keeps_its_silences(tmp_path: Path) -> None:
    assert read_recorded(tmp_path) == ()
    every = (
        silence(symbol=["BTC-*"], reason="moved"),
        AlertSilence(name="w", weekly="Mon 01:00-02:00"),
    )
    (tmp_path / FILE).write_bytes(silences_json(every))
    assert read_recorded(tmp_path) == every
    (tmp_path / FILE).write_bytes(b"[{}]")
    with pytest.raises(ConfigError, match="record the day anew"):
        read_recorded(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "a"', "the silence a never ends: give it an end, or a weekly window"),
        ('name = "a"\nend = "tomorrow"', "'tomorrow' is no moment with its zone: write 2026"),
        ('name = "a"\nend = 2026-01-06T02:00:00', "is no moment with its zone"),
        ('name = "a"\nweekly = "Sunday 2-4"', 'is no window of a week: write "Sun 02:00-04:00"'),
        ('name = "a"\nstart = 2026-02-01T00:00:00Z\nend = 2026-01-01T00:00:00Z', "ends before it"),
        (f'name = "a"\nend = "{EVER}"\nkind = ["thin_bok"]', "did you mean thin_book"),
        (f'name = "a"\nend = "{EVER}"\nlayer = ["date"]', "did you mean data"),
        (f'name = "a"\nend = "{EVER}"\nsymbols = ["X"]', "did you mean symbol"),
        (f'name = "a"\nend = "{EVER}"\n[[silences]]\nname = "a"\nend = "{EVER}"', "two silences"),
    ],
)
def test_a_wrong_silence_is_refused_with_how_to_mend_it(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "b.toml"
    file.write_text(f"[[silences]]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert says in str(caught.value)


def test_moments_of_toml_and_texts_are_the_same_and_change_no_settings(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    spans = []
    for end in ("2026-01-06T02:00:00Z", '"2026-01-06T03:00:00+01:00"'):
        file.write_text(f'[[silences]]\nname = "a"\nend = {end}\nkind = ["stale_*"]\n')
        config = load(file)
        spans.append(config.silences[0].span_ns)
        assert config.engine().fingerprint() == load(None).engine().fingerprint()
    assert spans[0] == spans[1] == (0, moment_ns("2026-01-06T02:00:00Z"))


def test_an_alert_says_of_itself_whether_it_opens_an_incident() -> None:
    def opening(one: Alert) -> bool:
        return one.is_opening

    again = finding(window=finding().window + 60, since=finding().window + 60)
    alerts = alerts_of(finding(), again, until=2**40)
    assert [a.status for a in alerts] == ["firing", "resolved", "firing", "resolved"]
    assert [*map(opening, alerts)] == [True, False, False, False]
