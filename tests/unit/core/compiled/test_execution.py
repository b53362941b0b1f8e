"""Reserving and settling of the compiled core against the reference's, to the atom."""

from collections import Counter
from random import Random

import pytest

from hpe.core.context.effort import Effort
from hpe.core.context.holders import NOBODY
from hpe.core.money.balances import BalanceCache
from hpe.core.money.fees import rates_of
from hpe.core.money.wide import charge
from hpe.core.trading.auction import clearing, fill_auction
from hpe.core.trading.executor import Executor
from hpe.core.trading.matcher import Matcher
from hpe.core.trading.orderbook import OrderBook
from hpe.core.trading.orders import Order, Terms
from hpe.protocol.enums import OrderType, SelfTrade, Side, TimeInForce
from hpe.protocol.limits import AMOUNT_MAX, HOUSE_USER, INT_MAX, PPM
from tests.unit.core.parts import new_instrument

STEPS = 2_000
USERS = (1, 2, 3, 4)
BASE, QUOTE = 1, 2
GTC, IOC, MARKET = TimeInForce.GTC, TimeInForce.IOC, OrderType.MARKET
GOES_ON = (SelfTrade.NONE, SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_MAKER)
"""What a budget may have."""

FREE = [(0, 0)]
MIXED = [(0, 0), (0, 333_333), (250_000, 0), (PPM - 1, PPM - 1), (77, 3)]
REBATES = [(-1_000, 1_000), (-20, 333_333), (0, 1_000), (5, PPM - 1), (-900, 2_000)]


class BothMarkets:
    """One instrument in both cores: its book, its open orders and the money of its users."""

    def __init__(self, execution, *, lot=3, tick=7, rates=(0, 0), fills_max=10):
        self.compiled = execution.Market(lot, tick, *rates, fills_max)
        instrument = new_instrument(
            base_atoms_per_lot=lot, quote_atoms_per_tick=tick,
            maker_fee_ppm=rates[0], taker_fee_ppm=rates[1],
        )  # fmt: skip
        self.book, self.balances = OrderBook(instrument), BalanceCache()
        self.executor, self.matcher = Executor(self.balances), Matcher(Effort(), fills_max)
        self.orders = {}
        self.last_id = 0
        self.seen = Counter()

    # --- users and orders -----------------------------------------------------------------------

    def deposit(self, user, asset, amount):
        mine = self.balances.accounts.setdefault(user, {})
        if asset not in mine:
            self.balances.open(user, asset, NOBODY)
        self.balances.deposit(user, asset, amount)
        self.compiled.deposit(user, asset, amount)

    def set_rates(self, user, maker, taker):
        if user:
            self.book.fees.own[user] = rates_of(maker, taker)
        else:
            self.book.fees.common = rates_of(maker, taker)
        self.compiled.set_rates(user, maker, taker)

    def make(
        self, user, side, price, quantity, *, order_type=OrderType.LIMIT, tif=GTC,
        self_trade=SelfTrade.NONE, terms=None,
    ):  # fmt: skip
        """Add an order that has reserved nothing."""
        self.last_id += 1
        mine = self.balances.accounts[user]
        paying, receiving = (QUOTE, BASE) if side is Side.BUY else (BASE, QUOTE)
        order = Order(
            self.last_id, user, 0, 1, side, order_type, tif, price, quantity, quantity, 0,
            self_trade, self.book.fees.of(user), mine[paying], mine[receiving], NOBODY,
            terms=terms,
        )  # fmt: skip
        self.orders[order.order_id] = order
        self.compiled.add(order)
        return order

    def end(self, order):
        """Release what an order outside the book reserves, and forget it."""
        self.executor.release(order)
        self.compiled.release(order.order_id)
        self.compare_money()
        del self.orders[order.order_id]
        self.compiled.end(order.order_id)

    def rest(self, order):
        order.show_slice()
        self.book.side(order.side).add(order)
        self.compiled.rest(order.order_id)

    def take_out(self, order):
        self.book.side(order.side).remove(order)
        self.compiled.take_out(order.order_id)

    # --- executor -------------------------------------------------------------------------------

    def requirement(self, order, price, leaves):
        needed = self.executor.requirement(self.book.instrument, order, price, leaves)
        assert self.compiled.requirement(order.order_id, price, leaves) == needed
        return needed

    def pair_requirement(self, order, price, leaves):
        needed = self.executor.pair_requirement(self.book.instrument, order, price, leaves)
        assert self.compiled.pair_requirement(order.order_id, price, leaves) == needed
        return needed

    def reserve(self, order, amount):
        enough = self.executor.reserve(order, amount)
        assert self.compiled.reserve(order.order_id, amount) == enough
        self.seen["refused"] += not enough
        return enough

    def reserve_for(self, order, price, leaves):
        """Reserve what an order or its pair needs, as the market does."""
        partner, holder = order.partner, order
        if partner is not None and partner.terms.holds_pair:
            holder = partner
        return self.reserve(holder, self.pair_requirement(order, price, leaves))

    def needed(self, order):
        """Return what a new order reserves; at market, its present cost."""
        if order.side is Side.SELL or order.order_type is not MARKET or order.terms is not None:
            return self.requirement(order, order.price, order.leaves)
        ticks = self.matcher.cost(self.book, order, 0, AMOUNT_MAX)
        cost = ticks * self.book.instrument.quote_atoms_per_tick
        return cost + charge(cost, order.rates.taker, 0)[0]

    # --- life of orders -------------------------------------------------------------------------

    def submit(self, order):
        """Let a new order arrive, if it can be paid for."""
        if not self.reserve(order, self.needed(order)):
            self.end(order)
            return
        self.arrive(order)

    def arrive(self, order):
        """Let an order that has reserved what it needs trade, then rest or end."""
        matched = self.matcher.match(self.book, order, order.price)
        fills = matched.fills
        self.executor.settle(self.book.instrument, order, fills)
        assert self.compiled.trade(order.order_id, order.price) == [
            (fill.maker.order_id, fill.price, fill.quantity, fill.maker_fee, fill.taker_fee)
            for fill in fills
        ]
        self.compare_money()
        self.seen["fills"] += len(fills)
        self.seen["rebates"] += sum(fill.maker_fee < 0 for fill in fills)
        self.seen["overpaid"] += sum(fill.taker_fee == 0 < order.rates.taker for fill in fills)
        for fill in fills:
            if not fill.maker_leaves:
                self.end(fill.maker)
            self.unlink(fill.maker)
        for each in matched.prevented:
            self.after_prevention(each)
        if matched.prevented and order.leaves and order.price:
            self.reserve_for(order, order.price, order.leaves)
        stuck = matched.barred or matched.exhausted
        if order.leaves and order.price and order.time_in_force is GTC and not stuck:
            self.rest(order)
        else:
            self.end(order)

    def after_prevention(self, each):
        """Release the money of what self-trade prevention canceled."""
        maker = each.maker
        if each.maker_canceled and not maker.leaves:
            self.end(maker)
            self.unlink(maker)
        elif each.maker_canceled:
            self.reserve_for(maker, maker.price, maker.leaves)
        self.seen["prevented"] += 1

    def unlink(self, order):
        """Dissolve a pair: the other leg, which is outside the book, ends."""
        partner = order.partner
        if partner is None:
            return
        self.part(order, partner)
        self.end(partner)
        if order.order_id in self.orders:
            self.reserve(order, self.requirement(order, order.price, order.leaves))
        self.seen["unlinked"] += 1

    def part(self, *legs):
        for leg in legs:
            leg.terms.partner, leg.terms.holds_pair = None, False
        self.compiled.part(*(leg.order_id for leg in legs if leg.order_id in self.orders))

    def pair(self, limit, stop):
        """Accept a pair, if it can be paid for; the stop waits outside the book."""
        limit.terms.partner, stop.terms.partner, limit.terms.holds_pair = stop, limit, True
        self.compiled.link(limit.order_id, stop.order_id)
        needed = self.pair_requirement(limit, limit.price, limit.leaves)
        assert self.pair_requirement(stop, stop.price, stop.leaves) == needed
        if self.reserve(limit, needed):
            self.rest(limit)
            return
        self.part(limit, stop)
        self.end(limit)
        self.end(stop)

    def fire(self, stop):
        """Let the stop of a pair have its turn: the limit ends, and the stop arrives."""
        limit = stop.partner
        self.take_out(limit)
        self.part(limit, stop)
        self.end(limit)
        assert self.reserve(stop, self.requirement(stop, stop.price, stop.leaves))
        self.seen["fired"] += 1
        self.arrive(stop)

    def cancel(self, order):
        self.take_out(order)
        partner = order.partner
        if partner is not None:
            self.part(order, partner)
            self.end(partner)
        self.end(order)

    def cancel_part(self, order, leaves):
        assert self.reserve_for(order, order.price, leaves)
        self.book.side(order.side).reduce(order, leaves)
        self.compiled.reduce(order.order_id, leaves)

    def uncross(self):
        """Trade what crosses at one price."""
        found = clearing(self.book)
        fills = fill_auction(self.book, found.price, found.volume, 1_000)
        for fill in fills:
            self.executor.settle_auction(self.book.instrument, fill)
            fees = self.compiled.settle_auction(
                fill.buy.order_id, fill.sell.order_id, fill.price, fill.quantity
            )
            assert fees == (fill.buy_fee, fill.sell_fee)
        self.compare_money()
        for fill in fills:
            for order, leaves in ((fill.buy, fill.buy_leaves), (fill.sell, fill.sell_leaves)):
                if not leaves:
                    self.end(order)
                self.unlink(order)
        self.seen["uncrossed"] += len(fills)

    # --- comparison -----------------------------------------------------------------------------

    def compare_money(self):
        """Compare all money; orders that trade may be in the middle of it."""
        for user in (*USERS, HOUSE_USER):
            mine = self.balances.accounts.get(user, {})
            for asset in (BASE, QUOTE):
                row = None
                if asset in mine:
                    account = mine[asset]
                    row = account.available, account.reserved, account.held
                assert self.compiled.row(user, asset) == row, (user, asset)
        assert self.compiled.order_rows() == {
            number: (
                order.leaves, order.cum, order.reserved, order.quote_total, order.fee_total,
                order.fee_rest, order.rates.maker, order.rates.taker,
            )
            for number, order in self.orders.items()
        }  # fmt: skip

    def compare(self):
        self.compare_money()
        reserved = Counter()
        for order in self.orders.values():
            reserved[order.user, order.paying.asset] += order.reserved
        self.balances.check(reserved)

    def take_changed(self):
        changed = [(each.user, each.asset) for each in self.balances.take_changed()]
        assert self.compiled.take_changed() == changed
        self.seen["changed"] += len(changed)


def submit_any(random, both):
    """Submit a limit order, an order at market or a budget."""
    side, user, choice = random.choice(list(Side)), random.choice(USERS), random.random()
    price, quantity = random.randint(95, 105), random.randint(1, 30)
    policy = random.choice([SelfTrade.NONE, *SelfTrade])
    if choice < 0.15:
        terms = Terms(budget=random.randint(1, 60_000))
        policy = random.choice(GOES_ON)
        order = both.make(
            user, Side.BUY, 0, 0, order_type=MARKET, tif=IOC, self_trade=policy, terms=terms
        )
        both.seen["budgets"] += 1
    elif choice < 0.3:
        order = both.make(user, side, 0, quantity, order_type=MARKET, tif=IOC, self_trade=policy)
    else:
        terms = random.choice((None, None, Terms(display=random.randint(1, 5))))
        tif = random.choice((GTC, GTC, GTC, IOC))
        order = both.make(user, side, price, quantity, tif=tif, self_trade=policy, terms=terms)
    both.submit(order)


def pair_any(random, both):
    """Submit a pair whose limit leg trades nothing at once; its stop may have no limit."""
    side, user, quantity = random.choice(list(Side)), random.choice(USERS), random.randint(1, 30)
    price = 90 if side is Side.BUY else 110
    limit = both.make(user, side, price, quantity, terms=Terms())
    stop_price, terms = random.choice((80, 100, 120)), Terms()
    order_type = OrderType.STOP_LIMIT
    if random.random() < 0.5:
        order_type, stop_price = OrderType.STOP, 0
        if side is Side.BUY:
            quantity, terms = 0, Terms(budget=random.randint(1, 60_000))
    stop = both.make(user, side, stop_price, quantity, order_type=order_type, terms=terms)
    both.pair(limit, stop)


def collect(random, both):
    """Let orders rest that cross, then uncross."""
    for _ in range(random.randint(1, 8)):
        side, user = random.choice(list(Side)), random.choice(USERS)
        terms = random.choice((None, Terms(display=2)))
        order = both.make(user, side, random.randint(95, 105), random.randint(1, 30), terms=terms)
        if both.reserve(order, both.needed(order)):
            both.rest(order)
        else:
            both.end(order)
    both.uncross()


def step(random, both, rates):
    choice, there = random.random(), [*both.book.orders()]
    stops = [order for order in both.orders.values() if order.partner and order.is_stop]
    if choice < 0.5:
        submit_any(random, both)
    elif choice < 0.6:
        pair_any(random, both)
    elif choice < 0.7 and there:
        both.cancel(random.choice(there))
    elif choice < 0.8 and there:
        order = random.choice(there)
        if order.leaves > 1:
            both.cancel_part(order, random.randint(1, order.leaves - 1))
    elif choice < 0.85 and stops:
        both.fire(random.choice(stops))
    elif choice < 0.9:
        collect(random, both)
    elif choice < 0.95:
        both.set_rates(random.choice((0, *USERS)), *random.choice(rates))
    else:
        asset, amount = random.choice(((BASE, 90), (QUOTE, 30_000)))
        both.deposit(random.choice(USERS), asset, random.randint(1, amount))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rates", [FREE, MIXED, REBATES], ids=["free", "mixed", "rebates"])
def test_money_moves_as_in_the_reference(execution, rates, seed):
    random, both = Random(seed), BothMarkets(execution, rates=rates[0])
    for user in USERS:
        both.deposit(user, BASE, 300)
        both.deposit(user, QUOTE, 60_000)
    for _ in range(STEPS):
        step(random, both, rates)
        both.compare()
        if random.random() < 0.2:
            both.take_changed()
            both.compiled.forget_trades()
    seen, charged = both.seen, rates is not FREE
    for name in ("refused", "fills", "prevented", "unlinked", "fired", "uncrossed", "budgets"):
        assert seen[name] > STEPS // 200, (name, seen)
    assert (QUOTE in both.balances.accounts[HOUSE_USER]) is charged
    assert bool(seen["overpaid"]) is charged
    assert bool(seen["rebates"]) is (rates is REBATES)


def test_the_largest_amounts(execution):
    both = BothMarkets(execution, lot=1, tick=1, rates=(PPM - 1, PPM - 1))
    both.deposit(1, QUOTE, AMOUNT_MAX)
    both.deposit(1, BASE, 0)
    both.deposit(2, BASE, AMOUNT_MAX)
    both.deposit(2, QUOTE, 0)
    both.submit(both.make(2, Side.SELL, 2, 2**60))
    buy = both.make(1, Side.BUY, 2, 2**60)
    assert both.needed(buy) > AMOUNT_MAX - 2**43
    both.submit(buy)
    both.compare()
    assert both.seen["fills"] == 1
    assert both.balances.accounts[HOUSE_USER][QUOTE].available > AMOUNT_MAX - 2**43


@pytest.mark.parametrize(("lot", "lots"), [(4, 2**62), (AMOUNT_MAX, INT_MAX)])
def test_more_than_64_bits_are_never_there(execution, lot, lots):
    both = BothMarkets(execution, lot=lot)
    both.deposit(1, BASE, AMOUNT_MAX)
    both.deposit(1, QUOTE, 0)
    order = both.make(1, Side.SELL, 1, lots)
    assert both.needed(order) >= 2**64
    assert not both.reserve(order, both.needed(order))
    both.compare()


def test_a_rate_whose_fees_are_all_0_opens_the_houses_account(execution):
    both = BothMarkets(execution, lot=1, tick=1, rates=(-1, 1))
    for user in (1, 2):
        both.deposit(user, BASE, 10)
        both.deposit(user, QUOTE, 100)
    both.set_rates(1, 0, 0)
    both.submit(both.make(2, Side.SELL, 5, 2))
    both.submit(both.make(1, Side.BUY, 5, 2))
    both.compare()
    assert both.balances.accounts[HOUSE_USER][QUOTE].available == 0
