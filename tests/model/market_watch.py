"""Subscribers in a play: they come, ask again and leave; what they know must be right.

Owns the subscriptions of one connection of a play's venue, and so which market data the core is
asked for. A Play drives it; one thread. Relies on naive_followers.py for what a subscriber may
conclude, and on naive_market.py for what it should know.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hpe.protocol.base import Reply
from hpe.protocol.codes import ErrorCode, RejectReason
from hpe.protocol.control import Error
from hpe.protocol.enums import Channel
from hpe.protocol.limits import DEPTH_MAX
from hpe.protocol.market_data import OrderbookReply, Subscribe, Subscribed
from tests.support.core_driver import Venue, VenueClient
from tests.support.naive_followers import BookFollower, Follower, follower_of
from tests.support.naive_state import NaiveState

FOLLOWERS_MAX: Final = 5
_DEPTHS: Final = (1, 2, 4, DEPTH_MAX, DEPTH_MAX)
_CHANNELS: Final = (*Channel, Channel.LEVELS, Channel.ORDERS)


class MarketWatch:
    """All subscribers of one play; each has a request id of its own."""

    def __init__(self, venue: Venue, state: NaiveState, client: VenueClient) -> None:
        self.venue = venue
        self.state = state
        self.client = client
        self.followers: dict[int, Follower] = {}
        self.asked = 0
        self.updates = 0
        self.told: set[tuple[int, Channel]] = set()  # wanted in the batch before

    # --- coming and going -------------------------------------------------------------------------

    def choose(self, random: Random) -> list[Subscribe]:
        """Let some go, and give what others ask for in the next batch."""
        self.told = set(self.venue.wanted)
        if self.followers and random.random() < 0.04:
            del self.followers[random.choice(list(self.followers))]
        again = [number for number, follower in self.followers.items() if _is_thin(follower)]
        if self.followers and random.random() < 0.04:
            again.append(random.choice(list(self.followers)))
        requests = [self._ask(number) for number in dict.fromkeys(again)]
        if len(self.followers) < FOLLOWERS_MAX and random.random() < 0.1:
            book = random.randint(1, 5)
            requests.append(self.add(book, random.choice(_CHANNELS), random.choice(_DEPTHS)))
        self._want()
        return requests

    def add(self, instrument: int, channel: Channel, depth: int = DEPTH_MAX) -> Subscribe:
        """Begin a subscription: give the request, which the next batch must have."""
        self.asked += 1
        self.followers[self.asked] = follower_of(instrument, channel, depth)
        self._want()
        return self._ask(self.asked)

    def _ask(self, number: int) -> Subscribe:
        follower = self.followers[number]
        return Subscribe(number, follower.instrument, follower.channel, follower.depth)

    def _want(self) -> None:
        self.venue.wanted = {follower.key for follower in self.followers.values()}

    # --- following --------------------------------------------------------------------------------

    def absorb(self, replies: list[Reply], accepted: set[int], *, late: bool) -> None:
        """Take what the batches since the last call brought, and compare; replies come last.

        `accepted` are the subscribes that are not refused. `late`: indicative fields may be, too.
        """
        rows, self.venue.market = self.venue.market, []
        for row in rows:
            for follower in self.followers.values():
                if follower.started and follower.key == (row.instrument, row.channel):
                    follower.follow(row.updates, row.time_ns)
                    self.updates += len(row.updates)
        begun = []
        for reply in replies:
            if reply.request_id not in accepted:
                assert isinstance(reply, Error)
                assert reply.code == ErrorCode.BUSY
                if not self.followers[reply.request_id].started:
                    del self.followers[reply.request_id]
                continue
            assert isinstance(reply, Subscribed)
            if self._begin(reply):
                address = (self.client.attach_number, reply.request_id)
                begun.append((*address, reply.instrument, reply.channel))
        subscribed, self.venue.subscribed = self.venue.subscribed, []
        assert sorted(subscribed) == sorted(begun)
        self._leave_delisted()
        for follower in self.followers.values():
            if not late or follower.channel is not Channel.STATUS:
                follower.compare(self.state)

    def _leave_delisted(self) -> None:
        """Let followers of what is gone go: they were told."""
        told, self.venue.delisted = self.venue.delisted, []
        listed = self.state.listings.instruments
        assert not listed.keys() & set(told)
        for number, follower in list(self.followers.items()):
            if follower.instrument not in listed:
                assert follower.instrument in told
                del self.followers[number]

    def _begin(self, reply: Subscribed) -> bool:
        """Start with a snapshot; there is none of an unknown instrument."""
        known = reply.instrument in self.state.listings.instruments
        if not known:
            assert (reply.reason, reply.snapshot) == (RejectReason.UNKNOWN_INSTRUMENT, None)
            del self.followers[reply.request_id]
            return False
        assert reply.sequence == self.state.sequence
        self.followers[reply.request_id].start(reply)
        return True

    def compare_count(self, reply: OrderbookReply) -> None:
        """Compare the count of changes that a book's query tells with what subscribers know."""
        for follower in self.followers.values():
            if isinstance(follower, BookFollower) and follower.instrument == reply.instrument:
                assert follower.last == reply.book_sequence


def _is_thin(follower: Follower) -> bool:
    return isinstance(follower, BookFollower) and follower.started and follower.thin
