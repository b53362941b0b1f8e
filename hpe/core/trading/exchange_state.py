"""The state that every command of the exchange may read and change.

Part of the deterministic core. Owns the counters and settings that every part reads; exchange.py
adds the parts that execute commands on it. The driver (driver.py) advances `sequence`, and
`Exchange.let_time_act` the clock, at the beginning of a batch.
"""

from __future__ import annotations

from hpe.core.context.places import Places
from hpe.core.context.settings import Settings
from hpe.core.contract import DEFAULT_LIMITS, Limits
from hpe.core.listings.instruments import Listings
from hpe.core.money.balances import BalanceCache
from hpe.core.money.holds import Holds
from hpe.core.money.parties import Parties
from hpe.core.timers import Timers
from hpe.core.trading.expiry import Expiry
from hpe.core.trading.market import Market
from hpe.core.trading.order_index import OrderIndex
from hpe.core.trading.orderbook import OrderBook


class ExchangeState:
    """All books and all balances, and what counts and bounds them."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.settings = Settings(limits.reserved_part)
        self.sequence = 0
        self.last_order_id = 0
        # Sessions still to be closed because their key was revoked; owned by the registry.
        self.revoked: dict[int, None] = {}
        self.listings = Listings()
        self.balances = BalanceCache()
        self.timers = Timers(limits.acts)
        self.places = Places(self.settings)
        self.holds = Holds(self.balances, self.timers, self.settings, self.places)
        self.orders = OrderIndex(self.timers, limits)
        self.parties = Parties(self.settings, self.balances, self.places, self.orders.open_user)
        self.books: dict[int, OrderBook] = {}
        self.market = Market(self.balances, self.orders, self.timers, limits)
        self.expiry = Expiry(self.books, self.orders, self.market, self.timers)

    @property
    def time_ns(self) -> int:
        """Time of the newest logged batch, 0 before the first: the clock of the state."""
        return self.timers.now_ns
