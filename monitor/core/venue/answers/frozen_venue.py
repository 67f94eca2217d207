"""A venue as it stood at a moment, to be asked while the stage goes on in another thread."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from monitor.core.bands.inputs import MarketInputs
from monitor.core.bands.kernels.arrays import PositionArrays
from monitor.core.bands.maker import BandMaker
from monitor.core.bands.pools import Pools
from monitor.core.venue.state import VenueState


class FrozenPools(Pools):
    """The pools as of the last update; what is changed later shows in none of their arrays."""

    def __init__(self, pools: Pools) -> None:
        self.__dict__.update(pools.__dict__)
        self._frozen = copy.deepcopy(pools.update())

    def update(self) -> PositionArrays:
        """The same at any time."""
        return self._frozen


class FrozenMaker(BandMaker):
    """A band maker of frozen pools. Its parts run one after the other: the threads of the one that
    goes on are for its bands."""

    def __init__(self, maker: BandMaker) -> None:
        self.__dict__.update(maker.__dict__)
        self.pools = FrozenPools(maker.pools)
        self.parallel_map = map


class FrozenVenue(VenueState):
    """The marks, books, rules and funds as of now. Accounts and what is learnt from prices are
    shared with the venue that goes on."""

    def __init__(self, venue: VenueState) -> None:
        self.__dict__.update(venue.__dict__)
        inputs = venue.market_inputs()
        self.market_rules, self.mark_rules = dict(venue.market_rules), dict(venue.mark_rules)
        self.rule_records, self.funds = dict(venue.rule_records), dict(venue.funds)
        self._inputs = inputs._replace(
            rules=self.market_rules, mark_rules=self.mark_rules, marks=inputs.marks.copy(),
            mark_times=inputs.mark_times.copy(), books=inputs.books.copy(),
            shown_depth=inputs.shown_depth.copy(),
        )  # fmt: skip

    def market_inputs(self, doubts: Mapping[str, list[str]] | None = None) -> MarketInputs:
        """As it stood; no doubts but those of then."""
        return self._inputs
