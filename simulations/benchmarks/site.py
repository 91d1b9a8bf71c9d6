"""`recommons bench site`: what taking part costs a site with very many users."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer

from recommons.common.data.dataset import Dataset
from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import PublicFigures
from recommons.common.models.registry import build_model
from recommons.server.operating.attendance import RunOptions
from recommons.server.planning.wish import Wish
from recommons.simulations.benchmarks.site_data import SHOP, bench_catalogue, write_events
from recommons.simulations.founding import found_federation

__all__ = ["measure_site"]

_SITES = ("site-0", "site-1", "site-2")
_SMALL_USERS = 100
_DEADLINE_SECONDS = 3 * 3600.0  # what is slow is measured, not given up
_LOOK_SECONDS = 0.25
_WISH = Wish(epsilon=8.0, delta=1e-7, colluding=1, min_survivors=3)


def measure_site(
    *,
    users: int,
    events: int,
    items: int,
    source: str,
    model: str,
    most_gib: float,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Generate a site's events, let it take part in every round of a plan, and print the costs.

    Args:
        users: Number of its users.
        events: Number of its events.
        items: Size of the catalogue.
        source: Where the events lie: one of `site_data.SOURCES`.
        model: The model that is trained.
        most_gib: Memory above which the measurement counts as failed.
        folder: Where the federation is made; a temporary folder by default.
        as_json: Print JSON.

    Raises:
        typer.Exit: Code 1: the process took more memory.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-site-") as temporary:
        place, began = Path(temporary), time.perf_counter()
        _found(place, users=users, items=items, model=model)
        written = write_events(
            place / "sites" / _SITES[0], users=users, events=events, items=items, source=source
        )
        generating = time.perf_counter() - began
        printed, most_disk = _measured(place)
        left = _disk_use(place / "sites" / _SITES[0]) - _disk_use(
            place / "sites" / _SITES[0] / SHOP
        )
    found: dict[str, Any] = json.loads(printed)
    found |= {"items": items, "source": written, "model": model, "seconds_generating": generating}
    found |= {"most_disk_bytes": most_disk, "site_disk_bytes": left}
    found["most_bytes"] = int(most_gib * 2**30)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    if found["peak_bytes"] > found["most_bytes"]:
        raise typer.Exit(1)


def _measured(place: Path) -> tuple[bytes, int]:
    """What the measured process prints, and the most that lay in the folder while it ran.

    Raises:
        CalledProcessError: It failed.
    """
    command = [sys.executable, "-m", "recommons.simulations.benchmarks.site_process", str(place)]
    most = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        while process.poll() is None:
            most = max(most, _disk_use(place))
            time.sleep(_LOOK_SECONDS)
        printed = process.stdout.read() if process.stdout else b""
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return printed, most


def _disk_use(folder: Path) -> int:
    """Bytes of all files below a folder, as far as they are still there."""
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118 - many
    return total


def _found(folder: Path, *, users: int, items: int, model: str) -> None:
    """A federation of the large site, whose events are yet to come, and two small ones."""
    rng, small = np.random.default_rng(1), _SMALL_USERS * len(_SITES)
    who = np.repeat(np.arange(small), 10)
    histories = Interactions.from_pairs(
        who, rng.integers(items, size=len(who)), n_users=small, n_items=items
    )
    dataset = Dataset(
        name="bench",
        catalogue=bench_catalogue(items),
        user_ids=pl.Series([f"small-{k}" for k in range(small)]),
        interactions=histories,
    )
    declared = {_SITES[0]: users, **dict.fromkeys(_SITES[1:], _SMALL_USERS)}
    figures = PublicFigures(declared_users=declared, n_items=items, epsilon=_WISH.epsilon)
    trained = build_model(model, dataset.catalogue, figures)

    own = {site: np.arange(k, small, len(_SITES)) for k, site in enumerate(_SITES)}
    found_federation(folder, dataset, own, declared, trained, _WISH)
    RunOptions(deadline_seconds=_DEADLINE_SECONDS).write(folder / "coordinator")


def _print(found: Mapping[str, Any]) -> None:
    typer.echo(
        f"{found['users']:,} users, {found['events']:,} events ({found['pairs']:,} distinct "
        f"pairs), {found['items']:,} items, model {found['model']}; {found['source']}, "
        f"generated in {found['seconds_generating']:.0f} s\n"
    )
    typer.echo(f"{'step':<42}{'seconds':>9}{'memory so far':>16}")
    for step in found["steps"]:
        peak = f"{step['peak_bytes'] / 2**30:.2f} GiB" if "peak_bytes" in step else ""
        typer.echo(f"{step['step']:<42}{step['seconds']:>9.1f}{peak:>16}")
    within = "within" if found["peak_bytes"] <= found["most_bytes"] else "MORE THAN"
    typer.echo(
        f"\nLargest memory {found['peak_bytes'] / 2**30:.2f} GiB, {within} "
        f"{found['most_bytes'] / 2**30:g} GiB: resident memory of the process, the mapped copy and "
        "two small\nsites and the coordinator in the same process included. Disk: the site keeps "
        f"{found['site_disk_bytes'] / 2**30:.2f} GiB beside\nits events; at most "
        f"{found['most_disk_bytes'] / 2**30:.2f} GiB lay there at one time, events included."
    )
