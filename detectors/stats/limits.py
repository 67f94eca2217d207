"""Bounds that several detectors share: of what is read, of what a window teaches, of evidence."""

from __future__ import annotations

NUMBER_MAX = 2.0**63
"""Larger inputs cannot come from a 64-bit count, price or notional; they are refused like NaN."""
SUM_MAX = 50.0
"""Evidence, a log-likelihood ratio, is kept up to this: so a change that nobody reports is over
soon after it is over."""
CEILING_FACTOR, CEILING_EVENTS = 5.0, 30.0
"""A window is learnt as at most 5 times what was expected plus 30 events: one outlier does no
harm."""
RESIDUAL_MAX = 25.0
"""A squared residual counts as at most so many variances, for the same reason."""
SD_OF_MAD = 1.2533141373155001
"""√(π/2): the standard deviation of normal numbers over their mean absolute deviation."""
DAY_WINDOWS = 86_400.0
"""Windows of a day, at the engine's default of 1 s: the memory of what is learnt slowly."""
