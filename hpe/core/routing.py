"""Which part of the exchange executes which command and answers which query.

Part of the deterministic core; two tables, built once per core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpe.core.context.command import Context
from hpe.core.output.queries import Queries
from hpe.core.trading.answers import CommandResponse
from hpe.core.trading.catalogue import Catalogue
from hpe.core.trading.exchange import Exchange
from hpe.protocol.base import Reply, Request
from hpe.protocol.internal import InternalResponse, SessionAttachedResponse
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
from hpe.protocol.market_data import GetOrderbook
from hpe.protocol.money import (
    CaptureHold,
    Deposit,
    GetBalance,
    ListBalances,
    ListHolds,
    LockBalance,
    ReleaseHold,
    Transfer,
    UnlockBalance,
    Withdraw,
)
from hpe.protocol.operations import (
    BlockUser,
    GetConservation,
    GetStateHash,
    SetFees,
    SetStatus,
    Uncross,
)
from hpe.protocol.orders import (
    CancelOrder,
    GetOrder,
    ListFills,
    ListOrders,
    MassCancel,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)

QueryHandler = Callable[[int, Any], Reply]
"""(user, query) -> reply."""

CommandHandler = Callable[[Context, Any], CommandResponse]
InternalHandler = Callable[[Context, Any], InternalResponse | SessionAttachedResponse]


def commands_of(exchange: Exchange) -> dict[type[Request], CommandHandler]:
    """Return the handler of each command."""
    entry, treasury, catalogue = exchange.entry, exchange.treasury, exchange.catalogue
    operations = exchange.operations
    return {
        SubmitOrder: entry.submit_order,
        CancelOrder: entry.cancel_order,
        ReplaceOrder: exchange.replacing.replace_order,
        SubmitOco: exchange.pairs.submit_oco,
        MassCancel: exchange.canceling.mass_cancel,
        LockBalance: treasury.lock_balance,
        UnlockBalance: treasury.unlock_balance,
        Deposit: treasury.deposit,
        Withdraw: treasury.withdraw,
        Transfer: treasury.transfer,
        CaptureHold: treasury.capture_hold,
        ReleaseHold: treasury.release_hold,
        AddAsset: catalogue.add_asset,
        AddInstrument: catalogue.add_instrument,
        ResolveInstrument: catalogue.resolve_instrument,
        DelistAsset: exchange.delisting.delist_asset,
        DelistInstrument: exchange.delisting.delist_instrument,
        BlockUser: operations.block_user,
        SetStatus: operations.set_status,
        Uncross: operations.uncross,
        SetFees: operations.set_fees,
    }


def queries_of(queries: Queries, catalogue: Catalogue) -> dict[type[Request], QueryHandler]:
    """Return the handler of each query."""
    return {
        GetOrderbook: queries.get_orderbook,
        GetBalance: queries.get_balance,
        ListAssets: catalogue.list_assets,
        ListInstruments: catalogue.list_instruments,
        GetOrder: queries.get_order,
        ListOrders: queries.list_orders,
        ListFills: queries.list_fills,
        ListBalances: queries.list_balances,
        ListHolds: queries.list_holds,
        GetInstrument: queries.get_instrument,
        GetConservation: queries.get_conservation,
        GetStateHash: queries.get_state_hash,
    }
