"""Every reject of the commands about orders: data for test_reject_precedence.py."""

from __future__ import annotations

from typing import Final

from hpe.protocol.enums import OrderType, Side, TimeInForce
from hpe.protocol.orders import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from tests.scenarios.reject_world import (
    ANNS_ID,
    BLOCKED,
    BTC,
    CALL,
    HALTED,
    LATER_NS,
    MARKET,
    NEW_MARKET,
    NEWCOMER,
    NO_MARKET,
    NONE_SUCH,
    ONLY_CANCELS,
    USD,
    Base,
    World,
    a_trade_in_one_of_two_markets,
    anns_order,
    bens_order,
    closing,
    fault,
    no_more_accounts,
    no_more_users,
    take_all,
    too_little_room,
    trade_at_100,
)
from tests.support.core_parts import place

POST_ONLY_BUY: Final = Base(
    "submit_order",
    "post-only limit buy, gtd",
    SubmitOrder,
    {
        "instrument": MARKET,
        "client_order_id": ANNS_ID,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTD,
        "price": 90,
        "quantity": 5,
        "flags": 1,
        "expires_ns": LATER_NS,
    },
    {
        "invalid_combination": fault(display_quantity=50),
        "unknown_instrument": NO_MARKET,
        "user_blocked": BLOCKED,
        "not_trading": ONLY_CANCELS,
        "not_in_call": CALL,
        "price_out_of_range": fault(price=151),
        "price_out_of_band": fault(price=121),
        "quantity_out_of_range": fault(quantity=21),
        "notional_out_of_range": fault(quantity=20),
        "expiry_passed": fault(expires_ns=1),
        "duplicate_client_order_id": fault(anns_order(Side.SELL, 120, ANNS_ID)),
        "too_many_orders": closing(too_little_room(Side.SELL, 120, open_orders_max=1)),
        "too_many_users": no_more_users(user=NEWCOMER),
        "too_many_accounts": no_more_accounts(instrument=NEW_MARKET),
        "post_only_would_cross": fault(bens_order(Side.SELL, 90)),
        "insufficient_funds": fault(take_all(USD)),
    },
)
TRAILING_BUY: Final = Base(
    "submit_order",
    "trailing stop buy, gtd",
    SubmitOrder,
    {
        "instrument": MARKET,
        "client_order_id": ANNS_ID,
        "side": Side.BUY,
        "order_type": OrderType.STOP,
        "time_in_force": TimeInForce.GTD,
        "price": 0,
        "quantity": 0,
        "trail": 5,
        "budget": 500,
        "expires_ns": LATER_NS,
    },
    {
        "invalid_combination": fault(stop_price=100),
        "unknown_instrument": NO_MARKET,
        "user_blocked": BLOCKED,
        "not_trading": ONLY_CANCELS,
        "notional_out_of_range": fault(budget=1501),
        "expiry_passed": fault(expires_ns=1),
        "duplicate_client_order_id": fault(anns_order(Side.SELL, 120, ANNS_ID)),
        "too_many_orders": closing(too_little_room(Side.SELL, 120, open_orders_per_user_max=1)),
        "too_many_accounts": no_more_accounts(instrument=3),
        "no_last_price": fault(instrument=2),
        "insufficient_funds": fault(take_all(USD)),
    },
    a_trade_in_one_of_two_markets,
)
CANCEL: Final = Base(
    "cancel_order",
    "",
    CancelOrder,
    {"order_id": 1},
    {
        "invalid_combination": fault(client_order_id=ANNS_ID),
        "unknown_order": fault(order_id=NONE_SUCH),
        "not_trading": HALTED,
    },
    anns_order(Side.BUY, 90),
)


def anns_post_only_bid(world: World) -> None:
    """Let a post-only order of ann's with an end, 5 at 90, rest as order 1."""
    response = place(
        world.ann, Side.BUY, 90, 5, OrderType.LIMIT, TimeInForce.GTD, flags=1,
        expires_ns=2 * LATER_NS,
    )  # fmt: skip
    assert response.order_id == 1


REPLACE: Final = Base(
    "replace_order",
    "of a post-only limit buy, gtd",
    ReplaceOrder,
    {
        "order_id": 1,
        "client_order_id": 0,
        "leaves_quantity": 5,
        "price": 91,
        "expires_ns": LATER_NS,
    },
    {
        "invalid_combination": fault(quantity=5),
        "unknown_order": fault(order_id=NONE_SUCH),
        "invalid_combination of the order": fault(stop_price=100),
        "user_blocked": BLOCKED,
        "not_trading": ONLY_CANCELS,
        "price_out_of_range": fault(price=151),
        "price_out_of_band": fault(price=121),
        "quantity_out_of_range": fault(leaves_quantity=21),
        "notional_out_of_range": fault(leaves_quantity=20),
        "expiry_passed": fault(expires_ns=1),
        "post_only_would_cross": fault(bens_order(Side.SELL, 91)),
        "insufficient_funds": fault(take_all(USD)),
    },
    anns_post_only_bid,
)
REPLACE_AWAY: Final = Base(
    "replace_order",
    "to nothing",
    ReplaceOrder,
    {"order_id": 1, "client_order_id": 0, "leaves_quantity": 0},
    {
        "invalid_combination": fault(quantity=5),
        "unknown_order": fault(order_id=NONE_SUCH),
        "invalid_combination of the order": fault(stop_price=100),
        "not_trading": HALTED,
    },
    anns_post_only_bid,
)
OCO: Final = Base(
    "submit_oco",
    "",
    SubmitOco,
    {
        "instrument": MARKET,
        "side": Side.SELL,
        "quantity": 5,
        "price": 100,
        "stop_price": 90,
        "limit_client_order_id": ANNS_ID,
        "expires_ns": LATER_NS,
    },
    {
        "invalid_combination": fault(budget=500),
        "unknown_instrument": NO_MARKET,
        "user_blocked": BLOCKED,
        "not_trading": ONLY_CANCELS,
        "not_in_call": CALL,
        "price_out_of_range": fault(stop_price=151),
        "price_out_of_band": fault(price=79),
        "quantity_out_of_range": fault(quantity=21),
        "notional_out_of_range": fault(quantity=20),
        "expiry_passed": fault(expires_ns=1),
        "duplicate_client_order_id": fault(anns_order(Side.BUY, 60, ANNS_ID)),
        "too_many_orders": closing(too_little_room(Side.BUY, 60, open_orders_max=2)),
        "too_many_users": no_more_users(user=NEWCOMER),
        "too_many_accounts": no_more_accounts(instrument=NEW_MARKET),
        "stop_would_trigger": fault(trade_at_100, stop_price=100),
        "post_only_would_cross": fault(bens_order(Side.BUY, 100)),
        "insufficient_funds": fault(take_all(BTC)),
    },
)

ORDERS: Final = [POST_ONLY_BUY, TRAILING_BUY, CANCEL, REPLACE, REPLACE_AWAY, OCO]
