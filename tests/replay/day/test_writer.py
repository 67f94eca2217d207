"""A recorded day gives back what was written into it, whole or not at all."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract import events
from monitor.core.decode.batch import Batch, RefusedRecord
from replay.day import Day, DayError, DayWriter, interleave
from tests.replay.day.batches import batches, orders, refused_of, rows_of

T0 = 1_700_000_000_000_000_000
S = 1_000_000_000


def write(path: Path, *written: Batch) -> Day:
    with DayWriter(path, venue="test") as day:
        for batch in written:
            day.write(batch)
    return Day(path)


@st.composite
def feeds(draw: st.DrawFn) -> list[Batch]:
    """Batches of several topic partitions, each in offset order."""
    ends: dict[tuple[str, int], int] = {}
    found = []
    for _ in range(draw(st.integers(1, 4))):
        kind, partition = draw(st.sampled_from(sorted(events.KINDS))), draw(st.integers(0, 1))
        batch = draw(batches(kind, partition, ends.get((kind, partition), 0)))
        offsets = [*batch.offset.tolist(), *(r.offset for r in batch.refused)]
        ends[kind, partition] = max([ends.get((kind, partition), 0), *offsets])
        found.append(batch)
    return found


@settings(max_examples=60, deadline=None)
@given(feeds(), st.integers(1, 5))
def test_a_day_returns_every_record_and_every_refused_record(feed: list[Batch], rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        day = write(Path(folder) / "day", *feed)
        read = list(day.batches(rows=rows))
        assert sorted(rows_of(read), key=repr) == sorted(rows_of(feed), key=repr)
        assert sorted(refused_of(read), key=repr) == sorted(refused_of(feed), key=repr)
        assert all(len(batch) <= rows for batch in read)
        assert sum(day.meta.records.values()) == len(rows_of(feed))
        assert sum(day.meta.refused.values()) == len(refused_of(feed))
        day.verify()


@settings(max_examples=30, deadline=None)
@given(feeds(), st.integers(1, 3), st.integers(4, 9))
def test_offsets_rise_within_a_partition_whatever_the_batch_size(
    feed: list[Batch], few: int, many: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        day = write(Path(folder) / "day", *feed)
        by_size = []
        for rows in (few, many):
            seen: dict[tuple[str, int], list[tuple[int, str]]] = {}
            for batch in day.batches(rows=rows):
                place = seen.setdefault((batch.topic, batch.partition), [])
                place += sorted(
                    [(o, "row") for o in batch.offset.tolist()]
                    + [(r.offset, r.detail) for r in batch.refused]
                )
            assert all(offsets == sorted(offsets) for offsets in seen.values())
            by_size.append(seen)
        assert by_size[0] == by_size[1]


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    feed = [orders([T0, T0 + S]), orders([T0 + 2 * S], start=2)]
    one, two = write(tmp_path / "one", *feed), write(tmp_path / "two", *feed)
    assert one.meta == two.meta


def test_the_day_ends_with_a_control_record_for_each_of_the_eight_topics(tmp_path: Path) -> None:
    day = write(tmp_path / "day", orders([T0 + 1, T0 + S + 5], start=7), orders([T0], partition=3))
    ends = {(c.topic, c.partition): (c.offset, c.ts) for c in day.controls()}
    assert {topic for topic, _ in ends} == set(events.TOPICS.values())
    end = (T0 + S) // S * S + S
    assert ends["orders", 0] == (9, end)
    assert ends["orders", 3] == (1, end)
    assert ends["books", 0] == (0, end)
    assert day.meta.span == (T0, T0 + S + 5, end)


def test_a_declared_partition_and_a_given_end_are_kept(tmp_path: Path) -> None:
    with DayWriter(tmp_path / "day", venue="test", end_ts=T0 + 9 * S) as writer:
        writer.declare("mark", "my-marks", 4, 17)
        writer.control("orders", 0, 0, T0)
        writer.note("origin", {"seed": 1})
        writer.write(orders([T0]))
    day = Day(tmp_path / "day")
    controls = [(c.topic, c.partition, c.offset, c.ts) for c in day.controls()]
    assert controls[0] == ("orders", 0, 0, T0)
    assert ("my-marks", 4, 17, T0 + 9 * S) in controls
    assert not any(topic == "marks" for topic, *_ in controls)
    assert day.meta.notes == {"origin": {"seed": 1}}


def test_an_empty_day_has_no_span_and_no_end(tmp_path: Path) -> None:
    day = write(tmp_path / "day")
    assert day.meta.span is None
    assert day.controls() == []
    assert list(day.batches()) == []


def test_no_topic_partition_is_read_far_ahead_of_another(tmp_path: Path) -> None:
    ahead = interleave.AHEAD_NS
    step = ahead // 10
    dense = orders([T0 + i * step for i in range(400)])
    sparse = orders([T0 + i * ahead * 5 for i in range(9)], partition=1)
    late = orders([T0 + 3 * ahead], partition=2)
    reached: dict[int, int] = {}
    for batch in write(tmp_path / "day", dense, sparse, late).batches():
        others = [t for p, t in reached.items() if p != batch.partition] or [T0]
        ts = batch.numbers["ts"]
        assert len(ts) == 1 or ts.max() <= max(others) + ahead
        reached[batch.partition] = int(ts.max())
    assert reached == {0: T0 + 399 * step, 1: T0 + 40 * ahead, 2: T0 + 3 * ahead}


def test_time_and_symbol_select_the_same_records_for_any_batch_size(
    tmp_path: Path,
) -> None:
    feed = orders([T0, T0 + 1, T0 + 2, T0 + 3])
    feed.offset = np.array([1, 3, 5, 7])
    feed.refused = [RefusedRecord("orders", 0, o, "wrong_type", "", b"x") for o in (0, 2, 4, 6, 8)]
    other = orders([T0 + 1, T0 + 2], partition=1, symbol="B")
    day = write(tmp_path / "day", feed, other)
    for rows in (1, 2, 100):
        read = list(day.batches(rows=rows, symbols=["A"], from_ts=T0 + 1, to_ts=T0 + 3))
        assert [r[3] for r in rows_of(read)] == [3, 5]
        assert [r.offset for r in refused_of(read)] == [4, 6]


def test_without_ids_order_ids_are_absent(tmp_path: Path) -> None:
    feed = orders([T0])
    feed.texts["order_id"].length[0] = 0
    (batch,) = write(tmp_path / "day", feed).batches(ids=False)
    assert batch.texts["order_id"].to_strings() == [None]
    assert batch.texts["symbol"].to_strings() == ["A"]


def test_records_of_unreadable_kind_come_in_a_batch_of_their_own(tmp_path: Path) -> None:
    refused = RefusedRecord("unknown", 0, 0, "not_json", "", b"\xff{")
    strange = Batch("unknown", "unknown", 0, np.zeros(0, np.int64), refused=[refused])
    day = write(tmp_path / "day", strange, orders([T0]))
    found = [b for b in day.batches() if b.kind == "unknown"]
    assert [(len(b), b.refused) for b in found] == [(0, [refused])]
    assert day.refused_records() == [refused]
    assert all(c.topic != "unknown" for c in day.controls())


def test_a_day_of_several_row_groups_is_read_completely(tmp_path: Path) -> None:
    count = 300_000
    day = write(tmp_path / "day", orders([T0 + i for i in range(count)]))
    read = list(day.batches())
    assert np.concatenate([b.offset for b in read]).tolist() == list(range(count))
    assert max(len(b) for b in read) <= 65_536


def test_offsets_that_do_not_rise_raise(tmp_path: Path) -> None:
    with pytest.raises(DayError, match="offsets of orders/0 do not rise"):
        write(tmp_path / "day", orders([T0]), orders([T0]))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with DayWriter(tmp_path / "day", venue="test") as writer:
            writer.write(orders([T0]))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_appears_only_when_the_day_is_complete(tmp_path: Path) -> None:
    writer = DayWriter(tmp_path / "day", venue="test")
    writer.write(orders([T0]))
    assert not (tmp_path / "day").exists()
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["day"]


def test_an_existing_day_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "day"
    write(path, orders([T0]))
    with pytest.raises(DayError, match="exists: name another folder"):
        DayWriter(path, venue="test")
    with DayWriter(path, venue="test", overwrite=True) as writer:
        writer.write(orders([T0, T0]))
    assert Day(path).meta.records["order"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["day"]


def test_a_folder_that_is_no_day_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(DayError, match="no recorded day and is not overwritten"):
        DayWriter(tmp_path, venue="test", overwrite=True)
    assert (tmp_path / "precious").exists()


def test_a_folder_without_day_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DayError, match=r"is no recorded day: it has no day\.json"):
        Day(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "is of format 99, contract 2; this program reads 2 and 2"),
        ({"contract": 99}, "is of format 2, contract 99"),
        ({"records": 3}, r"is no recorded day: day\.json: Expected `object`"),
    ],
)
def test_another_version_or_a_changed_day_json_is_refused_with_a_sentence(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    write(tmp_path / "day", orders([T0]))
    meta = tmp_path / "day/day.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | change))
    with pytest.raises(DayError, match=words):
        Day(tmp_path / "day")


def test_verify_finds_a_changed_byte(tmp_path: Path) -> None:
    path = tmp_path / "day"
    write(path, orders([T0]))
    file = path / "order/part-00000.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-8] + b"\0" * 8)
    with pytest.raises(DayError, match="is damaged"):
        Day(path).verify()
    with pytest.raises(DayError, match="is damaged"):
        list(Day(path).batches())
    file.write_bytes(whole[:-1])
    with pytest.raises(DayError, match=f"has {len(whole) - 1} bytes, not {len(whole)}"):
        Day(path)
    file.unlink()
    with pytest.raises(DayError, match="is missing"):
        Day(path)
