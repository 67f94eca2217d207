"""Accounts in an episode: from a report on until their evidence is gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import numpy as np

from detectors.account_burst import columns as col
from detectors.account_burst.columns import WindowActivity
from detectors.account_burst.constants import COUNT_MAX
from detectors.account_burst.profile_learning import adopt_rate, reset_evidence
from detectors.account_burst.table import AccountTable, Keys
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool


class AccountEpisodes(Stateful):
    """The accounts that were reported and still have evidence. After `patience` windows, ≥ 1, the
    rate of an episode is the account's new habit."""

    STATE: ClassVar = ("_open",)

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._open: dict[int, tuple[int, float]] = {}  # by key: first window, events since

    def begin(self, window: int, keys: Collection[int]) -> None:
        """Open an episode for each key that has none."""
        for key in keys:
            self._open.setdefault(key, (window, 0.0))

    @property
    def is_any_open(self) -> bool:
        """Whether any account is in an episode."""
        return bool(self._open)

    def contain(self, keys: Keys) -> Bool:
        """Which of the accounts are in an episode, (keys,)."""
        if not self._open:
            return np.zeros(len(keys), np.bool_)
        return np.isin(keys, np.array(list(self._open), np.uint64))

    def advance(
        self, window: int, acts: WindowActivity, reported: Collection[int], table: AccountTable
    ) -> None:
        """Learn one more window of the accounts in an episode; close those that are over."""
        if not self._open:
            return
        keys = sorted(self._open)
        rows = table.rows(np.array(keys, np.uint64)).tolist()
        acted = dict(zip(acts.key.tolist(), acts.events.tolist(), strict=True))
        still_open = {}
        for key, row in zip(keys, rows, strict=True):
            if row < 0:
                continue  # it had to leave the table
            since, events = self._open[key]
            events += min(acted.get(key, 0.0), COUNT_MAX)
            windows = window - since + 1
            if windows > self._patience:
                adopt_rate(window, row, events / windows, table.state)
                continue
            if key in reported:
                reset_evidence(window + 1, row, table.state)
            elif key in acted and not table.profiles[row, col.CUSUM :].any():
                continue
            still_open[key] = (since, events)
        self._open = still_open
