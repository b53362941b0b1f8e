"""Ordered trees: records by three integers, with the least one at hand; the links are in the records.

Owned by the core, used by the thread that runs it. A tree takes no memory of its own: each record
begins with a Node, and numbers of a slab are the links. It is an AVL tree: whatever the keys
are, a search among n records takes at most 1.45 log2(n) steps, and so does counting those from a
key on. Keys are unique. No function calls itself.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

from hpe.core.compiled.slabs cimport Slab, record


cdef enum:
    DEPTH_MAX = 48  # of 2^32 records: 1.45 x 32, and one


cdef struct Node:
    # `next` and `previous` are the neighbors in order; `height` and `size` are the depth and the
    # number of the nodes below and this one.
    int64_t first
    int64_t second
    int64_t third
    uint32_t left
    uint32_t right
    uint32_t next
    uint32_t previous
    int32_t height
    uint32_t size


cdef struct Tree:
    uint32_t root
    uint32_t least
    uint32_t greatest
    uint32_t count


cdef inline Node* node(const Slab* slab, uint32_t number) noexcept nogil:
    """Return the node of a record."""
    return <Node*>record(slab, number)


cdef inline bint is_before(
    const Node* one, int64_t first, int64_t second, int64_t third
) noexcept nogil:
    """True if a node stands before a key."""
    if one.first != first:
        return one.first < first
    if one.second != second:
        return one.second < second
    return one.third < third


cdef inline uint32_t at_or_after(
    const Tree* tree, const Slab* slab, int64_t first, int64_t second, int64_t third
) noexcept nogil:
    """Return the first record whose key is not before this one, 0 if there is none."""
    cdef uint32_t number = tree.root, found = 0
    while number:
        if is_before(node(slab, number), first, second, third):
            number = node(slab, number).right
        else:
            found = number
            number = node(slab, number).left
    return found


cdef inline uint32_t find_key(
    const Tree* tree, const Slab* slab, int64_t first, int64_t second, int64_t third
) noexcept nogil:
    """Return the record with a key, 0 if there is none."""
    cdef uint32_t number = at_or_after(tree, slab, first, second, third)
    cdef Node* found
    if number:
        found = node(slab, number)
        if found.first == first and found.second == second and found.third == third:
            return number
    return 0


cdef inline uint32_t count_from(
    const Tree* tree, const Slab* slab, int64_t first, int64_t second, int64_t third
) noexcept nogil:
    """Return how many records have keys that are not before this one."""
    cdef uint32_t number = tree.root, count = 0
    cdef const Node* here
    while number:
        here = node(slab, number)
        if is_before(here, first, second, third):
            number = here.right
        else:
            count += 1 + _size(slab, here.right)
            number = here.left
    return count


cdef inline void insert(Tree* tree, Slab* slab, uint32_t number) noexcept nogil:
    """Add a record, whose key is in its node and not in the tree."""
    cdef uint32_t* path[DEPTH_MAX]
    cdef uint32_t* link = &tree.root
    cdef Node* new = node(slab, number)
    cdef int depth = 0
    _join_neighbors(tree, slab, number)
    while link[0]:
        path[depth] = link
        depth += 1
        node(slab, link[0]).size += 1
        link = _toward(slab, link[0], new)
    link[0] = number
    new.left = 0
    new.right = 0
    new.height = 1
    new.size = 1
    tree.count += 1
    _balance_path(slab, path, depth)


cdef inline void _join_neighbors(Tree* tree, Slab* slab, uint32_t number) noexcept nogil:
    cdef Node* new = node(slab, number)
    new.next = at_or_after(tree, slab, new.first, new.second, new.third)
    new.previous = node(slab, new.next).previous if new.next else tree.greatest
    if new.next:
        node(slab, new.next).previous = number
    else:
        tree.greatest = number
    if new.previous:
        node(slab, new.previous).next = number
    else:
        tree.least = number


cdef inline void take_out(Tree* tree, Slab* slab, uint32_t number) noexcept nogil:
    """Remove a record, whose key is still in its node."""
    cdef uint32_t* path[DEPTH_MAX]
    cdef uint32_t* link = &tree.root
    cdef Node* gone = node(slab, number)
    cdef int depth = 0
    while link[0] != number:
        path[depth] = link
        depth += 1
        node(slab, link[0]).size -= 1
        link = _toward(slab, link[0], gone)
    if gone.left and gone.right:
        depth = _put_next_in_place(slab, link, path, depth)
    else:
        link[0] = gone.left if gone.left else gone.right
    _part_neighbors(tree, slab, gone)
    tree.count -= 1
    _balance_path(slab, path, depth)


cdef inline int _put_next_in_place(
    const Slab* slab, uint32_t* link, uint32_t** path, int depth
) noexcept nogil:
    """Replace a record by the next one; return the depth of the path to where that one stood."""
    cdef Node* gone = node(slab, link[0])
    cdef uint32_t following = gone.next
    cdef Node* next_ = node(slab, following)
    cdef int at = depth
    cdef uint32_t* below = &gone.right
    path[depth] = link
    depth += 1
    while below[0] != following:
        path[depth] = below
        depth += 1
        node(slab, below[0]).size -= 1
        below = &node(slab, below[0]).left
    below[0] = next_.right
    next_.left = gone.left
    next_.right = gone.right
    next_.height = gone.height
    next_.size = gone.size - 1
    link[0] = following
    if depth > at + 1:
        path[at + 1] = &next_.right
    return depth


cdef inline void _part_neighbors(Tree* tree, const Slab* slab, const Node* gone) noexcept nogil:
    if gone.next:
        node(slab, gone.next).previous = gone.previous
    else:
        tree.greatest = gone.previous
    if gone.previous:
        node(slab, gone.previous).next = gone.next
    else:
        tree.least = gone.next


cdef inline uint32_t* _toward(const Slab* slab, uint32_t number, const Node* key) noexcept nogil:
    """Return the link of a record below which a key belongs."""
    cdef Node* here = node(slab, number)
    if is_before(here, key.first, key.second, key.third):
        return &here.right
    return &here.left


cdef inline int32_t _height(const Slab* slab, uint32_t number) noexcept nogil:
    return node(slab, number).height if number else 0


cdef inline uint32_t _size(const Slab* slab, uint32_t number) noexcept nogil:
    return node(slab, number).size if number else 0


cdef inline void _measure(const Slab* slab, uint32_t number) noexcept nogil:
    cdef Node* here = node(slab, number)
    here.height = 1 + max(_height(slab, here.left), _height(slab, here.right))
    here.size = 1 + _size(slab, here.left) + _size(slab, here.right)


cdef inline void _balance_path(const Slab* slab, uint32_t** path, int depth) noexcept nogil:
    """Restore the balance along a path, from its end up, as far as heights change."""
    cdef int32_t before
    while depth:
        depth -= 1
        before = _height(slab, path[depth][0])
        _balance(slab, path[depth])
        if _height(slab, path[depth][0]) == before:
            return


cdef inline void _balance(const Slab* slab, uint32_t* link) noexcept nogil:
    cdef Node* here = node(slab, link[0])
    cdef int32_t lean = _height(slab, here.left) - _height(slab, here.right)
    cdef Node* below
    if lean > 1:
        below = node(slab, here.left)
        if _height(slab, below.left) < _height(slab, below.right):
            _lift_right(slab, &here.left)
        _lift_left(slab, link)
    elif lean < -1:
        below = node(slab, here.right)
        if _height(slab, below.right) < _height(slab, below.left):
            _lift_left(slab, &here.right)
        _lift_right(slab, link)
    else:
        _measure(slab, link[0])


cdef inline void _lift_left(const Slab* slab, uint32_t* link) noexcept nogil:
    """Rotate: the left record takes the place of the one above it."""
    cdef uint32_t above = link[0], lifted = node(slab, above).left
    node(slab, above).left = node(slab, lifted).right
    node(slab, lifted).right = above
    link[0] = lifted
    _measure(slab, above)
    _measure(slab, lifted)


cdef inline void _lift_right(const Slab* slab, uint32_t* link) noexcept nogil:
    """Rotate: the right record takes the place of the one above it."""
    cdef uint32_t above = link[0], lifted = node(slab, above).right
    node(slab, above).right = node(slab, lifted).left
    node(slab, lifted).left = above
    link[0] = lifted
    _measure(slab, above)
    _measure(slab, lifted)
