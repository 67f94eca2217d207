"""One side of one market under stress: what each shock forces, and where the mark comes to rest.

Never a stopping price: each answer comes for several shares of the book that survive, since how
much of it is withdrawn decides more than anything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.arrays.types import Float64
from monitor.core.bands.kernels.books import IMPACT_EXPONENT
from monitor.core.cascade.all_shocks import BookLevels, ForcedSteps, Jump, ShockAnswers
from monitor.core.cascade.deleveraging import DeleveragedPosition
from monitor.core.cascade.losses import NO_LOSSES, ForcedCloses, settle_losses
from monitor.core.cascade.shock_kernels import FAR_MIN
from monitor.core.cascade.venue_steps import StepPrices
from monitor.core.margin.paths.path import LiquidationPath

REACH = math.log(2.0)
"""Log distance up to which critical shocks are looked for: half, or twice, the mark."""
RATE_SPAN = 0.005
"""Log distance over which R is measured: a single position is a step, and has no slope."""
TAIL_POINTS = 512
"""Points at which the power law behind the visible book is summed."""
JUMP_MIN = 0.001
"""A jump of the rest that is shorter (log distance) is no critical shock: every single position
that is sold moves the mark by something."""


@dataclass(frozen=True, slots=True)
class ShockRow:
    """One shock with one share of the book.

    `shock`: a fraction of the mark, negative: it falls. `survives`: the share of the book's
    quantities that is still there. `forced_notional` at today's mark, `price_after`: where the mark
    comes to rest (None: there is no book), `vwap`: at which the forced quantity is closed (None:
    nothing is), `multiplier`: how much further than the shock the mark goes. `shortfall`: what the
    closes cost beyond the margin of their accounts; `fund_paid`: the insurance fund's part of it.
    `backstop_notional`: of what a backstop vault takes over, `adl_notional`: of what is closed
    against the other side; `deleveraged`: whose positions there, the largest first. `r`: the
    reproduction number there. Amounts in quote currency, notional at today's mark.
    """

    shock: float
    survives: float
    forced_notional: float
    price_after: float | None
    vwap: float | None
    multiplier: float | None
    shortfall: float
    fund_paid: float
    backstop_notional: float
    adl_notional: float
    deleveraged: tuple[DeleveragedPosition, ...]
    r: float | None


@dataclass(frozen=True, slots=True)
class SideStress:
    """One side of one market: the shocks down or up, and the critical shock for each share of the
    book, None where there is none within reach."""

    symbol: str
    mark: float
    side: str
    rows: tuple[ShockRow, ...]
    critical: tuple[tuple[float, Jump | None], ...]


@dataclass(frozen=True, slots=True)
class BucketStress:
    """One side of one market. `sign`: −1 where the mark falls, 1 where it rises; `fund`: what the
    insurance fund holds, quote currency; `close_other_side`: who is deleveraged when a quantity is,
    with the mark at a price. The others: see `venue_steps`."""

    steps: ForcedSteps
    levels: BookLevels
    prices: StepPrices
    bucket: int
    mark: float
    sign: int
    path: LiquidationPath
    fund: float
    close_other_side: Callable[[float, float], tuple[DeleveragedPosition, ...]]

    def row(self, answers: ShockAnswers, shock: float) -> ShockRow:
        """What `shock` does where `answers.survives` of the book is there."""
        away = abs(math.log1p(shock))
        step, y = answers.rest(self.bucket, away)
        total = float(self.steps.total[step])
        there = math.isfinite(y)
        after = self.mark * math.exp(self.sign * y) if there else None
        losses, vwap = NO_LOSSES, None
        whose: tuple[DeleveragedPosition, ...] = ()
        closes = self._closes(step, answers.survives)
        if closes is not None and after is not None:
            vwap = float(np.sum(closes.price * closes.sent) / np.sum(closes.sent))
            losses = settle_losses(self.path, closes, -self.sign, after, self.fund)
            if losses.deleveraged > 0.0:
                whose = self.close_other_side(after, losses.deleveraged)
        return ShockRow(
            shock, answers.survives, total * self.mark, after, vwap,
            y / away if there else None, losses.shortfall, losses.fund_paid,
            losses.backstop * self.mark, losses.deleveraged * self.mark, whose,
            self._rate(answers, y),
        )  # fmt: skip

    def _closes(self, step: int, survives: float) -> ForcedCloses | None:
        """The steps up to `step`, the nearest first, each sold where those before it have left the
        book; None: nothing is sent, or there is no book."""
        low = int(self.steps.first[self.bucket])
        sent = self.steps.sent[low : step + 1]
        if sent[-1] <= 0.0 or self._depth == 0.0:
            return None
        proceeds = self._proceeds(sent / survives) * survives
        parts = np.diff(sent)
        with np.errstate(invalid="ignore", divide="ignore"):
            price = np.where(parts > 0.0, np.diff(proceeds) / parts, 0.0)
        kept = np.maximum(np.diff(self.steps.total[low : step + 1]) - parts, 0.0)
        behind = (column[low + 1 : step + 1] for column in self.prices)
        return ForcedCloses(parts, price, kept, *behind)

    @property
    def _depth(self) -> float:
        high = int(self.levels.first[self.bucket + 1])
        there = high > self.levels.first[self.bucket]
        return float(self.levels.total[high - 1]) if there else 0.0

    def _proceeds(self, quantity: Float64) -> Float64:
        """What the whole book pays for each quantity; behind its last level by the power law."""
        low, high = self.levels.first[self.bucket], self.levels.first[self.bucket + 1]
        distance, total = self.levels.distance[low:high], self.levels.total[low:high]
        price = self.mark * np.exp(self.sign * distance)
        edges = np.concatenate(([0.0], total))
        paid = np.concatenate(([0.0], np.cumsum(price * np.diff(edges))))
        if quantity[-1] > total[-1]:
            beyond = np.geomspace(total[-1], quantity[-1], TAIL_POINTS)
            far = max(float(distance[-1]), FAR_MIN) * (beyond / total[-1]) ** IMPACT_EXPONENT
            price = self.mark * np.exp(self.sign * far)
            more = np.cumsum((price[1:] + price[:-1]) / 2 * np.diff(beyond))
            edges, paid = (
                np.concatenate((edges, beyond[1:])),
                np.concatenate((paid, paid[-1] + more)),
            )
        return np.interp(quantity, edges, paid)

    def _rate(self, answers: ShockAnswers, y: float) -> float | None:
        """R: how far the mark moves by what is forced in the next `RATE_SPAN`, over that span."""
        if not math.isfinite(y):
            return None
        a, b = (answers.moved_at(self.bucket, at) for at in (y, y + RATE_SPAN))
        return (b - a) / RATE_SPAN if math.isfinite(b) else None

    def critical(self, answers: ShockAnswers) -> Jump | None:
        """The shock at which the rest jumps furthest, the nearest of equal ones; None: by less
        than `JUMP_MIN` everywhere."""
        jumps = [j for j in answers.jumps(self.bucket, REACH) if j.length >= JUMP_MIN]
        return max(jumps, key=lambda jump: jump.length, default=None)

    def unknown(
        self, name: str, side: str, shocks: Sequence[float], every: Sequence[ShockAnswers]
    ) -> list[str]:
        """Which answers (`every`: one for each share of the book) rest on what no book shows."""
        asked = [
            (shock, answers.survives, answers.rest(self.bucket, abs(math.log1p(shock)))[0])
            for shock in shocks
            for answers in every
        ]
        if self._depth == 0.0:
            forced = any(self.steps.total[step] for _, _, step in asked)
            return [f"{name} {side}: there is no book to close into"] if forced else []
        beyond = [
            f"{shock:+.1%} with {survives:g} of the book"
            for shock, survives, step in asked
            if self.steps.sent[step] > self._depth * survives
        ]
        if not beyond:
            return []
        seen = f"{name} {side}: the visible book takes {self._depth * self.mark:,.0f}"
        return [f"{seen}; beyond it a power law answers ({', '.join(beyond)})"]
