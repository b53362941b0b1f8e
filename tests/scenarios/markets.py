"""Lines that tables of several files share: two traders, and a trade between them."""

from __future__ import annotations

from typing import Final

TRADERS: Final = """
    given ben 1000 BTC, 1000000 USD
    given cat 1000 BTC, 1000000 USD
"""


def a_trade_at(price: int) -> str:
    """Return the lines of a trade of one lot between ben and cat, which leaves nothing behind."""
    return f"""
    ben sells 1 @ {price} as t{price}   | new 0/1
    cat buys 1 @ {price} as u{price}    | filled 1/1: 1@{price} t{price}
    """


ASKS_OF_A_BAND: Final = """
    given band 50000 ppm around 100 interrupts
    given ann 10000 USD, 100 BTC
    given ben 1000 BTC, 1000000 USD
    given cat 1000 BTC, 1000000 USD
    ben sells 1 @ 104 as b1                 | new 0/1
    ben sells 2 @ 105 as b2                 | new 0/2
    ben sells 4 @ 106 as b3                 | new 0/4
"""
INSIDE_THE_BAND: Final = "1@104 b1, 2@105 b2"
