"""The conformance suite: what every detector must do, ours or anybody's.

    from detectors.conformance import check_detector
    check_detector(MyDetector)

It raises `ConformanceError`, which says what is wrong and how to mend it; `quick_check` is the part
of it for which a start can wait. The inputs come from a fixed seed: every feature that the detector
reads is a count of about 4 a window, and a planted burst is ten times that in its
`rising_features`; its `falling_features` are about 40 a window, and fall to a tenth. A detector
that names no features reads any key (counts by account, say); it is given `OPEN_KEYS`.
"""

from __future__ import annotations

import copy
import math
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from detectors.base import Bank, Detector, Score
from detectors.calibration.calibrator import FalseAlarmRate
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.stats.limits import NUMBER_MAX

READY_WINDOWS_MAX = 5000
"""A detector that has not judged by then will not be of use in a day."""
BURST_WINDOWS = 20
BURST_FACTOR = 10
PROBE_WINDOWS = 200
OPEN_KEYS = ("ann", "ben", "cyd")
"""For a detector without features of its own."""
BLOCK_WINDOWS, DAY_WINDOWS = 30, 8640
"""Of the test that it can alert: a tenth of the engine's, so that what takes the engine a day of
1 s windows takes a tenth of them."""
ALERTS_PER_DAY, STREAMS = 3.5, 20
"""What single streams may spend by default, and how many of them share it in a small venue."""
BURSTS = 4
"""Bursts that are planted in that test. One has to be reported: a detector of changes reports that
the bursts began, and not each of them."""
RENAMED = {"raised": "rising_features", "alike": "bank_key", "state": "snapshot"}
"""Hooks of earlier versions, which nothing calls any more, and what they are called now."""

Factory = Callable[[], Detector]
X = dict[str, Any]


class ConformanceError(AssertionError):
    """A detector breaks the protocol."""


def check_detector(factory: Factory, pause_windows: int = 86400) -> None:
    """Run every check on fresh detectors of `factory`.

    Parameters
    ----------
    factory
        Makes a detector as it is before it has seen anything, each time the same.
    pause_windows
        Length of the stop that must not blind it, in windows: a day of 1 s windows.
    """
    quick_check(factory)
    check_refuses_what_it_cannot_read(factory)
    for name, hurt in harmful_inputs(pause_windows).items():
        check_not_blinded(factory, name, hurt)
    for name, series in adversarial_series().items():
        check_survives(factory, name, series)
    check_reports_teach_nothing(factory)
    check_memory_is_bounded(factory)


def quick_check(factory: Factory) -> None:
    """The checks that say whether a detector can be used at all: that it keeps the protocol, goes
    on from its state, and can alert. They take a second or two."""
    check_hooks(factory)
    check_parameters(factory)
    check_abstains_until_ready(factory)
    check_scoring_changes_nothing(factory)
    check_continues_identically(factory)
    check_can_alert(factory)


def input_keys(detector: Detector) -> tuple[str, ...]:
    """The keys of the windows that a detector is given."""
    return detector.features or OPEN_KEYS


def ordinary_windows(
    detector: Detector, windows: int, seed: int = 1, factor: int = 1
) -> Iterator[X]:
    """Counts of about 4 a window in every feature, `factor` times that in those that rise; in those
    that fall `BURST_FACTOR` times as many, and a `factor`th of that."""
    rng = random.Random(seed)
    rising, falling = detector.rising_features or OPEN_KEYS, detector.falling_features
    draws = {f: 40 * factor if f in rising else 40 for f in input_keys(detector)}
    draws |= dict.fromkeys(falling, 40 * BURST_FACTOR // factor)
    for _ in range(windows):
        yield {f: float(sum(rng.random() < 0.1 for _ in range(n))) for f, n in draws.items()}


def constant_window(detector: Detector, value: Any) -> X:
    return dict.fromkeys(input_keys(detector), value)


def _fail(detector: Detector, what: str, mend: str) -> NoReturn:
    name = getattr(detector, "name", type(detector).__name__)
    raise ConformanceError(f"{name} {what}. To mend it: {mend}.")


def _judge(detector: Detector, x: X) -> Score:
    """The score, which is to be a finite number, or None and a reason."""
    try:
        score = detector.judge_one(x)
    except BaseException as error:
        _fail(detector, f"raises {error!r} on {x}", "refuse it: Score(None, why)")
    if score.value is None:
        if not score.why:
            _fail(detector, f"abstains without a reason on {x}", "give Score(None, why)")
    elif not isinstance(score.value, float) or not math.isfinite(score.value):
        _fail(detector, f"scores {score.value!r} on {x}", "abstain where there is no finite float")
    elif score.evidence is not None and score.evidence.windows < 1:
        _fail(detector, "has evidence of no window", "count the judged window in")
    return score


def _scores(detector: Detector, xs: Iterator[X]) -> list[float | None]:
    out = []
    for x in xs:
        out.append(_judge(detector, x).value)
        detector.learn_one(x)
    return out


def _probe(detector: Detector, seed: int = 1) -> list[float | None]:
    return _scores(detector, ordinary_windows(detector, PROBE_WINDOWS, seed))


def _rises_in_burst(detector: Detector, usual: list[float | None], seed: int) -> bool | None:
    """Whether its mean score in a burst is above 19 of 20 of the `usual` ones; None: no scores."""
    burst = _scores(detector, ordinary_windows(detector, BURST_WINDOWS, seed, BURST_FACTOR))
    in_burst = [s for s in burst if s is not None]
    judged = sorted(s for s in usual if s is not None)
    if not judged or not in_burst:
        return None
    return sum(in_burst) / len(in_burst) > judged[int(0.95 * len(judged))]


def _warmed_up_detector(factory: Factory) -> Detector:
    """A detector that has seen ordinary windows until it judges, and a few more."""
    detector = factory()
    for seen, x in enumerate(ordinary_windows(detector, READY_WINDOWS_MAX)):
        if seen % 50 == 0 and detector.judge_one(x).value is not None:
            break
        detector.learn_one(x)
    for x in ordinary_windows(detector, 2 * PROBE_WINDOWS, seed=2):
        detector.learn_one(x)
    return detector


def check_hooks(factory: Factory) -> None:
    """Refuse a detector that still defines a hook under its former name."""
    detector = factory()
    for former, now in RENAMED.items():
        if hasattr(type(detector), former):
            _fail(detector, f"defines `{former}`, which nothing calls", f"call it `{now}`")


def check_parameters(factory: Factory) -> None:
    detector = factory()
    features = detector.features
    if not isinstance(features, tuple) or not all(isinstance(f, str) and f for f in features):
        _fail(detector, "does not say what it reads", "return the keys as `features`")
    try:
        twin = detector.clone()
    except Exception as error:
        _fail(detector, f"cannot be cloned ({error!r})", "keep each parameter under its own name")
    if type(twin) is not type(detector) or twin.features != features:
        _fail(detector, "clones to something else", "take every parameter in __init__")
    if not _is_plain(detector.snapshot()):
        _fail(detector, "has a state that is not plain", "use numbers, texts, bytes, arrays, lists")


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str | int) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(_is_plain(v) for v in value)
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    return value is None or type(value) in (bool, int, float, str, bytes)


def check_abstains_until_ready(factory: Factory) -> None:
    detector = factory()
    x = next(ordinary_windows(detector, 1))
    if _judge(detector, x).value is not None:
        _fail(detector, "judges before it has learnt anything", "return Score(None, why)")
    if _judge(_warmed_up_detector(factory), x).value is None:
        what = f"still abstains after {READY_WINDOWS_MAX} ordinary windows"
        _fail(detector, what, "judge once enough is learnt, or ask for less")


def check_scoring_changes_nothing(factory: Factory) -> None:
    asked, left = _warmed_up_detector(factory), _warmed_up_detector(factory)
    ordinary = ordinary_windows(asked, 20, seed=3)
    for x in [*ordinary, *ordinary_windows(asked, 20, seed=4, factor=10), {}]:
        if _judge(asked, x) != _judge(asked, x):
            _fail(asked, "scores one window in two ways", "score from what was learnt alone")
        asked.score_one(x)
    if _probe(asked) != _probe(left):
        _fail(asked, "is changed by being asked for a score", "change state only when learning")


def check_continues_identically(factory: Factory) -> None:
    detector = _warmed_up_detector(factory)
    for x in ordinary_windows(detector, 5, seed=5, factor=BURST_FACTOR):
        detector.report_one(x)
    restored = factory()
    restored.restore(pickle.loads(pickle.dumps(detector.snapshot())))
    twins = {
        "created and trained in the same way": _warmed_up_detector(factory),
        "pickled": pickle.loads(pickle.dumps(detector)),
        "copied": copy.deepcopy(detector),
        "restored from its state": restored,
    }
    for x in ordinary_windows(detector, 5, seed=5, factor=BURST_FACTOR):
        twins["created and trained in the same way"].report_one(x)
    true = _probe(detector, seed=6)
    mend = "put everything learnt into the snapshot; use no clock, no chance, no set of texts"
    for how, twin in twins.items():
        if _probe(twin, seed=6) != true:
            _fail(detector, f"continues differently when {how}", mend)
    fresh, clone = factory(), detector.clone()
    unlike = _judge(fresh, {}) != _judge(clone, {})
    windows = ordinary_windows(fresh, 50), ordinary_windows(clone, 50)
    if unlike or _scores(fresh, windows[0]) != _scores(clone, windows[1]):
        _fail(detector, "clones with what it has learnt", "start afresh in __init__")


def check_can_alert(factory: Factory) -> None:
    """Require that planted bursts are reported, end to end: score, calibrated p-value, evidence.

    The bank and the calibrator are those of the engine; only the day is shorter.
    """
    detector = factory()
    if not detector.features:
        return  # it reads what no stream can give it
    judge = _EndToEnd(detector)
    usual = ordinary_windows(detector, READY_WINDOWS_MAX + DAY_WINDOWS, seed=11)
    quiet = 0
    while not judge.ready or quiet < DAY_WINDOWS // 4:
        x = next(usual, None)
        if x is None:
            _fail(detector, "never has a p-value", "judge every ordinary window once it is ready")
        judge.step(x)
        quiet += judge.ready
    judge.drain_least_p()
    least_p = 1.0
    for burst in range(BURSTS):
        for x in ordinary_windows(detector, BURST_WINDOWS, 12 + burst, BURST_FACTOR):
            if judge.step(x):
                return
        least_p = min(least_p, judge.drain_least_p())
        for x in ordinary_windows(detector, 2 * BURST_WINDOWS, 20 + burst):
            judge.step(x)
        judge.drain_least_p()
    bursts = f"{BURSTS} {'falls to a' if detector.falling_features else 'bursts of'} "
    bursts += f"{BURST_FACTOR}{'th of' if detector.falling_features else ' times'} the usual"
    if judge.is_unexplained:
        what = f"cannot alert: it says that it explains its scores, but not those of {bursts}"
        _fail(detector, what, "give evidence with every score that is to be reported")
    _fail(
        detector,
        f"cannot alert: in {bursts} its rarest score comes by chance once in "
        f"{1 / least_p:,.0f} windows, and an alert needs once in {1 / judge.limit:,.0f}",
        "let the score go on rising with the distance from what is usual, and tie seldom",
    )


class _EndToEnd:
    """One stream as the engine judges it."""

    def __init__(self, detector: Detector) -> None:
        self._keys = detector.features
        self._bank: Bank = detector.bank()
        self._bank.grow(1)
        day_s = 86_400.0
        self.limit = FalseAlarmRate(ALERTS_PER_DAY, day_s / DAY_WINDOWS, STREAMS).p_limit
        self._calibrators = CalibratorBank(DAY_WINDOWS, 1.0, BLOCK_WINDOWS)
        self._row = np.array([self._calibrators.add(self._bank.log_likelihood)])
        self._least_p = 1.0
        self.is_unexplained = False
        """Whether a score was rare enough, and brought no evidence."""

    @property
    def ready(self) -> bool:
        return bool(self._calibrators.ready[0])

    def drain_least_p(self) -> float:
        """The least p-value since this was asked last."""
        least_p, self._least_p = self._least_p, 1.0
        return least_p

    def step(self, x: X) -> bool:
        """Judge a window and learn it; whether it is reported."""
        values = np.array([[x[key] for key in self._keys]])
        scores = self._bank.judge(self._row, values)
        rare = self._calibrators.rare_scores(self._row, scores, 1.0)
        p = rare[0][1] if rare else 1.0
        self._least_p = min(self._least_p, p)
        evidence = self._bank.evidence(0, values[0]) if p <= self.limit else None
        self.is_unexplained |= p <= self.limit and evidence is None
        if evidence is None:
            self._bank.learn(self._row, values)
        else:
            self._bank.report(0, values[0])
        self._calibrators.learn(self._row, scores)
        return evidence is not None


def check_refuses_what_it_cannot_read(factory: Factory) -> None:
    detector, twin = _warmed_up_detector(factory), _warmed_up_detector(factory)
    unreadable: list[Any] = [math.nan, math.inf, -math.inf, None, "many", [], 10**400]
    without: list[X] = [{}, {"another feature": 1.0}] if detector.features else []
    for x in [*without, *(constant_window(detector, value) for value in unreadable)]:
        if _judge(detector, x).value is not None:
            _fail(detector, f"has a score for {x}", "abstain on what cannot be read")
        for teach in (detector.learn_one, detector.report_one):
            try:
                teach(x)
            except BaseException as error:
                _fail(detector, f"raises {error!r} on learning {x}", "ignore it in learning")
    if _probe(detector) != _probe(twin):
        _fail(detector, "learns from what cannot be read", "return before any change of state")


def harmful_inputs(pause_windows: int) -> dict[str, Callable[[Detector], Iterator[X]]]:
    """Readable inputs that may harm a detector, by name."""
    return {
        "nothing bad": lambda d: iter(()),
        "one count of 1e15": lambda d: iter([constant_window(d, 1e15)]),
        "ten counts of 1e15": lambda d: iter([constant_window(d, 1e15)] * 10),
        "negative numbers": lambda d: iter([constant_window(d, -1e6), constant_window(d, -1.0)]),
        "a constant stream": lambda d: iter([constant_window(d, 4.0)] * 3000),
        "a stop": lambda d: iter([constant_window(d, 0.0)] * pause_windows),
    }


def check_not_blinded(factory: Factory, name: str, hurt: Callable[[Detector], Iterator[X]]) -> None:
    """Require that after harmful inputs and an hour of ordinary ones a burst still stands out."""
    detector = _warmed_up_detector(factory)
    for i, x in enumerate(hurt(detector)):
        if i < 100:
            _judge(detector, x)
        detector.learn_one(x)
    for x in ordinary_windows(detector, 3000, seed=7):
        detector.learn_one(x)
    usual = _scores(detector, ordinary_windows(detector, 600, seed=8))
    rises = _rises_in_burst(detector, usual, seed=9)
    if rises is None:
        _fail(detector, f"abstains for good after {name}", "become ready again in bounded time")
    if not rises:
        what = f"does not see a burst of {BURST_FACTOR} times the usual after {name}"
        _fail(detector, what, "bound what a single window can teach, and forget")


def adversarial_series() -> dict[str, list[float]]:
    """Numbers that somebody chose to break a detector, by name."""
    n = 200
    return {
        "a maximum that rises without end": [1.2**i for i in range(n)],
        "numbers that fall to the least": [1e15 * 0.05**i for i in range(n)],
        "nothing and much in turn": [0.0, 1e15] * n,
        "the largest numbers": [NUMBER_MAX, 0.0, 0.0, NUMBER_MAX / 2] * (n // 4),
        "the least numbers": [5e-324, 0.0, 1e-300, -0.0] * (n // 4),
        "ties": [7.0] * n + [8.0] * n,
    }


def check_survives(factory: Factory, name: str, series: list[float]) -> None:
    """Require that no series makes it raise, whether its windows are learnt or reported."""
    for detector in (factory(), _warmed_up_detector(factory)):
        for i, value in enumerate(series):
            x = constant_window(detector, value)
            _judge(detector, x)
            try:
                (detector.report_one if i % 7 == 3 else detector.learn_one)(x)
            except BaseException as error:
                _fail(detector, f"raises {error!r} after {name}", "bound what it computes with")


def check_reports_teach_nothing(factory: Factory) -> None:
    """Require that a reported burst leaves the detector as sensitive as it was."""
    detector = _warmed_up_detector(factory)
    usual = _probe(detector, seed=8)
    for x in ordinary_windows(detector, 2 * BURST_WINDOWS, seed=9, factor=BURST_FACTOR):
        detector.report_one(x)
    if not _rises_in_burst(detector, usual, seed=10):
        _fail(detector, "takes reported bursts for normal", "do not learn in report_one")


def check_memory_is_bounded(factory: Factory) -> None:
    detector = _warmed_up_detector(factory)
    sizes = []
    for windows in (3000, 12000):
        for x in ordinary_windows(detector, windows, seed=windows):
            detector.learn_one(x)
        sizes.append(len(pickle.dumps(detector)))
    if sizes[1] > 1.5 * sizes[0] + 4096:
        _fail(detector, f"grows from {sizes[0]} to {sizes[1]} bytes", "bound what it keeps")
