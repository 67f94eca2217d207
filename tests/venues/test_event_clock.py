"""Event times beside times of receipt: neither clock alone moves a record."""

from __future__ import annotations

from monitor.core.contract.units import SECOND_NS
from monitor.venues.event_clock import CONFIRMATIONS, EventClock

T = 1_700_000_000 * SECOND_NS
HOUR_NS = 3_600 * SECOND_NS
DELAY = SECOND_NS // 50


def place(clock: EventClock, *pairs: tuple[int, int]) -> list[int]:
    """The times used, in s after T, of events `ts` received at `received`, both in s after T."""
    every = [clock.place(T + ts * SECOND_NS, T + at * SECOND_NS + DELAY) for ts, at in pairs]
    return [(ts - T) // SECOND_NS for ts in every]


def test_an_event_time_that_leaves_its_neighbours_takes_the_time_of_receipt() -> None:
    assert place(EventClock(), (0, 0), (241, 1), (2, 2), (-900, 3), (4, 4)) == [0, 1, 2, 3, 4]


def test_a_first_line_with_a_wrong_event_time_moves_no_other() -> None:
    for wrong in (600, -600):
        lines = [(i, i) for i in range(1, 20)]
        assert place(EventClock(), (wrong, 0), *lines) == [wrong, *range(1, 20)]


def test_a_pause_of_the_feed_moves_both_clocks_and_is_believed() -> None:
    assert place(EventClock(), (0, 0), (500, 500), (501, 501)) == [0, 500, 501]


def test_a_recorder_that_is_ahead_or_is_set_changes_no_event_time() -> None:
    ahead = [(i, i + 3_600) for i in range(3)]
    back_again = [(i, i) for i in range(3, 20)]
    pause = [(90, 90)]
    assert place(EventClock(), *ahead, *back_again, *pause) == [*range(20), 90]


def test_a_venue_clock_that_stays_elsewhere_is_believed_after_some_lines() -> None:
    moved = [(600 + i, i) for i in range(1, 9)]
    used = place(EventClock(), (0, 0), *moved)
    assert used[1:CONFIRMATIONS] == [*range(1, CONFIRMATIONS)]
    assert used[CONFIRMATIONS:] == [ts for ts, _ in moved[CONFIRMATIONS - 1 :]]


def test_a_line_without_event_time_has_that_of_its_neighbours() -> None:
    clock = EventClock()
    assert clock.event_time(T + HOUR_NS) == T + HOUR_NS
    clock.place(T, T + HOUR_NS)
    assert clock.event_time(T + HOUR_NS + SECOND_NS) == T + SECOND_NS
