"""The gateway as a process: ``python -m recommons.server.gateway HOME``."""

import asyncio
import logging
import sys
from pathlib import Path

from recommons.server.certificates.renewal import serve_renewed
from recommons.server.gateway.application import Gateway
from recommons.server.gateway.limits import Limits
from recommons.server.gateway.members import Members
from recommons.server.gateway.membership import Membership
from recommons.server.gateway.serve import gateway_server, server_tls
from recommons.server.gateway.shelf import Shelf
from recommons.server.gateway.upstream import SuperLink
from recommons.server.records.home import CoordinatorHome
from recommons.server.transport.depot import Depot
from recommons.server.transport.wakeups import Wakeups


def main(folder: Path) -> None:
    """Serve the gateway of a coordinator's home until a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home, limits = CoordinatorHome.open(folder), Limits()
    authority = folder / "authority.pem"
    gateway = Gateway(
        members=Members(folder / "sites.json", home.settings.federation),
        upstream=SuperLink(
            "127.0.0.1",
            home.settings.superlink_port,
            authority,
            seconds=limits.upstream_seconds,
            largest=limits.response_bytes,
        ),
        depot=Depot.of_environment() or Depot(folder / "superlink" / "depot"),
        limits=limits,
        wakeups=Wakeups.of_gateway(),
        shelf=Shelf(folder),
        services=(Membership(home),),
    )
    tls = server_tls(folder / "gateway.pem", folder / "gateway.pem", authority)
    server = gateway_server(gateway, home.settings.listen, home.settings.port, tls)
    asyncio.run(serve_renewed(server, tls, folder / "gateway.pem"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
