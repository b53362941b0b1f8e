"""Sources: which connections count together, which are refused for how long, what is kept."""

from __future__ import annotations

import pytest

from hpe.net.limits import sources
from hpe.net.limits.sources import SourceLimits, SourcePlace, Sources, source_of
from hpe.protocol.codes import ErrorCode

HERE, THERE = "192.0.2.1", "192.0.2.2"


def table(connections_max: int = 10, strangers_max: int = 5) -> Sources:
    return Sources(SourceLimits(connections_max, strangers_max))


def entered(table: Sources, address: str, now_s: float = 0.0) -> SourcePlace:
    place = table.enter(address, now_s)
    assert isinstance(place, SourcePlace)
    return place


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_an_address_belongs_to_a_source(address: str, source: str) -> None:
    assert source_of(address) == source


def test_a_source_has_so_many_strangers_and_so_many_connections() -> None:
    places = table(connections_max=3, strangers_max=2)
    first, _ = entered(places, HERE), entered(places, HERE)
    assert places.enter(HERE, 0) is ErrorCode.TOO_MANY_CONNECTIONS
    first.logged_on()
    first.logged_on()
    third = entered(places, HERE)
    third.logged_on()
    assert places.enter(HERE, 0) is ErrorCode.TOO_MANY_CONNECTIONS  # all of them
    entered(places, THERE)
    third.leave()
    third.leave()
    entered(places, HERE)
    assert places.enter(HERE, 0) is ErrorCode.TOO_MANY_CONNECTIONS


def test_whoever_leaves_is_forgotten() -> None:
    places = table()
    taken = [entered(places, f"198.51.100.{number}") for number in range(100)]
    assert len(places) == 100
    for place in taken:
        place.leave()
    assert len(places) == 0


def test_failed_logons_make_a_source_wait_and_no_other() -> None:
    places = table()
    for number in range(5):
        place = entered(places, HERE, float(number))
        place.failed_logon(float(number))
        place.leave()
        place.failed_logon(float(number))  # it has left: not counted twice
    assert places.enter(HERE, 4.5) is ErrorCode.TOO_MANY_LOGONS
    assert places.enter(HERE, 63.9) is ErrorCode.TOO_MANY_LOGONS
    entered(places, THERE, 5.0).leave()
    entered(places, HERE, 64.0)


def test_connections_that_are_there_go_on_while_their_source_waits() -> None:
    places = table()
    place = entered(places, HERE)
    for _ in range(5):
        place.failed_logon(0.0)
    assert places.enter(HERE, 1.0) is ErrorCode.TOO_MANY_LOGONS
    place.logged_on()
    assert len(places) == 1
    entered(places, HERE, 60.0).leave()
    place.leave()
    assert len(places) == 0


def test_failures_count_within_their_time_only() -> None:
    places = table()
    for number in range(30):
        place = entered(places, HERE, number * 16.0)
        place.failed_logon(number * 16.0)
        place.leave()
    entered(places, HERE, 29 * 16.0)


def test_failures_are_forgotten_after_their_time() -> None:
    places = table()
    for number in range(10):
        place = entered(places, f"198.51.100.{number}", 0.0)
        place.failed_logon(0.0)
        place.leave()
    assert len(places) == 10
    entered(places, HERE, 60.0).leave()
    assert len(places) == 0


def test_failures_of_too_many_sources_are_forgotten_longest_ago_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "SOURCES_FAILED_MAX", 3)
    places = table()
    there = {number: entered(places, f"198.51.100.{number}") for number in (1, 2, 3, 4)}
    for number in (1, 2, 3):
        for _ in range(5):
            there[number].failed_logon(0.0)
    there[1].failed_logon(1.0)
    there[4].failed_logon(2.0)
    for place in there.values():
        place.leave()
    assert len(places) == 3
    entered(places, "198.51.100.2", 3.0)  # whose failure was the longest ago
    assert places.enter("198.51.100.1", 3.0) is ErrorCode.TOO_MANY_LOGONS
    assert places.enter("198.51.100.3", 3.0) is ErrorCode.TOO_MANY_LOGONS
