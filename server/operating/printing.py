"""What `recommons coordinator` prints of plans, runs and the whole, for people and as JSON."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from recommons.common.units import byte_size, epsilon_text
from recommons.server.operating.status import RunStatus, Status

__all__ = ["print_dry_run", "print_json", "print_status", "run_words"]


def print_dry_run(told: dict[str, Any], needed: int, *, as_json: bool) -> None:
    """Print what a dry run found; `needed` sites must be connected."""
    if as_json:
        print_json(told)
        return
    out = Console()
    out.print(f"The plan holds; its hash would be {told['plan'][:16]}….", highlight=False)
    if told["connected"] is None:
        out.print("The coordinator's processes do not run, so nobody knows who is connected.")
        return
    missing = ", ".join(told["missing"]) or "nobody"
    out.print(
        f"{len(told['connected'])} sites of its cohort are connected now, {needed} are needed; "
        f"not connected: {missing}.",
        highlight=False,
    )


def run_words(run: RunStatus) -> str:
    """A run in one line."""
    state = run.state if run.code is None else f"{run.state} ({run.code})"
    if run.state == "running":
        where = f"round {run.round} of {run.rounds}, attempt {run.attempt}, {run.step}"
        state = f"running: {where}"
    if not run.plan:
        return f"run {run.run}: {state}"
    cost = "no privacy claimed"
    if run.epsilon_reserved is not None:
        spent = "unknown" if run.epsilon_spent is None else epsilon_text(run.epsilon_spent)
        cost = (
            f"ε {spent} released of "
            f"{epsilon_text(run.epsilon_reserved)} reserved (δ {run.delta:g}, "
            f"M={run.min_survivors}, c={run.colluding}, one user added or removed)"
        )
    release = f"; release {run.release}" if run.release else ""
    return f"run {run.run}: {state}{release}; {cost}"


def print_status(status: Status, out: Console) -> None:
    """Print where the coordinator, its sites, processes, runs and releases stand."""
    epoch = "no roster yet" if status.epoch is None else f"roster epoch {status.epoch}"
    out.print(f"federation {status.federation}, {epoch}", highlight=False)
    out.print(
        _table(
            "site",
            ("let in", "connected"),
            [(s.site, _yes(s.member), _yes(s.connected)) for s in status.sites],
        )
    )
    if status.processes:
        out.print(
            _table(
                "process",
                ("pid", "up", "since", "starts"),
                [
                    (p["name"], str(p["pid"]), _yes(p["up"]), p["since"], str(p["starts"]))
                    for p in status.processes
                ],
            )
        )
    for run in status.runs:
        out.print(run_words(run), highlight=False, soft_wrap=True)
    for release in status.releases:
        cost = "no noise" if release.epsilon is None else f"ε {epsilon_text(release.epsilon)}"
        out.print(
            f"release {release.release}: {release.model} of run {release.run}, "
            f"{byte_size(release.bytes)}, {cost}",
            highlight=False,
        )


def _table(first: str, others: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in (first, *others):
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    return table


def _yes(value: bool | None) -> str:
    return "?" if value is None else "yes" if value else "no"


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print a JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
