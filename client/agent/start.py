"""`recommons site start`: the agent as a process."""

import logging
import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

__all__ = ["start_agent"]


def start_agent(folder: Path, *, health: str | None = None) -> None:
    """Run the agent in this process until SIGTERM or SIGINT.

    The first signal lets the message in hand be answered, ends the lease and returns; a second one
    ends the process at once (what was answered is durable either way).

    Args:
        folder: The site's folder.
        health: ``[HOST:]PORT`` on which health endpoints and metrics are answered; by default none.

    Raises:
        InvalidInput: The folder is not that of an enrolled site, or it has an agent already; no
            port has been opened then.
    """
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
    os.environ["FLWR_HOME"] = str(folder / ".flwr")
    # Flower reads its settings when it is imported, so it is imported only now.
    from recommons.client.agent.agent import Agent
    from recommons.client.agent.catalogue import CatalogueChore
    from recommons.client.agent.connection import connection_of
    from recommons.client.agent.fetching import fetch_releases
    from recommons.client.agent.logs import event, log_to_stderr
    from recommons.client.app import app
    from recommons.client.membership.news import fetch_news
    from recommons.client.operating.watching import watched
    from recommons.common.durably import clear_unfinished
    from recommons.common.health import parse_address

    connection_of(folder)
    clear_unfinished(folder)
    log_to_stderr()
    stop = threading.Event()

    def leave(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise SystemExit(1)
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    with ExitStack() as stack:
        if health is not None:
            host, port = stack.enter_context(watched(folder, parse_address(health)))
            event(logging.getLogger(__name__), "health endpoints", address=f"{host}:{port}")
        chores = (fetch_news, CatalogueChore(), fetch_releases)
        Agent(folder=folder, app=app, chores=chores, stop=stop).run()
