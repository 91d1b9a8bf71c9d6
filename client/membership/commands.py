"""`recommons site join`, `check`, `peers` and `rotate`. Only typer is imported here."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import JsonUnasked

__all__ = ["check", "join", "peers", "rotate"]

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Consent without being asked.")]


def join(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", help="The invitation; - reads it from stdin.")
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The site's folder; else the site's name.")
    ] = None,
    users: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of the site's users, rounded; it is told."),
    ] = None,
    events: Annotated[
        str, typer.Option(metavar="FILE", help="The site's events, seen from its folder.")
    ] = "events.parquet",
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your policy, for the proposed one.")
    ] = None,
    yes: _Yes = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Stay until the operator has decided.")
    ] = True,
    new_node_key: Annotated[
        bool, typer.Option("--new-node-key", help="When joining again: replace the node key.")
    ] = False,
) -> None:
    """Join a federation with an invitation. The site's keys are drawn here and stay here.

    It shows what is joined and under which policy, asks, checks name, proxy, TLS, clock, disk and
    data, applies, and waits for the federation's operator. Stopped at any point, the same command
    goes on. In the folder of a member, an invitation renews the site's certificate.

    Example:
        recommons site join rcm1-… plum --users 1200
    """
    from recommons.client.membership.join_command import join_federation

    join_federation(
        token,
        folder,
        users=users,
        events=events,
        policy_file=policy,
        yes=yes,
        wait=wait,
        new_node_key=new_node_key,
    )


def check(folder: _Folder, as_json: JsonUnasked = False) -> int:
    """Check name, proxy, TLS, certificate, clock, disk and data; each finding has a remedy.

    Nothing is changed, and no figure of the data leaves. The exit status is 1 if anything fails.

    Example:
        recommons site check plum
    """
    from recommons.client.membership.check_command import check_joined

    return check_joined(folder, as_json=as_json)


def rotate(folder: _Folder, yes: _Yes = False) -> None:
    """Replace the site's signing key by one that is drawn now and signed by the present one.

    The agent takes the statement to the coordinator; the federation's operator approves it, and
    the key changes here with the epoch that holds it. Until then the present key is in force.

    Example:
        recommons site rotate plum
    """
    from recommons.client.membership.peers_command import rotate_key

    rotate_key(folder, yes=yes)


peers = typer.Typer(no_args_is_help=True, help="The other sites, and whose keys were compared.")


@peers.command("list")
def list_peers(folder: _Folder, as_json: JsonUnasked = False) -> None:
    """Show every site of the pinned roster with its fingerprint, this one's first.

    Example:
        recommons site peers list plum
    """
    from recommons.client.membership.peers_command import show_peers

    show_peers(folder, as_json=as_json)


@peers.command()
def verify(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The peer.")],
    fingerprint: Annotated[
        str, typer.Argument(metavar="FINGERPRINT", help="As its operator read it to you.")
    ],
    folder: Annotated[Path, typer.Option("--site", metavar="DIR", help="The site's folder.")],
) -> None:
    """Mark a peer as verified out of band: its fingerprint goes into this site's policy.

    Example:
        recommons site peers verify cherry "0f3c 91aa 27de 5b60 4417 8e02 c9d1 73fb 6a58 e4b2" \
--site plum
    """
    from recommons.client.membership.peers_command import verify_one

    verify_one(folder, site, fingerprint)


@peers.command()
def unverify(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The peer.")],
    folder: Annotated[Path, typer.Option("--site", metavar="DIR", help="The site's folder.")],
) -> None:
    """Take a peer's fingerprint out of this site's policy.

    Example:
        recommons site peers unverify cherry --site plum
    """
    from recommons.client.membership.peers_command import forget_one

    forget_one(folder, site)
