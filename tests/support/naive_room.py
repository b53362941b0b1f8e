"""The naive room for sessions: who is granted what and who gives way, summed up anew each time.

Part of the second opinion on the core: lists and linear scans, nothing shared with it but the
numbers of its bounds. One object per test. Source: protocol.md, "Room".
"""

from __future__ import annotations

from dataclasses import dataclass

from hpe.core.contract import RoomSizes


@dataclass
class NaiveSeat:
    """One session; `gone_ns` is when it lost its connection, 0 while it has one."""

    session_id: int
    key: int
    user: int
    operator: bool
    window: int
    grace_ns: int
    remembered: int = 0
    gone_ns: int = 0

    @property
    def owner(self) -> tuple[int, bool]:
        """Its key, or its user where it has none."""
        return (self.key, True) if self.key else (self.user, False)


class NaiveRoom:
    """All sessions; `keep_ns` is how long one is safe after its connection was lost."""

    def __init__(self, sizes: RoomSizes, keep_ns: int) -> None:
        self.sizes = sizes
        self.keep_ns = keep_ns
        self.seats: list[NaiveSeat] = []

    def taken(self, seat: NaiveSeat) -> int:
        """Return what a session takes, the operators' reserve included."""
        return max(seat.remembered if seat.gone_ns else seat.window, self.sizes.least)

    def common(self, seat: NaiveSeat) -> int:
        """Return what of it is out of the room."""
        taken = self.taken(seat)
        return taken - min(taken, self.sizes.small) if seat.operator else taken

    def of_all(self, owner: tuple[int, bool] | None = None) -> int:
        """Return what an owner takes, or everybody."""
        return sum(self.common(s) for s in self.seats if owner in (None, s.owner))

    def may_go(self, owner: tuple[int, bool], now_ns: int) -> list[NaiveSeat]:
        """Return who may give way of an owner, the longest gone first."""
        found = [
            seat
            for seat in self.seats
            if seat.owner == owner and seat.gone_ns and self.common(seat)
            if seat.gone_ns + self.keep_ns <= now_ns and seat.gone_ns + seat.grace_ns < now_ns
        ]
        return sorted(found, key=lambda seat: (seat.gone_ns, seat.session_id))

    def attach(self, seat: NaiveSeat, wanted: int, now_ns: int) -> str:
        """Let a session come, or come back; return whose limit refuses it, "" for none."""
        came_back = seat in self.seats
        before = list(self.seats)
        if came_back:
            self.seats.remove(seat)
        kept = max(seat.remembered, self.sizes.least) if came_back else 0
        limit = self._make_room(seat, wanted, kept, now_ns)
        granted = max(self._granted(seat, wanted), kept)
        if limit == "operators" or granted < self.sizes.least:
            self.seats = before
            return limit
        seat.window = min(granted, max(wanted, seat.remembered))
        seat.gone_ns = 0
        self.seats.append(seat)
        return ""

    def _make_room(self, seat: NaiveSeat, wanted: int, kept: int, now_ns: int) -> str:
        if seat.operator:
            operators = [each for each in self.seats if each.operator]
            if kept or len(operators) < self.sizes.operators:
                return ""
            gone = [each for each in operators if each.gone_ns]
            if not gone:
                return "operators"
            self.seats.remove(min(gone, key=lambda each: (each.gone_ns, each.session_id)))
            return ""
        needed = max(min(wanted, self.sizes.small), self.sizes.least)
        while kept < needed:
            mine, own = self.of_all(seat.owner), self.may_go(seat.owner, now_ns)
            if seat.key and mine + needed > self.sizes.key_share:
                if not own:
                    needed = self.sizes.key_share - mine
                    if needed < self.sizes.least:
                        return "key"
                    continue
                self.seats.remove(own[0])
            elif self.of_all() + needed > self._limit(seat, wanted):
                owners = {each.owner for each in self.seats}
                more = [each for each in owners if self.of_all(each) > mine + needed]
                able = [each for each in more if self.may_go(each, now_ns)]
                if able:
                    most = min(able, key=lambda each: (-self.of_all(each), each))
                    own = self.may_go(most, now_ns)
                if not own:
                    return "all"
                self.seats.remove(own[0])
            else:
                return ""
        return ""

    def _limit(self, seat: NaiveSeat, wanted: int) -> int:
        first = wanted <= self.sizes.small and not any(s.owner == seat.owner for s in self.seats)
        return self.sizes.room - (0 if seat.key or first else self.sizes.kept)

    def _granted(self, seat: NaiveSeat, wanted: int) -> int:
        """Return the largest window up to the wanted one that fits; 0 for none."""
        window = max(wanted, self.sizes.least)
        while window and not self._fits(seat, wanted, window):
            window -= 1
        return window

    def _fits(self, seat: NaiveSeat, wanted: int, window: int) -> bool:
        sizes = self.sizes
        more = window - min(window, sizes.small) if seat.operator else window
        large = [self.common(s) for s in self.seats if self.taken(s) > sizes.small]
        if more and self.of_all() + more > self._limit(seat, wanted):
            return False
        if more and seat.key and self.of_all(seat.owner) + more > sizes.key_share:
            return False
        return window <= sizes.small or sum(large) + more <= sizes.large
