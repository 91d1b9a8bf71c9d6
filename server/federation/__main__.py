"""The enrolment desk as a process: ``python -m recommons.server.federation HOME``."""

import asyncio
import logging
import sys
from pathlib import Path

from recommons.server.certificates.renewal import serve_renewed
from recommons.server.federation.founding import open_book
from recommons.server.federation.serve import Housekeeping, desk_server, desk_tls
from recommons.server.records.home import CoordinatorHome


def main(folder: Path) -> None:
    """Serve the desk of a coordinator's home until a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home = CoordinatorHome.open(folder)
    book, tls = open_book(home), desk_tls(home)
    keeping = Housekeeping(home, book)
    keeping.start()
    try:
        asyncio.run(serve_renewed(desk_server(home, book, tls), tls, folder / "gateway.pem"))
    finally:
        keeping.stop()
        book.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
