"""The clearing house shares no code with what is compared with it."""

from __future__ import annotations

from tests.test_imports import ROOT, imported, sources, within

COMPARED = tuple(
    f"monitor.core.{folder}" for folder in ("accounts", "margin", "bands", "cascade", "venue")
)


def test_no_module_that_it_imports_even_by_others_is_one_of_the_engines_accounts_or_margin() -> (
    None
):
    trees = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree
        for package in ("detectors", "monitor", "replay")
        for path, tree in sources(package)
    }
    assert (ROOT / "replay/simulation/clearing").is_dir()
    waiting = [name for name in trees if within(name, "replay.simulation.clearing")]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        for target in imported(trees[name]):
            module = target if target in trees else target.rpartition(".")[0]
            if module in trees and module not in reached:
                reached.add(module)
                waiting.append(module)
    assert "monitor.core.contract.events" in reached
    assert [name for name in sorted(reached) if within(name, *COMPARED)] == []
