"""Other engines' published cases against the core: each one passes, or says why it cannot.

A case is the `same` as its authors published, or it differs by one named convention and is
compared with what must come out here instead (tests/support/oracles_*.py). The number of each kind
is printed and asserted, so that nothing changes silently and no case is left out.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import (
    oracles_flash1_edge,
    oracles_kraken,
    oracles_liquibook,
    oracles_liquibook_ours,
    oracles_quantcup,
    oracles_tzadiko,
)
from tests.support.core_driver import CoreFactory
from tests.support.oracles_market import DERIVED, SAME, Adapter, Case, differs

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "oracles"


class Oracle(NamedTuple):
    """How the cases of a file are run, and how many come out how."""

    adapter: Adapter
    outcomes: dict[str, int]


ORACLES = {
    "kraken_match": Oracle(oracles_kraken.run, {SAME: 8, DERIVED: 8}),
    "kraken_no_cross": Oracle(oracles_kraken.run, {SAME: 12}),
    "quantcup": Oracle(oracles_quantcup.run, {SAME: 14}),
    "tzadiko": Oracle(oracles_tzadiko.run, {SAME: 7}),
    "flash1_edge": Oracle(oracles_flash1_edge.run, {SAME: 34}),
    "liquibook": Oracle(
        oracles_liquibook.run,
        {
            SAME: 88,
            differs(oracles_liquibook_ours.ALL_OR_NONE): 12,
            differs(oracles_liquibook_ours.MARKET_ORDERS_REST): 12,
        },
    ),
}


def cases_of(name: str) -> list[Case]:
    file = FOLDER / f"{name}.jsonl"
    if not file.exists():
        pytest.skip("the other engines' cases (shared/data beside the project) are not here")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_oracle_has_an_adapter(new_core: CoreFactory) -> None:
    cases_of("liquibook")
    assert {file.name for file in FOLDER.iterdir()} == {f"{name}.jsonl" for name in ORACLES}


@pytest.mark.parametrize("name", ORACLES)
def test_every_case_of_an_oracle(
    name: str, new_core: CoreFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle, outcomes, failed = ORACLES[name], Counter[str](), []
    cases = cases_of(name)
    for case in cases:
        verdict = oracle.adapter(case, new_core)
        outcomes[verdict.outcome] += 1
        failed += [f"{case['name']}: {text}" for text in verdict.differences]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    with capsys.disabled():
        print(f"\noracle {name}: {len(cases)} cases: {counts}")
    assert failed == []
    assert outcomes == oracle.outcomes


# --- what these comparisons would not let pass ----------------------------------------------------


def other_trade(case: Case) -> None:
    trade = next(line for line in case["out"] if line[0] == "T")
    trade[2] += 1


def other_top(case: Case) -> None:
    case["out"][-1][3] += 1


def other_trader(case: Case) -> None:
    case["executions_in_pairs"][0][0]["trader"] = "nobody"


def one_execution_less(case: Case) -> None:
    case["executions_in_pairs"].pop()


def one_order_more(case: Case) -> None:
    case["orders_left"]["all"] += 1


def other_maker(case: Case) -> None:
    case["reports"][-1] = case["reports"][-1].replace(",3,4", ",2,4")


def other_quote(case: Case) -> None:
    case["best_bid_ask_after_each"][0][0] += 1


def other_fill(case: Case) -> None:
    case["steps"][-1]["events"][-1]["maker"] = 3


def other_book(case: Case) -> None:
    case["steps"][-1]["book_after"][0][3] += 1


def other_queue(case: Case) -> None:
    book = case["steps"][-1]["book_after"]
    assert book[-1][2] == book[-2][2], "both at one price"
    book[-1], book[-2] = book[-2], book[-1]


@pytest.mark.parametrize(
    ("name", "case_name", "change"),
    [
        ("kraken_match", "scenario 1", other_trade),
        ("kraken_no_cross", "scenario 2", other_top),
        ("quantcup", "test 11", other_trader),
        ("quantcup", "test 13", one_execution_less),
        ("tzadiko", "Match_FillOrKill_Miss", one_order_more),
        ("flash1_edge", "cancel_middle_then_sweep", other_maker),
        ("flash1_edge", "cancel_middle_then_sweep", other_quote),
        ("liquibook", "TestAddCompleteBid", other_fill),
        ("liquibook", "TestReplaceSizeDecrease", other_book),
        ("liquibook", "TestAddMultiPartialMatchBid", other_book),
        ("liquibook", "TestReplaceSizeDecrease", other_queue),
    ],
)
def test_a_case_that_says_something_else_is_seen(
    name: str, case_name: str, change: Callable[[Case], None], new_core: CoreFactory
) -> None:
    case = copy.deepcopy(next(case for case in cases_of(name) if case["name"] == case_name))
    assert ORACLES[name].adapter(case, new_core).differences == []
    change(case)
    assert ORACLES[name].adapter(case, new_core).differences != []
