"""The codes of the protocol: reasons, enumerations and the bits of flags.

The compiled twin of hpe/protocol/codes.py, enums.py and flags.py, with their names; those that would
mean two things have the word of their enumeration before them. Constants; any thread may use them.
A test compares each (tests/unit/protocol/test_compiled_codes.py).
"""

cdef enum RejectReason:
    NONE = 0
    INVALID_COMBINATION = 1
    UNKNOWN_ORDER = 2
    UNKNOWN_INSTRUMENT = 3
    UNKNOWN_ASSET = 4
    UNKNOWN_HOLD = 19
    SAME_ASSET = 5
    DUPLICATE_SYMBOL = 6
    UNKNOWN_PAIR = 7
    IN_USE = 34
    TOO_MANY_ASSETS = 8
    TOO_MANY_INSTRUMENTS = 9
    USER_BLOCKED = 20
    NOT_TRADING = 21
    NOT_IN_CALL = 22
    CALL_OPEN = 23
    NO_CALL = 24
    FEES_BELOW_ZERO = 25
    PRICE_OUT_OF_RANGE = 10
    PRICE_OUT_OF_BAND = 26
    QUANTITY_OUT_OF_RANGE = 11
    NOTIONAL_OUT_OF_RANGE = 12
    EXPIRY_PASSED = 27
    DUPLICATE_CLIENT_ORDER_ID = 13
    DUPLICATE_HOLD = 28
    TOO_MANY_ORDERS = 14
    TOO_MANY_USERS = 32
    TOO_MANY_ACCOUNTS = 33
    TOO_MANY_HOLDS = 29
    NO_LAST_PRICE = 30
    STOP_WOULD_TRIGGER = 31
    POST_ONLY_WOULD_CROSS = 15
    INSUFFICIENT_FUNDS = 16
    INSUFFICIENT_HOLD = 17
    DEPOSIT_LIMIT = 18

cdef enum CancelReason:
    REASON_REQUESTED = 101
    REASON_IOC_REMAINDER = 102
    REASON_FOK_NOT_FILLABLE = 103
    REASON_NO_LIQUIDITY = 104
    REASON_REPLACED_AWAY = 105
    REASON_FILL_LIMIT = 106
    REASON_SELF_TRADE = 107
    REASON_MINIMUM_NOT_FILLABLE = 108
    REASON_BAND = 109
    REASON_EXPIRED = 110
    REASON_LINKED = 111
    REASON_MASS_CANCEL = 112
    REASON_DISCONNECTED = 113

cdef enum Side:
    BUY = 1
    SELL = 2

cdef enum OrderType:
    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4

cdef enum TimeInForce:
    GTC = 1
    IOC = 3
    FOK = 4
    GTD = 6

cdef enum OrderStatus:
    NEW = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    CANCELED = 4
    REJECTED = 8
    EXPIRED = 12

cdef enum ExecType:
    EXEC_NEW = 0
    EXEC_CANCELED = 4
    EXEC_REPLACED = 5
    EXEC_EXPIRED = 12
    EXEC_TRADE = 15
    EXEC_TRIGGERED = 21

cdef enum Liquidity:
    MAKER = 1
    TAKER = 2
    AUCTION = 4

cdef enum SelfTrade:
    ALLOWED = 1
    CANCEL_TAKER = 2
    CANCEL_MAKER = 3
    CANCEL_BOTH = 4
    DECREMENT = 5

cdef enum InstrumentStatus:
    TRADING = 1
    CANCEL_ONLY = 2
    HALTED = 3
    CALL_AUCTION = 4

cdef enum Role:
    ROLE_TRADER = 1
    ROLE_GATEWAY = 2
    ROLE_MARKET_DATA = 3
    ROLE_OPERATOR = 4
    ROLE_ANONYMOUS = 5

cdef enum Channel:
    CHANNEL_BEST = 1
    CHANNEL_LEVELS = 2
    CHANNEL_ORDERS = 3
    CHANNEL_TRADES = 4
    CHANNEL_STATUS = 5

cdef enum BookChange:
    ADDED = 1
    CHANGED = 2
    REMOVED = 3

cdef enum HoldChange:
    HOLD_LOCKED = 1
    HOLD_CAPTURED = 2
    HOLD_RELEASED = 3
    HOLD_EXPIRED = 4

cdef enum ErrorCode:
    ERROR_UNKNOWN_TYPE = 110
    ERROR_UNKNOWN_SESSION = 203
    ERROR_TOO_MANY_SESSIONS = 204
    ERROR_SESSION_REPLACED = 205
    ERROR_NOT_AUTHORIZED = 208
    ERROR_USER_NOT_ALLOWED = 209
    ERROR_ID_REUSED = 210
    ERROR_NOT_EXECUTED = 211
    ERROR_STALE_ID = 212
    ERROR_TOO_MANY_SUBSCRIPTIONS = 232
    ERROR_BUSY = 500
    ERROR_THROTTLED = 501

cdef enum Flags:
    FLAG_DUPLICATE = 1
    FLAG_SELF_TRADE = 2
    FLAG_USER_LIMIT = 4
    FLAG_KEY_LIMIT = 8
    FLAG_UNCHANGED = 16
    ORDER_POST_ONLY = 1
    ORDER_CANCEL_ON_DISCONNECT = 2
    HELLO_CANCEL_ON_DISCONNECT = 1
    LOGOUT_KEEP_ORDERS = 1
