"""The model of an account's counts: its constants, each with the reason for its value.

A window is the engine's shortest, 1 s by default; rates are events a window.
"""

from __future__ import annotations

import math

SIZES = (1 / 3, 1.0, 3.0)
"""Burst sizes looked for, as multiples of the usual rate of the account's market: what an account
does beside its market is what counts, and three accounts that double a market add a third each.
The sizes lie a factor of three apart, which the spread of the burst's own rate bridges."""
BURST_SHAPE = 1.5
"""Shape of the gamma law of a burst's rate: a factor of four about its mean is nothing unusual."""
SLOW_WINDOWS = 3600.0 / math.log(2.0)
"""Memory of the slow rate, windows: a half-life of an hour."""
MINUTES_WINDOWS, MINUTES_EVENTS = 600.0, 20.0
"""Memory of the rate of the last minutes, windows, ten times the bursts looked for; and the events
as which the slow rate counts beside it. With more events in ten minutes than that, the account
shows its hours of the day by itself."""
RECENT_KEEP = math.exp(-0.5)
"""What the mean of the last seconds keeps each window: an excitation that decays over 2 s."""
WEIGHT_OWN, WEIGHT_EVENTS, POPULATION_EVENTS = 0.4, 50.0, 200.0
"""Prior weight, in the forecast, of the account's last seconds. The prior counts as much as 200
events of all accounts, and the mean of all accounts as much as 50 events of the account."""
WEIGHT_MAX = 0.95
"""That weight is at most this: the slow rate always counts a little."""
FLOW_DISPERSION, FLOW_EVENTS, DISPERSION_MIN = 1.3, 20.0, 1.05
"""Variance over mean of the flow in a window: the prior, the events that it counts as, and the
least value; at 1 the formula would divide by zero."""
NEW_EVENTS = 0.7
"""Shape of the gamma law of rates over accounts: below 1, for most accounts are far below the
mean."""
RATE_MIN = 1e-6
"""Least rate: one event in twelve days."""
BATCH_SHARE, BATCH_ACTS, BATCH_MEAN, BATCH_WEIGHT = 0.02, 50.0, 10.0, 3.0
"""Prior of batches: one act in 50 is a batch, with 10 events on the average. The share counts as
50 acts of the account, the mean as 3 batches."""
BATCH_MIN, BATCH_MIN_RELATIVE = 8.0, 4.0
"""A batch has on the average at least 8 events plus 4 windows of the slow rate: a smaller one would
be ordinary flow."""
COUNT_MAX = 1e6
"""Higher counts are judged as this one: beyond it the gamma function loses its digits."""
PROFILE_PEAKS = 12.0
"""For how steeply an account's peaks thin out: theory counts as 12 peaks of its own."""
