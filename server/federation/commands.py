"""`recommons federation`: what its operator does. Only typer is imported here."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import JsonUnasked

__all__ = ["federation"]

federation = typer.Typer(
    no_args_is_help=True,
    help="Found a federation, invite sites and let them in.\n\n"
    "Example:\n    recommons federation init fruit",
)

_Home = Annotated[
    Path,
    typer.Option("--home", envvar="RECOMMONS_HOME", metavar="DIR", help="The federation's home."),
]
_Site = Annotated[str, typer.Argument(metavar="SITE", help="The site's name on the roster.")]
_Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The sealed federation key, if it was moved."),
]
_Passphrase = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Its first line opens the key; else RECOMMONS_FEDERATION_PASSPHRASE, else a prompt.",
    ),
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="The operator's word, without asking.")]


@federation.command()
def init(
    home: Annotated[Path, typer.Argument(metavar="DIR", help="Where; must not hold one yet.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The federation's id; else DIR's name.")
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Name or address by which sites reach this host; may be repeated. Without it, "
            "the federation is reached from this host alone.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the gateway.")] = 9443,
    enrolment_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of the enrolment desk.")
    ] = 9444,
    superlink_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of Flower's SuperLink, on loopback.")
    ] = 9093,
    key: _Key = None,
    passphrase_file: _Passphrase = None,
) -> None:
    """Found a federation: its keys, its authority, its settings and a policy to propose.

    The federation's key signs rosters and nothing else. It is sealed under the passphrase; keep it
    off this host with --key where you can, and a copy of it in any case.

    Example:
        recommons federation init fruit --address coordinator.example.org
    """
    from recommons.server.federation.acts import init_federation

    init_federation(
        home,
        name=name,
        addresses=tuple(address or ()),
        port=port,
        enrolment_port=enrolment_port,
        superlink_port=superlink_port,
        key=key,
        passphrase_file=passphrase_file,
    )


@federation.command()
def invite(
    site: _Site,
    home: _Home = Path(),
    hours: Annotated[
        int, typer.Option(min=1, max=24 * 90, help="How long it may be used for the first time.")
    ] = 72,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Stay for the request, and ask whether to approve."),
    ] = True,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="FINGERPRINT", help="Approve without asking if the request has this one."
        ),
    ] = None,
    key: _Key = None,
    passphrase_file: _Passphrase = None,
) -> int:
    """Print an invitation: one line to send to the site, good for one site and once.

    It stays for the site's request, shows its fingerprint and asks. Ctrl-C leaves; the invitation
    stays good, and `recommons federation requests` shows what came.

    Example:
        recommons federation invite plum --home fruit
    """
    from recommons.server.federation.acts import invite_site

    return invite_site(
        home,
        site,
        hours=hours,
        wait=wait,
        expected=expect,
        key=key,
        passphrase_file=passphrase_file,
    )


@federation.command()
def requests(home: _Home = Path(), as_json: JsonUnasked = False) -> None:
    """Show what waits for the operator's word, with fingerprints.

    Example:
        recommons federation requests --home fruit
    """
    from recommons.server.federation.acts import show_requests

    show_requests(home, as_json=as_json)


@federation.command()
def approve(
    site: _Site,
    home: _Home = Path(),
    fingerprint: Annotated[
        str | None,
        typer.Option(metavar="DIGITS", help="What the site's operator read to you."),
    ] = None,
    yes: _Yes = False,
    key: _Key = None,
    passphrase_file: _Passphrase = None,
) -> None:
    """Let a site in, or take up its new key: a new epoch of the roster is signed.

    Compare the fingerprint with the site's operator, by telephone or in person, before you agree.

    Example:
        recommons federation approve plum --home fruit
    """
    from recommons.server.federation.acts import approve_site

    approve_site(
        home, site, expected=fingerprint, yes=yes, key=key, passphrase_file=passphrase_file
    )


@federation.command()
def reject(site: _Site, home: _Home = Path()) -> None:
    """Turn a site's request down.

    Example:
        recommons federation reject plum --home fruit
    """
    from recommons.server.federation.acts import reject_site

    reject_site(home, site)


@federation.command()
def revoke(
    site: _Site,
    home: _Home = Path(),
    yes: _Yes = False,
    key: _Key = None,
    passphrase_file: _Passphrase = None,
) -> None:
    """Turn a site away at once, and sign a roster without it.

    The gateway refuses it from its next call on, before the passphrase is asked for. The other
    sites go on; each takes up the new roster by its own policy.

    Example:
        recommons federation revoke plum --home fruit
    """
    from recommons.server.federation.acts import revoke_site

    revoke_site(home, site, yes=yes, key=key, passphrase_file=passphrase_file)


@federation.command()
def rotate(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="coordinator, certificate or passphrase.")
    ],
    home: _Home = Path(),
    yes: _Yes = False,
    key: _Key = None,
    passphrase_file: _Passphrase = None,
    new_passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For passphrase: its first line.")
    ] = None,
) -> None:
    """Replace the coordinator's signing key, the server's certificate, or the passphrase.

    A site's signing key is replaced at the site: recommons site rotate.

    Example:
        recommons federation rotate coordinator --home fruit
    """
    from recommons.server.federation.acts import rotate_key

    rotate_key(
        home,
        what,
        yes=yes,
        key=key,
        passphrase_file=passphrase_file,
        new_passphrase_file=new_passphrase_file,
    )


@federation.command()
def status(home: _Home = Path(), as_json: JsonUnasked = False) -> None:
    """Show the roster in force, each member's certificate and pinned epoch, and what waits.

    Example:
        recommons federation status --home fruit
    """
    from recommons.server.federation.acts import show_status

    show_status(home, as_json=as_json)
