"""Settings: precedence, strictness, and what the errors name."""

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe import errors
from hpe.config.settings import (
    AssetConfig,
    Config,
    InstrumentConfig,
    SyncPolicy,
    demo_config,
    describe_configure,
)
from hpe.config.sources import load_config, parse_sync
from hpe.errors import ConfigError
from hpe.protocol.enums import SelfTrade
from hpe.protocol.internal import Configure, PlaceLimits
from hpe.protocol.limits import AMOUNT_MAX
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document

WHOLE_FILE = """
data_directory = "/var/lib/hpe"
host = "::1"
port = 7171
core = "python"
realtime = "on"
realtime_priority = 20
realtime_cores = [2, 3]
sync = {every = 100}
segment_bytes_max = 1048576
logon_timeout_s = 2
shutdown_deadline_s = 1.5
session_expiry_s = 60
open_orders_per_user_max = 500

[[assets]]
symbol = "BTC"
decimals = 8

[[assets]]
symbol = "EUR"
decimals = 2

[instruments]
auto_create = true

[[instruments.pairs]]
symbol = "BTC/EUR"
base = "BTC"
quote = "EUR"
base_atoms_per_lot = 1_000_000
price_max = 5_000_000
notional_max = 1_000_000_000
maker_fee_ppm = -100
taker_fee_ppm = 250
self_trade = "cancel_taker"
band_ppm = 50_000
reference_price = 60_000
volatility_interruption = true
interruption_ms = 300_000
"""

PAIR = "[[instruments.pairs]]\nsymbol='A/B'\nbase='A'\nquote='B'\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "hpe.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_defaults_without_any_source_are_the_demo():
    config = load_config()
    assert config == demo_config()
    assert (config.host, config.port, config.data_directory) == ("127.0.0.1", 7070, "./hpe-data")
    assert [row.symbol for row in config.instruments] == ["BTC/USD", "ETH/USD"]


def test_demo_scales_give_a_cent_per_tick():
    demo = demo_config()
    decimals = {asset.symbol: asset.decimals for asset in demo.assets}
    for row in demo.instruments:
        price_of_one_tick = (
            Decimal(row.quote_atoms_per_tick)
            * 10 ** decimals[row.base]
            / (row.base_atoms_per_lot * 10 ** decimals[row.quote])
        )
        assert price_of_one_tick == Decimal("0.01")
        worst = row.price_max * row.quantity_max * row.quote_atoms_per_tick
        assert worst <= AMOUNT_MAX


def test_a_file_sets_everything_and_replaces_the_demo(write):
    config = load_config(write(WHOLE_FILE))
    assert config == Config(
        data_directory="/var/lib/hpe",
        host="::1",
        port=7171,
        core="python",
        realtime="on",
        realtime_priority=20,
        realtime_cores=(2, 3),
        sync=SyncPolicy("every", every_commands=100),
        segment_bytes_max=1_048_576,
        logon_timeout_s=2.0,
        shutdown_deadline_s=1.5,
        session_expiry_s=60,
        open_orders_per_user_max=500,
        auto_create=True,
        assets=(AssetConfig("BTC", 8), AssetConfig("EUR", 2)),
        instruments=(
            InstrumentConfig(
                "BTC/EUR",
                "BTC",
                "EUR",
                base_atoms_per_lot=1_000_000,
                price_max=5_000_000,
                notional_max=1_000_000_000,
                maker_fee_ppm=-100,
                taker_fee_ppm=250,
                self_trade="cancel_taker",
                band_ppm=50_000,
                reference_price=60_000,
                volatility_interruption=True,
                interruption_ms=300_000,
            ),
        ),
    )


def test_an_empty_file_means_the_defaults_without_demo(write):
    assert load_config(write("")) == Config()


def test_flags_win_over_environment_over_file_over_defaults(write):
    path = write("port = 1\nhost = '::1'\nlogon_timeout_s = 3")
    env = {"HPE_PORT": "2", "HPE_HOST": "localhost", "PATH": "/bin", "HPE_ADDRESS": "x:1"}
    config = load_config(path, env | {"HPE_COMPILED": "0"}, {"port": 3, "core": None})
    assert (config.port, config.host, config.logon_timeout_s) == (3, "localhost", 3.0)
    assert config.core == "auto"


def test_environment_and_flags_are_read_as_text():
    env = {
        "HPE_REALTIME_CORES": "0,1",
        "HPE_SYNC": "interval_ms=7",
        "HPE_AUTO_CREATE": "true",
        "HPE_LOGON_TIMEOUT_S": "1.5",
    }
    config = load_config(env=env, overrides={"port": "0", "data_directory": Path("/data")})
    assert config.realtime_cores == (0, 1)
    assert config.sync == SyncPolicy("interval", interval_ms=7)
    assert config.auto_create is True
    assert config.logon_timeout_s == 1.5
    assert (config.port, config.data_directory) == (0, "/data")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", ["top level", "'prot'", "allowed", "port"]),
        ("auto_create = true", ["top level", "'auto_create'"]),
        ("[instruments]\nauto = 1", ["[instruments]", "'auto'", "auto_create, pairs"]),
        ("instruments = 1", ["[instruments] is a table"]),
        ("[instruments]\npairs = 1", ["instruments", "Expected `array`"]),
        ("[[assets]]\nsymbol='A'\ndecimal=1", ["[[assets]]", "'decimal'", "decimals, symbol"]),
        (
            "[[instruments.pairs]]\nsymbol='A/B'\nbase='A'\nquote='B'\ntick=1",
            ["[[instruments.pairs]]", "'tick'", "quote_atoms_per_tick"],
        ),
        (PAIR + "self_trade='cancel'", ["instruments", "'cancel'", "[0].self_trade"]),
        (PAIR + "taker_fee_ppm=-1", ["instruments", ">= 0", "[0].taker_fee_ppm"]),
        (PAIR + "maker_fee_ppm=1_000_000", ["instruments", "<= 999999", "[0].maker_fee_ppm"]),
        (PAIR + "band_ppm=1_000_001", ["instruments", "<= 1000000", "[0].band_ppm"]),
        ("open_orders_per_user_max = 0", ["open_orders_per_user_max", ">= 1"]),
        ("assets = 1", ["assets", "Expected `array`"]),
        ("assets = [1]", ["assets", "Expected `object`"]),
        ("[[assets]]\nsymbol='A'", ["assets", "`decimals`"]),
        ("[[assets]]\nsymbol='A'\ndecimals=19", ["assets", "<= 18", "[0].decimals"]),
        ("[[assets]]\nsymbol='A B'\ndecimals=1", ["assets", "[0].symbol"]),
        ("port = '7070'", ["port", "'7070'", "Expected `int`"]),
        ("port = 70000", ["port", "70000", "<= 65535"]),
        ("host = ''", ["host", "length >= 1"]),
        ("core = 'fast'", ["core", "'fast'"]),
        ("logon_timeout_s = 0", ["logon_timeout_s", "> 0"]),
        ("sync = 'fast'", ["sync", "'fast'", "allowed", "every = N"]),
        ("sync = {every = 0}", ["sync", ">= 1"]),
        ("sync = {every = '5'}", ["sync", "Expected `int`"]),
        ("sync = {each = 5}", ["sync", "'each'", "allowed"]),
        ("sync = {}", ["sync", "allowed"]),
        ("sync = 5", ["sync", "5", "allowed"]),
        ("realtime_cores = [1]", ["realtime_cores", "length 2"]),
        ("realtime_cores = [1, 1]", ["realtime_cores", "CPU 1 twice"]),
        (
            "host = '0.0.0.0'",
            ["host", "loopback", "keys_file, tls_certificate, tls_key not", "insecure_plaintext"],
        ),
        ("host = 'example.org'\nkeys_file = 'k'", ["host", ": tls_certificate, tls_key not set"]),
        ("host = '::'\ntls_key = 'k'\ntls_certificate = 'c'", ["host", ": keys_file not set"]),
        ("tls_certificate = 'c'", ["tls_key: not set", "together"]),
        ("tls_key = 'k'", ["tls_certificate: not set", "together"]),
        ("messages_burst = 5", ["messages_burst: found 5 without messages_per_s"]),
        ("cancels_burst = 5\nmessages_per_s = 5", ["cancels_burst: found 5 without cancels_per_s"]),
        ("messages_per_s = -1", ["messages_per_s", ">= 0"]),
        ("strangers_per_source_max = 0", ["strangers_per_source_max", ">= 1"]),
        ("shutdown_hard_s = 5", ["shutdown_hard_s", "more than", "5.0"]),
        ("x = [", ["not valid TOML"]),
    ],
)
def test_faults_of_a_file_name_file_key_and_what_is_allowed(write, text, named):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    relations = ("host: ", "realtime_cores: ", "shutdown_hard_s: ", "tls_", "messages_burst: ")
    relations += ("cancels_burst: ",)
    for part in [*([] if str(caught.value).startswith(relations) else [str(path)]), *named]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("env", "overrides", "named"),
    [
        ({"HPE_PROT": "1"}, {}, ["environment HPE_PROT", "unknown key 'prot'"]),
        ({"HPE_PORT": "x"}, {}, ["environment HPE_PORT", "'x'", "Expected `int`"]),
        ({"HPE_PORT": "tcp://10.0.0.1:7070"}, {}, ["environment HPE_PORT"]),
        ({"HPE_SYNC": "every=0"}, {}, ["environment HPE_SYNC", ">= 1"]),
        ({"HPE_SYNC": "every=x"}, {}, ["environment HPE_SYNC", "Expected `int`"]),
        ({"HPE_ASSETS": "[]"}, {}, ["environment HPE_ASSETS", "configuration file"]),
        ({"HPE_REALTIME_CORES": "1,x"}, {}, ["environment HPE_REALTIME_CORES"]),
        ({}, {"nope": 1}, ["flag", "unknown key 'nope'"]),
        ({}, {"instruments": ()}, ["flag", "configuration file"]),
        ({}, {"port": -1}, ["flag port", "-1", ">= 0"]),
    ],
)
def test_faults_of_environment_and_flags_name_their_source(env, overrides, named):
    with pytest.raises(ConfigError) as caught:
        load_config(env=env, overrides=overrides)
    for part in named:
        assert part in str(caught.value)


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read: No such file"):
        load_config(tmp_path / "missing.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml: not valid TOML"):
        load_config(tmp_path / "bytes.toml")


BTC, USD = AssetConfig("BTC", 8), AssetConfig("USD", 2)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"port": -1}, "Config: port: found -1"),
        ({"sync": "batch"}, "Config: sync"),
        ({"sync": SyncPolicy("every", every_commands=0)}, "Config: sync"),
        ({"data_directory": Path("x")}, "Config: data_directory"),
        ({"assets": (BTC, BTC)}, "assets: 'BTC' is listed 2 times"),
        (
            {"assets": (BTC, USD), "instruments": (InstrumentConfig("P", "BTC", "USD"),) * 2},
            "instruments: 'P' is listed 2 times",
        ),
    ],
)
def test_a_config_made_in_code_is_checked_too(values, named):
    with pytest.raises(ConfigError) as caught:
        Config(**values)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        ({"price_min": 5, "price_max": 4}, "price_min: found 5; allowed: at most price_max (4)"),
        (
            {"quantity_min": 3, "quantity_max": 2},
            "quantity_min: found 3; allowed: at most quantity_max (2)",
        ),
        (
            {"notional_min": 2, "notional_max": 1},
            "notional_min: found 2; allowed: at most notional_max (1)",
        ),
        (
            {"maker_fee_ppm": -300, "taker_fee_ppm": 299},
            "maker_fee_ppm: found -300; allowed: a rebate up to taker_fee_ppm (299)",
        ),
        ({"band_ppm": 1}, "reference_price: found 0 with band_ppm 1; allowed: above 0"),
        (
            {"reference_price": 7, "volatility_interruption": True},
            "volatility_interruption: found true without band_ppm; allowed: only with a band",
        ),
        (
            {"interruption_ms": 5},
            "interruption_ms: found 5 without volatility_interruption; allowed: only with",
        ),
    ],
)
def test_terms_of_an_instrument_that_contradict_each_other_are_named(terms, fault):
    with pytest.raises(ConfigError) as caught:
        Config(instruments=(InstrumentConfig("BTC/USD", "BTC", "USD", **terms),))
    assert str(caught.value).startswith(f"instruments: 'BTC/USD': {fault}")


def test_terms_at_their_bounds_are_allowed():
    row = InstrumentConfig(
        "BTC/USD", "BTC", "USD", price_min=5, price_max=5, notional_min=1, notional_max=1,
        maker_fee_ppm=-300, taker_fee_ppm=300, band_ppm=1, reference_price=1,
    )  # fmt: skip
    assert Config(instruments=(row,)).instruments == (row,)


@pytest.mark.parametrize("policy", SelfTrade)
def test_self_trade_policies_go_by_name(policy):
    row = InstrumentConfig("BTC/USD", "BTC", "USD", self_trade=policy.name.lower())
    assert row.to_setting().self_trade is policy


def test_any_host_is_allowed_once_plaintext_is_accepted():
    assert Config(host="0.0.0.0", insecure_plaintext=True).host == "0.0.0.0"
    assert Config(host="127.5.5.5").host == "127.5.5.5"


def test_any_host_is_allowed_with_logon_and_encryption():
    files = {"keys_file": "k", "tls_certificate": "c", "tls_key": "t"}
    assert Config(host="0.0.0.0", **files).host == "0.0.0.0"
    for name in files:
        partly = {**files, name: ""}
        with pytest.raises(ConfigError, match=name):
            Config(host="0.0.0.0", **partly)


def test_what_the_key_of_a_client_is_may_stand_in_the_environment():
    env = {"HPE_KEY_ID": "a", "HPE_KEY_SECRET": "b", "HPE_KEY_SCHEME": "c"}
    assert load_config(env=env) == demo_config()


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        (SyncPolicy(), "batch"),
        (SyncPolicy("every", every_commands=9), "every=9"),
        (SyncPolicy("interval", interval_ms=9), "interval_ms=9"),
    ],
)
def test_the_word_of_a_policy_reads_back(policy, word):
    assert policy.describe() == word
    assert parse_sync(word) == parse_sync(policy) == policy


def test_configure_carries_what_can_change_an_outcome():
    limits = {"open_orders_max": 9, "open_orders_per_user_max": 8}
    config = demo_config(auto_create=True, session_expiry_s=7, **limits)
    command = config.to_configure(5)
    assert (command.request_id, command.auto_create) == (5, True)
    assert (command.session_expiry_ns, command.open_orders_max) == (7_000_000_000, 9)
    assert command.open_orders_per_user_max == 8
    assert command.places == PlaceLimits()
    places = {name: 50 + n for n, name in enumerate(PlaceLimits.__struct_fields__)}
    assert demo_config(**places).to_configure(5).places == PlaceLimits(**places)
    assert [row.symbol for row in command.assets] == ["BTC", "ETH", "USD"]
    for found, row in zip(command.instruments, config.instruments, strict=True):
        expected = {**msgspec.structs.asdict(row), "self_trade": SelfTrade.NONE}
        assert msgspec.structs.asdict(found) == expected
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(command), type=Configure) == command


@given(text=st.text(max_size=20))
def test_no_text_for_a_policy_raises_anything_but_config_error(text):
    try:
        policy = parse_sync(text)
    except ConfigError:
        return
    assert parse_sync(policy.describe()).mode == policy.mode


def test_the_manual_lists_every_setting_with_its_default():
    manual = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = document.table(document.sections(manual)["Settings"], "setting", "default", "meaning")
    found: dict[str, str] = {}
    for row in rows:  # one row may be about several settings, with one default or as many
        names = row["setting"].split(", ")
        defaults = row["default"].split(", ") if len(names) > 1 else [row["default"]]
        found.update(zip(names, defaults * len(names), strict=False))
    expected = {name: str(value) for name, value in msgspec.to_builtins(Config()).items()}
    for name in ("auto_create", "assets", "instruments"):
        del expected[name]  # in the file alone: the example shows them
    expected |= dict.fromkeys(("keys_file", "tls_certificate", "tls_key"), "none")
    expected |= {"insecure_plaintext": "false", "sync": '"batch"', "realtime_cores": "[-1, -1]"}
    expected["polling"] = "true"
    assert {name: text.removesuffix(".0") for name, text in expected.items()} == found


def test_the_example_of_the_manual_is_a_valid_file(write):
    manual = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", manual, re.MULTILINE | re.DOTALL)
    config = load_config(write(example))
    assert config.sync.describe() == "every=100"
    assert [row.symbol for row in config.instruments] == ["BTC/EUR"]
    assert config.auto_create is False


def test_the_manual_lists_every_exit_code():
    manual = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = document.table(document.sections(manual)["Exit codes"], "code", "meaning", "what to do")
    codes = [int(row["code"]) for row in rows]
    of_errors = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.HpeError)
    }
    # 2 is argparse's, 75 is left with os._exit: neither is an exception's.
    assert codes == sorted(of_errors | {0, 2, 75})


@pytest.mark.parametrize(
    ("fees", "maker", "taker"),
    [
        ({}, None, None),
        ({"taker_fee_ppm": 500}, 0, 500),
        ({"maker_fee_ppm": 20}, 20, 0),
        ({"maker_fee_ppm": 0, "taker_fee_ppm": 0}, 0, 0),
    ],
)
def test_fees_are_left_alone_unless_one_is_named(fees, maker, taker):
    setting = InstrumentConfig("BTC/USD", "BTC", "USD", **fees).to_setting()
    assert (setting.maker_fee_ppm, setting.taker_fee_ppm) == (maker, taker)


def test_what_a_start_changes_is_one_short_line():
    many = tuple(AssetConfig(f"A{n}", 2) for n in range(1_000))
    text = describe_configure(demo_config(assets=many, auto_create=True).to_configure(1))
    assert text.startswith("auto_create True, session_expiry_ns 86400000000000, session_keep_ns ")
    assert "1000 assets (A0, A1, A2, A3, A4, A5, A6, A7, ...)" in text
    assert "2 instruments (BTC/USD, ETH/USD)" in text
    assert len(text) < 500
    assert " assets (" not in describe_configure(Config().to_configure(1))
