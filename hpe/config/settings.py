"""Settings of the service: names with units, limits with reasons.

Owns the shape of the configuration, its defaults and the relations between settings; sources.py
reads it. Any thread may use it: every value is immutable. Guarantees: every `Config` is valid,
however it was made; a wrong type or a value out of range raises ConfigError that names the setting
and what is allowed. Relies on hpe/protocol/ for the ranges of everything that becomes a logged
command.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from hpe.access.addresses import can_be_name, is_loopback
from hpe.errors import ConfigError
from hpe.extensions import CoreChoice
from hpe.protocol.enums import SelfTrade
from hpe.protocol.fields import (
    Amount,
    AnyInt,
    BandPpm,
    Decimals,
    InterruptionMs,
    MakerPpm,
    PairSymbol,
    PositiveInt,
    Symbol,
    TakerPpm,
)
from hpe.protocol.internal import AssetSetting, Configure, InstrumentSetting, PlaceLimits
from hpe.protocol.limits import AMOUNT_MAX, INT_MAX
from hpe.protocol.scale import is_decimal_scale

MIB: Final = 1024 * 1024

NonEmpty = Annotated[str, Meta(min_length=1)]
PortNumber = Annotated[int, Meta(ge=0, le=65_535)]
# 8,192 is the most CPUs that a Linux kernel can be built for.
CpuOrAuto = Annotated[int, Meta(ge=-1, le=8_191)]
# SCHED_FIFO has priorities 1-99; 99 would be above the kernel's own watchdog threads.
Priority = Annotated[int, Meta(ge=1, le=99)]
# Below one page, a segment is mostly header; above 4 GiB, recovery's copy outgrows small disks.
SegmentBytes = Annotated[int, Meta(ge=4096, le=4096 * MIB)]
# A single connection may have a read of 64 KiB in flight, hence the lower bound.
CreditBytes = Annotated[int, Meta(ge=64 * 1024, le=16_384 * MIB)]
Seconds = Annotated[float, Meta(gt=0, le=3_600)]
Milliseconds = Annotated[int, Meta(ge=1, le=600_000)]
# Each takes a descriptor; more than a million exceeds the usual fs.nr_open.
Connections = Annotated[int, Meta(ge=1, le=1_000_000)]
# Per second; 0 means no limit. More than a million is not needed: the service itself does less.
RateOrZero = Annotated[int, Meta(ge=0, le=1_000_000)]
ConnectionsOrZero = Annotated[int, Meta(ge=0, le=1_000_000)]
# Ten years: anything longer means "never", and the product with 10^9 must stay within 63 bits.
KeepSeconds = Annotated[int, Meta(ge=0, le=315_360_000)]
ExpirySeconds = Annotated[int, Meta(ge=1, le=315_360_000)]
# An open order takes about 300 bytes of memory in the reference core: 100 million take 30 GB.
# Users, accounts and holds take about as much each.
OpenOrders = Annotated[int, Meta(ge=1, le=100_000_000)]
# Each has a book of its own, about 4 KiB when empty: a million take 4 GB.
ListingsMax = Annotated[int, Meta(ge=1, le=1_000_000)]
Percent = Annotated[int, Meta(ge=1, le=100)]
SelfTradeName = Literal["none", "cancel_taker", "cancel_maker", "cancel_both", "decrement"]
SyncCommands = Annotated[int, Meta(ge=1, le=1_000_000)]
SyncMilliseconds = Annotated[int, Meta(ge=1, le=60_000)]


class SyncPolicy(msgspec.Struct, frozen=True):
    """When the log is made durable relative to the reply (protocol.md, "Durability").

    batch: sync, then reply. every: reply at once, sync after this many commands. interval: reply
    at once, sync this often. In both relaxed modes an idle tail is synced within `interval_ms`.
    """

    mode: Literal["batch", "every", "interval"] = "batch"
    every_commands: SyncCommands = 1
    interval_ms: SyncMilliseconds = 100

    def describe(self) -> str:
        """Return the word that `welcome`, the ready line and benchmarks print."""
        if self.mode == "every":
            return f"every={self.every_commands}"
        if self.mode == "interval":
            return f"interval_ms={self.interval_ms}"
        return "batch"


class AssetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An asset that exists after the start. One atom is 10^-decimals of it."""

    symbol: Symbol
    decimals: Decimals


class InstrumentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A spot pair that exists after the start. Its scale never changes; the rest may.

    Prices in ticks, quantities in lots, notionals in quote atoms, rates in parts per million.
    """

    symbol: PairSymbol
    base: Symbol
    quote: Symbol
    base_atoms_per_lot: Amount = 1
    quote_atoms_per_tick: Amount = 1
    price_min: PositiveInt = 1
    price_max: PositiveInt = INT_MAX
    quantity_min: PositiveInt = 1
    quantity_max: PositiveInt = INT_MAX
    notional_min: AnyInt = 0
    notional_max: Amount = AMOUNT_MAX
    maker_fee_ppm: MakerPpm | None = None
    taker_fee_ppm: TakerPpm | None = None
    self_trade: SelfTradeName = "none"
    band_ppm: BandPpm = 0
    reference_price: AnyInt = 0
    volatility_interruption: bool = False
    interruption_ms: InterruptionMs = 0

    def to_setting(self) -> InstrumentSetting:
        """Return the row for a `configure`. If only one fee is set, the other becomes 0."""
        fields = msgspec.structs.asdict(self)
        fields["self_trade"] = SelfTrade[self.self_trade.upper()]
        if (self.maker_fee_ppm, self.taker_fee_ppm) != (None, None):
            fields["maker_fee_ppm"] = self.maker_fee_ppm or 0
            fields["taker_fee_ppm"] = self.taker_fee_ppm or 0
        return InstrumentSetting(**fields)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings. The constructor checks every field and the relations between fields.

    Raises:
        ConfigError: a value is mistyped, out of range or contradicts another one.
    """

    data_directory: NonEmpty = "./hpe-data"
    host: NonEmpty = "127.0.0.1"
    port: PortNumber = 7070
    # Without keys, everyone who connects has full access, so only the local machine may connect.
    keys_file: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    # Listening beyond loopback without keys or without TLS needs an explicit choice.
    insecure_plaintext: bool = False
    core: CoreChoice = "auto"
    realtime: Literal["auto", "off", "on"] = "auto"
    # Low among the real-time priorities: above ordinary work, below what operators place there.
    realtime_priority: Priority = 10
    # The CPUs of the matching thread and of the log thread; -1 chooses one automatically.
    realtime_cores: tuple[CpuOrAuto, CpuOrAuto] = (-1, -1)
    # One poller reads all plain connections that are logged on; if off, each has a task that reads.
    polling: bool = True
    sync: SyncPolicy = SyncPolicy()
    # Large enough to make rotation rare, small enough that copying one segment is quick.
    segment_bytes_max: SegmentBytes = 64 * MIB
    # For this long a connection may occupy a descriptor without logging on.
    logon_timeout_s: Seconds = 5.0
    connections_max: Connections = 10_000
    # Per address; 0 means connections_max. Several clients may share an address.
    connections_per_source_max: ConnectionsOrZero = 0
    # Those not logged on: this many places can be occupied from one address without any key.
    strangers_per_source_max: Connections = 1_024
    # Per key, so that none takes all places; 0 means a quarter of connections_max, at least 16.
    connections_per_key_max: ConnectionsOrZero = 0
    # Per key, or per user where there are no keys, over all its connections. A burst of 0 means one
    # second's worth. Cancels have their own bucket: they reduce risk and must stay possible when
    # the other one is empty.
    messages_per_s: RateOrZero = 0
    messages_burst: RateOrZero = 0
    cancels_per_s: RateOrZero = 0
    cancels_burst: RateOrZero = 0
    # Also per key: commands that change nothing; cancels are counted separately. Each is logged,
    # in some 100 bytes, and executed again at every start.
    rejects_per_s: RateOrZero = 1_000
    rejects_burst: RateOrZero = 10_000
    # Memory of requests that were read and not yet answered, over all connections.
    credits_bytes_max: CreditBytes = 64 * MIB
    # A command that waited longer for its batch is refused as busy: an order would act on a book
    # that its sender saw too long ago. Cancels reduce risk, so they may wait longer.
    orders_wait_ms_max: Milliseconds = 20
    cancels_wait_ms_max: Milliseconds = 200
    request_timeout_ms: Milliseconds = 100
    # How long draining and the last replies may take after SIGTERM ...
    shutdown_deadline_s: Seconds = 5.0
    # ... and when the process exits in any case.
    shutdown_hard_s: Seconds = 10.0
    session_expiry_s: ExpirySeconds = 86_400
    # When others need room, a session that has been disconnected for this long may be forgotten
    # before it expires: every ordinary reconnect comes within this time and finds its session.
    session_keep_s: KeepSeconds = 600
    open_orders_max: OpenOrders = 1_000_000
    open_orders_per_user_max: OpenOrders = 100_000
    # Bounds of what else could run out. The last eighth of each, open orders included, is reserved
    # for operators.
    users_max: OpenOrders = 1_048_576
    accounts_max: OpenOrders = 4_194_304
    holds_max: OpenOrders = 1_000_000
    holds_per_user_max: OpenOrders = 100_000
    assets_max: ListingsMax = 65_536
    instruments_max: ListingsMax = 65_536
    # For auto_create: a quarter, like the share of one key.
    assets_per_user_max: ListingsMax = 16_384
    instruments_per_user_max: ListingsMax = 16_384
    # The share of each kind that sessions of one key may take, so that none takes all.
    key_share_percent: Percent = 25
    # If on, resolve_instrument of an unknown pair creates it (tick, lot and both atoms 1).
    auto_create: bool = False
    assets: tuple[AssetConfig, ...] = ()
    instruments: tuple[InstrumentConfig, ...] = ()

    def __post_init__(self) -> None:
        """Check the range of every field and the relations between fields."""
        for name, kind in FIELD_TYPES.items():
            convert(getattr(self, name), kind, f"Config: {name}")
        _check_texts(self)
        _check_times(self)
        _check_cores(self)
        _check_rates(self)
        _check_tls(self)
        _check_host(self)
        _check_names(self)
        for instrument in self.instruments:
            _check_instrument(instrument)

    def to_configure(self, request_id: int) -> Configure:
        """Return the settings that can change an outcome, as the command that is logged."""
        return Configure(
            request_id=request_id,
            auto_create=self.auto_create,
            session_expiry_ns=self.session_expiry_s * 1_000_000_000,
            session_keep_ns=self.session_keep_s * 1_000_000_000,
            open_orders_max=self.open_orders_max,
            open_orders_per_user_max=self.open_orders_per_user_max,
            assets=[AssetSetting(a.symbol, a.decimals) for a in self.assets],
            instruments=[instrument.to_setting() for instrument in self.instruments],
            places=PlaceLimits(
                **{name: getattr(self, name) for name in PlaceLimits.__struct_fields__}
            ),
        )


SYMBOLS_DESCRIBED_MAX: Final = 8
"""Of assets and of instruments in one log line; thousands may be listed."""


def describe_configure(command: Configure) -> str:
    """Return a short line that says what a `configure` contains."""
    parts = []
    for name in command.__struct_fields__:
        value = getattr(command, name)
        if isinstance(value, list):
            symbols = [row.symbol for row in value[:SYMBOLS_DESCRIBED_MAX]]
            more = ["..."] if len(value) > len(symbols) else []
            parts += [f"{len(value)} {name} ({', '.join(symbols + more)})"] if value else []
        elif name != "request_id":
            parts.append(f"{name} {value}")
    return ", ".join(parts)


# get_type_hints would drop the ranges; msgspec keeps them.
FIELD_TYPES: Final[dict[str, Any]] = {
    field.name: field.type for field in msgspec.structs.fields(Config)
}
"""Setting -> its type, including its range."""

# AssetConfig and InstrumentConfig become wire structs.
assert AssetConfig.__struct_fields__ == AssetSetting.__struct_fields__
assert InstrumentConfig.__struct_fields__ == InstrumentSetting.__struct_fields__
assert get_args(SelfTradeName) == tuple(policy.name.lower() for policy in SelfTrade)


def demo_config(**overrides: Any) -> Config:
    """Return the defaults plus two instruments to try: BTC/USD and ETH/USD.

    Ticks are 0.01 USD; lots are 0.0001 BTC and 0.001 ETH. USD has 6 decimals, so that one lot
    at one tick is a whole number of atoms.
    """
    row = partial(InstrumentConfig, price_max=1_000_000_000, quantity_max=100_000_000)
    btc = row("BTC/USD", "BTC", "USD", 10_000, 1)
    eth = row("ETH/USD", "ETH", "USD", 100_000, 10)
    assets = (AssetConfig("BTC", 8), AssetConfig("ETH", 8), AssetConfig("USD", 6))
    return Config(**{"assets": assets, "instruments": (btc, eth), **overrides})


def convert(value: object, kind: Any, where: str, *, strict: bool = True) -> Any:
    """Return `value` as a `kind`. Not strict: text is read as the number or word that it spells.

    Raises:
        ConfigError: the value is of another type or out of range.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(value), kind, strict=strict)
    except (msgspec.ValidationError, TypeError) as error:
        raise ConfigError(f"{where}: found {_shown(value)}: {error}") from error


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # Python does not print an integer of so many decimal digits
        return "an integer of thousands of digits"


def _check_texts(config: Config) -> None:
    for name in ("data_directory", "keys_file", "tls_certificate", "tls_key", "host"):
        value = getattr(config, name)
        if "\0" in value:
            raise ConfigError(f"{name}: found {value!r}; allowed: text without a zero byte")
    if not can_be_name(config.host):
        raise ConfigError(f"host: found {config.host!r}; allowed: an address, or a name")


def _check_times(config: Config) -> None:
    if config.shutdown_hard_s <= config.shutdown_deadline_s:
        raise ConfigError(
            f"shutdown_hard_s: found {config.shutdown_hard_s}; allowed: more than "
            f"shutdown_deadline_s ({config.shutdown_deadline_s})"
        )


def _check_cores(config: Config) -> None:
    matcher_cpu, wal_cpu = config.realtime_cores
    if matcher_cpu == wal_cpu != -1:
        raise ConfigError(
            f"realtime_cores: found CPU {matcher_cpu} twice; allowed: two different ones or -1"
        )


def _check_rates(config: Config) -> None:
    for name in ("messages", "cancels"):
        rate, burst = getattr(config, f"{name}_per_s"), getattr(config, f"{name}_burst")
        if burst and not rate:
            raise ConfigError(
                f"{name}_burst: found {burst} without {name}_per_s; allowed: with a rate"
            )


def _check_tls(config: Config) -> None:
    if bool(config.tls_certificate) != bool(config.tls_key):
        missing = "tls_key" if config.tls_certificate else "tls_certificate"
        raise ConfigError(f"{missing}: not set; tls_certificate and tls_key are set together")


def _check_host(config: Config) -> None:
    """Refuse an address beyond loopback without logon or TLS, except with insecure_plaintext."""
    if config.insecure_plaintext or is_loopback(config.host):
        return
    needed = ("keys_file", "tls_certificate", "tls_key")
    missing = [name for name in needed if not getattr(config, name)]
    if missing:
        raise ConfigError(
            f"host: found {config.host!r}; allowed: a loopback address, or any address with logon "
            f"and encryption: {', '.join(missing)} not set (insecure_plaintext overrides this)"
        )


def _check_names(config: Config) -> None:
    """Refuse symbols that are listed twice. Other faults depend on what is already listed.

    An instrument may name an asset that was added at run time, so the core judges the rest when
    it compares the configuration with the recovered state.
    """
    _check_unique([asset.symbol for asset in config.assets], "assets")
    _check_unique([instrument.symbol for instrument in config.instruments], "instruments")


def _check_unique(symbols: list[str], where: str) -> None:
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise ConfigError(f"{where}: {symbol!r} is listed {symbols.count(symbol)} times")


def _check_instrument(row: InstrumentConfig) -> None:
    """Refuse terms of an instrument that contradict each other."""
    where = f"instruments: {row.symbol!r}"
    for name in ("price", "quantity", "notional"):
        low, high = getattr(row, f"{name}_min"), getattr(row, f"{name}_max")
        if low > high:
            raise ConfigError(
                f"{where}: {name}_min: found {low}; allowed: at most {name}_max ({high})"
            )
    if not is_decimal_scale(row.base_atoms_per_lot, row.quote_atoms_per_tick):
        raise ConfigError(
            f"{where}: base_atoms_per_lot: found {row.base_atoms_per_lot} with "
            f"quote_atoms_per_tick {row.quote_atoms_per_tick}; allowed: values that make prices "
            "finite decimals: without its factors 2 and 5, the lot must divide the tick"
        )
    if (row.maker_fee_ppm or 0) + (row.taker_fee_ppm or 0) < 0:
        raise ConfigError(
            f"{where}: maker_fee_ppm: found {row.maker_fee_ppm}; allowed: a rebate up to "
            f"taker_fee_ppm ({row.taker_fee_ppm or 0})"
        )
    if row.band_ppm and not row.reference_price:
        raise ConfigError(
            f"{where}: reference_price: found 0 with band_ppm {row.band_ppm}; allowed: above 0, "
            "the middle of the band before the first trade"
        )
    if row.volatility_interruption and not row.band_ppm:
        raise ConfigError(
            f"{where}: volatility_interruption: found true without band_ppm; allowed: only with a "
            "band"
        )
    if row.interruption_ms and not row.volatility_interruption:
        raise ConfigError(
            f"{where}: interruption_ms: found {row.interruption_ms} without "
            "volatility_interruption; allowed: only with volatility_interruption"
        )
