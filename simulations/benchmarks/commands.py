"""`recommons bench`: measurements anyone can repeat. Only typer is imported at the top."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json
from recommons.simulations.model_names import MODELS

__all__ = ["bench"]

bench = typer.Typer(
    help="Measure speed and quality, side by side with peers where there are any.\n\n"
    "Example:\n    recommons bench quality --runs 5",
    no_args_is_help=True,
)


@bench.command()
def quality(
    data: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="As in `recommons simulate`; by default embedded data."),
    ] = None,
    model: Annotated[str, typer.Option(metavar=MODELS, help="The model.")] = "als",
    epsilons: Annotated[
        str, typer.Option(metavar="ε,ε,…", help="Target ε of each row.")
    ] = "1,4,8,inf",
    delta: Annotated[float | None, typer.Option(help="δ, as in `recommons simulate`.")] = None,
    sites: Annotated[int, typer.Option(help="Number of sites.")] = 8,
    colluding: Annotated[int, typer.Option(help="c, as in `recommons simulate`.")] = 0,
    runs: Annotated[int, typer.Option(min=1, help="Whole runs a row, with seeds 0, 1, …")] = 5,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write every run's figures as JSON.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recall@20 of the four ways at several ε, by whole runs of `recommons simulate`.

    Example:
        recommons bench quality --data ml-1m --delta 0.000207 --epsilons 8,inf --runs 5
    """
    from recommons.simulations.benchmarks.quality import measure_quality

    measure_quality(
        data=data,
        model=model,
        epsilons=tuple(epsilons.split(",")),
        delta=delta,
        sites=sites,
        colluding=colluding,
        runs=runs,
        output=output,
        as_json=as_json,
    )


@bench.command()
def secagg(
    quick: Annotated[
        bool, typer.Option(help="Small cohorts and few repetitions: seconds, not a quarter hour.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write secagg.json and secagg.svg there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Secure aggregation beside Flower's own functions, and whole attempts of up to 1000 sites.

    Example:
        recommons bench secagg --quick --output bench/
    """
    from recommons.simulations.benchmarks.secagg import FULL, QUICK, measure_secagg

    measure_secagg(extent=QUICK if quick else FULL, output=output, as_json=as_json)


@bench.command()
def attacks(
    data: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="As in `recommons simulate`; by default embedded data."),
    ] = None,
    epsilons: Annotated[
        str, typer.Option(metavar="ε,ε,…", help="Target ε of each run; inf adds no noise.")
    ] = "inf,8,1",
    sites: Annotated[int, typer.Option(min=3, help="Number of sites.")] = 8,
    shadows: Annotated[
        int, typer.Option(min=4, help="Models that the attacker trains, an even number.")
    ] = 16,
    seed: Annotated[int, typer.Option(help="Of who takes part, and of the attacker.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write attacks.json and attacks.svg there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Known attacks on what is released: who is in the model, and which site has an item.

    Example:
        recommons bench attacks --output bench/
    """
    from recommons.simulations.release_attacks.measure import measure_attacks

    measure_attacks(
        data=data,
        epsilons=tuple(float(target) for target in epsilons.split(",")),
        sites=sites,
        shadows=shadows,
        seed=seed,
        output=output,
        as_json=as_json,
    )


@bench.command()
def site(
    users: Annotated[int, typer.Option(min=1, help="Users of the site.")] = 2_000_000,
    events: Annotated[int, typer.Option(min=1, help="Events, at least one a user.")] = 100_000_000,
    items: Annotated[int, typer.Option(min=2, help="Size of the catalogue.")] = 50_000,
    source: Annotated[
        str, typer.Option(metavar="parquet|csv|jsonl|sqlite", help="Where the events lie.")
    ] = "parquet",
    model: Annotated[str, typer.Option(metavar=MODELS, help="The model.")] = "als",
    most_gib: Annotated[
        float, typer.Option("--memory", help="GiB above which the command ends with code 1.")
    ] = 4.0,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the data are generated; by default under /tmp."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time and memory of a site with very many users that takes part in a whole plan.

    The full size takes about a quarter of an hour, generating not counted, and 2 GB of disk.

    Example:
        recommons bench site --users 100000 --events 5000000
    """
    from recommons.simulations.benchmarks.site import measure_site

    measure_site(
        users=users,
        events=events,
        items=items,
        source=source,
        model=model,
        most_gib=most_gib,
        folder=folder,
        as_json=as_json,
    )


@bench.command()
def opacus(
    quick: Annotated[
        bool, typer.Option(help="Small catalogues and few users: seconds, not minutes.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write opacus.json and opacus.svg there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Clipping each user: ghost norms, users' gradients and none, by catalogue and batch.

    Uses a GPU beside the processor where PyTorch finds one.

    Example:
        recommons bench opacus --quick
    """
    from recommons.simulations.benchmarks.opacus import FULL, QUICK, measure_opacus

    measure_opacus(extent=QUICK if quick else FULL, output=output, as_json=as_json)


@bench.command()
def audit(
    quick: Annotated[bool, typer.Option(help="Four short ledgers: seconds, not minutes.")] = False,
    as_json: Json = False,
) -> None:
    """Time of `recommons audit` on ten sites of 10,000 lines each, and what of it signatures take.

    To write the ledgers takes longer than to audit them: some minutes.

    Example:
        recommons bench audit --quick
    """
    from recommons.simulations.benchmarks.audit import FULL, QUICK, measure_audit

    measure_audit(extent=QUICK if quick else FULL, as_json=as_json)


@bench.command()
def deployment(
    sites: Annotated[int, typer.Option(min=3, max=100, help="Number of sites.")] = 5,
    megabytes: Annotated[
        float, typer.Option("--mb", min=0.1, help="Each way and site, in a round.")
    ] = 8.0,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that are measured.")] = 5,
    stock_rounds: Annotated[
        int, typer.Option(min=0, help="Rounds over stock SuperNodes, over a minute each; 0: none.")
    ] = 1,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write deployment.json there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Whole secure rounds of real processes on loopback, beside the same over stock SuperNodes.

    Both with TLS and node authentication, the same plan and the same apps.

    Example:
        recommons bench deployment --rounds 5
    """
    from recommons.simulations.benchmarks.deployment import Case, measure_deployment

    case = Case(sites=sites, megabytes=megabytes, rounds=rounds, stock_rounds=stock_rounds)
    measure_deployment(case, output=output, as_json=as_json)
