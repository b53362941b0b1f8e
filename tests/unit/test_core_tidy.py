"""The house rules of the state machine that a second core relies on, as far as a machine can check.

Integers: what can pass 64 bits has a name and a bound in wide.py. Results are
returned. Nothing is found by a name that is made while it runs.
"""

import ast
import re

import pytest

from tests.unit.test_tidy import STATE_MACHINE, each_state_module, tree_of

CORE = {path.name: path for path in STATE_MACHINE if path.name != "__init__.py"}
MONEY_AND_TRADING = tuple(
    path.name for path in CORE.values() if path.parent.name in ("money", "trading")
)
NAMED_HELPERS = "wide.py"
"""The module of the wide products."""
PRODUCTS = (ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift)

IN_LINE = {
    ("entry.py", "submit_order"): "checked_notional and base_atoms: a call each is 2 % of an order",
    ("executor.py", "settle"): "notional and base_atoms: a call each is 3 % of a fill",
    ("calls.py", "interrupt"): "milliseconds to nanoseconds: at most a day, 64 bits by far",
    ("orderbook.py", "__init__"): "half of a list's length",
    ("triggers.py", "_merge"): "a count of groups that are in memory",
    **{
        ("paging.py", name): "sizes of lists that are in memory"
        for name in ("_catch_up", "after", "forget_oldest", "tight")
    },
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


def test_each_module_has_a_name_of_its_own():
    assert len(CORE) == len({path for path in STATE_MACHINE if path.name != "__init__.py"})
    assert {"wide.py", "paging.py", "matcher.py"} <= {*MONEY_AND_TRADING}


@pytest.mark.parametrize("name", [name for name in MONEY_AND_TRADING if name != NAMED_HELPERS])
def test_money_and_trading_multiply_by_name_alone(name):
    found = {
        (name, function.name): [f"line {node.lineno}: {ast.unparse(node)}" for node in products]
        for function in functions(tree_of(CORE[name]))
        if (products := wide_products(function))
    }
    expected = {place for place in IN_LINE if place[0] == name}
    more = {place: found[place] for place in found.keys() - expected}
    assert not more, f"move it to hpe/core/money/wide.py, with its bound: {more}"
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


def numbers_beyond_fields(tree):
    """Return the powers and shifts of numbers that need more bits than a signed field of 64."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.LShift | ast.Pow)
        and is_number(node.left)
        and is_number(node.right)
        and eval(ast.unparse(node)) >= 2**63
    ]


def is_number(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


@each_state_module
def test_no_integer_stands_outside_every_field(path):
    """A sentinel beyond what a field can have needs more bits than the field."""
    assert not numbers_beyond_fields(tree_of(path))


def test_an_integer_outside_every_field_is_found():
    code = "NEVER = 1 << 63\nTOP = 2**62 + 2**64 - 1\nSHIFT = 1 << bits\n"
    assert numbers_beyond_fields(ast.parse(code)) == ["1 << 63", "2 ** 64"]


REFLECTION = {"getattr", "setattr", "delattr", "hasattr", "attrgetter", "methodcaller"}
FREE_REFLECTION = {"vars", "eval", "exec", "globals", "locals", "__import__"}


def found_by_name(tree):
    """Return the calls that find something by a name that is no constant."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            names = node.args[1:2] if called.endswith("attr") else node.args
            made = called in REFLECTION and not all(isinstance(n, ast.Constant) for n in names)
            if made or called in FREE_REFLECTION:
                found.append(ast.unparse(node))
        if isinstance(node, ast.Attribute) and node.attr in ("__dict__", "__getattribute__"):
            found.append(ast.unparse(node))
    return found


@each_state_module
def test_nothing_is_found_by_a_name_that_is_made(path):
    assert not found_by_name(tree_of(path))


def test_what_is_found_by_a_made_name_is_found():
    code = (
        "getattr(order, name)\nsetattr(order, field.name, 1)\ngetattr(order, 'leaves', 0)\n"
        "operator.attrgetter(name)\nvars(order)\norder.__dict__[name]\nbuiltins.getattr(a, b)\n"
    )
    assert sorted(found_by_name(ast.parse(code))) == [
        "builtins.getattr(a, b)", "getattr(order, name)", "operator.attrgetter(name)",
        "order.__dict__", "setattr(order, field.name, 1)", "vars(order)",
    ]  # fmt: skip


KEPT = {
    # Rows of the state, and what follows from them.
    "Holds": {"_count"},
    "Ladder": {"best", "changes", "count"},
    "Listings": {"last_asset_id", "last_instrument_id"},
    "Market": {"last_trade_id"},
    "Order": {"hidden", "state"},
    "OrderBook": {"notice", "plain", "status"},
    "OrderIndex": {"open_count"},
    "Places": {"_holders", "_holders_max"},
    "RecentFills": {"_first"},
    "ReferenceCore": {"digest"},
    "Rising": {"_newest"},
    "Room": {"_aged_ns", "_large", "_operators", "_taken"},
    "Sessions": {"_expiry_ns", "last_attach_number", "last_session_id", "valid_keys"},
    "Settings": {
        "auto_create", "open_orders_any_max", "open_orders_max", "open_orders_per_user_max",
        "places", "session_expiry_ns", "session_keep_ns",
    },
    "Shelf": {"rows"},
    "Triggers": {"count"},
    "Turns": {"last_served"},
    "UserOrders": {"by_id"},
    "WaitingSide": {"quiet_high", "quiet_low"},
    "Work": {"is_open", "queued"},
    # The clock of the state, and what is left of the bounds of a body.
    "Timers": {"now_ns", "overdue", "room"},
    # Meters, which are only added to while something runs.
    "BatchWork": {"idle", "idle_cancels"},
    "Budget": {"_rest_micro"},
    "Effort": {"asked", "spent", "wasted"},
    # What is reported at the end of a body, and what is loaded.
    "BalanceCache": {"_touched", "count"},
    "MarketFeed": {"_books_seen", "_changed", "_status_begins", "_wanted"},
    # What follows from the outputs alone: the newest reports.
    "PrivateRing": {"_oldest_segment", "reports"},
    "_Segment": {"frames", "reports"},
    "_Loader": {"digest", "last_listed"},
    "_Rows": {"place"},
    "_Watched": {
        "best", "indicative", "indicative_due_ns", "indicative_known", "indicative_stale",
        "is_changed", "last_trade_id", "mask", "sequence", "status",
    },
}  # fmt: skip
"""All that objects of the core change of themselves once they are made."""

KEPT_OF_OTHERS = {
    "exchange.last_order_id", "exchange.sequence", "market.last_trade_id", "orders.open_count",
    # What is unfinished of an instrument; and a batch's own object, passed to what adds to it.
    "work.interrupted", "work.listed", "work.uncrossing",
    "work.begun", "work.careful", "work.effort", "work.full", "work.trades",
}  # fmt: skip
"""What functions of the core change of its parts from outside; `load` sets more."""


def attributes(tree, context):
    """Return the attributes that are read (ast.Load) or bound (ast.Store)."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return [node for node in found if isinstance(node.ctx, context)]


def kept_by(tree):
    """Return what the methods of each class, without __init__, bind of `self` and do not extend."""
    kept = {}
    for each in [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]:
        methods = [node for node in functions(each) if node.name != "__init__"]
        bound = [node for method in methods for node in rebound(method)]
        if names := {node.attr for node in bound if ast.unparse(node.value) == "self"}:
            kept[each.name] = names
    return kept


def rebound(function):
    """Return the attributes that a function binds, but for lists that it extends in place."""
    extended = {
        id(node.target)
        for node in ast.walk(function)
        if isinstance(node, ast.AugAssign) and isinstance(node.value, ast.Tuple | ast.List)
    }
    return [node for node in attributes(function, ast.Store) if id(node) not in extended]


def parts_changed(tree, parts):
    """Return "part.attribute" of what is bound of an object that is known by one of these names."""
    made = {id(n) for f in functions(tree) if f.name == "__init__" for n in ast.walk(f)}
    nodes = [node for node in rebound(tree) if id(node) not in made]
    owners = ((ast.unparse(node.value).split(".")[-1], node.attr) for node in nodes)
    return {f"{owner.lstrip('_')}.{name}" for owner, name in owners if owner.lstrip("_") in parts}


def parts_of_the_core():
    """Return the names of the objects that a core is made of: one each, not one for each thing."""
    names = {"exchange", "market", "matcher", "work"}
    for name in ("exchange_state.py", "exchange.py", "market.py", "driver.py"):
        tree = tree_of(CORE[name])
        for method in [node for node in functions(tree) if node.name == "__init__"]:
            names |= {node.attr.lstrip("_") for node in attributes(method, ast.Store)}
    return names


def test_nothing_is_left_in_an_attribute_for_another_function():
    """What a call needs or gives and stays in an attribute is read at the wrong time some day."""
    found = {}
    for path in STATE_MACHINE:
        found |= kept_by(tree_of(path))
    assert found == KEPT


def test_no_part_of_the_core_is_told_by_an_attribute():
    parts, found = parts_of_the_core(), set()
    assert {"balances", "entry", "executor", "orders", "places", "timers"} <= parts
    for path in STATE_MACHINE:
        if path.name != "loading.py":
            found |= parts_changed(tree_of(path), parts)
    assert found == KEPT_OF_OTHERS


def test_what_is_left_in_an_attribute_is_found():
    code = (
        "class Part:\n"
        "    def __init__(self):\n        self.made = 0\n"
        "    def act(self, exchange):\n"
        "        self.user = self.last = 1\n        self.events += (1, 2)\n"
        "        exchange.slow, self._market.concerned, order.leaves = 1, 2, 3\n"
    )
    assert kept_by(ast.parse(code)) == {"Part": {"user", "last"}}
    changed = parts_changed(ast.parse(code), {"exchange", "market"})
    assert changed == {"exchange.slow", "market.concerned"}


UNDER = {"cancel_on_disconnect", "effort_max", "now_ns", "operator", "sequence", "time_ns"}
OWNERS = {"exchange.py", "exchange_state.py"}
"""Modules of the state that holds the clock: they have it, and carry no command out."""
COMMANDS = (
    *(name for name in MONEY_AND_TRADING if name not in OWNERS), "configuration.py", "internal.py",
)  # fmt: skip


def read_elsewhere(tree):
    """Return where a command reads what it acts under from anything but its context."""
    queries = {
        id(node)
        for function in functions(tree)
        if any(argument.arg == "query" for argument in function.args.args)
        for node in ast.walk(function)
    }
    return {
        ast.unparse(node)
        for node in attributes(tree, ast.Load)
        if node.attr in UNDER and id(node) not in queries and ast.unparse(node.value) != "context"
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_acts_under_its_context(name):
    assert read_elsewhere(tree_of(CORE[name])) == set()


def test_a_command_that_looks_at_the_clock_is_found():
    code = "def f(self, context):\n    context.time_ns + self._exchange.time_ns\n"
    assert read_elsewhere(ast.parse(code)) == {"self._exchange.time_ns"}


def contexts_kept(tree):
    """Return the assignments that change a context, or put one where it outlives its command."""
    assignments = [node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AugAssign)]
    return {
        ast.unparse(node)
        for node in assignments
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for place in ast.walk(target)
        if isinstance(place, ast.Attribute)
        and (ast.unparse(place.value) == "context" or ast.unparse(node.value) == "context")
    }


@pytest.mark.parametrize("name", sorted(CORE))
def test_a_context_is_of_one_command(name):
    """All commands of a run share one object, whose sequence moves on."""
    moved = {"sequence = context.sequence = exchange.sequence = exchange.sequence + 1"}
    assert contexts_kept(tree_of(CORE[name])) == (moved if name == "driver.py" else set())


def test_a_context_that_is_changed_or_kept_is_found():
    code = "context.user = 1\nself._last = context\ncontext.sequence += 1\nuser = context.user\n"
    found = {"context.user = 1", "self._last = context", "context.sequence += 1"}
    assert contexts_kept(ast.parse(code)) == found


# --- kinds of orders ------------------------------------------------------------------------------

NAMES_TYPES = {
    "kinds.py": "the table",
    "admission.py": "which fields go together, type by type",
    "pairs.py": "makes the two legs",
    "entry.py": "the shortest way, of limit orders alone",
}
"""Modules that name types of orders, and why: all others ask the table of kinds."""


def named_types(tree):
    """Return the members of OrderType that a module names."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "OrderType"
    }


def test_what_a_kind_of_order_is_stands_in_one_table():
    assert {path.name for path in STATE_MACHINE if named_types(tree_of(path))} == set(NAMES_TYPES)


def test_a_type_of_order_that_is_named_is_found():
    assert named_types(ast.parse("if order.type is OrderType.STOP: ...")) == {"STOP"}
