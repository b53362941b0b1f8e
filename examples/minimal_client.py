"""A first trade with nothing but a socket and MessagePack: what a client in any language does.

Run: python examples/minimal_client.py [HOST:PORT]
Message and field numbers are protocol.md's; a frame is a 4-byte big-endian length and one array.
"""

import itertools
import socket
import sys
from typing import Any

import msgpack

HELLO, ORDERBOOK, BALANCE, ASSETS, INSTRUMENTS = 1, 32, 33, 34, 35
SUBMIT, DEPOSIT, ADD_ASSET, ADD_INSTRUMENT, FILL = 64, 69, 71, 72, 120
BUY, SELL, LIMIT, GTC = 1, 2, 2, 1


class Client:
    """One connection and its session."""

    def __init__(self, address: str, user: int) -> None:
        host, port = address.rsplit(":", 1)
        self.stream = socket.create_connection((host, int(port)), timeout=5).makefile("rwb")
        self.ids = itertools.count(1)
        welcome = self.ask(HELLO, 1, user, 0, 0, "minimal")
        self.ids = itertools.count(welcome[6] + 1)  # above every id that the server knows

    def ask(self, kind: int, *fields: int | str) -> list[Any]:
        """Send one request and give its reply."""
        request_id = next(self.ids)
        body = msgpack.packb([kind, request_id, *fields])
        self.stream.write(len(body).to_bytes(4, "big") + body)
        self.stream.flush()
        while True:  # fills come before the response of the order that made them
            length = int.from_bytes(self.stream.read(4), "big")
            reply: list[Any] = msgpack.unpackb(self.stream.read(length))
            if reply[0] == FILL:
                print("fill: price", reply[14], "quantity", reply[15])
            elif reply[0] != kind or (kind >= SUBMIT and 0 < reply[4] < 101):
                sys.exit(f"request {request_id} was refused or rejected: {reply}")
            else:
                return reply

    def find_or_add(self, listing: int, symbol: str, adding: int, *fields: int) -> int:
        """Give the id that a listing has for a symbol, or define it."""
        known = {row[1]: row[0] for row in self.ask(listing)[4]}
        return int(known.get(symbol) or self.ask(adding, symbol, *fields)[5])


def main(address: str) -> None:
    seller, buyer = Client(address, user=1), Client(address, user=2)
    base = seller.find_or_add(ASSETS, "BTC", ADD_ASSET, 8)
    quote = seller.find_or_add(ASSETS, "USD", ADD_ASSET, 6)
    pair = seller.find_or_add(INSTRUMENTS, "BTC/USD", ADD_INSTRUMENT, base, quote, 10_000, 1)
    seller.ask(DEPOSIT, base, 100_000_000)
    buyer.ask(DEPOSIT, quote, 100_000_000_000)
    seller.ask(SUBMIT, pair, 0, SELL, LIMIT, GTC, 6_500_000, 500)
    buyer.ask(SUBMIT, pair, 0, BUY, LIMIT, GTC, 6_500_000, 200)
    book = seller.ask(ORDERBOOK, pair, 5)
    print("book: bids", book[8], "asks", book[9])
    for name, client in (("seller", seller), ("buyer", buyer)):
        for symbol, asset in (("BTC", base), ("USD", quote)):
            account = client.ask(BALANCE, asset)
            print(f"{name}: {symbol} available {account[6]} locked {account[7]}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7070")
