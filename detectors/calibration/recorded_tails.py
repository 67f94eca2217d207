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
        (7.34, 7.39, 7.45, 7.49, 8.03, 8.36, 8.8, 9.76, 11.8),
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
        (4.39, 4.85, 5.67, 6.79),
        (7.91, 8.18, 8.53, 8.84, 9.3, 9.8, 11.5, 13.5, 21.4),
    ),
    ("depth_25bps", "level"): TailPrior(
        (0.0, 0.0, 1.88, 4.13),
        (6.14, 6.4, 6.47, 6.69, 7.14, 7.94, 8.59, 10.3, 12.2),
    ),
    ("spread_lasting_bps", "level"): TailPrior(
        (0.0, 0.0, 0.0, 0.0),
        (2.5, 2.96, 3.33, 3.63, 3.86, 4.11, 4.46, 4.54, 4.68),
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
        (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 6.0, 24.3),
    ),
    ("levels_shrunk", "likelihood"): TailPrior(
        (0.0, 0.0519, 2.44, 3.2),
        (4.75, 5.03, 5.15, 5.6, 5.75, 6.23, 6.86, 7.54, 9.33),
    ),
    ("step_back_bps", "peak"): TailPrior(
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0107, 0.345, 0.436),
    ),
    ("price_move_1s", "moment"): TailPrior(
        (2.03, 3.0, 5.97, 12.5),
        (20.3, 21.2, 23.1, 23.7, 26.0, 29.1, 32.0, 33.0, 44.3),
    ),
    ("price_move_10s", "moment"): TailPrior(
        (1.49, 2.3, 3.42, 5.33),
        (8.57, 8.98, 9.1, 9.98, 10.9, 12.7, 13.6, 16.1, 20.7),
    ),
    ("price_move_60s", "moment"): TailPrior(
        (0.87, 1.4, 2.01, 2.94),
        (4.06, 4.26, 4.37, 4.58, 4.88, 5.15, 5.58, 6.5, 8.36),
    ),
    ("trades_10s", "moment"): TailPrior(
        (1.63, 2.27, 2.82, 3.76),
        (4.86, 4.89, 5.14, 5.39, 5.81, 6.35, 7.06, 8.84, 13.5),
    ),
    ("trade_notional_10s", "moment"): TailPrior(
        (1.24, 3.42, 6.97, 12.3),
        (19.7, 22.2, 23.4, 24.4, 27.4, 30.9, 36.1, 41.3, 83.9),
    ),
    ("depth_lack_10s", "moment"): TailPrior(
        (1.08, 1.3, 1.59, 2.04),
        (2.69, 2.84, 3.03, 3.41, 3.62, 4.15, 5.07, 6.69, 14.2),
    ),
    ("spread_10s", "moment"): TailPrior(
        (0.0, 0.0, 0.0, 0.5),
        (1.15, 1.4, 1.7, 2.02, 3.76, 16.0, 17.5, 27.6, 31.2),
    ),
    ("layering", "peak"): TailPrior(
        (0.0468, 0.0996, 0.303, 6.04),
        (15.5, 16.0, 17.5, 18.7, 20.9, 24.7, 29.9, 34.3, 53.4),
    ),
}
