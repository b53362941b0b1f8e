"""Products and sums of money and trading that exceed 64 bits, each a function here.

Part of the deterministic core; pure arithmetic. Every field is within 0 .. 2^63-1 (INT_MAX); an
amount, a notional and the total of one asset are within 2^62 (AMOUNT_MAX); a rate or a part is
within 10^6 < 2^20 (PPM). Nothing here exceeds 128 bits including the sign: each bound is stated.
Results are within 64 bits again unless stated otherwise. `//` rounds towards minus infinity,
whatever the signs; divisors are positive.
"""

from __future__ import annotations

from hpe.protocol.limits import AMOUNT_MAX, INT_MAX, PPM


def checked_notional(price: int, lots: int, atoms_per_tick: int) -> int | None:
    """Return price x lots x atoms, None if it is more than AMOUNT_MAX.

    Bounds: price x lots < 2^126; with the atoms, then, at most 2^62 x 2^62 = 2^124.
    """
    ticks = price * lots
    if ticks > AMOUNT_MAX:
        return None
    amount = ticks * atoms_per_tick
    return amount if amount <= AMOUNT_MAX else None


def notional(price: int, lots: int, atoms_per_tick: int) -> int:
    """Return price x lots x atoms of an accepted order, which is at most AMOUNT_MAX."""
    return price * lots * atoms_per_tick


def base_atoms(lots: int, atoms_per_lot: int) -> int:
    """Return lots x atoms. Bound: 2^63 x 2^62; within 64 bits once it was found available."""
    return lots * atoms_per_lot


def ticks_of(price: int, lots: int) -> int:
    """Return price x lots. Bound: 2^126; a sum of them ends with the first above 2^62."""
    return price * lots


def ticks_paid_by(amount: int, atoms_per_tick: int) -> int:
    """Return how many ticks x lots an amount pays for, rounded down; both are positive or 0."""
    return amount // atoms_per_tick


def worst_fee(notional: int, rate_ppm: int, rest: int = 0) -> int:
    """Return the most that further fills of this notional can be charged; `rest` as in `charge`.

    Bound: 2^62 x 2^20. The numerator is negative or 0 if the fee exceeds the rest, so the result is
    the quotient rounded up; it is 0 if the rest covers everything.
    """
    return -((rest - notional * rate_ppm) // PPM)


def charge(notional: int, rate_ppm: int, rest: int) -> tuple[int, int]:
    """Charge one fill, in whole atoms.

    `rest` is what rounding up overcharged the order's earlier fills, in millionths of an atom,
    0 .. PPM - 1. With it, the sum of all charges is the total fee, rounded up once.
    Bound: 2^62 x 2^20 on either side of 0. A rebate has a negative rate: it is rounded towards
    plus infinity too, and the returned atoms may be negative.

    Returns:
        (atoms, the new rest); the atoms are negative for a rebate.
    """
    micro = notional * rate_ppm - rest
    atoms = -(-micro // PPM)
    return atoms, atoms * PPM - micro


def band(reference: int, parts_ppm: int) -> tuple[int, int]:
    """Return the lowest and highest price within `parts_ppm` millionths of a reference.

    Bounds: 2^63 x 2^20, and 2^64 for the sum before it is cut off at INT_MAX.
    """
    away = reference * parts_ppm // PPM
    return reference - away, min(reference + away, INT_MAX)


def middle(lowest: int, highest: int) -> int:
    """Return the middle of two prices, rounded down. Bound: 2^64."""
    return (lowest + highest) // 2


def pressure(surpluses: list[int]) -> int:
    """Return the sum of a call's signed surpluses. Bound: 2^62 each, of 2^63 prices; any sign."""
    return sum(surpluses)


def trail_trigger(price: int, trail: int, sign: int) -> int:
    """Return the trigger at a distance from a price, 0 if it is not a price. Bound: 2^64.

    `sign` is 1 for a buy, whose trigger is above, -1 for a sell.
    """
    trigger = price + sign * trail
    return trigger if 0 < trigger <= INT_MAX else 0


def slices(lots: int, display: int) -> int:
    """Return lots / display, rounded up: within 64 bits; the numerator is negative or 0."""
    return -(-lots // display)


class Budget:
    """What remains of the quote atoms that a market buy may spend, including the taker fee.

    Counted in millionths of an atom at price x (1 + rate): the fee of all fills together is
    rounded up once, so whole atoms stay exact. Prices are those of resting orders, and one lot at
    them costs at most AMOUNT_MAX. Bounds: a budget 2^62 x 2^20, a lot 2^62 x 2^21; nothing is
    negative, because no more lots are bought than it pays for and a taker's rate is at least 0.
    """

    __slots__ = ("_lot_micro_per_tick", "_rest_micro")

    def __init__(self, amount: int, atoms_per_tick: int, rate_ppm: int) -> None:
        self._lot_micro_per_tick = atoms_per_tick * (PPM + rate_ppm)
        self._rest_micro = amount * PPM

    def lots(self, price: int) -> int:
        """Return how many lots it pays for at a price."""
        return self._rest_micro // (price * self._lot_micro_per_tick)

    def spend(self, price: int, lots: int) -> None:
        """Subtract the cost of lots."""
        self._rest_micro -= price * lots * self._lot_micro_per_tick

    def is_spent(self, price: int) -> bool:
        """True if it does not pay for one more lot at the next price (0: there is none)."""
        return self._rest_micro < max(PPM, price * self._lot_micro_per_tick)
