"""The researcher's sub-commands. Only typer is imported here: heavy things wait inside."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.simulations.model_names import MODELS

__all__ = ["simulate"]

_DATA, _MODEL, _PRIVACY, _RUN = "Data and sites", "Model", "Privacy", "Run"


def simulate(
    plan: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PLAN.toml]",
            help="Settings by their option's name, or a plan file for its model, guarantee and "
            "number of sites; options win.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Folder or file of events; by default the embedded online-retail purchases.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD=NAME,…",
            help="Names of the events' columns, where unusual.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    sites: Annotated[
        int | None, typer.Option(help="Number of sites. [default: 8]", rich_help_panel=_DATA)
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option(
            metavar="uniform|country|skewed",
            help="How users are spread over sites. [default: uniform]",
            rich_help_panel=_DATA,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar=MODELS,
            help="The model. [default: als]",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(help="Factors; by default the model's choice.", rich_help_panel=_MODEL),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A hyperparameter of the model, e.g. steps=40 or rate=0.1; may be repeated.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    epsilon: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|inf",
            help="ε over the whole run; inf adds no noise but still sums securely. [default: 8]",
            rich_help_panel=_PRIVACY,
        ),
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(
            help="δ; by default the smaller of 10^-6 and 1/(10·declared users).",
            rich_help_panel=_PRIVACY,
        ),
    ] = None,
    colluding: Annotated[
        int | None,
        typer.Option(
            help="c, sites that may pool what they know and withhold noise. [default: 1]",
            rich_help_panel=_PRIVACY,
        ),
    ] = None,
    min_survivors: Annotated[
        int | None,
        typer.Option(
            help="M, least sites in a sum; by default all, or with --dropout the least that "
            "the quorum allows.",
            rich_help_panel=_PRIVACY,
        ),
    ] = None,
    spare_attempts: Annotated[
        int | None,
        typer.Option(
            help="Attempts beyond one a round, paid for in advance; by default 0, or 1 with "
            "--dropout.",
            rich_help_panel=_PRIVACY,
        ),
    ] = None,
    ring_bits: Annotated[
        int | None,
        typer.Option(
            metavar="BITS",
            help="Bits of a coordinate on the wire, a multiple of 8 up to 64; fewer make uploads "
            "smaller and grids coarser. [default: 32, more where needed]",
            rich_help_panel=_RUN,
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            help="Probability that a site vanishes at a random step of an attempt. [default: 0]",
            rich_help_panel=_RUN,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of split, partition and outages; never of keys, masks or noise. [default: 0]",
            rich_help_panel=_RUN,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where everything is left; by default the next free runs/NNN.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the unfinished run in --output.", rich_help_panel=_RUN
        ),
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="inprocess|flower",
            help="What drives the sites; flower: found them for `flwr run`. [default: inprocess]",
            rich_help_panel=_RUN,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON.", rich_help_panel=_RUN)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=_RUN)
    ] = False,
) -> None:
    """Train one recommender over several simulated sites, and show what each gains.

    Sites are the real client, the coordinator is the real server; every sum is a secure sum and
    carries user-level differential privacy.

    Example:
        recommons simulate
        recommons simulate --epsilon 4 --sites 5 --dropout 0.2 --output runs/retail
        recommons simulate --data ml-1m --model ease --epsilon inf --json
    """
    from recommons.simulations.simulate_command import run_simulation

    options = {
        "data": data,
        "columns": columns,
        "sites": sites,
        "partition": partition,
        "model": model,
        "dim": dim,
        "settings": given,
        "epsilon": epsilon,
        "delta": delta,
        "colluding": colluding,
        "min_survivors": min_survivors,
        "spare_attempts": spare_attempts,
        "ring_bits": ring_bits,
        "dropout": dropout,
        "seed": seed,
        "engine": engine,
    }
    run_simulation(plan, options, output=output, resume=resume, as_json=as_json, quiet=quiet)
