"""The site's sub-commands. Only typer is imported here: heavy things wait inside the functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from recommons.client.budgets.commands import budget, forget, opt_in, opt_out, policy
from recommons.client.console.commands import console
from recommons.client.membership.commands import check, join, peers, rotate
from recommons.client.membership.roster_commands import roster
from recommons.client.operating.commands import catalogue, data, model, pause, resume, status
from recommons.client.records.ledger_commands import clear_halt, forget_head, ledger
from recommons.common.options import Json

__all__ = ["recommend", "site"]

site = typer.Typer(
    no_args_is_help=True,
    help="Run a site: its agent, its policy, its budgets.\n\n"
    "Example:\n    recommons site budget sites/plum",
)
site.add_typer(ledger, name="ledger")
site.command("clear-halt")(clear_halt)
site.command("forget-head")(forget_head)
site.add_typer(policy, name="policy")
site.add_typer(roster, name="roster")
site.add_typer(peers, name="peers")
site.add_typer(catalogue, name="catalogue")
site.add_typer(data, name="data")
site.add_typer(model, name="model")
for _command in (
    join,
    check,
    rotate,
    budget,
    forget,
    opt_out,
    opt_in,
    status,
    pause,
    resume,
    console,
):
    site.command()(_command)


@site.command("start")
def start_site(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.")],
    health: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            envvar="RECOMMONS_HEALTH",
            help="Answer /livez, /readyz and /metrics there; on loopback where no host is named.",
        ),
    ] = None,
) -> None:
    """Run the site's agent until SIGTERM or Ctrl-C.

    It only ever connects outwards, to the coordinator named at enrolment, and runs only the code
    that is installed here. With --health it also answers supervisors and scrapers of this machine.

    Example:
        recommons site start sites/plum --health 9464
    """
    from recommons.client.agent.start import start_agent

    start_agent(folder, health=health)


def recommend(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="A joined site's folder, or what `recommons simulate` wrote."
        ),
    ],
    items: Annotated[
        str | None,
        typer.Option(metavar="ID,ID,…", help="A basket: item ids, separated by commas."),
    ] = None,
    interests: Annotated[
        str | None,
        typer.Option(metavar="WORD,WORD,…", help="A newcomer's: labels, or words of titles."),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(metavar="EVENTS", help="A file of users' events: Parquet, CSV, TSV or JSONL."),
    ] = None,
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="Length of each list.")] = 10,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where --users' lists go: .parquet, .csv or .jsonl."),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Recommend as this site would, with its own data."),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(metavar="NNN", help="Of a joined site: this release, not the latest."),
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Show what in the basket speaks for each item.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(metavar="FIELD=NAME,…", help="Names of --users' columns, where unusual."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recommend items for a basket, or for a file of users the model has never seen.

    A user's own items are left out. A file of lists has the columns user_id, item_id, rank, score
    and basis: "events", or "popularity" for a user without a known item. With none of --items,
    --interests and --users, what is most popular. A joined site recommends by the latest release
    that it received, with its own users' data added.

    Example:
        recommons recommend sites/plum --items 20682,22139
        recommons recommend runs/001 --items 20682,22139 -k 10
        recommons recommend runs/001 --interests umbrella
        recommons recommend runs/001 --users new-users.csv -k 20 --output recs.parquet
    """
    if sum(given is not None for given in (items, interests, users)) > 1:
        raise typer.BadParameter(
            "give one of them, not both", param_hint="--items, --interests, --users"
        )
    if items is not None:
        _refuse_with_items({"--output": output, "--columns": columns})
        from recommons.client.serving.command import recommend_for_basket

        recommend_for_basket(
            folder, items, count, site=site, release=release, why=why, as_json=as_json
        )
    elif users is not None:
        if output is None:
            raise typer.BadParameter("--users needs a file to write", param_hint="--output")
        if why:
            raise typer.BadParameter("goes with --items only", param_hint="--why")
        from recommons.client.serving.command import recommend_for_users

        recommend_for_users(
            folder,
            users,
            count,
            output,
            site=site,
            release=release,
            columns=columns,
            as_json=as_json,
        )
    else:
        _refuse_with_items({"--output": output, "--columns": columns})
        if why:
            raise typer.BadParameter("goes with --items only", param_hint="--why")
        from recommons.client.serving.command import recommend_for_newcomer

        recommend_for_newcomer(
            folder, interests, count, site=site, release=release, as_json=as_json
        )


def _refuse_with_items(options: Mapping[str, object]) -> None:
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter("goes with --users only", param_hint=name)
