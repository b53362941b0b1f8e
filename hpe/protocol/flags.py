"""The bits of the fields called `flags`, in requests and in what the server sends.

Constants; any thread may use them.
"""

from __future__ import annotations

from typing import Final

FLAG_DUPLICATE: Final = 1
"""Bit of a response's `flags`: this is the remembered response to a repeated request."""

FLAG_SELF_TRADE: Final = 2
"""Bit of an execution report's `flags`: both sides of the trade are orders of one user."""

FLAG_USER_LIMIT: Final = 4
"""Bit of a reject's `flags`, if it names a limit: the limit is the user's own."""
FLAG_KEY_LIMIT: Final = 8
"""The same: the limit is the share of the session's key. With neither bit, it is the service's."""

FLAG_UNCHANGED: Final = 16
"""Bit of a replace_response's `flags`: the order did not change."""

ORDER_POST_ONLY: Final = 1
"""Bit of submit_order's `flags`: reject rather than trade on arrival."""
ORDER_CANCEL_ON_DISCONNECT: Final = 2
"""Bit of submit_order's `flags`: cancel when the session that sent it loses its connection."""
ORDER_FLAGS_ALL: Final = ORDER_POST_ONLY | ORDER_CANCEL_ON_DISCONNECT

HELLO_CANCEL_ON_DISCONNECT: Final = 1
"""Bit of hello's `flags`: treat every order of this session as if it had the order's bit."""
HELLO_FLAGS_ALL: Final = HELLO_CANCEL_ON_DISCONNECT

LOGOUT_KEEP_ORDERS: Final = 1
"""Bit of logout's `flags`: keep the orders that a lost connection would cancel."""
LOGOUT_FLAGS_ALL: Final = LOGOUT_KEEP_ORDERS
