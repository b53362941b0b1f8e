"""Room for sessions: how many remembered responses each takes, and which give way to which.

Part of the deterministic core; all of it follows from the sessions and the settings, nothing here
is state of its own. A session takes its window while it is attached, otherwise what it remembers,
and at least 16. An owner is a key, or a user where no key is required. Cost: O(log n) for a session
that comes, goes or gives way, however many there are. Source: protocol.md, "Room".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sortedcontainers import SortedList

from hpe.core.contract import RoomLimit, RoomSizes
from hpe.core.sessions.session import Session
from hpe.errors import InvariantViolation
from hpe.protocol.enums import Role

Owner = tuple[int, bool]
"""(number, True for a key, False for a user), the order in which owners give way."""

_Gone = tuple[int, int]
"""(when its connection was lost, session id): the oldest gives way first."""


class Newcomer(NamedTuple):
    """A hello that needs room; `kept` is what its session takes while it is detached."""

    owner: Owner
    operator: bool
    wanted: int
    kept: int


class Granted(NamedTuple):
    """What a newcomer may take, and the sessions that gave way to it."""

    room: int
    gone: list[Session]


class _RoomShare:
    """What one owner has; `rank` is its place in the ranking while one of its sessions may go."""

    __slots__ = ("gone", "rank", "sessions", "taken")

    def __init__(self) -> None:
        self.sessions = 0
        self.taken = 0
        self.gone: SortedList[_Gone] = SortedList()
        self.rank: tuple[int, int, bool] | None = None


def owner_of(key: int, user: int) -> Owner:
    """Return the owner of a session."""
    return (key, True) if key else (user, False)


class Room:
    """Sums over all sessions, and which of them may give way.

    A session may give way once it has been detached for `keep_ns` and its grace is over. Sessions
    whose time has not come wait in `_young`; those before `_aged_ns` are with their owners.
    """

    def __init__(self, sizes: RoomSizes) -> None:
        self.sizes = sizes
        self.keep_ns = 0
        self._taken = 0
        self._large = 0
        self._shares: dict[Owner, _RoomShare] = {}
        self._ranking: SortedList[tuple[int, int, bool]] = SortedList()
        self._young: SortedList[_Gone] = SortedList()
        self._aged_ns = 0
        self._operators = 0
        self._operators_gone: SortedList[_Gone] = SortedList()
        self._away: dict[int, Session] = {}

    # --- counting -----------------------------------------------------------------------------

    def add(self, session: Session) -> None:
        """Count a session as it is now."""
        owner = owner_of(session.key, session.user)
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = _RoomShare()
        share.sessions += 1
        self._count(session, share, 1)
        if not session.attach_number:
            self._away[session.session_id] = session
            if session.role is Role.OPERATOR:
                self._operators_gone.add((session.detached_ns, session.session_id))
            may_go_ns = self._may_go_ns(session)
            if may_go_ns > self._aged_ns:
                self._young.add((may_go_ns, session.session_id))
            elif self._common(session):
                share.gone.add((session.detached_ns, session.session_id))
        self._rank(owner, share)

    def remove(self, session: Session) -> None:
        """Stop counting a session, before anything about it changes."""
        owner = owner_of(session.key, session.user)
        share = self._shares[owner]
        share.sessions -= 1
        self._count(session, share, -1)
        if not session.attach_number:
            del self._away[session.session_id]
            gone = (session.detached_ns, session.session_id)
            if session.role is Role.OPERATOR:
                self._operators_gone.remove(gone)
            may_go_ns = self._may_go_ns(session)
            if may_go_ns > self._aged_ns:
                self._young.remove((may_go_ns, session.session_id))
            elif self._common(session):
                share.gone.remove(gone)
        self._rank(owner, share)
        if not share.sessions:
            del self._shares[owner]

    def _count(self, session: Session, share: _RoomShare, sign: int) -> None:
        common = self._common(session)
        share.taken += sign * common
        self._taken += sign * common
        if self._taken_by(session) > self.sizes.small:
            self._large += sign * common
        self._operators += sign * (session.role is Role.OPERATOR)

    def _taken_by(self, session: Session) -> int:
        taken = session.window if session.attach_number else len(session.remembered)
        return max(taken, self.sizes.least)

    def _common(self, session: Session) -> int:
        """Return the part of it that is not in the operators' reserve."""
        taken = self._taken_by(session)
        return max(taken - self.sizes.small, 0) if session.role is Role.OPERATOR else taken

    def _may_go_ns(self, session: Session) -> int:
        return session.detached_ns + max(self.keep_ns, session.grace_ns + 1)

    def _rank(self, owner: Owner, share: _RoomShare) -> None:
        rank = (-share.taken, *owner) if share.gone else None
        if rank != share.rank:
            if share.rank is not None:
                self._ranking.remove(share.rank)
            if rank is not None:
                self._ranking.add(rank)
            share.rank = rank

    def _age(self, time_ns: int) -> None:
        """Move sessions whose time has come to their owners; each moves once."""
        young, self._aged_ns = self._young, max(self._aged_ns, time_ns)
        while young and young[0][0] <= time_ns:
            session = self._away[young.pop(0)[1]]
            if self._common(session):
                owner = owner_of(session.key, session.user)
                share = self._shares[owner]
                share.gone.add((session.detached_ns, session.session_id))
                self._rank(owner, share)

    # --- making room --------------------------------------------------------------------------

    def admit(self, newcomer: Newcomer, time_ns: int) -> Granted | RoomLimit:
        """Grant a newcomer room, and make some if necessary; the newcomer is not counted yet.

        Sessions that give way are no longer counted. If nothing can be granted, nothing changes.
        """
        self._age(time_ns)
        gone: list[Session] = []
        refused = self._admit_operator(newcomer, gone) if newcomer.operator else None
        if refused is not None:
            return refused
        if not newcomer.operator:
            refused = self._make_room(newcomer, gone)
        granted = self._grant(newcomer)
        if granted >= self.sizes.least:
            return Granted(granted, gone)
        for session in gone:
            self.add(session)
        assert refused is not None
        return refused

    def _admit_operator(self, newcomer: Newcomer, gone: list[Session]) -> RoomLimit | None:
        """Use the operators' reserve; the session detached longest gives way, however recently."""
        if newcomer.kept or self._operators < self.sizes.operators:
            return None
        if not self._operators_gone:
            return RoomLimit.OPERATORS
        self._give_way(self._operators_gone[0], gone)
        return None

    def _make_room(self, newcomer: Newcomer, gone: list[Session]) -> RoomLimit | None:
        """Make sessions give way until a small window fits; return whose limit prevents it."""
        owner, needed = (
            newcomer.owner,
            max(min(newcomer.wanted, self.sizes.small), self.sizes.least),
        )
        while newcomer.kept < needed:
            mine = self._shares.get(owner)
            taken = mine.taken if mine is not None else 0
            first: _Gone | None = mine.gone[0] if mine is not None and mine.gone else None
            if owner[1] and taken + needed > self.sizes.key_share:
                if first is None:
                    needed = self.sizes.key_share - taken  # the share allows no more
                    if needed < self.sizes.least:
                        return RoomLimit.KEY
                    continue
            elif self._taken + needed <= self._limit(newcomer):
                return None
            else:
                first = self._most(taken + needed) or first
                if first is None:
                    return RoomLimit.ALL
            self._give_way(first, gone)
        return None

    def _most(self, would_take: int) -> _Gone | None:
        """Return the largest owner's oldest session, if it has more than the newcomer would."""
        if not self._ranking or -self._ranking[0][0] <= would_take:
            return None
        oldest: _Gone = self._shares[self._ranking[0][1:]].gone[0]
        return oldest

    def _give_way(self, oldest: _Gone, gone: list[Session]) -> None:
        session = self._away[oldest[1]]
        self.remove(session)
        gone.append(session)

    def _limit(self, newcomer: Newcomer) -> int:
        """Return how far a newcomer may fill the room."""
        owner = newcomer.owner
        if owner[1] or (newcomer.wanted <= self.sizes.small and owner not in self._shares):
            return self.sizes.room
        return self.sizes.room - self.sizes.kept

    def _grant(self, newcomer: Newcomer) -> int:
        """Return how much free room a newcomer may take; never less than it has."""
        owner, wanted = newcomer.owner, max(newcomer.wanted, self.sizes.least)
        reserve = self.sizes.small if newcomer.operator else 0
        free = self._limit(newcomer) - self._taken
        if owner[1]:
            mine = self._shares.get(owner)
            free = min(free, self.sizes.key_share - (mine.taken if mine is not None else 0))
        free = max(free, 0)
        large = reserve + min(free, self.sizes.large - self._large)
        granted = min(wanted, large)
        if granted <= self.sizes.small:
            granted = min(wanted, self.sizes.small, reserve + free)
        return max(granted, newcomer.kept)

    def check(self, sessions: Iterable[Session]) -> None:
        """Compare the sums with the sessions, and check that no owner has more than its share."""
        other = Room(self.sizes)
        other.keep_ns, other._aged_ns = self.keep_ns, self._aged_ns
        for session in sessions:
            other.add(session)
        if (other._taken, other._large) != (self._taken, self._large):
            raise InvariantViolation("the room that sessions take is counted wrongly")
        if (
            self._taken > self.sizes.room
            or self._large > self.sizes.large
            or self._operators > self.sizes.operators
        ):
            raise InvariantViolation("sessions take more room than there is")
        for owner, share in other._shares.items():
            mine = self._shares.get(owner)
            if mine is None or (mine.taken, mine.rank) != (share.taken, share.rank):
                raise InvariantViolation(f"the room of owner {owner[0]} is counted wrongly")
            if owner[1] and share.taken > self.sizes.key_share:
                raise InvariantViolation(f"key {owner[0]} takes more than its share")
            if list(share.gone) != list(mine.gone):
                raise InvariantViolation(f"who gives way of owner {owner[0]} is wrong")
        if list(other._young) != list(self._young) or len(other._shares) != len(self._shares):
            raise InvariantViolation("who may give way later is wrong")
