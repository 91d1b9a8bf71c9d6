"""The coordinator's processes: Flower's SuperLink, its executor and the gateway.

| process | what it does | why so |
|---|---|---|
| `flower-superlink` | stores and forwards messages, on loopback with TLS | node authentication on; state in SQLite; process isolation, so that it runs no app itself; no dependency is ever installed |
| `flower-superexec` | starts the coordinator's app for a run, as a process of its own | only the holder of the secret may take a run |
| the gateway | the one door from outside | see `gateway` |
| the enrolment desk | takes the requests of those who were invited | see `federation` |

The app that is started is the one installed here: the bundle of a run holds names only.
"""  # noqa: E501 - a table row is one line

import logging
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from recommons.common.durably import clear_unfinished
from recommons.common.health import parse_address
from recommons.server.operating.control import Control, RunState
from recommons.server.operating.keeper import Keeper
from recommons.server.operating.processes import Child, Supervisor, forget_processes
from recommons.server.operating.watching import watched
from recommons.server.records.home import CoordinatorHome
from recommons.server.transport.depot import DEPOT_FOLDER
from recommons.server.transport.wakeups import WAKE_FOLDER

__all__ = ["coordinator_children", "start_coordinator", "wait_for_run"]


def coordinator_children(home: CoordinatorHome) -> tuple[Child, ...]:
    """The processes of a coordinator, in the order in which they start."""
    inner = home.folder / "superlink"
    authority, secret = str(home.folder / "authority.pem"), str(inner / "secret")
    binaries = Path(sys.executable).parent
    environment = {
        "FLWR_HOME": str(inner / "home"),
        WAKE_FOLDER: str(inner / "wake"),
        DEPOT_FOLDER: str(inner / "depot"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
        # A proxy is for the way out; all of this stays on the host.
        "NO_PROXY": "127.0.0.1,localhost",
        "PATH": f"{binaries}:/usr/bin:/bin",  # the executor finds its programs here
    }
    superlink = Child(
        name="superlink",
        command=[
            str(binaries / "flower-superlink"),
            *("--host", "127.0.0.1", "--port", str(home.settings.superlink_port)),
            *("--ssl-certfile", str(home.folder / "link.pem")),
            *("--ssl-keyfile", str(home.folder / "link.key")),
            *("--ssl-ca-certfile", authority),
            "--enable-supernode-auth",
            *("--database", str(inner / "state.db")),
            *("--isolation", "process"),
            *("--superexec-auth-secret-file", secret),
            "--disable-runtime-dependency-installation",
        ],
        environment=environment,
        log=inner / "superlink.log",
    )
    executor = Child(
        name="superexec",
        command=[
            str(binaries / "flower-superexec"),
            *("--runtime-api-address", home.superlink_address),
            *("--root-certificates", authority),
            *("--superexec-auth-secret-file", secret),
        ],
        environment=environment,
        log=inner / "superexec.log",
    )
    gateway = Child(
        name="gateway",
        command=[sys.executable, "-m", "recommons.server.gateway", str(home.folder)],
        environment=environment,
        log=inner / "gateway.log",
    )
    enrolment = Child(
        name="enrolment",
        command=[sys.executable, "-m", "recommons.server.federation", str(home.folder)],
        environment=environment,
        log=inner / "enrolment.log",
    )
    return superlink, executor, gateway, enrolment


def wait_for_run(control: Control, run_id: int, every_seconds: float = 1.0) -> RunState:
    """Wait until a Flower run is finished."""
    while not (state := control.run_state(run_id)).over:
        time.sleep(every_seconds)
    return state


def start_coordinator(home: CoordinatorHome, *, health: str | None = None) -> None:
    """Run the coordinator's processes until SIGTERM or SIGINT.

    Args:
        home: The coordinator's home.
        health: ``[HOST:]PORT`` on which health endpoints and metrics are answered; by default none.

    Raises:
        InvalidInput: ``input/argument``: that address cannot be listened on.
    """
    stop = threading.Event()

    def leave(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every look at Flower
    inner = home.folder / "superlink"
    supervisor = Supervisor(coordinator_children(home), stop, record=inner)

    clear_unfinished(home.folder)
    forget_processes(inner)  # in a container the last supervisor had this one's number
    with ExitStack() as stack:
        if health is not None:
            host, port = stack.enter_context(watched(home, parse_address(health)))
            logging.getLogger(__name__).info("health endpoints on %s:%d", host, port)
        supervisor.run(Keeper(home, stop).start)
