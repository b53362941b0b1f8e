"""The client library: the requests of a session, its connections, its streams.

It depends only on the wire, the keys and the errors: importing it loads no part of the service.
"""

from hpe.client.client import Client, connect
from hpe.client.market_views import (
    BestView,
    BookOrderView,
    BookView,
    InstrumentStateView,
    LevelView,
    MarketStateView,
    OrderbookView,
    StatusView,
    TradeView,
    UncrossView,
)
from hpe.client.options import ConnectOptions
from hpe.client.scales import AssetView, InstrumentView
from hpe.client.sync import SyncClient, connect_sync
from hpe.client.views import (
    AccountView,
    BalanceReportView,
    BalanceView,
    ConservationView,
    ExecutionView,
    FillsView,
    FillView,
    HoldReportView,
    HoldResultView,
    HoldView,
    MassCancelView,
    OrderReportView,
    OrderStateView,
    OrderView,
    PreventedMatchView,
)

__all__ = [
    "AccountView",
    "AssetView",
    "BalanceReportView",
    "BalanceView",
    "BestView",
    "BookOrderView",
    "BookView",
    "Client",
    "ConnectOptions",
    "ConservationView",
    "ExecutionView",
    "FillView",
    "FillsView",
    "HoldReportView",
    "HoldResultView",
    "HoldView",
    "InstrumentStateView",
    "InstrumentView",
    "LevelView",
    "MarketStateView",
    "MassCancelView",
    "OrderReportView",
    "OrderStateView",
    "OrderView",
    "OrderbookView",
    "PreventedMatchView",
    "StatusView",
    "SyncClient",
    "TradeView",
    "UncrossView",
    "connect",
    "connect_sync",
]
