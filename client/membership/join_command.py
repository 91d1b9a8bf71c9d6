"""`recommons site join`: what is shown, what is asked, and in which order."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import typer

from recommons.client.agent.catalogue import fetch_catalogue
from recommons.client.membership.checks import (
    check_clock,
    check_disk,
    check_line,
    check_name,
    check_proxy,
)
from recommons.client.membership.data_check import catalogue_findings, data_findings, rounded_users
from recommons.client.membership.desk_line import DeskLine, authority_context
from recommons.client.membership.findings import Finding, failed, lines_of
from recommons.client.membership.folder import JoiningFolder
from recommons.client.membership.join import (
    Joining,
    await_decision,
    finish,
    proposed_policy,
)
from recommons.client.site import SiteConfig
from recommons.common.epochs import Epoch
from recommons.common.errors import DataError, InvalidInput, RecommonsError, Refusal
from recommons.common.invitation import Invitation
from recommons.common.peers import fingerprint, readable
from recommons.common.policy import Policy
from recommons.common.secagg.roster import Roster

__all__ = ["join_federation"]

_CATALOGUE_SECONDS = 60.0


def join_federation(
    token: str,
    folder: Path | None,
    *,
    users: int | None,
    events: str,
    policy_file: Path | None,
    yes: bool,
    wait: bool,
    new_node_key: bool,
) -> None:
    """Join, or go on joining, or join again.

    Raises:
        InvalidInput: The token, the folder or the policy is not as it must be.
        Refusal: With the reason for which the site has not joined.
    """
    told = sys.stdin.read() if token == "-" else token  # noqa: S105 - a dash is no secret
    invitation = Invitation.from_text(told)
    place = JoiningFolder(folder or Path(invitation.site), invitation)
    place.check()
    _check_reach(invitation)
    with DeskLine.open(invitation) as line:
        joining = Joining(line, place, line.offer())
        data, policy, source = proposed_policy(joining, policy_file)
        _show_offer(joining, policy, source)
        again = place.pinned() is not None
        if not yes:
            typer.confirm("Join?" if not again else "Ask for a certificate again?", abort=True)
        config = place.config() or _config(place, users, events, yes)
        place.prepare(
            policy=data, config=config, authority=line.authority, address=joining.offer.address
        )
        _check(joining)
        application, standing = joining.enrol(data, config, new_node_key=new_node_key)
        if standing.state == "waiting":
            typer.echo(
                f"applied as {invitation.site}, with the fingerprint\n"
                f"  {readable(fingerprint(application.entry.public_key))}\n"
                "read it to the federation's operator, who sees the same"
            )
        standing = await_decision(line, application, standing, seconds=None if wait else 0)
        federation = finish(joining, standing, lambda epoch: _accepts(epoch, invitation.site, yes))
    _bring_catalogue(place.path)
    typer.echo(
        f"{invitation.site} has joined {invitation.federation}, epoch {federation.roster.epoch}\n\n"
        f"next: recommons site peers list {place.path}   # compare keys with the others\n"
        f"      recommons site start {place.path}"
    )


def _show_offer(joining: Joining, policy: Policy, source: str) -> None:
    invitation, offer = joining.folder.invitation, joining.offer
    others = "nobody yet" if offer.epoch is None else ", ".join(offer.epoch.roster.keys)
    typer.echo(
        f"federation      {invitation.federation}\n"
        f"federation key  {readable(invitation.federation_key)}\n"
        f"coordinator     {offer.address}\n"
        f"members         {others}\n"
        f"you join as     {invitation.site}\n"
        f"your folder     {joining.folder.path}\n"
        f"your policy     {source}"
    )
    for line in _policy_lines(policy):
        typer.echo(f"                {line}")


def _policy_lines(policy: Policy) -> list[str]:
    """The policy in short, and each rule that is not Recommons' own default."""
    budget, plain = policy.budget, Policy().document()
    lines = [
        f"at most ε {budget.epsilon} (δ {budget.delta:g}) about one user in "
        f"{budget.window_days} days; models {', '.join(policy.plans.models)}",
        f"sums of {policy.cohort.least_survivors} sites or more, safe against "
        f"{policy.cohort.least_colluding} that collude",
        f"new rosters take effect {policy.roster.new_epoch}",
    ]
    for table, rules in policy.document().items():
        if not isinstance(rules, dict):
            continue
        for rule, value in rules.items():
            usual = plain[table][rule]
            if value != usual:
                lines.append(f"not the default: {table}.{rule} = {value} (default {usual})")
    return lines


def _config(place: JoiningFolder, users: int | None, events: str, yes: bool) -> SiteConfig:
    """What the site declares: its operator's word; the data only propose a number."""
    if users is None and yes:
        raise InvalidInput("enrolment/users", "the number of the site's users is not given")
    if users is None:
        users = typer.prompt(
            "How many users does this site have, rounded? (Plans name it; the others see it)",
            type=click.IntRange(min=1),
            default=_proposed_users(place.path, events),
        )
    return SiteConfig(site=place.invitation.site, declared_users=users, events=events)


def _proposed_users(folder: Path, events: str) -> int | None:
    try:
        return rounded_users(folder, events)
    except DataError:
        return None  # the check that follows says what is wrong


def _check_reach(invitation: Invitation) -> None:
    """What a first call would fail at without saying so."""
    findings = [check_name(invitation.address), check_proxy(invitation.address)]
    if failed(findings):
        typer.echo("\n".join(lines_of(findings)))
        _refuse(findings)


def _refuse(findings: Sequence[Finding]) -> None:
    names = ", ".join(finding.what for finding in failed(findings))
    raise Refusal("enrolment/check", f"not ready to join: {names}")


def _check(joining: Joining) -> None:
    """What `recommons site check` looks at, as far as it can be before the site has joined."""
    offer, invitation = joining.offer, joining.folder.invitation
    believed = authority_context(joining.line.authority)
    findings: list[Finding] = [
        check_name(invitation.address),
        check_proxy(invitation.address),
        check_line("tls", invitation.address, believed, needed=True),
        check_line("gateway", offer.address, believed, needed=False),
        check_clock(joining.line.offer().time, time.time()),
        check_disk(joining.folder.path),
        *data_findings(joining.folder.path, joining=True),
    ]
    typer.echo("\n".join(lines_of(findings)))
    if failed(findings):
        _refuse(findings)


def _bring_catalogue(folder: Path) -> None:
    """Fetch it now, for the checks that come next; where that fails, the agent does it."""
    with suppress(RecommonsError, OSError):
        fetch_catalogue(folder, seconds=_CATALOGUE_SECONDS)
    typer.echo("\n".join(lines_of(catalogue_findings(folder))))


def _accepts(epoch: Epoch, own: str, yes: bool) -> bool:
    typer.echo(f"approved; the roster of epoch {epoch.roster.epoch}:")
    for line in _roster_lines(epoch.roster, own):
        typer.echo(f"  {line}")
    return yes or typer.confirm("Pin this roster?")


def _roster_lines(roster: Roster, own: str) -> list[str]:
    return [
        f"{site:20} {readable(fingerprint(key))}" + ("  this site" if site == own else "")
        for site, key in roster.keys.items()
    ]
