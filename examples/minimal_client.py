"""A first trade with nothing but a socket and MessagePack, as a client in any language does it.

Run: python examples/minimal_client.py [HOST:PORT [KEY_ID SECRET]]
Message and field numbers are protocol.md's; a frame is a 4-byte big-endian length and one array.
With a key (a gateway's, for users 1 and 2), an operator has to list the assets and deposit.
"""

import hashlib
import hmac
import itertools
import os
import socket
import sys
from typing import Any

import msgpack

HELLO, LOGON, CHALLENGE, ORDERBOOK, BALANCE, ASSETS, INSTRUMENTS = 1, 5, 5, 32, 33, 34, 35
SUBMIT, DEPOSIT, ADD_ASSET, ADD_INSTRUMENT, FILL = 64, 69, 71, 72, 120
BUY, SELL, LIMIT, GTC = 1, 2, 2, 1


class MinimalClient:
    """A session and its current connection."""

    def __init__(self, address: str, user: int, key_id: str = "", secret: str = "") -> None:
        self.address, self.user, self.key_id = address, user, key_id
        self.secret = bytes.fromhex(secret)
        self.session_id = 0
        welcome = self.connect()
        self.ids = itertools.count(welcome[6] + 1)  # above every id that the server knows
        self.anonymous = welcome[12] == 5

    def connect(self) -> list[Any]:
        """Connect and attach the session (a new one at first); return the server's welcome."""
        host, port = self.address.rsplit(":", 1)
        self.stream = socket.create_connection((host, int(port)), timeout=5).makefile("rwb")
        hello = [HELLO, 1, 1, self.user, self.session_id, 0, "minimal", 0, 0, 0, self.key_id]
        self.send(hello)
        reply = self.receive()
        if reply[0] == CHALLENGE:
            body, nonce = msgpack.packb(hello), os.urandom(32)
            proven = b"hpe logon 1\0" + reply[3] + nonce + hashlib.sha256(body).digest()
            self.send([LOGON, 1, nonce, hmac.digest(self.secret, proven, "sha256")])
            reply = self.receive()
        if reply[0] != HELLO:
            sys.exit(f"no welcome but {reply}")
        self.session_id = reply[4]
        return reply

    def send(self, request: list[Any]) -> None:
        """Send one request."""
        body = msgpack.packb(request)
        self.stream.write(len(body).to_bytes(4, "big") + body)
        self.stream.flush()

    def receive(self) -> list[Any]:
        """Return the next message."""
        message: list[Any] = msgpack.unpackb(self.stream.read(int.from_bytes(self.stream.read(4))))
        return message

    def ask(self, kind: int, *fields: int | str) -> list[Any]:
        """Send one request under the next id and return its reply."""
        request = [kind, next(self.ids), *fields]
        self.send(request)
        return self.answer(request)

    def answer(self, request: list[Any]) -> list[Any]:
        """Return the reply to a request that was sent."""
        while (reply := self.receive())[0] == FILL:  # fills precede their order's response
            print("fill: price", reply[14], "quantity", reply[15])
        if reply[0] != request[0] or (reply[0] >= SUBMIT and 0 < reply[4] < 101):
            sys.exit(f"request {request} was refused or rejected: {reply}")
        return reply

    def find_or_add(self, listing: int, symbol: str, adding: int, *fields: int) -> int:
        """Return the id of a symbol in a listing; add the symbol if necessary."""
        known = {row[1]: row[0] for row in self.ask(listing)[4]}
        return int(known.get(symbol) or self.ask(adding, symbol, *fields)[5])


def main(address: str, *key: str) -> None:
    seller, buyer = MinimalClient(address, 1, *key), MinimalClient(address, 2, *key)
    base = seller.find_or_add(ASSETS, "BTC", ADD_ASSET, 8)
    quote = seller.find_or_add(ASSETS, "USD", ADD_ASSET, 6)
    pair = seller.find_or_add(INSTRUMENTS, "BTC/USD", ADD_INSTRUMENT, base, quote, 10_000, 1)
    if seller.anonymous:
        seller.ask(DEPOSIT, base, 100_000_000)
        buyer.ask(DEPOSIT, quote, 100_000_000_000)
    seller.ask(SUBMIT, pair, 0, SELL, LIMIT, GTC, 6_500_000, 500)
    buyer.ask(SUBMIT, pair, 0, BUY, LIMIT, GTC, 6_500_000, 200)
    # The answer to this request is lost with its connection: reattach the session and send the same
    # request again. If it was executed, this is its answer; if it never arrived, it is now.
    order = [SUBMIT, next(buyer.ids), pair, 0, BUY, LIMIT, GTC, 6_000_000, 100]
    buyer.send(order)
    buyer.connect()
    buyer.send(order)
    print("sent twice, executed once: open", buyer.answer(order)[8])
    book = seller.ask(ORDERBOOK, pair, 5)
    print("book: bids", book[8], "asks", book[9])
    for name, client in (("seller", seller), ("buyer", buyer)):
        for symbol, asset in (("BTC", base), ("USD", quote)):
            account = client.ask(BALANCE, asset)
            print(f"{name}: {symbol} available {account[6]} locked {account[7]}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["127.0.0.1:7070"]))
