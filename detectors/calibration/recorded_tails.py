"""How high the scores of default streams go, by feature and detector, in windows of 1 s.

Written by `python -m tests.bench.detect.priors`: fitted figures of
- StandX BTC-USD, 24 h of January 2026
- Bitstamp BTC/USD, 5 h of May 2015
- Nasdaq AAPL, an hour of June 2012
A stream that is not here borrows nothing. Version 1; a change of the table is one of the engine.
"""

from __future__ import annotations

from detectors.calibration.tail_prior import TailPrior

RECORDED_TAILS: dict[tuple[str, str], TailPrior] = {
    ("cancels", "burst"): TailPrior(
        (3.99, 4.59, 5.21, 6.41),
        (7.38, 7.4, 7.44, 7.6, 8.37, 8.88, 9.75, 11.0, 13.4),
    ),
    ("orders", "burst"): TailPrior(
        (3.72, 4.15, 4.99, 7.37),
        (8.55, 8.82, 9.53, 10.5, 10.9, 11.3, 13.9, 15.4, 17.6),
    ),
    ("trades", "burst"): TailPrior(
        (4.36, 4.83, 5.75, 7.04),
        (8.62, 8.93, 9.31, 9.52, 10.3, 12.0, 13.3, 14.0, 24.1),
    ),
    ("depth_25bps_least", "level"): TailPrior(
        (0.934, 2.89, 5.27, 6.9),
        (9.2, 9.33, 9.47, 9.84, 10.3, 10.4, 11.0, 11.4, 12.7),
    ),
    ("spread_bps", "level"): TailPrior(
        (0.0, 1.55, 3.19, 4.49),
        (5.67, 5.84, 6.13, 6.32, 6.58, 6.65, 7.02, 7.82, 9.48),
    ),
    ("cancels_to_orders", "ratio"): TailPrior(
        (3.23, 3.66, 4.29, 5.39),
        (6.96, 7.06, 7.27, 7.57, 7.88, 9.5, 10.1, 10.4, 16.1),
    ),
    ("sweep_bps", "peak"): TailPrior(
        (0.0, 1.19, 2.59, 5.55),
        (8.73, 8.91, 10.2, 12.2, 14.9, 17.5, 18.9, 25.6, 33.5),
    ),
    ("refill_s", "peak"): TailPrior(
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 1.0, 3.0, 6.27, 10.1, 90.8, 188.0),
    ),
    ("depth_missing", "peak"): TailPrior(
        (1.0, 1.04, 1.24, 1.5),
        (1.76, 1.82, 1.87, 1.99, 2.08, 2.12, 2.36, 2.76, 3.65),
    ),
    ("levels_shrunk", "likelihood"): TailPrior(
        (0.0, 0.00288, 1.54, 4.09),
        (5.6, 5.75, 5.8, 6.19, 6.71, 6.92, 7.54, 8.73, 11.4),
    ),
    ("step_back_bps", "peak"): TailPrior(
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0, 0.00975, 0.0107, 0.0704, 0.422, 0.425),
    ),
    ("price_move", "peak"): TailPrior(
        (2.74, 5.44, 8.41, 13.8),
        (18.7, 19.1, 20.5, 23.7, 26.0, 29.1, 29.5, 31.6, 35.4),
    ),
    ("layering", "peak"): TailPrior(
        (0.0, 1.42, 6.41, 15.7),
        (23.8, 25.1, 27.0, 29.9, 32.1, 33.9, 42.3, 53.0, 53.8),
    ),
}
