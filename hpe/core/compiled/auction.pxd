"""Call auctions: the one price at which a collected book trades most, and who trades there.

The compiled twin of hpe/core/trading/auction.py, with its names. The price takes no memory: both
sides are walked together by rising price, along the links between their levels. Owned by the core,
used by the thread that runs it. `fill_auction` relies on the room for its fills (events.pxd).
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport ordered, wide
from hpe.core.compiled._c cimport int128
from hpe.core.compiled.books cimport Book, book_dead_ns, first_living, side_of, terms_of
from hpe.core.compiled.codes cimport BUY, CALL_AUCTION
from hpe.core.compiled.effort cimport clearing_effort
from hpe.core.compiled.events cimport AuctionFill, Events, add_auction_fill
from hpe.core.compiled.ladders cimport (
    Ladder,
    Level,
    best,
    count_within,
    crosses,
    level_at,
    order_at,
    price_of,
    reaches,
    remove,
    reshow,
    worse,
)
from hpe.core.compiled.matcher cimport next_maker
from hpe.core.compiled.orders cimport Order, hide, is_dead
from hpe.core.compiled.work cimport Work


cdef struct Clearing:
    # Price in ticks, volume and signed surplus in lots; all 0 if nothing crosses.
    int64_t price
    int64_t volume
    int64_t surplus


cdef struct Rise:
    # A walk along one side by rising price, up to `highest`: the present price, 0 behind the last,
    # and its lots, hidden ones included, without those of dead orders. Prices without lots are
    # passed over.
    const Book* book
    const Ladder* ladder
    int64_t highest
    int64_t until_ns
    int64_t price
    int64_t lots
    uint32_t following


cdef struct Candidates:
    # The prices with most volume, then least |surplus|: the outer two, and the sum of the signed
    # surpluses of all of them.
    int64_t volume
    int64_t surplus
    int64_t lowest
    int64_t highest
    int128 pressure


cdef inline Clearing clearing(Book* book, const Work* work) noexcept nogil:
    """Return the price of an uncross; `work` is the book's, or NULL.

    Candidates are the limit prices in the book. Of those with most volume, then least |surplus|:
    the highest if their surpluses sum to more bids, the lowest if to more asks, else the middle.
    Only prices from the best ask to the best bid can have volume. Cost: O(n) of these. While an
    uncross is unfinished, return its price and remaining volume.
    """
    cdef int64_t until_ns, bid = 0, ask = 0, price, above, below
    if work != NULL and work.is_uncrossing:
        return Clearing(
            work.uncrossing.price, work.uncrossing.volume_left, work.uncrossing.surplus
        )
    until_ns = book_dead_ns(book)
    if best(&book.bids) != NULL and crosses(&book.asks, price_of(&book.bids, best(&book.bids))):
        bid = _best(book, &book.bids, until_ns)
        ask = _best(book, &book.asks, until_ns)
    if bid == 0 or ask == 0 or bid < ask:
        return Clearing(0, 0, 0)
    price = _price_between(book, ask, bid, until_ns)
    above = _lots(book, &book.bids, price, until_ns)
    below = _lots(book, &book.asks, price, until_ns)
    return Clearing(price, min(above, below), above - below)


cdef inline int64_t _best(
    const Book* book, const Ladder* ladder, int64_t until_ns
) noexcept nogil:
    """Return the best price of a side with a living order, 0 for none; the side is not empty."""
    cdef uint32_t number
    if until_ns:
        number = first_living(book, ladder, 0, until_ns)
        return order_at(ladder, number).price if number else 0
    return price_of(ladder, best(ladder))


cdef inline int64_t _lots_at(
    const Book* book, const Ladder* ladder, const Level* level, int64_t until_ns
) noexcept nogil:
    """Return the lots of a level, hidden ones included, without dead orders."""
    cdef int64_t lots = 0
    cdef uint32_t number = level.head
    if until_ns == 0:
        return level.quantity + level.hidden
    while number:
        if not is_dead(order_at(ladder, number), book.terms_slab, until_ns):
            lots += order_at(ladder, number).leaves
        number = order_at(ladder, number).next
    return lots


cdef inline int64_t _lots(
    const Book* book, const Ladder* ladder, int64_t price, int64_t until_ns
) noexcept nogil:
    """Return the lots within a limit, hidden ones included, without dead orders."""
    cdef const Level* level = best(ladder)
    cdef int64_t lots = 0
    while level != NULL and reaches(ladder, level, price):
        lots += _lots_at(book, ladder, level, until_ns)
        level = worse(ladder, level)
    return lots


cdef inline int64_t _price_between(
    const Book* book, int64_t ask, int64_t bid, int64_t until_ns
) noexcept nogil:
    """Return the price of an uncross between the best prices, which cross."""
    cdef Candidates found = Candidates(0, 0, 0, 0, 0)
    cdef Rise bids, asks
    cdef int64_t price
    cdef int64_t bids_at_or_above = _lots(book, &book.bids, ask, until_ns), asks_at_or_below = 0
    _begin(&bids, book, &book.bids, ask, bid, until_ns)
    _begin(&asks, book, &book.asks, ask, bid, until_ns)
    while bids.price or asks.price:
        price = asks.price
        if price == 0 or 0 < bids.price < price:
            price = bids.price
        if asks.price == price:
            asks_at_or_below += asks.lots
            _rise(&asks)
        _propose(&found, price, bids_at_or_above, asks_at_or_below)
        if bids.price == price:
            bids_at_or_above -= bids.lots
            _rise(&bids)
    return _chosen(&found)


cdef inline void _begin(
    Rise* rise, const Book* book, const Ladder* ladder, int64_t lowest, int64_t highest,
    int64_t until_ns
) noexcept nogil:
    """Begin a walk along a side, at its first price from `lowest` on; no ask is below that."""
    rise.book = book
    rise.ladder = ladder
    rise.highest = highest
    rise.until_ns = until_ns
    rise.following = ladder.levels.greatest
    if ladder.side == BUY:
        rise.following = ordered.at_or_after(&ladder.levels, ladder.level_slab, lowest, 0, 0)
    _rise(rise)


cdef inline void _rise(Rise* rise) noexcept nogil:
    """Go to the next higher price."""
    cdef const Level* level
    while rise.following:
        level = level_at(rise.ladder, rise.following)
        rise.price = price_of(rise.ladder, level)
        if rise.price > rise.highest:
            break
        rise.following = level.node.next if rise.ladder.side == BUY else level.node.previous
        rise.lots = _lots_at(rise.book, rise.ladder, level, rise.until_ns)
        if rise.lots:
            return
    rise.price = rise.lots = 0


cdef inline void _propose(
    Candidates* found, int64_t price, int64_t bids, int64_t asks
) noexcept nogil:
    """Consider the next higher price, at which so many lots would buy and sell."""
    cdef int64_t surplus = bids - asks, volume = min(bids, asks), size
    size = surplus if surplus > 0 else -surplus
    if volume > found.volume or (volume == found.volume and size < found.surplus):
        found.volume = volume
        found.surplus = size
        found.lowest = found.highest = price
        found.pressure = surplus
    elif volume == found.volume and size == found.surplus:
        found.highest = price
        found.pressure += surplus


cdef inline int64_t _chosen(const Candidates* found) noexcept nogil:
    """Return the price among candidates of equal volume and surplus, by market pressure."""
    if found.pressure > 0:
        return found.highest
    if found.pressure < 0:
        return found.lowest
    return wide.middle(found.lowest, found.highest)


cdef inline int64_t crossing_levels(const Book* book, const Work* work) noexcept nogil:
    """Return the number of price levels that computing a clearing reads; 0 if it is known.

    While orders are dead, this reads every order. Cost: O(log levels).
    """
    cdef const Level* bid = best(&book.bids)
    cdef const Level* ask = best(&book.asks)
    cdef int64_t highest, lowest
    if book.status != CALL_AUCTION or (work != NULL and work.is_uncrossing):
        return 0
    if bid == NULL or ask == NULL:
        return 0
    highest = price_of(&book.bids, bid)
    lowest = price_of(&book.asks, ask)
    if highest < lowest:
        return 0
    if book_dead_ns(book):
        return book.bids.count + book.asks.count
    return count_within(&book.bids, lowest) + count_within(&book.asks, highest)


cdef inline bint is_too_deep(
    const Book* book, const Work* work, int64_t query_effort
) noexcept nogil:
    """True if computing a clearing alone costs more than the queries of one batch may."""
    return clearing_effort(crossing_levels(book, work)) > query_effort


cdef inline int64_t fill_auction(
    Book* book, Events* events, int64_t price, int64_t volume, int64_t fills_max
) noexcept nogil:
    """Trade a volume at one price, in at most this many fills; filled orders leave the book.

    The fills are appended to those of the events.

    Returns:
        How much of the volume is left.
    """
    cdef uint32_t buy, sell
    cdef Order* buyer
    cdef Order* seller
    cdef AuctionFill* fill
    while volume and fills_max:
        buy = next_maker(&book.bids)
        sell = next_maker(&book.asks)
        buyer = order_at(&book.bids, buy)
        seller = order_at(&book.asks, sell)
        fill = add_auction_fill(events)
        fill.buy, fill.sell, fill.price = buy, sell, price
        fill.quantity = min(buyer.leaves, seller.leaves, volume)
        _take(book, buy, fill.quantity)
        _take(book, sell, fill.quantity)
        fill.buy_leaves, fill.buy_cum = buyer.leaves, buyer.cum
        fill.sell_leaves, fill.sell_cum = seller.leaves, seller.cum
        fill.buy_fee = fill.sell_fee = 0
        volume -= fill.quantity
        fills_max -= 1
        book.last_price = price
    return volume


cdef inline void _take(Book* book, uint32_t number, int64_t quantity) noexcept nogil:
    """Apply a fill to an order's whole leaves; an iceberg then shows a new slice of the rest."""
    cdef Order* order = order_at(&book.bids, number)
    cdef Ladder* ladder = side_of(book, order.side)
    cdef int64_t leaves = order.leaves - quantity, display
    order.cum += quantity
    if leaves == 0:
        remove(ladder, number)
        order.leaves = 0
        hide(book.terms_slab, order, 0)
        return
    display = terms_of(book, order).display if order.terms else 0
    reshow(ladder, order, leaves, leaves - display if display and leaves > display else 0)
