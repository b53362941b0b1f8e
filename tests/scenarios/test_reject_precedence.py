"""Of several reasons to reject a command the first in protocol.md's list is the answer.

Held against the lists in protocol.md: a reason without a case, or two neighbors of a list that
neither are tested together nor are known never to apply at once, fail here.
"""

import re
from itertools import combinations, pairwise

import pytest

from hpe.protocol.base import type_number
from hpe.protocol.codes import CancelReason, RejectReason
from hpe.protocol.enums import OrderStatus
from hpe.protocol.registry import COMMANDS
from tests.conftest import PROJECT_ROOT
from tests.scenarios.reject_orders import ORDERS, REPLACE_AWAY
from tests.scenarios.reject_others import LISTINGS, MONEY, OPERATIONS, QUERIES
from tests.scenarios.reject_world import USD, World, block_ann, message_of, take_all
from tests.support.protocol_document import sections

BASES = [*ORDERS, *OPERATIONS, *MONEY, *LISTINGS, *QUERIES]

# (command, earlier, later) -> why they never apply at once
APART = {
    ("submit_order", "not_trading", "not_in_call"): "a market has one status",
    ("submit_order", "not_in_call", "price_out_of_band"): "bands do not act in a call",
    ("submit_order", "duplicate_client_order_id", "too_many_users"): "who is new has no orders",
    ("submit_oco", "duplicate_client_order_id", "too_many_users"): "who is new has no orders",
    ("submit_order", "unknown_instrument", "no_last_price"): "no market has no last price",
    ("submit_order", "no_last_price", "post_only_would_cross"): "a stop is not post-only",
    ("submit_oco", "not_trading", "not_in_call"): "a market has one status",
    ("submit_oco", "not_in_call", "price_out_of_band"): "bands do not act in a call",
    ("cancel_order", "unknown_order", "not_trading"): "no order is in no market",
    ("replace_order", "unknown_order", "invalid_combination of the order"): "there is no order",
    ("replace_order", "unknown_order", "not_trading"): "no order is in no market",
    ("set_status", "unknown_instrument", "call_open"): "no market has no call",
    ("lock_balance", "invalid_combination", "duplicate_hold"): "no id has no duplicate",
    ("lock_balance", "invalid_combination", "too_many_holds"): "no id makes no named hold",
    ("capture_hold", "unknown_hold", "insufficient_hold"): "no hold is not too small",
    ("release_hold", "unknown_hold", "insufficient_hold"): "no hold is not too small",
    ("deposit", "unknown_asset", "deposit_limit"): "no asset has no deposits",
    ("resolve_instrument", "duplicate_symbol", "unknown_pair"): "nothing is created",
    ("resolve_instrument", "unknown_pair", "too_many_assets"): "nothing is created",
    ("resolve_instrument", "unknown_pair", "too_many_instruments"): "nothing is created",
}

PAIRS = [
    (base, earlier, later)
    for base in BASES
    for earlier, later in combinations(base.faults, 2)
    if (base.command, earlier, later) not in APART
]


def named(*parts):
    return "-".join(filter(None, parts)).replace(" ", "_").replace(",", "")


def reason_of(fault):
    """Return the reject reason that a fault's name begins with."""
    return fault.split()[0]


def lists_of_protocol():
    """Return the rejects of every request in protocol.md, in order."""
    found = {}
    for heading, body in sections((PROJECT_ROOT / "protocol.md").read_text("utf-8")).items():
        request = re.fullmatch(r"Request \d+ `(\w+)`", heading)
        rejects = re.search(r"^Rejects, in order: ([a-z_,\s]+)\.", body, flags=re.MULTILINE)
        if request and rejects:
            reasons = re.split(r",\s+", rejects[1])
            found[request[1]] = [] if reasons == ["none"] else reasons
    return found


def answer(venue, base, faults):
    """Return the reason that a command with these faults is rejected with."""
    world = World(venue)
    base.before(world)
    fields = {}
    for fault in reversed(faults):
        fault.before(world)
        fields |= fault.fields
    for fault in reversed(faults):
        fault.closing(world)
    reply = world.ann.ask(message_of(base, world.ann.next_id(), fields))
    accepted = reply.reason in (0, CancelReason.REQUESTED, CancelReason.REPLACED_AWAY)
    return "none" if accepted else RejectReason(reply.reason).name.lower()


@pytest.mark.parametrize("base", BASES, ids=lambda base: named(base.command, base.kind))
def test_without_a_fault_it_is_accepted(venue, base):
    assert answer(venue, base, []) == "none"


@pytest.mark.parametrize(
    ("base", "fault"),
    [(base, fault) for base in BASES for fault in base.faults],
    ids=lambda value: named(value) if isinstance(value, str) else named(value.command, value.kind),
)
def test_every_reason_is_given_where_it_applies(venue, base, fault):
    assert answer(venue, base, [base.faults[fault]]) == reason_of(fault)


@pytest.mark.parametrize(
    ("base", "earlier", "later"),
    PAIRS,
    ids=[named(base.command, base.kind, first, second) for base, first, second in PAIRS],
)
def test_of_two_reasons_the_earlier_is_the_answer(venue, base, earlier, later):
    faults = [base.faults[earlier], base.faults[later]]
    assert answer(venue, base, faults) == reason_of(earlier)


def test_every_command_has_a_list_and_every_reason_of_it_a_case():
    lists = lists_of_protocol()
    types = {type_number(base.message) for base in BASES}
    assert {type_number(command) for command in COMMANDS} <= types
    assert {base.command for base in BASES} == set(lists)
    for command, reasons in lists.items():
        of_command = [list(base.faults) for base in BASES if base.command == command]
        cases = [[reason_of(fault) for fault in faults] for faults in of_command]
        assert all(is_part_of(each, reasons) for each in cases), command
        assert set(reasons) == {reason for each in cases for reason in each}, command
        assert max(each.count("invalid_combination") for each in cases) == reasons.count(
            "invalid_combination"
        )


def is_part_of(part, whole):
    """Return whether one list is another with some left out, in the same order."""
    rest = iter(whole)
    return all(each in rest for each in part)


def test_every_two_neighbors_of_a_list_are_tested_together_or_never_apply_at_once():
    tested = {(base.command, reason_of(one), reason_of(two)) for base, one, two in PAIRS}
    apart = {(command, reason_of(one), reason_of(two)) for command, one, two in APART}
    assert not tested & apart
    for command, reasons in lists_of_protocol().items():
        neighbors = {(command, *pair) for pair in pairwise(reasons)}
        assert neighbors <= tested | apart, neighbors - tested - apart


def test_a_replace_to_nothing_is_a_cancel_for_a_blocked_user_without_money(venue):
    world = World(venue)
    REPLACE_AWAY.before(world)
    take_all(USD)(world)
    block_ann(world)
    reply = world.ann.ask(message_of(REPLACE_AWAY, world.ann.next_id(), {}))
    assert reply.status == OrderStatus.CANCELED


def test_the_reasons_are_declared_in_the_order_of_precedence():
    declared = [reason.name.lower() for reason in RejectReason]
    for command, reasons in lists_of_protocol().items():
        if command != "replace_order":  # its second invalid_combination needs the order first
            assert is_part_of(reasons, declared), command
