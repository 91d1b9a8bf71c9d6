"""What a site's operator does about users' budgets and the policy. Only typer is imported here."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json

__all__ = ["budget", "forget", "opt_in", "opt_out", "policy"]

policy = typer.Typer(no_args_is_help=True, help="The site's own rules, in its policy.toml.")

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.")]
_Users = Annotated[
    list[str], typer.Argument(metavar="USER…", help="User ids, as the site's data have them.")
]


@policy.command()
def check(
    folder: _Folder,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="PLAN.json", help="Say whether this plan document is allowed."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read policy.toml without any effect and show what it says, and every peer's fingerprint.

    Compare the fingerprints with each peer's operator by telephone, then write them into
    [peers.verified]. Users' budgets are not looked at: `recommons site budget` shows them.

    Example:
        recommons site policy check sites/plum
        recommons site policy check sites/plum --plan coordinator/plan.json
    """
    from recommons.client.budgets.policy_command import check_policy

    check_policy(folder, plan, as_json=as_json)


def budget(
    folder: _Folder,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="Show this user's budget alone.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what was spent about the site's users, and how many had no budget left for a run.

    These figures are for the site's operator alone: they are in no ledger and no reply.

    Example:
        recommons site budget sites/plum
        recommons site budget sites/plum --user customer-17 --json
    """
    from recommons.client.budgets.command import show_budget

    show_budget(folder, user, as_json=as_json)


def forget(
    folder: _Folder,
    users: _Users,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Forget users: from the next vector on they are in none, also if the data still hold them.

    Remove them from the site's own data as well. A keyed hash of the id stays with what was spent,
    so that someone who comes back does not get a second budget. The ledger says that users were
    forgotten, not which.

    Example:
        recommons site forget sites/plum customer-17
    """
    from recommons.client.budgets.command import change_standing
    from recommons.client.site import SiteConfig
    from recommons.common.units import counted

    if as_json and not yes:
        raise typer.BadParameter("is needed with --json", param_hint="--yes")
    site = SiteConfig.read(folder).site
    if not yes:
        typer.confirm(f"Forget {counted(len(users), 'user')} at {site}?", abort=True)
    change_standing(folder, users, "forgotten", as_json=as_json)


def opt_out(folder: _Folder, users: _Users, as_json: Json = False) -> None:
    """Let users opt out: from the next vector on they are in none.

    Example:
        recommons site opt-out sites/plum customer-17 customer-18
    """
    from recommons.client.budgets.command import change_standing

    change_standing(folder, users, "opted-out", as_json=as_json)


def opt_in(folder: _Folder, users: _Users, as_json: Json = False) -> None:
    """Let users who opted out, or were forgotten, take part again, with what they had spent.

    They take part in runs that were joined while they were in, and in those that come.

    Example:
        recommons site opt-in sites/plum customer-17
    """
    from recommons.client.budgets.command import change_standing

    change_standing(folder, users, "active", as_json=as_json)
