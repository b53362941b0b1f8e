"""The sources of settings: flags override the environment, then the file, then the defaults.

Owns the reading of the configuration; settings.py has its shape and relations. Called once, before
the service starts its threads. Guarantees: an unknown key, a wrong type or a value out of range
raises ConfigError that names the key, its source and what is allowed. Does no I/O except that
`load_config` reads the one file it is given.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hpe import extensions
from hpe.config.settings import (
    FIELD_TYPES,
    AssetConfig,
    Config,
    InstrumentConfig,
    SyncPolicy,
    convert,
    demo_config,
)
from hpe.errors import ConfigError
from hpe.files.small_files import read_small

ENVIRONMENT_PREFIX: Final = "HPE_"
ENVIRONMENT_OF_OTHERS: Final = frozenset(
    {
        "HPE_ADDRESS", "HPE_KEY_ID", "HPE_KEY_SECRET", "HPE_KEY_SCHEME",
        extensions.VARIABLE, extensions.STRICT_VARIABLE,
    }
)  # fmt: skip
"""Names with our prefix that are not settings of the service: of clients, and of the extensions."""

_ONLY_IN_FILE: Final = frozenset({"assets", "instruments"})
_FILE_KEYS: Final = frozenset(FIELD_TYPES) - {"auto_create"}
_INSTRUMENTS_KEYS: Final = frozenset({"auto_create", "pairs"})
_SYNC_KEYS: Final = frozenset({"every", "interval_ms"})
_LONG_KEY: Final = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){32}""")
"""Matches a key of at least 32 parts. Ours have two, and tomllib takes quadratic time for them.

It begins only where a word does: a search from every character of a long word is quadratic, too.
"""

_SYNC_FORMS: Final = '"batch", {every = N} or {interval_ms = T} (as text: every=N, interval_ms=T)'


def load_config(
    path: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Return the settings of a service: flags > environment > file > defaults.

    Args:
        path: a TOML file; None starts from `demo_config()`.
        env: the environment; every name that starts with HPE_ must be a setting.
        overrides: field name -> value or its text, as given by flags; None means "not given".

    Raises:
        ConfigError: a source cannot be read or contains something that is not allowed.
    """
    values: dict[str, object] = {} if path is not None else _demo_values()
    if path is not None:
        values.update(_read_file(Path(path)))
    values.update(_read_environment(env or {}))
    for name, value in (overrides or {}).items():
        if value is not None:
            _check_settable(name, "flag")
            values[name] = _parse(name, _as_text(value), f"flag {name}")
    return Config(**values)  # type: ignore[arg-type]  # every value went through _parse


def parse_sync(value: object, where: str = "sync") -> SyncPolicy:
    """Return the sync policy given in any form: text, a TOML table or the policy itself."""
    if isinstance(value, SyncPolicy):
        return value
    if value == "batch":
        return SyncPolicy()
    table: dict[str, object] = {}
    if isinstance(value, str):
        key, _, number = value.partition("=")
        table = {key.strip(): number.strip()}
    elif isinstance(value, Mapping):
        table = dict(value)
    if table.keys() == _SYNC_KEYS:
        raise ConfigError(f"{where}: found every and interval_ms; allowed: one of the two")
    if not table or not table.keys() <= _SYNC_KEYS:
        raise ConfigError(f"{where}: found {value!r}; allowed: {_SYNC_FORMS}")
    fields: dict[str, object] = {"mode": "every" if "every" in table else "interval"}
    if "every" in table:
        fields["every_commands"] = table["every"]
    if "interval_ms" in table:
        fields["interval_ms"] = table["interval_ms"]
    strict = not isinstance(value, str)
    policy: SyncPolicy = convert(fields, SyncPolicy, where, strict=strict)
    return policy


def _demo_values() -> dict[str, object]:
    demo = demo_config()
    return {"assets": demo.assets, "instruments": demo.instruments}


def _read_file(path: Path) -> dict[str, object]:
    nested = ConfigError(f"{path}: found values nested too deeply; allowed: as documented")
    try:
        text = read_small(path).decode("utf-8")
        if _LONG_KEY.search(text):
            raise nested
        table = tomllib.loads(text)
    except RecursionError:
        raise nested from None
    except ValueError as error:  # TOMLDecodeError, bytes that are not UTF-8, an endless integer
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    try:
        return _parse_file(path, table)
    except RecursionError:
        raise nested from None


def _parse_file(path: Path, table: dict[str, Any]) -> dict[str, object]:
    _check_keys(table, _FILE_KEYS, f"{path}: top level")
    section = table.pop("instruments", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: [instruments] is a table; pairs are [[instruments.pairs]]")
    _check_keys(section, _INSTRUMENTS_KEYS, f"{path}: [instruments]")
    if "pairs" in section:
        table["instruments"] = section["pairs"]
    if "auto_create" in section:
        table["auto_create"] = section["auto_create"]
    _check_rows(table.get("assets"), AssetConfig, f"{path}: [[assets]]")
    _check_rows(table.get("instruments"), InstrumentConfig, f"{path}: [[instruments.pairs]]")
    return {
        name: _parse(name, value, f"{path}: {name}", strict=True) for name, value in table.items()
    }


def _read_environment(env: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for variable in sorted(env):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in ENVIRONMENT_OF_OTHERS:
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        _check_settable(name, f"environment {variable}")
        values[name] = _parse(name, env[variable], f"environment {variable}")
    return values


def _as_text(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _parse(name: str, value: object, where: str, *, strict: bool = False) -> object:
    """Return `value` as the field's type. Not strict: text is read as the value that it spells."""
    if name == "sync":
        return parse_sync(value, where)
    if name == "realtime_cores" and isinstance(value, str):
        value = value.split(",")
    return convert(value, FIELD_TYPES[name], where, strict=strict)


def _check_settable(name: str, where: str) -> None:
    if name in _ONLY_IN_FILE:
        raise ConfigError(f"{where}: {name} can only be set in the configuration file")
    _check_keys([name], frozenset(FIELD_TYPES) - _ONLY_IN_FILE, where)


def _check_keys(found: Iterable[str], allowed: Iterable[str], where: str) -> None:
    allowed = frozenset(allowed)
    for key in found:
        if key not in allowed:
            raise ConfigError(
                f"{where}: unknown key {key!r}; allowed: {', '.join(sorted(allowed))}"
            )


def _check_rows(rows: object, kind: type[msgspec.Struct], where: str) -> None:
    """Refuse unknown keys of a row; `convert` reports every other fault."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            _check_keys(row, kind.__struct_fields__, where)
