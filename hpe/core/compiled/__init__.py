"""The compiled core: the reference's state machine again, in Cython, byte for byte.

The reference is the specification; each file here has its names in its order. Everything on the way
of a client's request is `noexcept nogil` and allocates nothing but from slabs.
"""
