"""Waiting stops of one side: which fire when a trade happens, in which order.

The compiled twin of WaitingSide in hpe/core/trading/triggers.py, with its names. Fixed stops are an ordered tree of
their terms; each group of trailing stops has one, too, and the groups are sorted by descending
peaks. Stops that fired are chained through their terms, so nothing here takes memory for them. A
stop that fires or changes its group costs O(log n), any other trade O(1). Owned by the core, used
by the thread that runs it; a group's records were reserved before the batch.
"""

from libc.stdint cimport int64_t, uint32_t

from hpe.core.compiled cimport ordered, slabs
from hpe.core.compiled.orders cimport Order, Terms, stop_sign

cdef enum:
    HEADS_MAX = 4

cdef extern from *:
    """
    #define HPE_TOP INT64_MAX
    #define HPE_BELOW INT64_MIN
    """
    const int64_t TOP "HPE_TOP"  # the highest rank
    const int64_t BELOW "HPE_BELOW"  # below every rank


cdef struct Trail:
    # Trailing stops of one peak, sorted by trail and place. The node's first key is the negated
    # peak. `first` is the record of its first trigger, among the firsts if `is_filed`.
    ordered.Node node
    ordered.Tree stops
    int64_t peak
    uint32_t first
    bint is_filed


cdef struct First:
    # The first trigger of a group; the node's keys are its negated rank, its place and the peak.
    ordered.Node node
    uint32_t group


cdef struct TriggerSlabs:
    # The records of all instruments' stops.
    slabs.Slab* terms
    slabs.Slab trails
    slabs.Slab firsts


cdef struct Fired:
    # Stops that fired: the first and the last of a chain by `next` of their nodes, whose keys are
    # now the negated rank of the trigger and the place.
    uint32_t head
    uint32_t tail
    int64_t count


cdef struct WaitingSide:
    # The stops of one side. A trade of a rank above `quiet_low` and at or below `quiet_high` does
    # nothing. `firsts` has the first triggers of all groups but the last.
    ordered.Tree fixed
    ordered.Tree trails
    ordered.Tree firsts
    TriggerSlabs* records
    int64_t quiet_low
    int64_t quiet_high
    int sign


cdef struct Head:
    # The first stop of a group, or of the fixed ones (group 0).
    int64_t rank
    int64_t place
    uint32_t group


cdef inline void make_trigger_slabs(TriggerSlabs* records, slabs.Slab* terms) noexcept nogil:
    """Initialize the slabs of all groups, over the slab of all terms."""
    records.terms = terms
    slabs.make_slab(&records.trails, sizeof(Trail))
    slabs.make_slab(&records.firsts, sizeof(First))


cdef inline void free_trigger_slabs(TriggerSlabs* records) noexcept nogil:
    """Free all memory, but not the terms."""
    slabs.free_slab(&records.trails)
    slabs.free_slab(&records.firsts)


cdef inline bint reserve_triggers(TriggerSlabs* records, int64_t more) noexcept nogil:
    """Make sure that this many stops can be added; False if there is no memory."""
    return slabs.reserve(&records.trails, more) and slabs.reserve(&records.firsts, more)


cdef inline void make_side(WaitingSide* waiting, int side, TriggerSlabs* records) noexcept nogil:
    """Initialize a side without stops."""
    waiting.fixed = waiting.trails = waiting.firsts = ordered.Tree(0, 0, 0, 0)
    waiting.records = records
    waiting.sign = stop_sign(side)
    waiting.quiet_low = BELOW
    waiting.quiet_high = TOP


cdef inline Terms* terms_at(const WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Return the terms of a number."""
    return <Terms*>slabs.record(waiting.records.terms, number)


cdef inline Trail* group_at(const WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Return the group of a number."""
    return <Trail*>slabs.record(&waiting.records.trails, number)


cdef inline First* first_at(const WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Return the first trigger of a number."""
    return <First*>slabs.record(&waiting.records.firsts, number)


cdef inline int64_t trigger(
    const TriggerSlabs* records, const Terms* terms, int sign
) noexcept nogil:
    """Return the price at which a stop fires, or did."""
    if terms.group == 0:
        return terms.stop_price
    return ((<const Trail*>slabs.record(&records.trails, terms.group)).peak - terms.trail) * sign


cdef inline int64_t trigger_of(const TriggerSlabs* records, const Order* order) noexcept nogil:
    """Return the price in ticks at which an order fires, or did; 0 if it is not a stop."""
    if order.terms == 0:
        return 0
    return trigger(
        records, <const Terms*>slabs.record(records.terms, order.terms), stop_sign(order.side)
    )


cdef inline Head _first_of(const WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Return the first stop of a group."""
    cdef Trail* group = group_at(waiting, number)
    cdef Terms* terms = terms_at(waiting, group.stops.least)
    return Head(terms.trail - group.peak, terms.place, number)


cdef inline void add_stop(WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Add a stop at its trigger, `stop_price`."""
    cdef Terms* terms = terms_at(waiting, number)
    cdef int64_t rank = terms.stop_price * waiting.sign
    cdef Trail* group
    terms.node.second = terms.place
    terms.node.third = 0
    if terms.trail == 0:
        terms.node.first = -rank
        ordered.insert(&waiting.fixed, waiting.records.terms, number)
    else:
        terms.node.first = terms.trail
        terms.group = _group_of(waiting, rank + terms.trail)
        group = group_at(waiting, terms.group)
        ordered.insert(&group.stops, waiting.records.terms, number)
        _file(waiting, terms.group)
    _bound(waiting)


cdef inline uint32_t _group_of(WaitingSide* waiting, int64_t peak) noexcept nogil:
    """Return the group of a peak, which is made if it is new; it is not among the firsts."""
    cdef uint32_t last = waiting.trails.greatest
    cdef uint32_t number = ordered.find_key(
        &waiting.trails, &waiting.records.trails, -peak, 0, 0
    )
    cdef Trail* group
    if number:
        _unfile(waiting, number)
        return number
    number = slabs.take(&waiting.records.trails)
    group = group_at(waiting, number)
    group.peak = peak
    group.node.first = -peak
    group.first = slabs.take(&waiting.records.firsts)
    first_at(waiting, group.first).group = number
    ordered.insert(&waiting.trails, &waiting.records.trails, number)
    if last and waiting.trails.greatest == number:
        _file(waiting, last)
    return number


cdef inline void _file(WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Note the first trigger of a group that is not the last."""
    cdef Trail* group = group_at(waiting, number)
    cdef First* first = first_at(waiting, group.first)
    cdef Head head
    if number == waiting.trails.greatest:
        return
    head = _first_of(waiting, number)
    first.node.first = head.rank
    first.node.second = head.place
    first.node.third = group.peak
    group.is_filed = True
    ordered.insert(&waiting.firsts, &waiting.records.firsts, group.first)


cdef inline void _unfile(WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Remove the first trigger of a group, if it is noted."""
    cdef Trail* group = group_at(waiting, number)
    if group.is_filed:
        ordered.take_out(&waiting.firsts, &waiting.records.firsts, group.first)
        group.is_filed = False


cdef inline void _bound(WaitingSide* waiting) noexcept nogil:
    """Find the ranks between which a trade neither fires nor moves anything."""
    cdef int64_t low = BELOW, high = TOP
    if waiting.fixed.least:
        low = -terms_at(waiting, waiting.fixed.least).node.first
    if waiting.trails.greatest:
        high = group_at(waiting, waiting.trails.greatest).peak
        low = max(low, -_first_of(waiting, waiting.trails.greatest).rank)
        if waiting.firsts.least:
            low = max(low, -first_at(waiting, waiting.firsts.least).node.first)
    waiting.quiet_low = low
    waiting.quiet_high = high


cdef inline void remove_stop(WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Remove a waiting stop."""
    cdef Terms* terms = terms_at(waiting, number)
    cdef uint32_t group = terms.group
    if group == 0:
        ordered.take_out(&waiting.fixed, waiting.records.terms, number)
    else:
        _unfile(waiting, group)
        ordered.take_out(&group_at(waiting, group).stops, waiting.records.terms, number)
        _leave(waiting, terms)
        _keep(waiting, group)
    _bound(waiting)


cdef inline void _leave(const WaitingSide* waiting, Terms* terms) noexcept nogil:
    """Fix the trigger of a trailing stop that stops trailing."""
    terms.stop_price = trigger(waiting.records, terms, waiting.sign)
    terms.group = 0


cdef inline void _keep(WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Put a group that was removed from the firsts back, unless it is empty."""
    cdef bint was_last = number == waiting.trails.greatest
    if group_at(waiting, number).stops.count:
        _file(waiting, number)
        return
    _drop(waiting, number)
    if was_last and waiting.trails.greatest:
        _unfile(waiting, waiting.trails.greatest)


cdef inline void _drop(WaitingSide* waiting, uint32_t number) noexcept nogil:
    """Remove a group that has no stops and is not among the firsts."""
    slabs.give_back(&waiting.records.firsts, group_at(waiting, number).first)
    ordered.take_out(&waiting.trails, &waiting.records.trails, number)
    slabs.give_back(&waiting.records.trails, number)


cdef inline int64_t advance_side(WaitingSide* waiting, int64_t price) noexcept nogil:
    """Let trailing stops follow a trade; return how many changed their group."""
    cdef int64_t rank = price * waiting.sign, moved = 0
    cdef uint32_t last = waiting.trails.greatest, above
    cdef Trail* group
    if last == 0 or group_at(waiting, last).peak >= rank:
        return 0
    above = group_at(waiting, last).node.previous
    if above and group_at(waiting, above).peak <= rank:
        moved = _merge(waiting, rank)
    group = group_at(waiting, waiting.trails.greatest)
    group.peak = rank
    group.node.first = -rank  # still the last
    waiting.quiet_high = rank
    waiting.quiet_low = max(
        waiting.quiet_low, rank - terms_at(waiting, group.stops.least).trail
    )
    return moved


cdef inline int64_t _merge(WaitingSide* waiting, int64_t rank) noexcept nogil:
    """Merge the groups with peaks up to a rank into the largest of them.

    Returns:
        How many stops changed their group.
    """
    cdef int64_t moved = 0
    cdef uint32_t largest = 0, number = waiting.trails.greatest, above
    while number and group_at(waiting, number).peak <= rank:
        if (
            largest == 0
            or group_at(waiting, number).stops.count > group_at(waiting, largest).stops.count
        ):
            largest = number
        number = group_at(waiting, number).node.previous
    number = waiting.trails.greatest
    while number and group_at(waiting, number).peak <= rank:
        above = group_at(waiting, number).node.previous
        _unfile(waiting, number)
        if number != largest:
            moved += _move_all(waiting, number, largest)
            _drop(waiting, number)
        number = above
    return moved


cdef inline int64_t _move_all(WaitingSide* waiting, uint32_t one, uint32_t other) noexcept nogil:
    """Move all stops of a group into another; return their number."""
    cdef Trail* target = group_at(waiting, other)
    cdef uint32_t number = group_at(waiting, one).stops.least, following
    while number:
        following = terms_at(waiting, number).node.next
        terms_at(waiting, number).group = other
        ordered.insert(&target.stops, waiting.records.terms, number)
        number = following
    return group_at(waiting, one).stops.count


cdef inline void reached(
    WaitingSide* waiting, int64_t price, int64_t room, Fired* fired
) noexcept nogil:
    """Chain the stops whose trigger a trade has reached, until `room` stops are in the chain.

    They leave in the order of their turns. If some remain, `quiet_low` is at or above the price's
    rank afterwards.
    """
    cdef Head[HEADS_MAX] heads
    cdef Head bound = Head(-price * waiting.sign, TOP, 0), end
    cdef int count
    while fired.count < room:
        count = _heads(waiting, heads)
        if count == 0 or not _is_earlier(&heads[0], &bound):
            break
        end = heads[1] if count > 1 and _is_earlier(&heads[1], &bound) else bound
        if heads[0].group:
            _unfile(waiting, heads[0].group)
            _fire_group(waiting, heads[0].group, &end, room, fired)
        else:
            _take_rows(waiting, &waiting.fixed, 0, &end, room, fired)
    _bound(waiting)


cdef inline bint _is_earlier(const Head* one, const Head* other) noexcept nogil:
    if one.rank != other.rank:
        return one.rank < other.rank
    return one.place < other.place


cdef inline int _heads(const WaitingSide* waiting, Head* heads) noexcept nogil:
    """Find the first stop of whatever may hold the next two to have their turns, sorted.

    Returns:
        How many there are.
    """
    cdef int count = 0
    cdef uint32_t number = waiting.firsts.least
    cdef Terms* terms
    if waiting.fixed.least:
        terms = terms_at(waiting, waiting.fixed.least)
        _sort_in(heads, &count, Head(terms.node.first, terms.place, 0))
    if waiting.trails.greatest:
        _sort_in(heads, &count, _first_of(waiting, waiting.trails.greatest))
    if number:
        _sort_in(heads, &count, _first_of(waiting, first_at(waiting, number).group))
        number = first_at(waiting, number).node.next
    if number:
        _sort_in(heads, &count, _first_of(waiting, first_at(waiting, number).group))
    return count


cdef inline void _sort_in(Head* heads, int* count, Head head) noexcept nogil:
    cdef int at = count[0]
    while at and _is_earlier(&head, &heads[at - 1]):
        heads[at] = heads[at - 1]
        at -= 1
    heads[at] = head
    count[0] += 1


cdef inline void _fire_group(
    WaitingSide* waiting, uint32_t number, const Head* end, int64_t room, Fired* fired
) noexcept nogil:
    """Chain the stops of a group (not among the firsts) that come before a key."""
    cdef Trail* group = group_at(waiting, number)
    _take_rows(waiting, &group.stops, group.peak, end, room, fired)
    _keep(waiting, number)


cdef inline void _take_rows(
    WaitingSide* waiting, ordered.Tree* rows, int64_t peak, const Head* end, int64_t room,
    Fired* fired
) noexcept nogil:
    """Chain the rows that come before a key; `peak` is that of their group, 0 without one."""
    cdef uint32_t number = rows.least
    cdef Terms* terms
    while number and fired.count < room:
        terms = terms_at(waiting, number)
        if not ordered.is_before(&terms.node, end.rank + peak, end.place, 0):
            return
        ordered.take_out(rows, waiting.records.terms, number)
        terms.node.first -= peak
        if terms.group:
            _leave(waiting, terms)
        terms.node.next = 0
        if fired.tail:
            terms_at(waiting, fired.tail).node.next = number
        else:
            fired.head = number
        fired.tail = number
        fired.count += 1
        number = rows.least
