"""What `recommons federation` does, and what it says about it."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer

from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.peers import fingerprint, readable
from recommons.common.sealing import LEAST_PASSPHRASE, SEAL_BYTES, seal
from recommons.common.secagg.identity import SigningIdentity, is_identifier
from recommons.common.units import counted
from recommons.server.federation.founding import found
from recommons.server.federation.office import FederationKey, Office, Request
from recommons.server.federation.publishing import publish
from recommons.server.federation.sealed_key import (
    KEY,
    PURPOSE,
    given_passphrase,
    open_federation_key,
)
from recommons.server.federation.serve import Housekeeping, desk_server, desk_tls
from recommons.server.federation.standing import Standings, standings
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings

__all__ = [
    "approve_site",
    "init_federation",
    "invite_site",
    "reject_site",
    "revoke_site",
    "rotate_key",
    "show_requests",
    "show_status",
]

_HOUR = 3600
_LOOK_SECONDS = 0.5
_LOOPBACK = ("127.0.0.1", "localhost")


def init_federation(
    home: Path,
    *,
    name: str | None,
    addresses: tuple[str, ...],
    port: int,
    enrolment_port: int,
    superlink_port: int,
    key: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Found a federation and say what was made.

    Raises:
        InvalidInput: As `founding.found`.
    """
    federation = home.absolute().name if name is None else name
    if not is_identifier(federation):
        raise InvalidInput(
            "federation/name", f"the federation's id would be {federation!r}; give another: --name"
        )
    for address in addresses:
        if "/" in address or "://" in address:
            raise InvalidInput("federation/address", f"address is {address!r}")
    settings = CoordinatorSettings(
        federation=federation,
        names=addresses or _LOOPBACK,
        listen="0.0.0.0" if addresses else "127.0.0.1",  # noqa: S104 - sites are elsewhere
        port=port,
        enrolment_port=enrolment_port,
        superlink_port=superlink_port,
    )
    if CoordinatorHome.is_in(home):  # before the passphrase is asked for
        raise InvalidInput("coordinator/home", f"{home} holds a federation already")
    passphrase = given_passphrase(passphrase_file, _new_passphrase)()
    key_file = key or home / KEY
    founded = found(home, settings, key_file=key_file, passphrase=passphrase, now=datetime.now(UTC))
    reach = f"{settings.gateway} and {settings.desk}"
    typer.echo(
        f"founded {federation} in {home}\n"
        f"federation key  {readable(founded.federation_key)}\n"
        f"                sealed in {key_file}: keep a copy of it, and its passphrase, elsewhere\n"
        f"sites reach it  at {reach}"
        + ("" if addresses else " (from this host alone: give --address for others)")
        + f"\nproposed policy {home / 'policy.toml'}\n\n"
        f"next: recommons federation invite SITE --home {home}"
    )


def invite_site(
    home: Path,
    site: str,
    *,
    hours: int,
    wait: bool,
    expected: str | None,
    key: Path | None,
    passphrase_file: Path | None,
) -> int:
    """Print the invitation; then, where asked to, wait for the request and put it to the operator.

    Returns:
        0; 1 where a request came and was not approved.
    """
    with Office.open(home) as office:
        invitation = office.invite(site, seconds=hours * _HOUR, now=int(time.time()))
        typer.echo(invitation.to_text())
        typer.echo(
            f"\nSend this line to {site} by a channel that you trust: whoever has it first can ask "
            f"in its name.\nIt is good once, for {hours} hours: recommons site join TOKEN DIR",
            err=True,
        )
        if not wait:
            return 0
        with _desk(office):
            typer.echo(f"waiting for {site} (Ctrl-C leaves) …", err=True)
            request = _await_request(office, site)
            _show(request)
            yes = expected is not None
            if not yes and not typer.confirm("The same at the site? Approve?"):
                office.reject(site)
                typer.echo(f"rejected {site}")
                return 1
            _approve(office, site, expected or request.fingerprint, key, passphrase_file)
            _linger()
    return 0


def show_requests(home: Path, *, as_json: bool) -> None:
    """Print what waits."""
    with Office.open(home) as office:
        waiting = office.requests()
    if as_json:
        rows = [
            {
                "site": request.site,
                "name": request.name,
                "fingerprint": request.fingerprint,
                "asked": _time(request.asked),
                "kind": request.kind,
            }
            for request in waiting
        ]
        typer.echo(json.dumps({"requests": rows}, ensure_ascii=False))
        return
    if not waiting:
        typer.echo("nothing waits")
    width = max((len(request.site) for request in waiting), default=0)
    for request in waiting:
        called = "" if request.name == request.site else f" ({request.name})"
        told = f"{request.kind}, asked {_time(request.asked)}{called}"
        typer.echo(f"{request.site:{width}}  {readable(request.fingerprint)}  {told}")


def approve_site(
    home: Path,
    site: str,
    *,
    expected: str | None,
    yes: bool,
    key: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Show the request once more, ask, and let the site in."""
    with Office.open(home) as office:
        waiting = [request for request in office.requests() if request.site == site]
        if not waiting:
            raise InvalidInput("federation/no-request", f"no request of {site!r} waits")
        _show(waiting[0])
        if not yes and expected is None:
            typer.confirm("The same at the site? Approve?", abort=True)
        _approve(office, site, expected or waiting[0].fingerprint, key, passphrase_file)


def reject_site(home: Path, site: str) -> None:
    """Turn a request down."""
    with Office.open(home) as office:
        office.reject(site)
    typer.echo(f"rejected {site}")


def revoke_site(
    home: Path, site: str, *, yes: bool, key: Path | None, passphrase_file: Path | None
) -> None:
    """Turn a site away, then sign a roster without it."""
    with Office.open(home) as office:
        if not yes:
            typer.confirm(f"Turn {site} away from {office.federation}?", abort=True)
        office.turn_away(site)
        typer.echo(f"{site} is turned away from now on")
        epoch = office.strike(site, _opener(home, key, passphrase_file))
    if epoch is None:
        typer.echo(f"no new roster: {site} is on none, or the only site on it")
    else:
        _say_epoch(epoch.roster.epoch)


def rotate_key(
    home: Path,
    what: str,
    *,
    yes: bool,
    key: Path | None,
    passphrase_file: Path | None,
    new_passphrase_file: Path | None,
) -> None:
    """Replace one of the federation's own keys.

    Raises:
        InvalidInput: ``input/argument``: not one of the three.
    """
    if what == "coordinator":
        _rotate_coordinator(home, yes, key, passphrase_file)
    elif what == "certificate":
        CoordinatorHome.open(home).renew_gateway(now=datetime.now(UTC), force=True)
        typer.echo("renewed; the running gateway and enrolment desk take it up within seconds")
    elif what == "passphrase":
        identity = _opener(home, key, passphrase_file)()
        fresh = (
            given_passphrase(new_passphrase_file, _new_passphrase)()
            if new_passphrase_file
            else _new_passphrase()
        )
        random = secrets.token_bytes(SEAL_BYTES)
        sealed = seal(identity.secret_bytes(), fresh, purpose=PURPOSE, random=random)
        write_durably(key or home / KEY, sealed)
        typer.echo("sealed anew; copies of the file still open by the old passphrase")
    else:
        raise InvalidInput(
            "input/argument",
            f"WHAT is {what!r}; required: coordinator, certificate or passphrase",
        )


def show_status(home: Path, *, as_json: bool) -> None:
    """Print how the federation stands."""
    with Office.open(home) as office:
        publish(office.home, office.book)
        found = standings(office, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(found.fields(), ensure_ascii=False))
        return
    typer.echo("\n".join(_status_lines(found)))


def _status_lines(found: Standings) -> list[str]:
    epoch = "no roster yet" if found.epoch is None else f"epoch {found.epoch}"
    lines = [
        f"{found.federation}: {epoch}, {counted(len(found.members), 'site')}",
        f"federation key  {readable(found.federation_key)}",
        f"server's certificate until {found.server_until:%Y-%m-%d}, "
        f"authority's until {found.authority_until:%Y-%m-%d}",
    ]
    for member in found.members:
        pinned = "pinned none yet" if member.pinned is None else f"pinned epoch {member.pinned}"
        state = "turned away" if member.turned_away else f"certificate until {member.until}"
        approved = ", approves the present epoch" if member.approves else ""
        lines.append(
            f"  {member.site:20} {readable(member.fingerprint)}  {pinned}, {state}{approved}"
        )
        if found.epoch is not None and (member.pinned or 0) > found.epoch:
            lines.append(
                f"  {'':20} later than any signed here: this home is an old backup (docs/ledger.md)"
            )
    lines += [
        f"  {invited.site:20} invited until {_time(invited.expires)}" for invited in found.open
    ]
    lines += [f"  {request.site:20} asks: {request.kind}" for request in found.requests]
    return lines


def _rotate_coordinator(
    home: Path, yes: bool, key: Path | None, passphrase_file: Path | None
) -> None:
    with Office.open(home) as office:
        if not yes:
            typer.confirm(
                "A run that is open keeps the old key; runs from now on take the new one, at the "
                "sites that have pinned its epoch. Go on?",
                abort=True,
            )
        epoch = office.appoint(_opener(home, key, passphrase_file))
        typer.echo(f"coordinator's key {readable(fingerprint(office.coordinator_key))}")
    if epoch is not None:
        _say_epoch(epoch.roster.epoch)


def _approve(
    office: Office, site: str, expected: str, key: Path | None, passphrase_file: Path | None
) -> None:
    opener = _opener(office.home.folder, key, passphrase_file)
    epoch = office.approve(site, opener, expected=expected, now=datetime.now(UTC))
    typer.echo(f"approved {site}")
    _say_epoch(epoch.roster.epoch)


def _say_epoch(number: int) -> None:
    typer.echo(f"epoch {number} is signed; sites get it from the gateway and accept it themselves")


def _show(request: Request) -> None:
    called = "" if request.name == request.site else f" ({request.name})"
    typer.echo(
        f"{request.site}{called}  {request.kind}, asked {_time(request.asked)}\n"
        f"  fingerprint {readable(request.fingerprint)}"
    )


def _opener(home: Path, key: Path | None, passphrase_file: Path | None) -> FederationKey:
    ask = given_passphrase(
        passphrase_file, lambda: typer.prompt("Passphrase of the federation's key", hide_input=True)
    )

    def give() -> SigningIdentity:
        return open_federation_key(home, key or home / KEY, ask)

    return give


def _new_passphrase() -> str:
    found: str = typer.prompt(
        f"Passphrase for the federation's key ({LEAST_PASSPHRASE} characters or more)",
        hide_input=True,
        confirmation_prompt=True,
    )
    return found


def _await_request(office: Office, site: str) -> Request:
    while True:
        for request in office.requests():
            if request.site == site:
                return request
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _desk(office: Office) -> Iterator[None]:
    """An enrolment desk while we wait, unless the coordinator runs and has one."""
    if not _is_free(office.home.settings):
        yield
        return
    server = desk_server(office.home, office.book, desk_tls(office.home))
    keeping = Housekeeping(office.home, office.book)
    thread = threading.Thread(target=server.run, name="enrolment desk", daemon=True)
    thread.start()
    keeping.start()
    try:
        yield
    finally:
        keeping.stop()
        server.should_exit = True
        thread.join(timeout=10)


def _is_free(settings: CoordinatorSettings) -> bool:
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((settings.listen, settings.enrolment_port))
        except OSError:
            return False
    return True


def _linger() -> None:
    """The site asks every two seconds: let it hear of the approval before the desk closes."""
    time.sleep(5)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
