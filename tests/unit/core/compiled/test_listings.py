"""What is listed and removed in the compiled core: as in the reference, and it can be traded."""

from collections import Counter
from random import Random

import pytest
from msgspec.structs import astuple, replace

from hpe.core.trading.configuring import configure
from hpe.protocol.base import type_number
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import SelfTrade
from hpe.protocol.flags import FLAG_KEY_LIMIT, FLAG_USER_LIMIT
from hpe.protocol.internal import AssetSetting, Configure, InstrumentSetting, PlaceLimits
from hpe.protocol.limits import INT_MAX
from hpe.protocol.listings import (
    AddAsset,
    AddInstrument,
    DelistAsset,
    DelistInstrument,
    ResolveInstrument,
)
from hpe.protocol.money import Deposit, Withdraw
from hpe.protocol.orders import SubmitOrder
from tests.model.commands import (
    GIVEN,
    UNIT_NS,
    addressed,
    cancel,
    limit_order,
    listing,
    mass_cancel,
    movement,
    status,
)
from tests.unit.core.compiled.test_trading import SMALL, BothTrading

LISTED = (AddAsset, AddInstrument, ResolveInstrument, DelistAsset, DelistInstrument)
FEW_PLACES = (
    PlaceLimits(assets_max=6, assets_per_user_max=1),
    PlaceLimits(instruments_max=9, instruments_per_user_max=2),
    PlaceLimits(assets_max=5, instruments_max=9, key_share_percent=20),
)
OUTCOMES = {
    *((command, RejectReason.NONE, 0) for command in LISTED),
    *(
        (AddInstrument, RejectReason.TOO_MANY_INSTRUMENTS, flags)
        for flags in (0, FLAG_USER_LIMIT, FLAG_KEY_LIMIT)
    ),
    (AddAsset, RejectReason.DUPLICATE_SYMBOL, 0),
    (AddInstrument, RejectReason.INVALID_COMBINATION, 0),
    (AddInstrument, RejectReason.UNKNOWN_ASSET, 0),
    (AddInstrument, RejectReason.SAME_ASSET, 0),
    (AddInstrument, RejectReason.DUPLICATE_SYMBOL, 0),
    (ResolveInstrument, RejectReason.SAME_ASSET, 0),
    (ResolveInstrument, RejectReason.UNKNOWN_PAIR, 0),
    (AddAsset, RejectReason.TOO_MANY_ASSETS, 0),
    (DelistAsset, RejectReason.IN_USE, 0),
    (DelistAsset, RejectReason.UNKNOWN_ASSET, 0),
    (DelistInstrument, RejectReason.IN_USE, 0),
    (DelistInstrument, RejectReason.UNKNOWN_INSTRUMENT, 0),
}


class BothListing(BothTrading):
    """Both exchanges, with commands about what is listed."""

    def begin(self):
        self.answers = Counter()
        self.batch(GIVEN, 0, 0, 0, operator=True, cancels=False)

    def answer(self, command):
        if isinstance(command, LISTED):
            answer = self.compiled.list(type_number(type(command)), command)
        else:
            answer = super().answer(command)
        _, flags, _, reason, *_ = answer
        self.answers[type(command), reason, flags] += 1
        return answer

    def configure(self, command):
        """Apply a configuration, as a batch does."""
        self.batch([], 0, 0, 0, operator=False, cancels=False)
        configure(self.reference, self.context(0), command)
        self.compiled.configure(command)

    def compare_listings(self):
        """Compare what is listed, and the places that it takes."""
        texts, listings = self.compiled.texts, self.reference.listings
        assert list(texts.assets.values()) == list(listings.assets.values())
        self.compiled.refresh_fees()
        assert list(texts.instruments.values()) == list(listings.instruments.values())
        for listed in listings.instruments.values():
            number, _, *rest = astuple(listed)
            assert self.compiled.listed(number) == (number, *rest)
        for key in (0, 5, 6):
            counts = self.reference.places.of(key).counts()
            assert self.compiled.places_of(key) == list(counts.values()), counts
        for number, book in self.reference.books.items():
            assert self.compiled.is_plain(number) == book.plain
        own = sum(len(book.fees.own) for book in self.reference.books.values())
        assert self.compiled.own_rates == own
        texts.check()


def relisted(random, command, listings):
    """Name what is listed, or may be next, instead of what a play begins with."""
    ids = {
        "instrument": [*listings.instruments, *[listings.last_instrument_id + 1] * 3],
        "asset": [*listings.assets, listings.last_asset_id + 1],
    }
    named = [name for name in ids if getattr(command, name, 0)]
    return replace(command, **{name: random.choice(ids[name]) for name in named})


def in_and_out(random, listings):
    """List an asset that has accounts, but no money, then delist it."""
    asset = listings.last_asset_id + 1
    move = 1, asset, random.randint(1, 50), random.choice((1, 2))
    return [AddAsset(1, "Z", 2), Deposit(*move), Withdraw(*move), DelistAsset(1, asset)]


def pair_of(random, listings):
    """Make a pair that can be traded at every price."""
    base, quote = random.sample([*listings.assets, listings.last_asset_id], 2)
    return AddInstrument(1, f"P{random.randint(1, 12)}", base, quote)


def configuration(random, listings):
    """Make a configuration: new settings, assets and pairs, and new limits of listed pairs."""
    assets = [AssetSetting(symbol, 3) for symbol in random.sample("ABCDEF", random.randint(0, 1))]
    symbols = [each.symbol for each in (*listings.assets.values(), *assets)]
    named = [each.symbol for each in listings.instruments.values()]
    pairs = random.sample([*named, "C1", "C2"], random.randint(0, 4))
    settings = random.random() < 0.5, 10**12, 10**12, *random.choice(((100, 30), (1_000, 900)))
    return Configure(
        1, *settings, assets, [setting(random, symbol, symbols) for symbol in pairs],
        random.choice(FEW_PLACES),
    )  # fmt: skip


def setting(random, symbol, assets):
    """Make the setting of one pair."""
    limits = random.choice(((1, INT_MAX), (2, 90))), random.choice(((1, INT_MAX), (2, 9)))
    band = random.choice(((0, 0, False, 0), (200_000, 6, False, 0), (200_000, 6, True, 3)))
    rates = random.choice(((None, None), (None, 4), (0, 0), (-2, 300)))
    return InstrumentSetting(
        symbol, *random.sample(assets, 2), 1, random.choice((1, 2)), *limits[0], *limits[1], 0,
        10**9, *rates, random.choice(tuple(SelfTrade)), *band,
    )  # fmt: skip


def listed_commands(random, listings):
    """Make the commands of a batch."""
    chance = random.random()
    if chance < 0.05:
        return in_and_out(random, listings)
    if chance < 0.1:
        return [pair_of(random, listings)]
    orders = (limit_order,) * 6
    make = random.choice((listing, listing, *orders, cancel, movement, status, mass_cancel))
    return [relisted(random, make(random), listings)]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_listed_is_traded_and_delisted(trading, seed):
    random = Random(seed)
    both = BothListing(trading, SMALL)
    listings = both.reference.listings
    for user in (1, 2, 3):
        deposits = [Deposit(1, asset, 10**6, user) for asset in (1, 2)]
        both.batch(deposits, user, 1, 0, operator=True, cancels=False)
    for done in range(2_000):
        if done % 20 == 0:
            both.configure(configuration(random, listings))
        both.time_ns += random.choice((0, 0, 0, 1, 3)) * UNIT_NS
        last = both.reference.last_order_id
        commands = [
            addressed(each, next(both.request_ids), last, both.time_ns)
            for each in listed_commands(random, listings)
        ]
        user, key = random.choice((1, 2, 3)), random.choice((0, 5, 6))
        both.batch(commands, user, 1, key, operator=random.random() < 0.3, cancels=False)
        both.compare_listings()
        if done % 50 == 0:
            both.compare_state()
    both.reference.check()
    assert OUTCOMES - set(both.answers) == set()
    traded = (RejectReason.NONE, CancelReason.IOC_REMAINDER)
    assert sum(both.answers[SubmitOrder, reason, 0] for reason in traded) > 100
