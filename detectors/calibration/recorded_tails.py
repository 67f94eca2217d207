"""How high the scores of default streams go, by feature and detector, in windows of 1 s.

Written by `python -m tests.bench.detect.priors`: fitted figures of
- StandX BTC-USD, 24 h of January 2026
- Bitstamp BTC/USD, 5 h of May 2015
- Nasdaq AAPL, an hour of June 2012
- a simulated day, 6 h of four markets, whose books are less steady than those recorded
A stream that is not here borrows nothing. Version 1; a change of the table is one of the engine.
"""

from __future__ import annotations

from detectors.calibration.tail_prior import TailPrior

RECORDED_TAILS: dict[tuple[str, str], TailPrior] = {
    ("cancels", "burst"): TailPrior(
        (4.12, 4.73, 5.43, 6.39),
        (7.34, 7.4, 7.45, 7.49, 8.03, 8.36, 8.8, 9.76, 11.8),
    ),
    ("orders", "burst"): TailPrior(
        (4.09, 4.58, 5.39, 6.73),
        (7.79, 7.85, 8.05, 8.49, 8.77, 9.55, 10.8, 11.9, 16.5),
    ),
    ("cancels_near", "burst"): TailPrior(
        (4.48, 4.93, 5.5, 6.24),
        (6.88, 7.03, 7.09, 7.49, 7.78, 8.3, 8.77, 9.66, 15.6),
    ),
    ("trades", "burst"): TailPrior(
        (4.39, 4.85, 5.69, 6.79),
        (7.97, 8.18, 8.53, 8.9, 9.32, 9.8, 11.5, 13.7, 21.4),
    ),
    ("depth_25bps_least", "level"): TailPrior(
        (0.601, 2.21, 4.05, 6.1),
        (8.26, 8.51, 8.93, 9.22, 9.46, 10.1, 10.4, 11.1, 12.7),
    ),
    ("spread_bps", "level"): TailPrior(
        (0.808, 1.91, 3.79, 4.72),
        (5.83, 5.92, 6.22, 6.47, 6.62, 7.03, 7.77, 8.33, 10.0),
    ),
    ("cancels_to_orders", "ratio"): TailPrior(
        (3.58, 4.25, 4.9, 5.74),
        (6.69, 6.8, 6.98, 7.16, 7.44, 7.65, 8.11, 9.94, 12.3),
    ),
    ("sweep_bps", "peak"): TailPrior(
        (0.0505, 1.52, 2.72, 4.83),
        (7.59, 8.21, 8.64, 8.92, 10.1, 12.3, 17.3, 19.2, 29.0),
    ),
    ("refill_s", "peak"): TailPrior(
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 5.0, 18.8, 150.0),
    ),
    ("depth_missing", "peak"): TailPrior(
        (1.0, 1.09, 1.35, 1.79),
        (2.47, 2.65, 2.88, 3.25, 3.59, 3.92, 4.9, 5.99, 10.6),
    ),
    ("levels_shrunk", "likelihood"): TailPrior(
        (0.0, 0.0519, 2.44, 3.2),
        (4.75, 5.03, 5.15, 5.6, 5.75, 6.23, 6.86, 7.54, 9.33),
    ),
    ("step_back_bps", "peak"): TailPrior(
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0107, 0.345, 0.436),
    ),
    ("price_move", "peak"): TailPrior(
        (2.4, 3.22, 5.44, 10.3),
        (16.4, 18.1, 18.5, 18.7, 19.8, 23.8, 28.5, 29.9, 32.8),
    ),
    ("layering", "peak"): TailPrior(
        (0.0468, 0.0996, 0.303, 6.04),
        (15.5, 16.0, 17.5, 18.7, 20.9, 24.7, 29.9, 34.3, 53.4),
    ),
}
