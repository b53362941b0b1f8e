"""The client library for scripts and notebooks: the same methods, each waits for its result.

Owns one background thread per client, which runs a Trio loop with an ordinary Client in it.
Any thread may call (not from inside a Trio task: a blocking call would stop its loop).
Guarantees: leaving the `with` block ends the connection, the loop and the thread, in that
order; an error is the same exception as the asynchronous client's.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import trio

from hpe.net.channel import TIMEOUT_S
from hpe.net.client import Client, connect

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _blocking(
    method: Callable[Concatenate[Client, _P], Awaitable[_R]],
) -> Callable[Concatenate[SyncClient, _P], _R]:
    """Make the blocking twin of a method of Client."""

    @functools.wraps(method)
    def call(self: SyncClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self.run(functools.partial(method, self.client, *args, **kwargs))

    return call


class SyncClient:
    """A Client whose methods block. Made by `connect_sync`.

    `client` is the asynchronous one; it may be used only through `run`.
    """

    def __init__(self, client: Client, token: trio.lowlevel.TrioToken) -> None:
        self.client = client
        self._token = token

    @property
    def session_id(self) -> int:
        """What `connect_sync` takes to go on with this session."""
        return self.client.session_id

    def run(self, function: Callable[[], Awaitable[_R]]) -> _R:
        """Run an async function in the client's loop, for what has no method here.

        Example: `client.run(lambda: client.client.requests.add_asset("BTC", 8))`.

        Raises:
            trio.RunFinishedError: the `with` block was left.
        """
        return trio.from_thread.run(function, trio_token=self._token)

    list_assets = _blocking(Client.list_assets)
    list_instruments = _blocking(Client.list_instruments)
    asset = _blocking(Client.asset)
    instrument = _blocking(Client.instrument)

    submit_order = _blocking(Client.submit_order)
    submit_oco = _blocking(Client.submit_oco)
    cancel_order = _blocking(Client.cancel_order)
    mass_cancel = _blocking(Client.mass_cancel)
    replace_order = _blocking(Client.replace_order)
    get_orderbook = _blocking(Client.get_orderbook)
    get_order = _blocking(Client.get_order)
    list_orders = _blocking(Client.list_orders)
    list_fills = _blocking(Client.list_fills)

    get_balance = _blocking(Client.get_balance)
    list_balances = _blocking(Client.list_balances)
    deposit = _blocking(Client.deposit)
    withdraw = _blocking(Client.withdraw)
    transfer = _blocking(Client.transfer)
    lock_balance = _blocking(Client.lock_balance)
    unlock_balance = _blocking(Client.unlock_balance)
    capture_hold = _blocking(Client.capture_hold)
    release_hold = _blocking(Client.release_hold)
    list_holds = _blocking(Client.list_holds)
    get_conservation = _blocking(Client.get_conservation)

    get_instrument = _blocking(Client.get_instrument)
    set_status = _blocking(Client.set_status)
    uncross = _blocking(Client.uncross)
    set_fees = _blocking(Client.set_fees)
    block_user = _blocking(Client.block_user)
    get_state_hash = _blocking(Client.get_state_hash)

    server_info = _blocking(Client.server_info)
    ping = _blocking(Client.ping)
    logout = _blocking(Client.logout)


class _Started(NamedTuple):
    client: Client
    token: trio.lowlevel.TrioToken
    stop: trio.Event


@contextmanager
def connect_sync(
    address: str | None = None,
    *,
    user: int,
    session_id: int = 0,
    window: int = 0,
    timeout_s: float = TIMEOUT_S,
    answered_request_id: int = 0,
) -> Iterator[SyncClient]:
    """Open a connection for scripts and notebooks; arguments and errors are `connect`'s."""
    options = functools.partial(
        connect,
        address,
        user=user,
        session_id=session_id,
        window=window,
        timeout_s=timeout_s,
        answered_request_id=answered_request_id,
    )
    started: Future[_Started] = Future()

    async def main() -> None:
        async with options() as client:
            stop = trio.Event()
            started.set_result(_Started(client, trio.lowlevel.current_trio_token(), stop))
            await stop.wait()

    with ThreadPoolExecutor(1, thread_name_prefix="hpe-client") as executor:
        running = executor.submit(trio.run, main)
        either: list[Future[Any]] = [started, running]
        wait(either, return_when=FIRST_COMPLETED)
        if running.done():
            running.result()
        client, token, stop = started.result()
        try:
            yield SyncClient(client, token)
        finally:
            token.run_sync_soon(stop.set)
            running.result()
