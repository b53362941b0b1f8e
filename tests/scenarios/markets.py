"""Lines that tables of several files share: two traders, and a trade between them."""

from __future__ import annotations

from typing import Final

TRADERS: Final = """
    given ben 1000 BTC, 1000000 USD
    given cat 1000 BTC, 1000000 USD
"""


def a_trade_at(price: int) -> str:
    """Give the lines of a trade of one lot between ben and cat, which leaves nothing behind."""
    return f"""
    ben sells 1 @ {price} as t{price}   | new 0/1
    cat buys 1 @ {price} as u{price}    | filled 1/1: 1@{price} t{price}
    """
