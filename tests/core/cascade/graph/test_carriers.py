"""Which edges carry a system's reproduction number."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.cascade.graph.carriers import carriers


def test_shares_are_what_the_radius_gains_when_an_edge_does() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 7))
        k = rng.uniform(0, 1, (n, n)) * (rng.uniform(0, 1, (n, n)) < 0.6)
        radius, shares = carriers(k)
        assert radius == pytest.approx(np.abs(np.linalg.eigvals(k)).max(), abs=1e-6)
        if radius == 0.0:
            assert not shares.any()
            continue
        assert shares.sum() == pytest.approx(1.0)
        for i, j in np.argwhere(k > 0.0).tolist():
            more = k.copy()
            more[i, j] *= 1.0 + 1e-6
            gain = (carriers(more)[0] - radius) / radius / 1e-6
            assert shares[i, j] == pytest.approx(gain, abs=1e-4)


def test_a_chain_that_leads_nowhere_carries_nothing() -> None:
    assert carriers(np.array([[0.0, 5.0], [0.0, 0.0]]))[0] == 0.0
    radius, shares = carriers(np.array([[0.5, 9.0], [0.0, 0.25]]))
    assert radius == 0.5
    assert shares.tolist() == [[1.0, 0.0], [0.0, 0.0]]
