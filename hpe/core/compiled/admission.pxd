"""The tests that an order must pass before it is accepted, apart from those on the hottest path.

The compiled twin of hpe/core/trading/admission.py, with its names: pure functions of a command and
the current state, in which nothing takes memory. Used by the thread that runs the core.
"""

from libc.stdint cimport int64_t

from hpe.core.compiled.books cimport Book, price_band, terms_of
from hpe.core.compiled.codes cimport (
    BUY,
    CALL_AUCTION,
    EXPIRY_PASSED,
    FOK,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    NONE,
    NOTIONAL_OUT_OF_RANGE,
    NOT_IN_CALL,
    NOT_TRADING,
    ORDER_POST_ONLY,
    PRICE_OUT_OF_BAND,
    PRICE_OUT_OF_RANGE,
    QUANTITY_OUT_OF_RANGE,
    STOP,
    TRADING,
    USER_BLOCKED,
)
from hpe.core.compiled.fees cimport worst_rate
from hpe.core.compiled.fields cimport Request, value
from hpe.core.compiled.instruments cimport Instrument
from hpe.core.compiled.kinds cimport (
    INVALID,
    IN_CALL,
    MAY_REST,
    NEEDS_PRICE,
    WAITS,
    is_for,
    kind_of,
)
from hpe.core.compiled.orders cimport Order, is_dead
from hpe.core.compiled.requests cimport (
    SUBMIT_ORDER_FLAGS,
    SUBMIT_ORDER_ORDER_TYPE,
    SUBMIT_ORDER_PRICE,
    SUBMIT_ORDER_QUANTITY,
    SUBMIT_ORDER_SIDE,
    SUBMIT_ORDER_TERMS_BUDGET,
    SUBMIT_ORDER_TERMS_DISPLAY_QUANTITY,
    SUBMIT_ORDER_TERMS_EXPIRES_NS,
    SUBMIT_ORDER_TERMS_MINIMUM_QUANTITY,
    SUBMIT_ORDER_TERMS_STOP_PRICE,
    SUBMIT_ORDER_TERMS_TRAIL,
    SUBMIT_ORDER_TIME_IN_FORCE,
)
from hpe.core.compiled.wide cimport AMOUNT_MAX, TOO_MUCH, checked_notional, worst_fee

cdef enum OrderCheck:
    # Tests of one order by itself, in the order of precedence; see ORDER_CHECKS in admission.py.
    CHECK_PRICE
    CHECK_BAND
    CHECK_QUANTITY
    CHECK_NOTIONAL
    CHECK_EXPIRY
    ORDER_CHECKS


cdef inline bint contradicts(const Request* command) noexcept nogil:
    """True if the fields of an order contradict each other; without terms, those are 0."""
    cdef int kind = _kind_of(command)
    cdef int64_t order_type = value(command, SUBMIT_ORDER_ORDER_TYPE)
    cdef bint has_trigger = value(command, SUBMIT_ORDER_TERMS_STOP_PRICE) > 0
    cdef bint has_trail = value(command, SUBMIT_ORDER_TERMS_TRAIL) > 0
    cdef bint ends = value(command, SUBMIT_ORDER_TERMS_EXPIRES_NS) > 0
    if ends != (value(command, SUBMIT_ORDER_TIME_IN_FORCE) == GTD):
        return True
    if kind == INVALID or ((kind & NEEDS_PRICE) != 0) != (value(command, SUBMIT_ORDER_PRICE) > 0):
        return True
    if not is_for(kind, <int>value(command, SUBMIT_ORDER_SIDE)):
        return True
    if value(command, SUBMIT_ORDER_TERMS_BUDGET) and value(command, SUBMIT_ORDER_QUANTITY):
        return True
    if order_type == LIMIT:
        return has_trigger or has_trail or _limit_contradicts(command, kind)
    if order_type == MARKET:
        return has_trigger or has_trail or _market_contradicts(command)
    if order_type == STOP:
        if has_trigger == has_trail:
            return True
    elif not has_trigger or has_trail:
        return True
    return (
        _post_only(command)
        or value(command, SUBMIT_ORDER_TERMS_DISPLAY_QUANTITY) > 0
        or value(command, SUBMIT_ORDER_TERMS_MINIMUM_QUANTITY) > 0
    )


cdef inline int _kind_of(const Request* command) noexcept nogil:
    return kind_of(
        <int>value(command, SUBMIT_ORDER_ORDER_TYPE),
        <int>value(command, SUBMIT_ORDER_TIME_IN_FORCE),
        value(command, SUBMIT_ORDER_TERMS_BUDGET),
    )


cdef inline bint _post_only(const Request* command) noexcept nogil:
    return value(command, SUBMIT_ORDER_FLAGS) & ORDER_POST_ONLY != 0


cdef inline bint _limit_contradicts(const Request* command, int kind) noexcept nogil:
    cdef int64_t display = value(command, SUBMIT_ORDER_TERMS_DISPLAY_QUANTITY)
    cdef int64_t minimum = value(command, SUBMIT_ORDER_TERMS_MINIMUM_QUANTITY)
    cdef int64_t quantity = value(command, SUBMIT_ORDER_QUANTITY)
    cdef bint post_only = _post_only(command)
    if (post_only or display) and not kind & MAY_REST:
        return True
    if minimum and (
        post_only or display or value(command, SUBMIT_ORDER_TIME_IN_FORCE) == FOK
    ):
        return True
    return display > quantity or minimum > quantity


cdef inline bint _market_contradicts(const Request* command) noexcept nogil:
    cdef int64_t minimum = value(command, SUBMIT_ORDER_TERMS_MINIMUM_QUANTITY)
    if _post_only(command) or value(command, SUBMIT_ORDER_TERMS_DISPLAY_QUANTITY):
        return True
    if minimum == 0:
        return False
    return (
        value(command, SUBMIT_ORDER_TERMS_BUDGET) > 0
        or minimum > value(command, SUBMIT_ORDER_QUANTITY)
        or value(command, SUBMIT_ORDER_TIME_IN_FORCE) != IOC
    )


cdef inline int barred(const Book* book, bint blocked, bint in_call) noexcept nogil:
    """Return the reject reason if the kill switch or the instrument's status refuses an order.

    `blocked`: the user's; `in_call`: True for kinds of orders that a call accepts.
    """
    if blocked:
        return USER_BLOCKED
    if book.status == TRADING:
        return NONE
    if book.status != CALL_AUCTION:
        return NOT_TRADING
    return NONE if in_call else NOT_IN_CALL


cdef inline bint admitted_to_call(const Request* command) noexcept nogil:
    """True if a call accepts an order like this one."""
    if _post_only(command) or value(command, SUBMIT_ORDER_TERMS_MINIMUM_QUANTITY):
        return False
    return _kind_of(command) & IN_CALL != 0  # INVALID has no bits


cdef inline int check_order(
    const Book* book, const Order* order, int check, int64_t time_ns
) noexcept nogil:
    """Apply one of the tests of an order by itself."""
    if check == CHECK_PRICE:
        return check_price(book, order)
    if check == CHECK_BAND:
        return check_band(book, order)
    if check == CHECK_QUANTITY:
        return check_quantity(book, order)
    if check == CHECK_NOTIONAL:
        return check_notional(book, order)
    return check_expiry(book, order, time_ns)


cdef inline int64_t _budget_of(const Book* book, const Order* order) noexcept nogil:
    return terms_of(book, order).budget if order.terms else 0


cdef inline int check_price(const Book* book, const Order* order) noexcept nogil:
    """Return the reject reason if limit or trigger is outside the instrument's price bounds."""
    cdef const Instrument* instrument = &book.instrument
    cdef int64_t trigger
    if order.price and not instrument.price_min <= order.price <= instrument.price_max:
        return PRICE_OUT_OF_RANGE
    if order.terms:
        trigger = terms_of(book, order).stop_price
        if (
            (trigger or (terms_of(book, order).trail and book.last_price))
            and not instrument.price_min <= trigger <= instrument.price_max
        ):
            return PRICE_OUT_OF_RANGE
    return NONE


cdef inline int check_band(const Book* book, const Order* order) noexcept nogil:
    """Return the reject reason of a limit outside the band; stops are tested when they fire."""
    cdef int kind = kind_of(order.order_type, order.time_in_force, _budget_of(book, order))
    if kind & NEEDS_PRICE and not kind & WAITS and beyond_band(book, order.side, order.price):
        return PRICE_OUT_OF_BAND
    return NONE


cdef inline int check_quantity(const Book* book, const Order* order) noexcept nogil:
    """Return the reject reason of a quantity; an order with a budget has none."""
    if _budget_of(book, order):
        return NONE
    if not book.instrument.quantity_min <= order.quantity <= book.instrument.quantity_max:
        return QUANTITY_OUT_OF_RANGE
    return NONE


cdef inline int check_notional(const Book* book, const Order* order) noexcept nogil:
    """Return the reject reason of a limit's notional with its worst fee, or of a budget."""
    cdef int64_t budget = _budget_of(book, order)
    cdef bint admitted = True
    if order.price:
        admitted = admits_notional(
            book, worst_rate(order.maker_ppm, order.taker_ppm), order.price, order.leaves
        )
    elif budget:
        admitted = book.instrument.notional_min <= budget <= book.instrument.notional_max
    return NONE if admitted else NOTIONAL_OUT_OF_RANGE


cdef inline int check_expiry(
    const Book* book, const Order* order, int64_t time_ns
) noexcept nogil:
    """Return the reject reason of an order that would already be expired."""
    return EXPIRY_PASSED if is_dead(order, book.terms_slab, time_ns) else NONE


cdef inline bint beyond_band(const Book* book, int side, int64_t price) noexcept nogil:
    """True if a limit is refused because it would trade beyond the band.

    With volatility interruption nothing is refused here: matching decides.
    """
    cdef int64_t lowest, highest
    if (
        book.instrument.band_ppm == 0
        or book.instrument.volatility_interruption
        or book.status != TRADING
    ):
        return False
    price_band(book, &lowest, &highest)
    return price > highest if side == BUY else price < lowest


cdef inline bint admits_notional(
    const Book* book, int64_t worst_ppm, int64_t price, int64_t leaves
) noexcept nogil:
    """True if a new limit order is within the notional bounds, including its worst fee."""
    cdef int64_t notional = checked_notional(
        price, leaves, book.instrument.quote_atoms_per_tick
    )
    if notional == TOO_MUCH:
        return False
    if not book.instrument.notional_min <= notional <= book.instrument.notional_max:
        return False
    return worst_fee(notional, worst_ppm, 0) <= AMOUNT_MAX - notional
