"""The coordinator's commands about processes and runs. Only typer is imported at the top."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json

__all__ = ["bundle", "resume", "run", "start", "status", "stop"]

Home = Annotated[
    Path,
    typer.Option("--home", metavar="DIR", envvar="RECOMMONS_HOME", help="The coordinator's home."),
]
_Run = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Such as 001; by default the latest.")
]
_Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until the run is over.")]


def start(
    home: Annotated[Path, typer.Argument(metavar="DIR", help="The coordinator's home.")],
    health: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            envvar="RECOMMONS_HEALTH",
            help="Answer /livez, /readyz and /metrics there, on loopback unless a host is named.",
        ),
    ] = None,
) -> None:
    """Run the coordinator's processes until SIGTERM or Ctrl-C.

    They are Flower's SuperLink and its executor, on loopback, and the gateway, the one door that
    sites reach. A process that ends is started again, and so is a run whose process died.

    Example:
        recommons coordinator start federation --health 9465
    """
    from recommons.server.operating.superlink import start_coordinator
    from recommons.server.records.home import CoordinatorHome

    start_coordinator(CoordinatorHome.open(home), health=health)


def run(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN.toml", help="The plan file; docs/plan.md has its keys.")
    ],
    home: Home = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, start nothing.")
    ] = False,
    no_start: Annotated[
        bool,
        typer.Option("--no-start", help="Found the run for `flwr run`, and print its folder."),
    ] = False,
    wait: _Wait = True,
    deadline: Annotated[
        float, typer.Option(min=1, help="Seconds that a step waits for the last site.")
    ] = 600.0,
    as_json: Json = False,
) -> None:
    """Check a plan, show what it will cost, and carry it out with the sites that are connected.

    The run goes on in the coordinator's own processes: Ctrl-C ends the watching and not the run.
    With --no-start nobody carries it out: Flower's own tools may (docs/flower.md).

    Example:
        recommons coordinator run PLAN.toml --dry-run
        recommons coordinator run PLAN.toml
    """
    from recommons.server.operating.run_command import found_plan, run_plan

    if no_start and not dry_run:
        found_plan(home, plan, deadline=deadline, as_json=as_json)
        return
    run_plan(home, plan, dry_run=dry_run, wait=wait, deadline=deadline, as_json=as_json)


def status(home: Home = Path(), as_json: Json = False) -> int:
    """Show sites, processes, runs and releases.

    Example:
        recommons coordinator status
        recommons coordinator status --home federation --json
    """
    from recommons.server.operating.run_command import show_status

    return show_status(home, as_json=as_json)


def stop(
    run: _Run = None,
    home: Home = Path(),
    now: Annotated[
        bool, typer.Option("--now", help="Give up the attempt in hand; it counts as spent.")
    ] = False,
    for_good: Annotated[
        bool, typer.Option("--for-good", help="End it at the sites too; it cannot be resumed.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it stands.")] = True,
    as_json: Json = False,
) -> None:
    """Stop a run between two attempts; `resume` takes it up again.

    Example:
        recommons coordinator stop 001
    """
    from recommons.server.operating.run_command import stop_run
    from recommons.server.operating.stopping import StopRequest

    request = StopRequest(now=now, for_good=for_good)
    stop_run(home, run, request, wait=wait, as_json=as_json)


def resume(
    run: _Run = None, home: Home = Path(), wait: _Wait = True, as_json: Json = False
) -> None:
    """Take a run up again after its last finished round.

    An attempt that was cut off counts as spent, and needs one of the plan's spare attempts.

    Example:
        recommons coordinator resume 001
    """
    from recommons.server.operating.run_command import resume_run

    resume_run(home, run, wait=wait, as_json=as_json)


def bundle(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A new or an empty folder.")],
) -> None:
    """Write the thin bundle with which `flwr run` carries out a run over stock SuperNodes.

    It holds names and no code. A site whose SuperNode is Flower's own trusts the server: see
    docs/flower.md.

    Example:
        recommons coordinator bundle thin
    """
    from recommons.common.bundle import BUNDLE_FILES
    from recommons.common.errors import InvalidInput

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        # Whatever lies there would travel with it.
        raise InvalidInput("run/output", f"OUT is {folder}; required: a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in BUNDLE_FILES.items():
        (folder / name).write_bytes(content)
    typer.echo(f"{folder}: {', '.join(BUNDLE_FILES)}")
