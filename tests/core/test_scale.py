"""Which scales may be listed: those with finite decimal prices and quantities."""

import pytest

from hpe.client.scales import AssetView, InstrumentView
from hpe.protocol.codes import RejectReason
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    AddInstrumentResponse,
    InstrumentsReply,
    ListInstruments,
)


@pytest.mark.parametrize(
    ("lot", "tick", "reason"),
    [
        (12, 1, RejectReason.INVALID_COMBINATION),
        (12, 3, 0),
        (7, 2**62, RejectReason.INVALID_COMBINATION),
        (2**62, 1, 0),
        (10**18, 1, 0),
    ],
)
def test_what_is_listed_can_be_shown(venue, lot, tick, reason):
    client = venue.attach()
    for symbol, decimals in (("A", 18), ("B", 0)):
        client.get_id(AddAsset(client.next_id(), symbol, decimals))
    request = AddInstrument(client.next_id(), "A/B", 1, 2, lot, tick)
    assert client.get(AddInstrumentResponse, request).reason == reason
    for row in client.get(InstrumentsReply, ListInstruments(1)).rows:
        view = InstrumentView.of(row, AssetView.of((1, "A", 18)), AssetView.of((2, "B", 0)))
        for grid in (view.prices, view.quantities):
            assert grid.count(grid.value(3)) == 3
