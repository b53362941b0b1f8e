"""One seeded run of a core, printed as its state hash and output digest: `python -m` this.

Run in processes of their own by test_determinism.py: the hash seed of an interpreter is fixed at
its start. Three clients, a few hundred commands in batches, a reconnect; half-way all that is
due ends.
"""

import sys

from hpe.core.codec import decode_body
from hpe.protocol.money import Deposit
from tests.model.commands import GIVEN, addressed, seeded_commands
from tests.support.core_driver import CoreFactory, Venue
from tests.support.core_fixtures import CORE_FACTORIES

BATCH = 40
USERS = (1, 2, 3)
SOON_NS, LATER_NS = 10**9, 10**12


def run(new_core: CoreFactory, seed: int, count: int, batch_size: int = BATCH) -> Venue:
    """Execute a seeded stream on a new core."""
    venue = Venue(new_core)
    clients = [venue.attach(user) for user in USERS]
    given = [*GIVEN, *(Deposit(1, asset, 200_000, user) for asset in (1, 2, 3) for user in USERS)]
    for command in given:
        clients[0].ask(addressed(command, clients[0].next_id(), 0, 0))
    batch = []
    # Ids of orders are guessed from the number alone, not taken from replies, so that how the
    # stream is cut into batches cannot change it: about half of the commands are orders. So are
    # times, which are far from those that batches take.
    for number, command in enumerate(seeded_commands(seed, count)):
        client = clients[number % len(clients)]
        soon = SOON_NS if number <= count // 2 else LATER_NS
        request = addressed(command, client.next_id(), number // 2, soon)
        batch.append(client.run(request))
        if len(batch) == batch_size:
            venue.apply(*batch)
            batch = []
        if number == count // 2:
            venue.apply(*batch)  # what the old connection sent would be dropped
            batch = []
            clients[0] = venue.attach(1, clients[0].session_id)
            venue.pass_time(2 * SOON_NS)
    venue.apply(*batch)
    return venue


if __name__ == "__main__":
    done = run(CORE_FACTORIES[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3]))
    digest = decode_body(done.bodies[-1]).output_digest
    print(done.core.state_hash().hex(), f"{digest:08x}", done.core.last_sequence)
