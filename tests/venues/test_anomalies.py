"""Anomalies of a feed: repeats, jumps back and breaks."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.core.decode.batch import Ladder
from monitor.venues.anomalies import FeedAnomalies
from monitor.venues.bitstamp import Bitstamp
from tests.venues.feeds import NS, T, created, records_from


def test_repeats_jumps_back_and_breaks_are_counted_and_their_records_kept() -> None:
    venue = Bitstamp()
    lines = [created(T), created(T), created(T - 7), created(T + 60_001)]
    assert len(records_from(venue, *lines)) == 4
    facts = venue.anomalies.facts()
    assert facts["repeated_lines"] == 1
    assert (facts["jumps_back"], facts["jump_back_ns_max"]) == (1, 7 * MILLISECOND_NS)
    assert facts["longest_breaks_listed"] == [{"from": NS, "to": NS + 60_001 * MILLISECOND_NS}]


def test_anomalies_do_not_depend_on_chunk_size() -> None:
    ts = np.array([5, 3, 9, 8, 200, 1], np.int64) * SECOND_NS
    whole, parts = FeedAnomalies(), FeedAnomalies()
    whole.observe_times("order", ts)
    for i in range(len(ts)):
        parts.observe_times("order", ts[i : i + 1])
    assert whole == parts
    facts = whole.facts()
    assert (facts["jumps_back"], facts["jump_back_ns_max"]) == (3, 8 * SECOND_NS)
    assert (facts["jumps_ahead"], facts["jump_ahead_ns_max"]) == (1, 191 * SECOND_NS)
    assert (facts["breaks"], facts["longest_breaks_listed"]) == (0, [])


@pytest.mark.parametrize("together", [True, False])
def test_a_break_is_one_of_all_kinds_in_whatever_order_they_stand_in_the_file(
    together: bool,
) -> None:
    rows = [("order", s) for s in (0, 50, 110, 300, 310)]
    rows += [("fill", s) for s in (5, 120, 200, 305)]  # the orders' break has a fill in it
    if together:
        rows.sort(key=lambda row: row[1])
    anomalies = FeedAnomalies()
    for kind, second in rows:
        anomalies.observe_times(kind, np.array([second], np.int64) * SECOND_NS)
    facts = anomalies.facts()
    assert facts["jumps_back"] == 0
    spans = [(b["from"] // SECOND_NS, b["to"] // SECOND_NS) for b in facts["longest_breaks_listed"]]
    assert spans == [(200, 300), (120, 200)]


def test_locked_and_crossed_books_are_counted() -> None:
    anomalies = FeedAnomalies()
    asks = Ladder(np.array([0, 1, 2, 3, 3]), np.array([10, 9, 8]), np.array([1, 1, 1]))
    bids = Ladder(np.array([0, 1, 2, 3, 4]), np.array([9, 9, 9, 9]), np.array([1, 1, 1, 1]))
    anomalies.observe_books({"bids": bids, "asks": asks})
    assert (anomalies.locked_books, anomalies.crossed_books) == (1, 1)
