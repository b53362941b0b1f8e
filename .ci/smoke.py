"""Trade once with an installed hpe, as a check that the package is complete.

Run by the interpreter of an environment that hpe was installed into, from a folder that is not the
source tree, with "compiled" or "plain" as the argument: the form of the extensions to expect. A
program of one process, which starts the service as another.
"""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import hpe
from hpe.cli.spawn import spawned_service
from hpe.extensions import EXTENSIONS, is_used

expected = sys.argv[1] == "compiled"
package = Path(hpe.__file__).parent
assert package.is_relative_to(sys.prefix), f"{package} is not in {sys.prefix}"
for name, sources in EXTENSIONS.items():
    assert is_used(name) == expected, f"{name} is used: {not expected}"
    assert all((package / source).is_file() for source in sources), sources
assert not list(package.rglob("*.c")), "generated files are installed"

with tempfile.TemporaryDirectory() as folder, spawned_service(Path(folder)) as service:
    address = f"{service.host}:{service.port}"
    with hpe.connect_sync(address, user=1) as seller, hpe.connect_sync(address, user=2) as buyer:
        assert seller.server_info().core == ("compiled" if expected else "python")
        seller.deposit("BTC", Decimal(1))
        buyer.deposit("USD", Decimal(1_000))
        seller.submit_order("BTC/USD", "sell", quantity=Decimal("0.5"), price=Decimal(100))
        order = buyer.submit_order("BTC/USD", "buy", quantity=Decimal("0.5"), price=Decimal(100))
        assert [fill.quantity for fill in order.fills] == [Decimal("0.5")], order
print(f"{package}: traded, {sys.argv[1]}")
