"""Messages of operators: market states, fees, the kill switch, proofs over the whole state.

Immutable values, as base.py describes them; any thread may use them.
"""

from __future__ import annotations

from hpe.protocol.base import Reply, Request
from hpe.protocol.enums import InstrumentStatus
from hpe.protocol.fields import AnyInt, EntityId, MakerPpm, NextStatus, TakerPpm, TraderId


class GetConservation(Request, frozen=True, tag=42):
    """Ask for the proof that an asset's money adds up. Walks all accounts."""

    asset: EntityId


class ConservationReply(Reply, frozen=True, tag=42):
    """net_deposits must equal available + reserved + held, over all accounts."""

    sequence: int
    reason: int
    asset: int
    net_deposits: int
    available: int
    reserved: int
    held: int
    house: int
    accounts: int


class GetStateHash(Request, frozen=True, tag=43):
    """Ask for the digest of the whole state. Walks all of it."""


class StateHashReply(Reply, frozen=True, tag=43):
    """Digest after the command `sequence`: 32 hexadecimal digits."""

    sequence: int
    state_hash: str


class BlockUser(Request, frozen=True, tag=76):
    """The kill switch: refuse new orders and replaces of a user, or allow them again."""

    user: TraderId
    blocked: bool


class BlockUserResponse(Reply, frozen=True, tag=76):
    """Outcome of block_user; `open_orders` are left to be canceled."""

    sequence: int
    reason: int
    open_orders: int


class SetStatus(Request, frozen=True, tag=77):
    """Set what may be done with an instrument's orders; call_auction begins a call."""

    instrument: EntityId
    status: InstrumentStatus


class SetStatusResponse(Reply, frozen=True, tag=77):
    """Outcome of set_status: the status now, 0 for an unknown instrument."""

    sequence: int
    reason: int
    status: int


class Uncross(Request, frozen=True, tag=78):
    """End a call: trade what crosses at one price, then go on in the next status."""

    instrument: EntityId
    next_status: NextStatus = InstrumentStatus.TRADING


class UncrossResponse(Reply, frozen=True, tag=78):
    """Outcome of uncross: price in ticks and volume in lots, 0 when nothing crossed."""

    sequence: int
    reason: int
    time_ns: int
    price: int
    volume: int


class SetFees(Request, frozen=True, tag=79):
    """Set an instrument's fees, or one user's fees on it; nil for both removes the user's."""

    instrument: EntityId
    maker_fee_ppm: MakerPpm | None
    taker_fee_ppm: TakerPpm | None
    user: AnyInt = 0


class SetFeesResponse(Reply, frozen=True, tag=79):
    """Outcome of set_fees."""

    sequence: int
    reason: int
