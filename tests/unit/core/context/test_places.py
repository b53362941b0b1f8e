"""Places remember no key that has taken nothing."""

from hpe.protocol.enums import Role, Side
from hpe.protocol.limits import HOUSE_USER


def test_keys_that_hold_nothing_are_not_remembered_for_ever(market, client):
    places = market.core.exchange.places
    granted = {"role": Role.ANONYMOUS, "key": 1_000, "user_first": 1, "user_last": HOUSE_USER}
    assert market.attach(1, **granted).submit(Side.BUY, 50, 1).reason == 0
    for key in range(1, 900):
        places.of(key)
    assert places.of(1_000).orders == 1
    assert len(places._holders) < 200
