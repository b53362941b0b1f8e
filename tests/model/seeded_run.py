"""One seeded run of the core, printed as its state hash and output digest: `python -m` this.

Run in processes of their own by test_determinism.py: the hash seed of an interpreter is fixed at
its start. Two clients, a few hundred commands in batches, a reconnect.
"""

import sys

from hpe.core import new_core
from hpe.core.codec import decode_body
from tests.model.commands import WIDE, addressed, seeded_commands
from tests.support.core_driver import Venue

BATCH = 40


def run(seed: int, count: int, batch_size: int = BATCH) -> Venue:
    """Execute a seeded stream on a new core."""
    venue = Venue(new_core)
    clients = [venue.attach(user) for user in (1, 2)]
    for _ in range(2):
        clients[0].list_pair()
    for asset in range(1, 5):
        for client in clients:
            client.deposit(asset, 200_000)
    batch = []
    # Ids of orders are guessed from the number alone, not taken from replies, so that how the
    # stream is cut into batches cannot change it: about three commands of five are orders.
    for number, command in enumerate(seeded_commands(seed, count, WIDE)):
        client = clients[number % 2]
        request = addressed(command, client.next_id(), number * 3 // 5)
        batch.append(client.run(request))
        if len(batch) == batch_size:
            venue.apply(*batch)
            batch = []
        if number == count // 2:
            venue.apply(*batch)  # what the old connection sent would be dropped
            batch = []
            clients[0] = venue.attach(1, clients[0].session_id)
    venue.apply(*batch)
    return venue


if __name__ == "__main__":
    done = run(int(sys.argv[1]), int(sys.argv[2]))
    digest = decode_body(done.bodies[-1]).output_digest
    print(done.core.state_hash().hex(), f"{digest:08x}", done.core.last_sequence)
