"""Which scales an instrument may have: those whose prices can be written as finite decimals.

Owns one rule that the configuration and the core share. Pure; any thread may use it.
"""

from __future__ import annotations


def is_decimal_scale(base_atoms_per_lot: int, quote_atoms_per_tick: int) -> bool:
    """True if prices at this scale are finite decimals, whatever decimals its assets have.

    A tick is worth quote_atoms_per_tick / base_atoms_per_lot times a power of ten. That is a
    finite decimal if the reduced fraction's denominator has no prime factors except 2 and 5.
    """
    left = base_atoms_per_lot
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    return quote_atoms_per_tick % left == 0
