"""TLS contexts: what is negotiated, what is refused, and that a bad file is named."""

import os
import shutil
import ssl

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from trio.testing import memory_stream_pair

from hpe.access.tls import client_context, server_context
from hpe.errors import ConfigError

HOST = "exchange.test"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def made(authority, tmp_path_factory):
    """Certificates are costly to make: once for all tests, each of which gets a copy."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    for name in ("server", "other"):
        certificate = authority.issue_cert(HOST)
        certificate.private_key_pem.write_to_path(folder / f"{name}-key.pem")
        (folder / f"{name}-key.pem").chmod(0o600)
        for part in certificate.cert_chain_pems:
            part.write_to_path(folder / f"{name}.pem", append=True)
    key = load_pem_private_key((folder / "server-key.pem").read_bytes(), None)
    locked = BestAvailableEncryption(b"password")
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    (folder / "locked-key.pem").write_bytes(text)
    (folder / "locked-key.pem").chmod(0o600)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "tls")


def files(folder, certificate="server.pem", key="server-key.pem"):
    return str(folder / certificate), str(folder / key)


@pytest.mark.parametrize("mode", [0o666, 0o644, 0o602])
def test_a_key_that_others_may_read_or_replace_is_refused(folder, mode):
    (folder / "server-key.pem").chmod(mode)
    with pytest.raises(
        ConfigError, match=rf"found mode {mode:04o}; allowed: a mode that gives others"
    ):
        server_context(*files(folder))


def test_a_key_may_be_the_groups(folder):
    (folder / "server-key.pem").chmod(0o640)
    assert server_context(*files(folder)) is not None


@pytest.mark.parametrize("name", ["server.pem", "server-key.pem"])
def test_a_pipe_in_place_of_a_file_holds_nothing_up(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ConfigError, match=f"{name}: is not a file"):
        server_context(*files(folder))


async def converse(server, client, host=HOST):
    """Send one line each way; return the version that was negotiated and the certificate."""
    ours, theirs = memory_stream_pair()
    found = []

    async def answer():
        stream = trio.SSLStream(theirs, server, server_side=True)
        try:
            assert await stream.receive_some() == b"hello"
            await stream.send_all(b"welcome")
            await stream.aclose()
        except trio.BrokenResourceError:
            pass  # the client refused us, and says so itself

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            stream = trio.SSLStream(ours, client, server_hostname=host)
            try:
                await stream.send_all(b"hello")
                found += [stream.version(), stream.getpeercert(True)]
                assert await stream.receive_some() == b"welcome"
                assert await stream.receive_some() == b""
            finally:
                await trio.aclose_forcefully(stream)
    return found


def certificate_of(folder, name):
    first, mark, _ = (folder / f"{name}.pem").read_text().partition("-----END CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(first + mark)


def reason_of(group):
    while isinstance(group, ExceptionGroup):
        (group,) = group.exceptions
    assert isinstance(group, trio.BrokenResourceError)
    return str(group.__cause__)


def test_without_a_certificate_there_is_no_context():
    assert server_context("", "") is None


async def test_both_sides_agree_on_the_newest_version(folder):
    client = client_context(folder / "authority.pem")
    version, _ = await converse(server_context(*files(folder)), client)
    assert version == "TLSv1.3"


async def test_the_older_version_is_good_enough(folder):
    client = client_context(folder / "authority.pem")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    version, _ = await converse(server_context(*files(folder)), client)
    assert version == "TLSv1.2"


async def test_nothing_older_is_spoken_by_either_side(folder):
    server = server_context(*files(folder))
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert client_context().minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("trusted", "host", "named"),
    [(False, HOST, "unable to get local issuer"), (True, "elsewhere.test", "Hostname mismatch")],
)
async def test_a_client_trusts_only_whom_it_wanted(folder, trusted, host, named):
    client = client_context(folder / "authority.pem" if trusted else None)
    with pytest.raises(ExceptionGroup) as caught:
        await converse(server_context(*files(folder)), client, host)
    assert named in reason_of(caught.value)


async def test_a_new_context_has_the_new_certificate_and_the_old_one_stays(made, folder):
    client = client_context(folder / "authority.pem")
    before = server_context(*files(folder))
    for part in (".pem", "-key.pem"):
        shutil.copy(folder / f"other{part}", folder / f"server{part}")
    after = server_context(*files(folder))
    _, first = await converse(before, client)
    _, second = await converse(after, client)
    assert [certificate_of(made, "server"), certificate_of(made, "other")] == [first, second]


@pytest.mark.parametrize(
    ("certificate", "key", "named"),
    [
        ("no.pem", "server-key.pem", "no.pem: cannot be read: No such file"),
        ("server.pem", "no.pem", "no.pem: cannot be read: No such file"),
        ("server.pem", "other-key.pem", "key values mismatch"),
        ("server-key.pem", "server-key.pem", "tls_certificate .*server-key.pem"),
        ("empty.pem", "server-key.pem", "tls_certificate .*empty.pem"),
        ("server.pem", "empty.pem", "tls_key .*empty.pem"),
        ("server.pem", "locked-key.pem", "encrypted key; allowed: one without a password"),
    ],
)
def test_files_that_are_no_pair_are_named(folder, certificate, key, named):
    (folder / "empty.pem").write_bytes(b"")
    (folder / "empty.pem").chmod(0o600)
    with pytest.raises(ConfigError, match=named):
        server_context(*files(folder, certificate, key))


def test_a_client_s_file_is_named_too(folder):
    (folder / "empty.pem").write_bytes(b"")
    (folder / "empty.pem").chmod(0o600)
    with pytest.raises(ConfigError, match=r"empty.pem: contains no certificate"):
        client_context(folder / "empty.pem")
    with pytest.raises(ConfigError, match=r"no.pem: cannot be read"):
        client_context(folder / "no.pem")
