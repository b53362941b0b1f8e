"""Every reject of operations, money, listings and queries: data for test_reject_precedence.py."""

from __future__ import annotations

from typing import Final

from hpe.protocol.enums import Channel, InstrumentStatus, Side
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    DelistAsset,
    DelistInstrument,
    GetInstrument,
    ListAssets,
    ListInstruments,
    ResolveInstrument,
)
from hpe.protocol.market_data import GetOrderbook, Subscribe
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    GetBalance,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import BlockUser, GetConservation, SetFees, SetStatus, Uncross
from hpe.protocol.orders import GetOrder, MassCancel
from tests.scenarios.reject_world import (
    ANNS_ID,
    BTC,
    CALL,
    LATER_NS,
    MARKET,
    NEW_ASSET,
    NEWCOMER,
    NO_ASSET,
    NO_MARKET,
    NONE_SUCH,
    TOO_MUCH,
    USD,
    WITHOUT_MONEY,
    Base,
    a_hold_is_all,
    a_user_without_accounts,
    an_asset_that_nothing_uses,
    anns_order,
    auto_create,
    closing,
    fault,
    hold_of_ann,
    no_more,
    no_more_accounts,
    no_more_users,
    status,
    symbols_taken,
)

# --- operations ---------------------------------------------------------------------------------

OPERATIONS: Final = [
    Base(
        "mass_cancel",
        "",
        MassCancel,
        {},
        {"invalid_combination": fault(user=2, all_users=True), "unknown_instrument": NO_MARKET},
    ),
    Base(
        "block_user",
        "",
        BlockUser,
        {"user": 2, "blocked": True},
        {"too_many_users": no_more_users(user=NEWCOMER)},
    ),
    Base(
        "set_status",
        "",
        SetStatus,
        {"instrument": MARKET, "status": InstrumentStatus.HALTED},
        {"unknown_instrument": NO_MARKET, "call_open": CALL},
    ),
    Base(
        "uncross",
        "",
        Uncross,
        {"instrument": MARKET},
        {
            "unknown_instrument": NO_MARKET,
            "no_call": fault(lambda world: world.ask(Uncross, instrument=MARKET)),
        },
        status(InstrumentStatus.CALL_AUCTION),
    ),
    Base(
        "set_fees",
        "",
        SetFees,
        {"instrument": MARKET, "maker_fee_ppm": 0, "taker_fee_ppm": 10},
        {
            "invalid_combination": fault(taker_fee_ppm=None),
            "unknown_instrument": NO_MARKET,
            "fees_below_zero": fault(maker_fee_ppm=-20),
            "too_many_users": no_more_users(user=NEWCOMER),
        },
    ),
]

# --- money --------------------------------------------------------------------------------------

MONEY: Final = [
    Base(
        "lock_balance",
        "",
        LockBalance,
        {"asset": USD, "amount": 5, "hold_id": ANNS_ID, "expires_ns": LATER_NS},
        {
            "invalid_combination": fault(hold_id=0),
            "unknown_asset": NO_ASSET,
            "expiry_passed": fault(expires_ns=1),
            "duplicate_hold": fault(hold_of_ann),
            "too_many_holds": closing(a_hold_is_all),
            "insufficient_funds": fault(amount=TOO_MUCH),
        },
    ),
    Base(
        "unlock_balance",
        "",
        UnlockBalance,
        {"asset": USD, "amount": 5},
        {"unknown_asset": NO_ASSET, "insufficient_hold": fault(amount=TOO_MUCH)},
        lambda world: world.ask(LockBalance, asset=USD, amount=9, user=world.ann.user),
    ),
    Base(
        "capture_hold",
        "",
        CaptureHold,
        {"hold_id": ANNS_ID, "amount": 5, "to_user": 2},
        {
            "unknown_hold": fault(hold_id=NONE_SUCH),
            "too_many_users": no_more_users(to_user=NEWCOMER),
            "too_many_accounts": no_more_accounts(a_user_without_accounts, to_user=WITHOUT_MONEY),
            "insufficient_hold": fault(amount=11),
        },
        hold_of_ann,
    ),
    Base(
        "release_hold",
        "",
        ReleaseHold,
        {"hold_id": ANNS_ID, "amount": 5},
        {"unknown_hold": fault(hold_id=NONE_SUCH), "insufficient_hold": fault(amount=11)},
        hold_of_ann,
    ),
    Base(
        "deposit",
        "",
        Deposit,
        {"asset": USD, "amount": 5},
        {
            "unknown_asset": NO_ASSET,
            "too_many_users": no_more_users(user=NEWCOMER),
            "too_many_accounts": no_more_accounts(asset=NEW_ASSET),
            "deposit_limit": fault(amount=2**62),
        },
    ),
    Base(
        "withdraw",
        "",
        Withdraw,
        {"asset": USD, "amount": 5},
        {"unknown_asset": NO_ASSET, "insufficient_funds": fault(amount=TOO_MUCH)},
    ),
    Base(
        "transfer",
        "",
        Transfer,
        {"asset": USD, "amount": 5, "to_user": 2},
        {
            "invalid_combination": fault(to_user=1),
            "unknown_asset": NO_ASSET,
            "too_many_users": no_more_users(to_user=NEWCOMER),
            "too_many_accounts": no_more_accounts(asset=NEW_ASSET),
            "insufficient_funds": fault(amount=TOO_MUCH),
        },
    ),
]

# --- listings and queries -----------------------------------------------------------------------

LISTINGS: Final = [
    Base(
        "add_asset",
        "",
        AddAsset,
        {"symbol": "NEW", "decimals": 0},
        {
            "duplicate_symbol": fault(symbol="USD"),
            "too_many_assets": closing(no_more("assets_max", ListAssets)),
        },
    ),
    Base(
        "add_instrument",
        "",
        AddInstrument,
        {"symbol": "NEW", "base": BTC, "quote": USD},
        {
            "invalid_combination": fault(base_atoms_per_lot=12),
            "unknown_asset": fault(base=NONE_SUCH, quote=NONE_SUCH),
            "same_asset": fault(base=USD),
            "duplicate_symbol": fault(symbol="BTC/USD"),
            "too_many_instruments": closing(no_more("instruments_max", ListInstruments)),
            "fees_below_zero": fault(maker_fee_ppm=-1),
        },
    ),
    Base(
        "resolve_instrument",
        "",
        ResolveInstrument,
        {"base": "NEW", "quote": "ONE"},
        {
            "same_asset": fault(base="ONE"),
            "duplicate_symbol": fault(symbols_taken),
            "unknown_pair": fault(auto_create(False)),
            "too_many_assets": closing(no_more("assets_max", ListAssets)),
            "too_many_instruments": closing(no_more("instruments_max", ListInstruments)),
        },
        auto_create(True),
    ),
    Base(
        "delist_asset",
        "",
        DelistAsset,
        {"asset": NEW_ASSET},
        {"unknown_asset": NO_ASSET, "in_use": fault(asset=USD)},
        an_asset_that_nothing_uses,
    ),
    Base(
        "delist_instrument",
        "",
        DelistInstrument,
        {"instrument": MARKET},
        {"unknown_instrument": NO_MARKET, "in_use": fault(anns_order(Side.BUY, 90))},
    ),
]
QUERIES: Final = [
    Base(
        "get_orderbook",
        "",
        GetOrderbook,
        {"instrument": MARKET, "depth": 1},
        {"unknown_instrument": NO_MARKET},
    ),
    Base(
        "get_instrument",
        "",
        GetInstrument,
        {"instrument": MARKET},
        {"unknown_instrument": NO_MARKET},
    ),
    Base(
        "subscribe",
        "",
        Subscribe,
        {"instrument": MARKET, "channel": Channel.LEVELS},
        {"unknown_instrument": NO_MARKET},
    ),
    Base("get_balance", "", GetBalance, {"asset": USD}, {"unknown_asset": NO_ASSET}),
    Base("get_conservation", "", GetConservation, {"asset": USD}, {"unknown_asset": NO_ASSET}),
    Base(
        "get_order",
        "",
        GetOrder,
        {"order_id": 1},
        {
            "invalid_combination": fault(client_order_id=ANNS_ID),
            "unknown_order": fault(order_id=NONE_SUCH),
        },
        anns_order(Side.BUY, 90),
    ),
]
