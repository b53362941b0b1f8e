"""The limits of the wire, each with its reason, and the ranges of type numbers.

Type ranges: control 1-31 (answered by the connection, outside the order of requests), queries 32-63
(not logged), commands 64-111 (sequenced, logged, remembered), internal commands 112-127 (refused
from clients). Towards the client, 112-127 are reports that no request asked for. Constants; any
thread may use them.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 1

INT_MAX: Final = 2**63 - 1
"""Largest integer on the wire: fits the signed 64-bit integers of every language."""

AMOUNT_MAX: Final = 2**62
"""Largest amount of money in one order or one asset: the sum of two fits signed 64 bits."""

REQUEST_BYTES_MAX: Final = 2048
"""Longest request body. The longest valid request is about 300 bytes; the rest is slack."""

LOGON_BYTES_MAX: Final = 256
"""Longest request body before logon: a stranger may not make us buffer more."""

REPLY_BYTES_MAX: Final = 1024 * 1024
"""Longest body towards the client. Bounds a client's buffer; depth and page limits respect it."""

RESPONSE_BYTES_MAX: Final = 192
"""Longest response to a command. Every session remembers this many bytes times its window."""

WINDOW_DEFAULT: Final = 64
WINDOW_MAX: Final = 16_384
"""Commands in flight per session, and responses remembered for it."""

DEPTH_MAX: Final = 1_000
"""Price levels per side in one order book reply: about 25 bytes each, far below REPLY_BYTES_MAX."""

PAGE_MAX: Final = 1_000
"""Rows per page of a list reply: an instrument row is at most about 250 bytes."""

FILLS_PER_COMMAND_MAX: Final = 32_768
"""Fills of one order's arrival (the rest of it is canceled) or of one part of an uncross (which
continues); also what makes a batch full. Together this keeps the log's record below its 4 MiB."""

STOPS_PER_COMMAND_MAX: Final = 1_024
"""Stops that fire within one command; the rest fire in `continue` commands right after it."""

MASS_CANCEL_MAX: Final = 256
"""Orders of one user that one mass_cancel cancels, and that all of one key cancel in one batch:
everyone else waits for them, some 4 ms."""

MASS_CANCEL_ALL_MAX: Final = 32_768
"""Orders that one mass_cancel of all users cancels: half a second in which nothing else happens,
for an operator who wants nothing else to happen."""

ENDED_ORDERS_MAX: Final = 16_384
"""Ended orders that get_order still finds, the newest of all users together: those that traded, and
those that ended otherwise than through the response to a command of their own."""

RECENT_FILLS_MAX: Final = 65_536
"""Fills that list_fills still finds, one row per side, the newest of all users together."""

CHANGES_PER_UPDATE_MAX: Final = 16_384
"""Rows of one market-data update; more are sent as several, each below REPLY_BYTES_MAX."""

REPORTS_PER_UPDATE_MAX: Final = 4_096
"""Reports of one private_update; more are sent as several, each below REPLY_BYTES_MAX."""

SNAPSHOT_ORDERS_MAX: Final = 10_000
"""Orders per side in the snapshot of the orders channel, as whole price levels: both sides, at no
more than 28 bytes per order, stay below REPLY_BYTES_MAX."""

CHECKSUM_LEVELS: Final = 10
"""Price levels per side that the checksum covers: a fault shows within a few ticks of trading."""

PRIVATE_RING_REPORTS: Final = 262_144
"""Private reports, the newest of all users together, from which a stream can be resumed: about
25 MB, or some seconds of full load."""

SUBSCRIPTIONS_MAX: Final = 4_096
"""Market-data subscriptions of one connection: bounds what can wait for a slow reader."""

PRIVATE_STREAMS_MAX: Final = 65_536
"""Private streams of one connection: a gateway follows many users."""

NONCE_BYTES: Final = 32
"""Length of both sides' nonces at logon."""

SIGNATURE_BYTES_MAX: Final = 64
"""Longest proof: HMAC-SHA256 has 32 bytes, Ed25519 64."""

HEARTBEAT_MS_DEFAULT: Final = 15_000
HEARTBEAT_MS_MIN: Final = 300
HEARTBEAT_MS_MAX: Final = 60_000
"""The range that a client may ask for. The minimum is above the 0.1 s by which a heartbeat may be
late; the maximum is a minute, because a side counts as dead after three."""

SILENCE_HEARTBEATS: Final = 3
"""A side that hears nothing for this many heartbeat intervals treats the other one as dead."""

GRACE_MS_MAX: Final = 3_600_000
"""Longest grace of cancel on disconnect, an hour: orders that may wait longer are meant to stay."""

INTERRUPTION_MS_MAX: Final = 86_400_000
"""A day: only an operator may keep a market in its call for longer."""

PPM: Final = 1_000_000
"""The unit of rates: fees and bands are in parts per million."""

HOUSE_USER: Final = INT_MAX
"""The user whose accounts receive the fees and pay the rebates; no client can log on as it."""

SYMBOL_CHARS_MAX: Final = 48
"""Longest symbol: token addresses of 32-44 characters are used as asset symbols."""

PAIR_SYMBOL_CHARS_MAX: Final = 2 * SYMBOL_CHARS_MAX + 1
"""Longest symbol of an instrument: that of a pair made by resolve_instrument is BASE/QUOTE."""

ID_MAX: Final = 2**31 - 1
"""Largest asset or instrument id."""

QUERY_FIRST: Final = 32
COMMAND_FIRST: Final = 64
INTERNAL_FIRST: Final = 112
TYPE_LAST: Final = 127
"""Where the ranges of type numbers begin, and where the last one ends."""
