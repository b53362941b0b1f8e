"""The types of fields: the range of every value that a client may send.

A decoder checks the type and range of every field in one pass, from these annotations.
Constants; any thread may use them.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from hpe.protocol.enums import InstrumentStatus, SelfTrade, Side
from hpe.protocol.flags import (
    HELLO_FLAGS_ALL,
    LOGOUT_FLAGS_ALL,
    ORDER_CANCEL_ON_DISCONNECT,
    ORDER_FLAGS_ALL,
)
from hpe.protocol.limits import (
    AMOUNT_MAX,
    DEPTH_MAX,
    GRACE_MS_MAX,
    HEARTBEAT_MS_MAX,
    HOUSE_USER,
    ID_MAX,
    INT_MAX,
    INTERRUPTION_MS_MAX,
    NONCE_BYTES,
    PAGE_MAX,
    PAIR_SYMBOL_CHARS_MAX,
    PPM,
    SIGNATURE_BYTES_MAX,
    SYMBOL_CHARS_MAX,
    WINDOW_MAX,
)

RequestId = Annotated[int, Meta(ge=1, le=INT_MAX)]
AnyInt = Annotated[int, Meta(ge=0, le=INT_MAX)]
PositiveInt = Annotated[int, Meta(ge=1, le=INT_MAX)]
Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
EntityId = Annotated[int, Meta(ge=1, le=ID_MAX)]
EntityIdOrZero = Annotated[int, Meta(ge=0, le=ID_MAX)]
Symbol = Annotated[str, Meta(min_length=1, max_length=SYMBOL_CHARS_MAX, pattern=r"^[!-~]+\Z")]
PairSymbol = Annotated[
    str, Meta(min_length=1, max_length=PAIR_SYMBOL_CHARS_MAX, pattern=r"^[!-~]+\Z")
]
Text = Annotated[str, Meta(max_length=64)]
Window = Annotated[int, Meta(ge=0, le=WINDOW_MAX)]
Depth = Annotated[int, Meta(ge=1, le=DEPTH_MAX)]
Page = Annotated[int, Meta(ge=1, le=PAGE_MAX)]
Decimals = Annotated[int, Meta(ge=0, le=18)]
ExpiryNs = Annotated[int, Meta(ge=1, le=10 * 366 * 86_400 * 10**9)]  # 10 years: no sum overflows
KeepNs = Annotated[int, Meta(ge=0, le=10 * 366 * 86_400 * 10**9)]
BandPpm = Annotated[int, Meta(ge=0, le=PPM)]
MakerPpm = Annotated[int, Meta(ge=1 - PPM, le=PPM - 1)]
TakerPpm = Annotated[int, Meta(ge=0, le=PPM - 1)]
AmountOrZero = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
TraderId = Annotated[int, Meta(ge=1, le=HOUSE_USER - 1)]
TraderIdOrZero = Annotated[int, Meta(ge=0, le=HOUSE_USER - 1)]
SelfTradeOrZero = Annotated[int, Meta(ge=0, le=int(max(SelfTrade)))]
SideOrZero = Annotated[int, Meta(ge=0, le=int(max(Side)))]
NextStatus = Annotated[int, Meta(ge=1, le=int(InstrumentStatus.HALTED))]
OrderFlags = Annotated[int, Meta(ge=0, le=ORDER_FLAGS_ALL)]
OcoFlags = Annotated[int, Meta(ge=0, le=ORDER_CANCEL_ON_DISCONNECT, multiple_of=2)]
HelloFlags = Annotated[int, Meta(ge=0, le=HELLO_FLAGS_ALL)]
LogoutFlags = Annotated[int, Meta(ge=0, le=LOGOUT_FLAGS_ALL)]
GraceMs = Annotated[int, Meta(ge=0, le=GRACE_MS_MAX)]
InterruptionMs = Annotated[int, Meta(ge=0, le=INTERRUPTION_MS_MAX)]
HeartbeatMs = Annotated[int, Meta(ge=0, le=HEARTBEAT_MS_MAX)]
KeyId = Annotated[str, Meta(max_length=32, pattern=r"^[A-Za-z0-9_.-]*\Z")]
Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Signature = Annotated[bytes, Meta(min_length=32, max_length=SIGNATURE_BYTES_MAX)]
