"""Events, reports and the output of a batch of the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from hpe.core.compiled cimport (
    accounts,
    batch_work,
    buffers,
    events,
    matcher,
    orders,
    packing,
    reports,
    slabs,
    sorting,
    waiting,
)
from hpe.core.compiled._c cimport crc32

REPORT_BYTES_MAX = batch_work.REPORT_BYTES_MAX
TRADE_BYTES_MAX = batch_work.TRADE_BYTES_MAX


cdef bytes bytes_of(const buffers.Buffer* buffer):
    return bytes(buffer.data[: buffer.size])


def ranked(keys):
    """Return the places of keys, sorted."""
    cdef buffers.Buffer rows = buffers.Buffer(NULL, 0, 0)
    cdef sorting.Ranked* all
    if not buffers.make_room(&rows, (len(keys) + 1) * <int64_t>sizeof(sorting.Ranked)):
        raise MemoryError
    all = <sorting.Ranked*>rows.data
    for place, key in enumerate(keys):
        all[place] = sorting.Ranked(key, place)
    sorting.sort_ranked(all, len(keys))
    assert sorting.is_sorted(all, len(keys))
    places = [all[place].place for place in range(len(keys))]
    buffers.free_buffer(&rows)
    return places


cdef void remember_fill(
    void* index, uint32_t user, const reports.ExecutionReport* fill
) noexcept nogil:
    """Keep a fill with the number of its user in a list."""
    cdef const int64_t* values = <const int64_t*>fill
    with gil:
        (<list>index).append((
            user,
            [values[place] for place in range(sizeof(reports.ExecutionReport) // sizeof(int64_t))],
        ))


def checksum(bytes data, uint32_t before):
    """Return the CRC-32 of bytes that follow others."""
    return crc32(<const uint8_t*>data, len(data), before)


cdef class Outputs:
    """What happened to orders, and what a batch puts out; records are compiled ones of a reference's.

    Orders are named by their ids. The bytes that are logged or put in a place are kept here.
    """

    cdef slabs.Slab order_slab
    cdef slabs.Slab terms_slab
    cdef waiting.TriggerSlabs stops
    cdef matcher.Matcher matcher
    cdef events.Events own
    cdef accounts.Balances balances
    cdef reports.PrivateFeed feed
    cdef batch_work.BatchWork work
    cdef packing.Output output
    cdef dict numbers
    cdef readonly list fills
    cdef list kept

    def __init__(self, int64_t reports_max=4):
        slabs.make_slab(&self.order_slab, sizeof(orders.Order))
        slabs.make_slab(&self.terms_slab, sizeof(orders.Terms))
        waiting.make_trigger_slabs(&self.stops, &self.terms_slab)
        matcher.make_matcher(&self.matcher, NULL, 1)
        events.make_events(&self.own)
        accounts.make_balances(&self.balances, 7, NULL)
        batch_work.make_work(&self.work, reports_max)
        self.numbers, self.fills, self.kept = {}, [], []
        self.feed = reports.PrivateFeed(
            &self.balances, &self.order_slab, &self.stops, &self.matcher, &self.own, remember_fill,
            <void*>self.fills,
        )

    def __dealloc__(self):
        packing.free_output(&self.output)
        batch_work.free_work(&self.work)
        accounts.free_balances(&self.balances)
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
        order.user = accounts.find_user(&self.balances, other.user)
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

    # --- the output of a batch --------------------------------------------------------------------

    def open_user(self, int64_t user, int64_t private_sequence):
        """Open a user that had so many reports; return its number."""
        cdef uint32_t number
        if not accounts.reserve_accounts(&self.balances, 1, 0, 0):
            raise MemoryError
        number = accounts.open_user(&self.balances, user)
        accounts.user_at(&self.balances, number).private_sequence = private_sequence
        return number

    def last(self, int64_t user):
        """Return the newest private sequence of a user."""
        cdef uint32_t number = accounts.find_user(&self.balances, user)
        return accounts.user_at(&self.balances, number).private_sequence

    def begin(self, int64_t time_ns, int64_t first_sequence, bint begun, int64_t rows):
        """Begin a batch with room for so many rows of each kind."""
        batch_work.begin_work(&self.work, time_ns, first_sequence)
        self.work.begun = begun
        self.kept.clear()
        self.fills.clear()
        if not batch_work.reserve_runs(&self.work, rows, rows, rows):
            raise MemoryError

    def reserve_command(self, int64_t reports_count, int64_t trades):
        """Make room for a command; return what it has: bytes of digest, replies and trades."""
        if not batch_work.reserve_command(&self.work, reports_count, trades):
            raise MemoryError
        return (
            self.work.digested.capacity - self.work.digested.size,
            self.work.replies.capacity - self.work.replies.size,
            self.work.trades.capacity - self.work.trades.size,
        )

    def report(self, int64_t sequence, int64_t time_ns, bint told):
        """Report all events and forget them; add their trades to the log."""
        cdef reports.Moment moment = reports.Moment(sequence, time_ns, told)
        cdef events.Event* event
        cdef int64_t place
        with nogil:
            for place in range(events.event_count(&self.own)):
                event = events.event_at(&self.own, place)
                reports.report(&self.feed, &self.work, event, &moment)
                batch_work.add_trades(
                    &self.work, event, &self.own, &self.matcher, &self.order_slab
                )
        self.forget()

    def report_accounts(self, changed, int64_t sequence, int64_t time_ns):
        """Report accounts, which are a reference's."""
        cdef reports.Moment moment = reports.Moment(sequence, time_ns, False)
        cdef buffers.Buffer rows = buffers.Buffer(NULL, 0, 0)
        cdef accounts.Account* account
        cdef uint32_t number, user
        if (
            not accounts.reserve_accounts(&self.balances, 0, len(changed), 0)
            or not buffers.make_room(&rows, len(changed) * <int64_t>sizeof(accounts.Touched))
        ):
            raise MemoryError
        for place, other in enumerate(changed):
            user = accounts.find_user(&self.balances, other.user)
            number = accounts.find_account(&self.balances, other.user, other.asset)
            if number == 0:
                number = accounts.open_account(&self.balances, user, other.asset, 0)
            account = accounts.account_at(&self.balances, number)
            account.available, account.reserved = other.available, other.reserved
            account.held, account.named = other.held, other.named
            (<accounts.Touched*>rows.data)[place].account = number
        reports.report_accounts(
            &self.feed, &self.work, <accounts.Touched*>rows.data, len(changed), &moment
        )
        buffers.free_buffer(&rows)

    @property
    def digested(self):
        """What the digest covers so far."""
        return bytes_of(&self.work.digested)

    @property
    def replies(self):
        """All replies so far, as they came."""
        return bytes_of(&self.work.replies)

    def replies_to(self, int64_t connection, int64_t frames, int64_t size):
        """See batch_work.pxd."""
        batch_work.replies_to(&self.work, connection, frames, size)

    def answer(self, bytes body, bint digested):
        """Reply to the connection whose run this is."""
        cdef const uint8_t* data = body
        if digested:
            buffers.put_bytes(&self.work.digested, data, len(body))
        batch_work.reply(&self.work, data, len(body))

    def leave_place(self):
        """See batch_work.pxd."""
        return batch_work.leave_place(&self.work)

    def end_replies(self):
        """See batch_work.pxd."""
        batch_work.end_replies(&self.work)

    def fill_place(self, int64_t place, bytes frame):
        """See batch_work.pxd."""
        if not buffers.make_room(&self.work.replies, len(frame)):
            raise MemoryError
        batch_work.fill_place(&self.work, place, <const uint8_t*>frame, len(frame))

    def advance(self, int64_t connection, int64_t highest_id, int64_t idle, int64_t idle_cancels):
        """End a run of which so many commands changed nothing."""
        for _ in range(idle):
            batch_work.count_idle(&self.work, False)
        for _ in range(idle_cancels):
            batch_work.count_idle(&self.work, True)
        batch_work.advance(&self.work, connection, highest_id)

    def cut(self, int64_t connection):
        """See batch_work.pxd."""
        batch_work.cut(&self.work, connection)

    def begin_subscription(self, int64_t connection, int64_t request_id, int64_t instrument, int channel):
        """See batch_work.pxd."""
        batch_work.begin_subscription(&self.work, connection, request_id, instrument, channel)

    def log(self, int64_t session_id, int64_t user, bytes frames):
        """See batch_work.pxd."""
        self.kept.append(frames)
        batch_work.log(&self.work, session_id, user, <const uint8_t*>frames, len(frames))

    def log_own(self, bytes frame):
        """Log a frame of the service; return how many others then have room."""
        self.kept.append(frame)
        if not batch_work.reserve_own(&self.work):
            raise MemoryError
        batch_work.log(&self.work, 0, 0, <const uint8_t*>frame, len(frame))
        return (self.work.logged.capacity - self.work.logged.size) // sizeof(batch_work.Logged)

    def add_market(self, bytes frames, bytes rows):
        """Append market data and its rows."""
        if (
            not buffers.make_room(&self.work.market, len(frames))
            or not buffers.make_room(&self.work.market_rows, len(rows))
        ):
            raise MemoryError
        buffers.put_bytes(&self.work.market, <const uint8_t*>frames, len(frames))
        buffers.put_bytes(&self.work.market_rows, <const uint8_t*>rows, len(rows))

    def pack(self, uint32_t digest):
        """Return the buffers of the output, in the order of the reference's fields."""
        cdef bint packed
        with nogil:
            packed = packing.pack(&self.work, digest, &self.output)
        if not packed:
            raise MemoryError
        return (
            bytes_of(&self.output.replies), bytes_of(&self.output.private),
            bytes_of(&self.output.market), bytes_of(&self.output.body),
            bytes_of(&self.output.reply_rows), bytes_of(&self.output.private_rows),
            bytes_of(&self.output.market_rows), bytes_of(&self.output.cut),
            bytes_of(&self.output.subscribed), bytes_of(&self.output.progress),
        )
