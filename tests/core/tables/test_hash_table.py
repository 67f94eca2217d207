"""A growing table of keys against a dict."""

from __future__ import annotations

import numpy as np

from monitor.core.tables.hash_table import KeyTable


def test_rows_of_keys_are_those_of_a_dict_in_any_slices_and_after_a_reset() -> None:
    rng = np.random.default_rng(3)
    table, rows = KeyTable(), dict[int, int]()
    for part in range(60):
        keys = rng.integers(-20_000, 20_000, int(rng.integers(0, 2_000)))
        expected = [rows.setdefault(key, len(rows)) for key in keys.tolist()]
        assert table.find_or_add(keys).tolist() == expected
        assert table.keys.tolist() == list(rows)
        if part % 20 == 19:
            stay = table.keys[rng.random(table.n) < 0.1]
            rows = {key: row for row, key in enumerate(stay.tolist())}
            table.reset(stay)
    again = KeyTable()
    again.restore(table.snapshot())
    assert again.find_or_add(table.keys).tolist() == list(range(table.n))
