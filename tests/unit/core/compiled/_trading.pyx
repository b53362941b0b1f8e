"""Commands of trading in the compiled core, for tests against the reference.

The service never imports it; one thread uses it. Everything here holds the interpreter's lock; what it
calls does not need the lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport (
    accounts,
    answers,
    batch_work,
    books,
    buffers,
    calls,
    catalogue,
    configuring,
    context,
    disconnects,
    dumping,
    effort,
    events,
    exchange_state,
    executing,
    fees,
    fields,
    hash_tables,
    holders,
    index_check,
    instruments,
    listing,
    loading,
    loading_orders,
    lost_sessions,
    matcher,
    order_index,
    places,
    refusing,
    registry,
    reports,
    reserving,
    session_rows,
    state_rows,
    time_acting,
    timers,
    treasury,
)
from hpe.core.compiled.taking cimport take_limits
from tests.unit.core.compiled.taking cimport take_instrument
from hpe.core.compiled import texts


cdef bytes bytes_of(const buffers.Buffer* buffer):
    return bytes(buffer.data[: buffer.size])


cdef int _set_request(fields.Request* request, int kind, values, nulls) except -1:
    """Set a request as it is decoded."""
    memset(request, 0, sizeof(fields.Request))
    request.kind, request.nulls = kind, nulls
    for place, value in enumerate(values):
        request.values[<int>place] = value
    return 0


cdef class Exchange:
    """An exchange that executes commands one by one, each in a batch of its own."""

    cdef exchange_state.Exchange exchange
    cdef reports.PrivateFeed feed
    cdef batch_work.BatchWork work
    cdef context.Context context
    cdef public object texts

    def __init__(self, limits, int64_t seed=7):
        cdef exchange_state.Limits given
        take_limits(&given, limits)
        if not exchange_state.make_exchange(&self.exchange, &given, seed):
            raise MemoryError
        batch_work.make_work(&self.work, limits.reports)
        self.feed = reports.PrivateFeed(
            &self.exchange.balances, &self.exchange.orders.orders, &self.exchange.trigger_slabs,
            &self.exchange.matcher, &self.exchange.events, order_index.remember_fill,
            &self.exchange.orders,
        )
        memset(&self.context, 0, sizeof(context.Context))
        self.texts = texts.Texts()

    def __dealloc__(self):
        batch_work.free_work(&self.work)
        exchange_state.free_exchange(&self.exchange)

    def settings(self, settings):
        """Take over what a reference's settings say."""
        loading.take_settings(&self.exchange, settings, settings.places)

    def add_instrument(self, instrument):
        """List a reference's instrument."""
        take_instrument(&self.exchange, instrument)

    def set_own_rates(self, int64_t instrument, int64_t user, int64_t maker_ppm, int64_t taker_ppm):
        """Set the rates of one user on an instrument."""
        if not fees.reserve_own_rates(&self.exchange.own_rates, 1):
            raise MemoryError
        fees.set_own(
            &exchange_state.book_of(&self.exchange, instrument).fees, user,
            fees.rates_of(maker_ppm, taker_ppm),
        )

    def list_asset(self, int64_t asset):
        """Let commands name an asset."""
        if not accounts.reserve_accounts(&self.exchange.balances, 0, 1, 0):
            raise MemoryError
        treasury.list_asset(&self.exchange.treasury, asset)

    def begin(self, int64_t sequence, int64_t time_ns, int64_t effort_max, origin):
        """Begin a batch of one command; `origin`: user, session, key, operator, cancels."""
        cdef context.Context* given = &self.context
        if not places.reserve_holders(&self.exchange.places, 1):
            raise MemoryError
        given.sequence, given.time_ns, given.effort_max = sequence, time_ns, effort_max
        given.user, given.session_id = origin[0], origin[1]
        given.holder = places.holder_of(&self.exchange.places, origin[2])
        given.operator, given.cancel_on_disconnect = origin[3], origin[4]
        self.exchange.sequence = sequence
        effort.begin(&self.exchange.effort)
        batch_work.begin_work(&self.work, time_ns, sequence)
        if not batch_work.reserve_runs(&self.work, 1, 0, 1):
            raise MemoryError
        batch_work.replies_to(&self.work, 1, 0, 0)

    def let_time_act(self):
        """Let what is due at the batch's time act."""
        if not reserving.reserve_exchange(&self.exchange):
            raise MemoryError
        time_acting.let_time_act(&self.exchange, self.context.time_ns)
        self.report(False)

    def go_on(self):
        """Do the next part of unfinished work."""
        if not reserving.reserve_exchange(&self.exchange):
            raise MemoryError
        calls.go_on(&self.exchange, &self.context)
        self.report(False)

    def is_busy(self, int kind, values, nulls):
        """True if a command would be refused now."""
        cdef fields.Request request
        _set_request(&request, kind, values, nulls)
        return bool(refusing.is_busy(&self.exchange, self.context.user, &request))

    def execute(self, int kind, values, nulls):
        """Execute a command; return its response, reports and trades, and the effort spent."""
        cdef fields.Request request
        cdef answers.Response response
        cdef executing.Handler handler
        if not reserving.reserve_exchange(&self.exchange):
            raise MemoryError
        _set_request(&request, kind, values, nulls)
        handler = executing.handler_of(kind)
        if handler == NULL:
            raise ValueError(kind)
        handler(&self.exchange, &self.context, &request, &response)
        self.report(True)
        return [
            response.fields.values[place] for place in range(answers.field_count(response.kind))
        ]

    def lose(self, str what, int64_t session_id, int64_t grace_ns):
        """Let a session's connection be lost, be back, or be left for good."""
        if not (
            reserving.reserve_exchange(&self.exchange)
            and reserving.reserve_losses(&self.exchange, 1)
        ):
            raise MemoryError
        if what == "lost":
            disconnects.lost(&self.exchange, &self.context, session_id, grace_ns)
        elif what == "back":
            disconnects.back(&self.exchange, &self.context, session_id)
        else:
            disconnects.left_for_good(&self.exchange, session_id)
        self.report(False)

    cdef int report(self, bint told) except -1:
        """Report what happened, and forget it."""
        cdef int64_t place, count = events.event_count(&self.exchange.events)
        cdef int64_t fills = matcher.fill_count(&self.exchange.matcher)
        cdef reports.Moment moment = reports.Moment(
            self.context.sequence, self.context.time_ns, told
        )
        fills += events.auction_fill_count(&self.exchange.events)
        prevented = matcher.prevented_count(&self.exchange.matcher)
        if not batch_work.reserve_command(&self.work, count + 2 * fills + prevented, fills):
            raise MemoryError
        for place in range(count):
            happened = events.event_at(&self.exchange.events, place)
            reports.report(&self.feed, &self.work, happened, &moment)
            batch_work.add_trades(
                &self.work, happened, &self.exchange.events, &self.exchange.matcher,
                &self.exchange.orders.orders,
            )
        events.forget_events(&self.exchange.events)
        matcher.forget_trades(&self.exchange.matcher)
        order_index.free_gone(&self.exchange.orders)
        return 0

    def finish(self):
        """End the batch; return all reports as they are digested, and the trades."""
        cdef const accounts.Touched* changed
        cdef int64_t count = accounts.take_changed(&self.exchange.balances, &changed)
        cdef reports.Moment moment = reports.Moment(
            self.context.sequence, self.context.time_ns, False
        )
        if not batch_work.reserve_command(&self.work, count, 0):
            raise MemoryError
        reports.report_accounts(&self.feed, &self.work, changed, count, &moment)
        batch_work.end_replies(&self.work)
        for place in range(self.work.reported.size // <int64_t>sizeof(batch_work.Reported)):
            batch_work.reported_at(&self.work, place + 1).user.reported = 0
        return bytes_of(&self.work.digested), bytes_of(&self.work.trades)

    def rows(self):
        """Return the rows of the state, without those of listings and sessions."""
        cdef dumping.Dump dump
        cdef list rows = [state_rows.settings_row(&self.exchange.settings)], more
        memset(&dump, 0, sizeof(dump))
        try:
            dumping.begin_dump(&dump, &self.exchange)
            while True:
                more = dumping.next_rows(&dump)
                if not more:
                    return rows
                rows += more
        finally:
            dumping.end_dump(&dump)

    def load(self, rows):
        """Load the rows of a state into this exchange, which is new."""
        cdef loading_orders.Loading load
        loading.begin_loading(&load, &self.exchange)
        try:
            for row in rows:
                loading.load_row(&load, row)
            loading.finish_loading(&load)
        finally:
            loading.end_loading(&load)

    def book_fields(self, int64_t instrument):
        """Return the last fields of an instrument's row."""
        return state_rows.book_fields(&self.exchange, instrument)

    def list(self, int kind, command):
        """Execute a command about what is listed; return its response."""
        cdef answers.Response response
        cdef listing.Lister lister = listing.lister_of(kind)
        if lister == NULL:
            raise ValueError(kind)
        if not reserving.reserve_exchange(&self.exchange):
            raise MemoryError
        lister(&self.exchange, self.texts, &self.context, command, &response)
        self.report(True)
        return [
            response.fields.values[place] for place in range(answers.field_count(response.kind))
        ]

    def configure(self, command):
        """Apply a configuration."""
        configuring.configure(&self.exchange, self.texts, &self.context, command)

    def listed(self, int64_t instrument):
        """Return what trading knows of an instrument, as the fields of its row that are numbers."""
        cdef const books.Book* book = exchange_state.book_of(&self.exchange, instrument)
        cdef const instruments.Instrument* found = &book.instrument
        return (
            found.instrument_id, found.base, found.quote, found.base_atoms_per_lot,
            found.quote_atoms_per_tick, found.price_min, found.price_max, found.quantity_min,
            found.quantity_max, found.notional_min, found.notional_max, book.fees.common.maker,
            book.fees.common.taker, found.self_trade, found.band_ppm, found.reference_price,
            found.volatility_interruption, found.interruption_ms,
        )

    def refresh_fees(self):
        """Let the rows of instruments have the rates of their books."""
        catalogue.refresh_fees(&self.exchange, self.texts)

    @property
    def own_rates(self):
        """How many users have rates of their own, on all instruments together."""
        return self.exchange.own_rates.slab.count

    def is_plain(self, int64_t instrument):
        """True if nothing but price and time decides trades of an instrument."""
        return bool(exchange_state.book_of(&self.exchange, instrument).plain)

    def places_of(self, int64_t key):
        """Return how many places of each kind a key has, PlaceKind by PlaceKind."""
        cdef const holders.Holder* holder
        if not places.reserve_holders(&self.exchange.places, 1):
            raise MemoryError
        holder = holders.holder_at(
            &self.exchange.places.holder_slab, places.holder_of(&self.exchange.places, key)
        )
        return [holders.count_of(holder, kind) for kind in range(holders.PLACE_KINDS)]

    def head(self, int64_t version, int64_t digest, last_ids):
        """Return the first row of a state; `last_ids`: session, connection, asset, instrument."""
        cdef registry.Sessions sessions
        memset(&sessions, 0, sizeof(sessions))
        sessions.last_session_id, sessions.last_attach_number, asset_id, instrument_id = last_ids
        return session_rows.head_row(
            &self.exchange, &sessions, version, digest, asset_id, instrument_id
        )

    @property
    def reports(self):
        return bytes_of(&self.work.digested)

    @property
    def wasted(self):
        return self.exchange.effort.wasted

    @property
    def spent(self):
        return self.exchange.effort.spent

    @property
    def unfinished(self):
        return self.exchange.turns.listed.count

    @property
    def next_due_ns(self):
        return timers.next_due_ns(&self.exchange.timers)

    def is_ending(self, int64_t session_id):
        """Return True if orders of a session are ending."""
        return disconnects.is_ending(&self.exchange, session_id)

    def endings(self):
        """Return all entries of lost sessions: due time, session, newest order, instrument."""
        cdef lost_sessions.LostSessions* lost = &self.exchange.lost_sessions
        found = []
        for place in range(hash_tables.place_count(&lost.by_id)):
            number = hash_tables.number_at(&lost.by_id, place)
            if number == 0:
                continue
            theirs = lost_sessions.lost_at(lost, number)
            entry = theirs.first
            while entry:
                row = lost_sessions.entry_at(lost, entry)
                assert timers.has_timer(
                    &self.exchange.timers, timers.ENDING, row.due_ns, theirs.session_id, row.newest,
                    row.instrument,
                )
                found.append((row.due_ns, theirs.session_id, row.newest, row.instrument))
                entry = row.next
        return sorted(found)

    @property
    def open_count(self):
        return self.exchange.orders.open_count

    def check(self):
        """Return what is wrong with the index of orders, 0 for nothing."""
        return index_check.check_index(&self.exchange.orders)
