"""Events, reports and the output of a batch of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled cimport events, matcher, orders, slabs, waiting
from hpe.core.compiled._c cimport crc32


def checksum(bytes data, uint32_t before):
    """Return the CRC-32 of bytes that follow others."""
    return crc32(<const uint8_t*>data, len(data), before)


cdef class Outputs:
    """What happened to orders, which are named by their ids: compiled records of a reference's."""

    cdef slabs.Slab order_slab
    cdef slabs.Slab terms_slab
    cdef waiting.TriggerSlabs stops
    cdef matcher.Matcher matcher
    cdef events.Events own
    cdef dict numbers

    def __init__(self):
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.terms_slab, sizeof(orders.Terms))
        waiting.make_trigger_slabs(&self.stops, &self.terms_slab)
        matcher.make_matcher(&self.matcher, NULL, 1)
        events.make_events(&self.own)
        self.numbers = {}

    def __dealloc__(self):
        events.free_events(&self.own)
        matcher.free_matcher(&self.matcher)
        waiting.free_trigger_slabs(&self.stops)
        slabs.free_slab(&self.terms_slab)
        slabs.free_slab(&self.order_slab)

    cdef orders.Order* at(self, uint32_t number):
        return <orders.Order*>slabs.record(&self.order_slab, number)

    def set(self, other):
        """Make an order, or change it, to what a reference's is now."""
        cdef uint32_t number = self.numbers.get(other.order_id, 0)
        cdef orders.Order* order
        if number == 0:
            if not slabs.reserve(&self.order_slab, 1):
                raise MemoryError
            number = self.numbers[other.order_id] = slabs.take(&self.order_slab)
        order = self.at(number)
        order.order_id, order.client_order_id = other.order_id, other.client_order_id
        order.instrument, order.side = other.instrument_id, other.side
        order.order_type, order.price = other.order_type, other.price
        order.quantity, order.leaves, order.cum = other.quantity, other.leaves, other.cum
        order.reason, order.state, order.self_trade = other.reason, other.state, other.self_trade
        if other.terms is not None:
            self.set_terms(order, other.terms)

    cdef int set_terms(self, orders.Order* order, other) except -1:
        cdef orders.Terms* terms
        if not slabs.reserve(&self.terms_slab, 1) or not slabs.reserve(&self.stops.trails, 1):
            raise MemoryError
        if order.terms == 0:
            order.terms = slabs.take(&self.terms_slab)
        terms = <orders.Terms*>slabs.record(&self.terms_slab, order.terms)
        terms.stop_price, terms.trail = other.stop_price, other.trail
        if terms.group:
            slabs.give_back(&self.stops.trails, terms.group)
            terms.group = 0
        if other.group is not None:
            terms.group = slabs.take(&self.stops.trails)
            (<waiting.Trail*>slabs.record(&self.stops.trails, terms.group)).peak = other.group.peak
        return 0

    def reserve(self, int64_t arrivals, int64_t ends, int64_t others, int64_t fills):
        """Make room for a command."""
        if not events.reserve_events(&self.own, arrivals, ends, others, fills):
            raise MemoryError

    def add_accepted(self, order_id):
        """See events.pxd."""
        events.add_accepted(&self.own, self.numbers[order_id])

    def add_answered(self, order_id, int exec_type):
        """See events.pxd."""
        events.add_answered(&self.own, self.numbers[order_id], exec_type)

    def order_change(self, order_id, int exec_type, int64_t request_id):
        """See events.pxd."""
        cdef uint32_t number = self.numbers[order_id]
        events.order_change(
            &self.own, number, self.at(number), waiting.trigger_of(&self.stops, self.at(number)),
            exec_type, request_id,
        )

    def add_match(self, taker_id, int64_t request_id, int64_t first_trade_id, fills, prevented):
        """Append a match of fills and prevented matches, which are a reference's."""
        cdef events.Match* match
        cdef matcher.Fill* fill
        cdef matcher.Prevented* stopped
        self.matcher.fills_max = max(len(fills), len(prevented))
        if not matcher.reserve_trades(&self.matcher, 1):
            raise MemoryError
        match = events.add_match(&self.own, self.numbers[taker_id], request_id)
        match.first_trade_id = first_trade_id
        match.first_fill = self.matcher.fills.size // <int64_t>sizeof(matcher.Fill)
        match.first_prevented = self.matcher.prevented.size // <int64_t>sizeof(matcher.Prevented)
        match.fill_count, match.prevented_count = len(fills), len(prevented)
        for place, each in enumerate(fills):
            fill = matcher.fill_at(&self.matcher, match.first_fill + place)
            fill.maker, fill.price = self.numbers[each.maker.order_id], each.price
            fill.quantity = each.quantity
            fill.maker_leaves, fill.maker_cum = each.maker_leaves, each.maker_cum
            fill.taker_leaves, fill.taker_cum = each.taker_leaves, each.taker_cum
            fill.maker_fee, fill.taker_fee = each.maker_fee, each.taker_fee
        for place, each in enumerate(prevented):
            stopped = matcher.prevented_at(&self.matcher, match.first_prevented + place)
            stopped.maker, stopped.price = self.numbers[each.maker.order_id], each.price
            stopped.maker_canceled, stopped.taker_canceled = each.maker_canceled, each.taker_canceled
            stopped.maker_leaves, stopped.taker_leaves = each.maker_leaves, each.taker_leaves
            stopped.fills_before = each.fills_before
        self.matcher.fills.size += len(fills) * <int64_t>sizeof(matcher.Fill)
        self.matcher.prevented.size += len(prevented) * <int64_t>sizeof(matcher.Prevented)

    def add_auction(self, int64_t instrument, int64_t first_trade_id, fills):
        """Append trades of an uncross, which are a reference's."""
        cdef events.AuctionMatch* match = events.add_auction(&self.own, instrument)
        cdef events.AuctionFill* fill
        match.first_trade_id = first_trade_id
        match.first_fill = events.auction_fill_count(&self.own)
        match.fill_count = len(fills)
        for each in fills:
            fill = events.add_auction_fill(&self.own)
            fill.buy, fill.sell = self.numbers[each.buy.order_id], self.numbers[each.sell.order_id]
            fill.price, fill.quantity = each.price, each.quantity
            fill.buy_leaves, fill.buy_cum, fill.buy_fee = each.buy_leaves, each.buy_cum, each.buy_fee
            fill.sell_leaves, fill.sell_cum = each.sell_leaves, each.sell_cum
            fill.sell_fee = each.sell_fee

    def add_hold(self, other):
        """Append what happened to a hold, as a reference's event says."""
        cdef events.HoldEvent hold = events.HoldEvent(
            other.user, other.hold_id, other.asset, other.amount, other.remaining,
            other.expires_ns, other.change,
        )
        events.add_hold(&self.own, &hold)

    def add_delisted(self, int64_t instrument):
        """See events.pxd."""
        events.add_delisted(&self.own, instrument)

    def happened(self):
        """Return all events: what kind, then all fields in the order of the reference's."""
        return [
            self.fields_of(events.event_at(&self.own, place))
            for place in range(events.event_count(&self.own))
        ]

    cdef object fields_of(self, const events.Event* event):
        cdef const events.OrderChange* change = &event.what.change
        cdef const events.Match* match = &event.what.match
        cdef const events.AuctionMatch* auction = &event.what.auction
        cdef const events.HoldEvent* hold = &event.what.hold
        order_id = self.at(event.order).order_id if event.order else 0
        if event.kind == events.EVENT_ACCEPTED:
            return "accepted", order_id, event.exec_type
        if event.kind == events.EVENT_ANSWERED:
            return "answered", order_id, event.exec_type
        if event.kind == events.EVENT_CHANGE:
            return (
                "change", order_id, event.exec_type, change.request_id, change.status, change.leaves,
                change.cum, change.canceled, change.reason, change.price, change.stop_price,
            )
        if event.kind == events.EVENT_MATCH:
            return (
                "match", order_id, match.request_id, match.first_trade_id,
                match.first_fill, match.fill_count, match.first_prevented, match.prevented_count,
            )
        if event.kind == events.EVENT_AUCTION:
            return (
                "auction", auction.instrument, auction.first_trade_id,
                auction.first_fill, auction.fill_count,
            )
        if event.kind == events.EVENT_HOLD:
            return (
                "hold", hold.user, hold.hold_id, hold.asset, hold.change, hold.amount,
                hold.remaining, hold.expires_ns,
            )
        assert event.kind == events.EVENT_DELISTED
        return "delisted", event.what.delisted

    def forget(self):
        """Forget the events, and the trades of all matches."""
        events.forget_events(&self.own)
        matcher.forget_trades(&self.matcher)
