"""The files that the service reads, and the place of its log: non-files, links, modes, owners."""

import os
import ssl
import stat

import pytest

from hpe.access.key_files import load_keys
from hpe.access.tls import client_context
from hpe.config.settings import demo_config
from hpe.config.sources import load_config, parse_sync
from hpe.errors import ConfigError
from hpe.files.small_files import FILE_BYTES_MAX, file_of, read_small
from hpe.wal.data_directory import check_data_directory

READERS = pytest.mark.parametrize("read", [read_small, load_config, load_keys, client_context])


@READERS
@pytest.mark.parametrize("kind", ["pipe", "directory", "/dev/zero", "/dev/null"])
def test_what_is_no_file_holds_nothing_up(tmp_path, read, kind):
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "directory":
        path.mkdir()
    else:
        path = kind
    with pytest.raises(ConfigError, match=f"^{path}: is not a file"):
        read(path)


@READERS
def test_what_is_too_large_is_not_read(tmp_path, read):
    path = tmp_path / "file"
    path.touch(0o600)
    os.truncate(path, FILE_BYTES_MAX + 1)
    with pytest.raises(ConfigError, match=f"^{path}: found 1048577 bytes; allowed: 1048576"):
        read(path)


def test_the_largest_file_is_read_and_so_is_a_link_to_it(tmp_path):
    """A container platform mounts files as links to links."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"x" * FILE_BYTES_MAX)
    link.symlink_to("file")
    assert read_small(link) == b"x" * FILE_BYTES_MAX


def test_a_content_stands_in_a_file_for_a_while():
    with file_of(b"content") as path, open(path, "rb") as file:
        assert file.read() == b"content"
    assert not os.path.exists(path)


def test_certificates_that_take_the_place_of_those_that_were_read_are_not_loaded(
    tmp_path, monkeypatch
):
    path = tmp_path / "authority.pem"
    path.write_text("no certificate")
    given = []
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: given.append(cafile) or stub)
    stub = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context(path)
    assert given[0].startswith("/proc/self/fd/")


# --- the configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "port = " + "[" * 100_000,
        "port = " + "{a = " * 100_000,
        "sync." + "a." * 100_000 + "a = 1",
        "sync = " + "[" * 400 + "]" * 400,
    ],
)
def test_deep_nesting_is_named_and_ends_in_no_traceback(tmp_path, text):
    path = tmp_path / "hpe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"^{path}: (found values nested too deeply|sync: found)"):
        load_config(path)


@pytest.mark.parametrize("digits", ["9" * 5_000, "0x" + "9" * 5_000])
@pytest.mark.parametrize("setting", ["port = {}", "sync = {{every = {}}}", "host = [{}]"])
def test_an_endless_integer_is_named_and_ends_in_no_traceback(tmp_path, setting, digits):
    path = tmp_path / "hpe.toml"
    path.write_text(setting.format(digits))
    with pytest.raises(ConfigError, match=f"^{path}: "):
        load_config(path)


@pytest.mark.timeout(60)  # a second; it was hours
@pytest.mark.parametrize("part", ["x", "9", "-", "x ", "x.", "x" * 40_000 + "."])
def test_a_long_word_is_refused_without_waiting(tmp_path, part):
    path = tmp_path / "hpe.toml"
    path.write_text(part * (FILE_BYTES_MAX // len(part)))
    with pytest.raises(ConfigError, match=f"^{path}: (not valid TOML|found values nested)"):
        load_config(path)


@pytest.mark.parametrize(
    "name", ["data_directory", "keys_file", "tls_certificate", "tls_key", "host"]
)
def test_a_name_with_a_zero_byte_is_refused(tmp_path, name):
    path = tmp_path / "hpe.toml"
    path.write_text(f'{name} = "a\\u0000b"')
    with pytest.raises(ConfigError, match=f"^{name}: found 'a.x00b'; allowed: text without"):
        load_config(path)


@pytest.mark.parametrize("host", ["a..b", "a" * 300, "\u00e9" * 80])
def test_a_host_that_no_name_can_be_is_refused(host):
    with pytest.raises(ConfigError, match=r"^host: found '.*'; allowed: an address, or a name"):
        demo_config(host=host, insecure_plaintext=True)


@pytest.mark.parametrize("values", [{"every": 1, "interval_ms": 2}, {"interval_ms": 2, "every": 1}])
def test_two_policies_at_once_are_refused_by_name(tmp_path, values):
    with pytest.raises(ConfigError, match=r"^sync: found every and interval_ms; allowed: one"):
        parse_sync(values)


def test_a_file_with_two_policies_is_named(tmp_path):
    path = tmp_path / "hpe.toml"
    path.write_text("sync = {every = 1, interval_ms = 2}")
    with pytest.raises(ConfigError, match=f"^{path}: sync: found every and interval_ms"):
        load_config(path)


# --- the data directory ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o757, 0o1777])
def test_a_directory_that_everybody_may_write_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(ConfigError, match=f"data_directory: found mode {mode:04o} .*chmod o-w"):
        check_data_directory(tmp_path)


def test_a_directory_of_a_group_or_of_another_user_is_said(tmp_path, monkeypatch):
    tmp_path.chmod(0o755)
    assert check_data_directory(tmp_path) == []
    tmp_path.chmod(0o2770)
    (shared,) = check_data_directory(tmp_path)
    assert shared.startswith(f"SHARED DIRECTORY: {tmp_path} has mode 2770")
    owner = 12_345
    real = os.stat

    def belongs_to_another(path):
        fields = list(real(path))
        fields[stat.ST_UID] = owner
        return os.stat_result(fields)

    monkeypatch.setattr(os, "stat", belongs_to_another)
    foreign, _ = check_data_directory(tmp_path)
    assert foreign.startswith(f"FOREIGN DIRECTORY: {tmp_path} belongs to user {owner}")
    owner = 0
    assert len(check_data_directory(tmp_path)) == 1, "root may write everywhere anyway"


def test_a_directory_that_is_not_there_is_no_fault(tmp_path):
    assert check_data_directory(tmp_path / "later") == []
