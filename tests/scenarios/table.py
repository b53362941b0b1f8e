"""Tables that a trader can read: what each line does stands left of `|`, what comes of it right.

    given alice 500 USD, 2 BTC
    bob sells 5 @ 100 as b1        | new 0/5
    alice buys 3 @ 105             | filled 3/3: 3@100 b1
    bob hears                      | b1 partially_filled 3@100 ?
    book                           | bids - asks 2@100
    alice                          | 200+0 USD, 5+0 BTC

There is one market, BTC for USD. An order's outcome is its status (and reason), done/total, then
what happened at once: its fills as quantity@price and the label of the resting order (`?` when it
has none), with ` fee N` and ` self-trade` where they apply, and what else it caused for its own
user. A balance is available+locked. `hears` gives what a user received unasked since it
last heard: fills of its resting orders, orders that fired, expired or were canceled.

`play` carries a table out on a core and writes it down anew as it really came out, so a wrong
line is a readable difference. One table per test. A line may go on behind a `|` on the next; a
line that begins with `#` is a remark.

What was before (these lines have no outcome):
    given USER AMOUNT ASSET, ...
    given fees maker N ppm taker N ppm        of the market
    given USER fees maker N ppm taker N ppm   the user's own
    given self-trade POLICY                   of orders that name none
    given band N ppm around PRICE [interrupts]
    given market SYMBOL                       a second market, `in SYMBOL` below
    time is N                                 what is due by then happens
    next line at N                            the next line's command comes just then, and what
                                              is due happens in its batch

Orders:
    USER buys|sells QUANTITY @ PRICE | at market [ioc|fok|post-only] [shows N] [at least N]
        [until N] [self-trade POLICY] [in SYMBOL] [as LABEL]
    USER buys for BUDGET at market            as much as that pays for
    USER sells QUANTITY stop TRIGGER | trail TICKS    a stop order; buys: for BUDGET stop TRIGGER
    USER sells QUANTITY @ PRICE stop TRIGGER          a stop limit order
    USER sells QUANTITY @ PRICE or stop TRIGGER [limit PRICE] as LABEL and LABEL    a pair: one
        cancels the other; buys: or stop TRIGGER for BUDGET
    USER cancels LABEL
    USER replaces LABEL [open|total QUANTITY] [@ PRICE] [stop TRIGGER] [until N] [requeue]
    USER cancels all [buys|sells] [in SYMBOL] [of USER|of everybody]
    USER asks LABEL                           how an order is, or ended
    USER orders                               its open orders

Money:
    USER deposits|withdraws|locks|unlocks AMOUNT ASSET
    USER transfers AMOUNT ASSET to USER
    USER holds AMOUNT ASSET under ID [until N]        a named hold; `USER holds` lists them
    USER captures AMOUNT of ID to USER
    USER releases AMOUNT|all of ID
        all with [for USER]: another user's money
    USER                                      its balances; `house` gets the fees

The market:
    book
    market                                    status, last price, band; what a call would trade
    market becomes STATUS                     (also SYMBOL becomes STATUS)
    market uncrosses [to STATUS]
    operator blocks|unblocks USER
    operator sets fees maker N ppm taker N ppm [of USER]
    operator removes fees of USER
"""

from __future__ import annotations

import re

from tests.scenarios.player import Player
from tests.support.core_driver import Venue


def agrees(venue: Venue, table: str, **limits: int | bool) -> None:
    """Check that a table comes out as it is written; `limits` are fields of the instrument."""
    player = Player(venue, limits)
    assert "\n".join(map(player.play, lines_of(table))) == "\n".join(lines_of(table))


def lines_of(table: str) -> list[str]:
    """Return the lines of a table, blanks made even, continued lines joined, remarks left out."""
    lines: list[str] = []
    for line in table.splitlines():
        even = re.sub(r"\s+", " ", line.strip())
        if even.startswith("| "):
            lines[-1] += even[1:]
        elif even and not even.startswith("#"):
            lines.append(even)
    return lines
