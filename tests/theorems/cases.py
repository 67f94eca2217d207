"""How many cases each theorem tries, and from which seeds."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("BRINKWATCH_TEST_CASES", "25"))
"""A case takes about a second with all detectors; `make soak` tries 200."""
CASES = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
SEEDS = st.integers(0, 2**32 - 1)
