"""Measure the effort of requests through the contract: the limit at which a batch is full.

The batch is given to cores with other limits that loaded the venue's state. One more request at its
end is the probe, which is refused as busy if the batch is full. The venue's own core executes none
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hpe.core.contract import Batch, Core, Limits
from hpe.protocol.base import Request
from hpe.protocol.codes import ErrorCode
from hpe.protocol.control import Error
from hpe.protocol.money import GetBalance
from hpe.protocol.operations import SetFees
from tests.support.core_driver import VenueClient, wanted_of
from tests.support.listed import listed

NOWHERE: Final = 10**6
"""An instrument that does not exist: setting its fees is refused, and costs nothing."""


def spent_by(client: VenueClient, *commands: Request) -> int:
    """Return what a batch of commands spends, including the timers before them."""
    return _least(lambda effort: spends_less(client, effort, *commands)) - 1


def spends_less(client: VenueClient, effort: int, *commands: Request) -> bool:
    """True if a batch of commands spends less than this."""
    ids = (client.last_request_id, *(command.request_id for command in commands))
    probe = SetFees(max(ids) + 1, NOWHERE, 0, 0)
    return _is_free(client, client.venue.limits._replace(effort=effort), *commands, probe)


def asked_by(client: VenueClient, *queries: Request) -> int:
    """Return what a batch of queries walks and shows."""

    def asks_less(rows: int) -> bool:
        limits = client.venue.limits._replace(query_effort=rows)
        return _is_free(client, limits, *queries, GetBalance(1, 1))

    return _least(asks_less) - 1


def _least(holds: Callable[[int], bool]) -> int:
    """Return the least number above 0 from which on something holds."""
    above = 1
    while not holds(above):
        above *= 2
    below = above // 2
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if holds(middle) else (middle, above)
    return above


def _is_free(client: VenueClient, limits: Limits, *requests: Request) -> bool:
    """True if the last request of a batch is not refused as busy."""
    venue = client.venue
    core: Core = venue.new_core(limits)
    wanted = wanted_of(venue.wanted)
    core.load(list(venue.core.dump()), wanted)
    batch = Batch(venue.time_ns + venue.pace_ns, [client.run(*requests)], wanted)
    replies = client.replies(listed(core.apply(batch)))
    errors = [reply for reply in replies if isinstance(reply, Error)]
    assert all(error.code == ErrorCode.BUSY for error in errors), errors
    assert not errors or errors[-1] is replies[-1], "what was not executed is not measured"
    return not errors
