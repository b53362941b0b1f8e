"""The house rules of the state machine that a second core relies on, as far as a machine can check.

Integers: what can pass 64 bits has a name and a bound in wide.py. Results are
returned. Nothing is found by a name that is made while it runs.
"""

import ast
import re

import pytest

from tests.unit.test_tidy import STATE_MACHINE, each_state_module, tree_of

CORE = {path.name: path for path in STATE_MACHINE}
MONEY_AND_TRADING = (
    "admission.py", "auction.py", "balances.py", "busy.py", "calls.py", "dead.py", "delisting.py",
    "disconnects.py", "entry.py", "executor.py", "expiry.py", "fees.py", "holds.py", "market.py",
    "matcher.py", "operations.py", "orderbook.py", "orders.py", "pairs.py", "parties.py",
    "replacing.py", "treasury.py", "triggers.py", "turns.py",
)  # fmt: skip
PRODUCTS = (ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift)

IN_LINE = {
    ("entry.py", "submit_order"): "checked_notional and base_atoms: a call each is 2 % of an order",
    ("executor.py", "settle"): "notional and base_atoms: a call each is 3 % of a fill",
    ("calls.py", "interrupt"): "milliseconds to nanoseconds: at most a week, 64 bits by far",
    ("triggers.py", "_merge"): "a count of groups that are in memory",
}
"""Functions with products of their own, and why."""


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def is_constant(node):
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def is_sign(node):
    return getattr(node, "id", getattr(node, "attr", None)) == "sign"


def wide_products(function):
    """Return the products of a function but for those by a sign, 1 or -1, and of constants."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, PRODUCTS):
            found.append(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, PRODUCTS):
            sides = (node.left, node.right)
            by_sign = isinstance(node.op, ast.Mult) and any(map(is_sign, sides))
            if not by_sign and not all(map(is_constant, sides)):
                found.append(node)
    return found


@pytest.mark.parametrize("name", MONEY_AND_TRADING)
def test_money_and_trading_multiply_by_name_alone(name):
    found = {
        (name, function.name): [f"line {node.lineno}: {ast.unparse(node)}" for node in products]
        for function in functions(tree_of(CORE[name]))
        if (products := wide_products(function))
    }
    expected = {place for place in IN_LINE if place[0] == name}
    assert {place: found[place] for place in found.keys() - expected} == {}
    assert expected <= found.keys(), "it has none any more"


def test_a_product_is_found():
    code = "def f(a, b, sign):\n    a *= b\n    return a * b + a // 2 + a * sign + (A // 2) + a % b"
    (function,) = functions(ast.parse(code))
    assert len(wide_products(function)) == 4


def test_every_wide_result_says_what_bounds_it():
    tree = tree_of(CORE["wide.py"])
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            text = ast.get_docstring(node)
            assert re.search(r"Bounds?:|64 bits|at most|positive", text), node.name


@each_state_module
def test_no_integer_stands_outside_every_field(path):
    """A sentinel beyond what a field can have needs more bits than the field."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift | ast.Pow):
            powers = [side.value for side in (node.left, node.right) if is_number(side)]
            assert len(powers) < 2 or eval(ast.unparse(node)) < 2**63, f"line {node.lineno}"


def is_number(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


@each_state_module
def test_nothing_is_found_by_a_name_that_is_made(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("getattr", "setattr", "delattr", "hasattr"):
                assert isinstance(node.args[1], ast.Constant), f"line {node.lineno}"
            assert node.func.id not in ("vars", "eval", "exec", "globals"), f"line {node.lineno}"


def test_the_matcher_returns_what_it_found_and_keeps_nothing():
    """What stays in an attribute is read at the wrong time, sooner or later."""
    tree = tree_of(CORE["matcher.py"])
    (matcher,) = (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == "Matcher")
    written = {
        function.name
        for function in functions(matcher)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    assert written == {"__init__"}
