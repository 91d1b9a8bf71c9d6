"""`recommons site policy check`: what the file says, before the site answers by it."""

import json
from pathlib import Path

import typer

from recommons.client.site import SiteConfig
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.federation import Federation
from recommons.common.peers import check_fingerprints, fingerprint, readable, verified_peers
from recommons.common.plan import Plan
from recommons.common.policy import Policy, check_plan
from recommons.common.policy_file import policy_from_toml, policy_to_toml
from recommons.common.secagg.roster import Roster

__all__ = ["check_policy"]


def check_policy(folder: Path, plan_file: Path | None, *, as_json: bool) -> None:
    """Print the resolved policy, its hash and every peer; judge a plan, if one is given.

    Nothing in the folder changes, not even the ledger.

    Raises:
        InvalidInput: A file cannot be read, or is not as it must be.
        Refusal: The policy does not allow the plan, or a verified peer has another key.
    """
    policy = policy_from_toml(_read(folder / "policy.toml"))
    config = SiteConfig.read(folder)
    roster = _pinned(folder)
    if roster is not None:
        check_fingerprints(policy.peers, roster)
    if plan_file is not None:
        plan = Plan.from_bytes(_read(plan_file).strip())
        check_plan(policy, plan, config.declared_users)
        if roster is None:
            raise Refusal("plan/roster", "this site has pinned no roster yet")
        verified_peers(policy, plan, roster, config.site)
    peers = [] if roster is None else _peers(policy, roster, config.site)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "policy": policy.document(),
                    "hash": policy.hash.hex(),
                    "peers": peers,
                    "plan": None if plan_file is None else "allowed",
                },
                ensure_ascii=False,
            )
        )
        return
    typer.echo("\n".join(_settings(policy)))
    typer.echo(f"\nhash {policy.hash.hex()}")
    width = max((len(str(peer["site"])) for peer in peers), default=0)
    for peer in peers:
        mark = "this site" if peer["own"] else "verified" if peer["verified"] else "not verified"
        typer.echo(f"{peer['site']:{width}}  {peer['fingerprint']}  {mark}")
    if plan_file is not None:
        typer.echo(f"{plan_file.name}: allowed")


def _settings(policy: Policy) -> list[str]:
    """The file without its comments."""
    lines = policy_to_toml(policy).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _peers(policy: Policy, roster: Roster, own: str) -> list[dict[str, object]]:
    return [
        {
            "site": site,
            "fingerprint": readable(fingerprint(key)),
            "verified": site in policy.peers.verified,
            "own": site == own,
        }
        for site, key in roster.keys.items()
    ]


def _pinned(folder: Path) -> Roster | None:
    path = folder / "federation.json"
    return Federation.from_bytes(path.read_bytes()).roster if path.exists() else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput("site/folder", f"{path} cannot be read") from error
