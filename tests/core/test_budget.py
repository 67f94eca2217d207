"""The false alerts a day: nobody spends more than a share, and all shares are the whole."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest

from monitor.core.budget import AlertBudget, BudgetShare, moments_per_day
from monitor.core.settings import EngineSettings


def test_the_shares_add_up_to_the_whole() -> None:
    budget = EngineSettings().budget
    shares = [getattr(budget, field.name).per_day for field in dataclasses.fields(AlertBudget)]
    assert all(share > 0 for share in shares)
    assert sum(shares) == pytest.approx(EngineSettings().alerts.per_day)


def test_what_is_off_leaves_its_share_to_single_streams() -> None:
    settings = EngineSettings(
        streams=(), joint={"streams": ("cancels",)}, account_bursts={"streams": ()},
        drift={"budget_share": 0.0},
    )  # fmt: skip
    budget = settings.budget
    assert budget.single_streams.per_day == settings.alerts.per_day
    off = (
        budget.joint, budget.cross_market, budget.account_bursts, budget.venue_streams,
        budget.drift,
    )  # fmt: skip
    assert [share.p_limit(1.0, 1) for share in off] == [0.0] * 5


def test_streams_and_partitions_share_alike() -> None:
    share = BudgetShare(8.64)
    assert share.p_limit(1.0, streams=0) == share.p_limit(1.0, streams=1) == pytest.approx(1e-4)
    assert share.p_limit(1.0, streams=5, partitions=2) == pytest.approx(1e-5)
    assert share.p_limit(5.0, streams=1) == pytest.approx(5e-4)
    assert BudgetShare(1e9).p_limit(1.0, 1) == 1.0


def test_shares_that_leave_nothing_for_single_streams_are_refused() -> None:
    with pytest.raises(ValueError, match=r"joint\.across_share"):
        EngineSettings(joint={"across_share": 0.65})


def test_each_tenfold_of_the_budget_doubles_the_moments() -> None:
    moments = [moments_per_day(10.0**power) for power in range(-2, 4)]
    assert [after / before for before, after in pairwise(moments)] == pytest.approx([2.0] * 5, 0.01)
    assert EngineSettings().moments.per_day == pytest.approx(7.0, rel=0.01)
