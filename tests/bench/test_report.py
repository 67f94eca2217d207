"""Reports of benches: goals, JSON, comparisons, the page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import __main__ as runner
from tests.bench.compare import Comparison, comparisons, python_for, tree_at
from tests.bench.figures import Figure, Result, medians, results
from tests.bench.report import Report, git, growth, markets_and_ms, print_goals
from tests.bench.rounds import ROOT, BenchFailure, measure_rounds, working_tree
from tests.bench.speed_page import BEGIN, END, draw, goals_of, page, tables


def result(
    *values: float, name: str = "8x2000", better: str = "less", goal: float | None = None
) -> Result:
    return Result("seconds", name, "ms", better, goal, 10, values)


def a_report(root: Path, *figures: Result) -> Report:
    report = Report.of_this_machine(root, "tiny")
    report.figures += figures
    return report


def test_figures_of_one_name_are_measurements_of_one_thing() -> None:
    cost = Figure("a", 3.0, "ms", 5)
    one, other = results("x", [cost, Figure("b", 1.0, "s", 1), cost._replace(value=1.0)])
    assert (one.values, one.median, one.spread) == ((3.0, 1.0), 2.0, 1.0)
    assert other.values == (1.0,)
    assert medians([cost, cost._replace(value=1.0)]) == [cost._replace(value=2.0)]


def test_a_goal_that_is_missed_is_listed_with_how_far(capsys: pytest.CaptureFixture[str]) -> None:
    slow, few = result(1.2, goal=0.6), result(2.5, name="rate", better="more", goal=5.0)
    assert (slow.beyond, few.beyond) == (2.0, 2.0)
    assert result(0.6, goal=0.6).beyond is None
    assert result(9.0).beyond is None
    print_goals([slow, few, result(0.5, name="met", goal=0.6), result(9.0, name="free")])
    printed = capsys.readouterr().out
    assert "1 of 3 are met" in printed
    assert printed.count("MISSED") == 2
    assert "met:" not in printed


def test_a_run_ends_in_a_table_and_a_file_that_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    given = ["bench", "accounts", "--tiny", "--rounds", "1", "--out", str(path)]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as ended:
        runner.main()
    assert ended.value.code == 0
    assert "a fill, 100 at a time" in capsys.readouterr().out
    report = Report.read(path)
    assert {"cores", "processor"} <= set(report.machine)
    assert {"python", "numba", "numpy"} <= set(report.versions)
    assert [one.bench for one in report.figures] == ["accounts"] * 5
    assert json.loads(path.read_text())["figures"][0]["median"] == report.figures[0].median


def test_a_bench_that_fails_is_a_failure_with_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BenchFailure, match="nothing_there"):
        working_tree(tmp_path).measure("nothing_there", "tiny", 0)

    def fail(*_: object) -> list[Figure]:
        raise BenchFailure("it breaks")

    monkeypatch.setattr("tests.bench.rounds.Tree.measure", fail)
    (taken,) = measure_rounds([working_tree(tmp_path)], "decode", "tiny", 3, 60.0)
    assert (taken.failure, taken.runs) == ("it breaks", [])


def test_trees_take_turns_and_the_first_run_of_each_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []

    def measure(tree: object, bench: str, size: str, case: int) -> list[Figure]:
        order.append((tree.scratch.name, size))  # type: ignore[attr-defined]
        return [Figure("a", float(len(order)), "ms", 1)]

    monkeypatch.setattr("tests.bench.rounds.Tree.measure", measure)
    trees = [working_tree(tmp_path / "old"), working_tree(tmp_path / "new")]
    old, new = measure_rounds(trees, "decode", "full", 2, 60.0)
    assert order[:2] == [("old", "tiny"), ("new", "tiny")]
    assert order[2:] == [("old", "full"), ("new", "full"), ("new", "full"), ("old", "full")]
    assert [figure.value for figure in old.figures()] == [3.0, 6.0]
    assert [figure.value for figure in new.figures()] == [4.0, 5.0]
    order.clear()
    (few,) = measure_rounds(trees[:1], "decode", "tiny", 9, 0.0)
    assert order == []
    assert few.runs == []


def test_what_changed_beyond_noise_comes_first() -> None:
    before = [result(1.0, 1.1, 1.2, 1.3, name=name) for name in ("same", "slow", "few", "gone")]
    before.append(result(1.0, 1.1, 1.2, 1.3, name="rate", better="more"))
    after = [
        result(1.05, 1.2, 1.1, 1.4, name="same"),
        result(1.4, 1.5, 1.6, 1.5, name="slow"),
        result(9.0, 9.0, name="few"),
        result(2.0, 2.0, 2.0, 2.0, name="rate", better="more"),
    ]
    pairs = comparisons(before, after)
    assert [(pair.after.name, pair.verdict) for pair in pairs] == [
        ("rate", "better"),
        ("slow", "worse"),
        ("same", ""),
        ("few", ""),
    ]
    assert pairs[1].range == pytest.approx((1.5 / 1.3, 1.4))
    assert Comparison(before[1], after[1]).ratio == pytest.approx(1.5 / 1.15)


def test_another_commit_is_measured_with_the_benches_of_this_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "tests/bench").mkdir(parents=True)
    source, bench = root / "source.py", root / "tests/bench/bench_a.py"
    git(root, "init", "--quiet")
    for text in ("old", "new"):
        source.write_text(text)
        bench.write_text(text)
        git(root, "add", "-A")
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        git(root, *identity, "commit", "--quiet", "-m", text)
    for _ in range(2):
        tree = tree_at(root, "HEAD~1", tmp_path / "trees")
        assert (tree / "source.py").read_text() == "old"
        assert (tree / "tests/bench/bench_a.py").read_text() == "new"
    assert [path.name for path in (tmp_path / "trees").iterdir()] == [tree.name]
    with pytest.raises(subprocess.CalledProcessError):
        tree_at(root, "no-such-commit", tmp_path / "trees")


def test_another_environment_is_made_only_where_this_one_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command))
    ours = (ROOT / "pyproject.toml").read_text("utf-8")
    for changed, own in (
        (ours, False),
        (ours.replace('version = "', 'version = "9.'), False),
        (ours.replace("numpy>=", "numpy>=9"), True),
        (ours.replace("canonical = ", "another = "), True),
    ):
        (tmp_path / "pyproject.toml").write_text(changed, "utf-8")
        python = python_for(tmp_path)
        assert python == (tmp_path / ".venv/bin/python" if own else Path(sys.executable))
    assert [command[:2] for command in asked] == [["make", ".venv/.ready"]] * 2


def test_growth_is_the_power_of_the_markets() -> None:
    figures = [result(1.0), result(4.0, name="16x2000"), result(8.0, name="64x20000")]
    assert growth(figures) == "growth in markets, 1 is linear: 8 to 16: 2.00, 16 to 64: 0.50"
    assert growth(figures[:1]) == ""


def test_the_page_has_the_tables_and_keeps_its_words(tmp_path: Path) -> None:
    before = a_report(tmp_path, result(2.0))
    after = a_report(tmp_path, result(1.0, 1.2, goal=0.6), result(0.5, name="64x20000"))
    written = page(f"words\n{BEGIN}\nold\n{END}\nmore\n", tables(after, before))
    assert written.startswith("words\n")
    assert written.endswith("\nmore\n")
    assert "\nold\n" not in written
    assert "| 8x2000 | 2 | 1.1 | ms | 18% | 2 | 0.6 (missed, 1.83×) |" in written
    assert page(written, tables(after, before)) == written
    with pytest.raises(ValueError, match="lacks"):
        page("words", "")


def test_the_picture_is_svg_in_which_less_is_lower_and_more_markets_lie_to_the_right() -> None:
    figures = [result(1.0, goal=0.6), result(30.0, name="1000x1000000")]
    svg = ElementTree.fromstring(
        draw({"after": markets_and_ms(figures), "asked": goals_of(figures)})
    )
    (few, many, _) = (
        (float(dot.attrib["cx"]), float(dot.attrib["cy"]))
        for dot in svg.iter("{http://www.w3.org/2000/svg}circle")
    )
    assert few[0] < many[0]
    assert few[1] > many[1]
    with pytest.raises(ValueError, match=r"tests\.bench seconds"):
        draw({})
