"""How a new epoch of the roster took effect at a site, checked again."""

from collections.abc import Iterator, Mapping
from typing import Any

from recommons.common.epochs import epoch_hash, is_approval, majority_of
from recommons.common.policy import Policy
from recommons.common.secagg.roster import Roster

__all__ = ["acceptance_faults"]


def acceptance_faults(
    body: Mapping[str, Any], roster: Roster, before: Roster | None, policy: Policy | None
) -> Iterator[tuple[str, str]]:
    """Code and message of each fault in the way a roster was accepted.

    The operator's own word no policy takes away, and no ledger can show more of it than that it was
    given. A majority counts where the policy says so, by its signatures.

    Args:
        body: Of the entry `roster-accepted`.
        roster: The roster.
        before: The one that was in force, whose sites approve; None where no ledger holds it.
        policy: In force, None before the first.
    """
    if body["accepted"] != "by-majority":
        return
    if policy is not None and policy.roster.new_epoch != "by-majority":
        yield "audit/roster-approval", "the policy in force leaves rosters to the site's operator"
    if before is None:
        yield "audit/no-roster", "no ledger holds the roster whose sites approved this one"
        return
    epoch = epoch_hash(roster.hash, bytes.fromhex(body["coordinator_key"]))
    approvals = {item["site"]: item["signature"] for item in body.get("approvals", ())}
    held = [
        site
        for site, signature in approvals.items()
        if site in before.keys and is_approval(before.keys[site], bytes.fromhex(signature), epoch)
    ]
    if len(held) < majority_of(before):
        yield (
            "audit/roster-approval",
            f"{len(held)} of the {len(before.sites)} sites of epoch {before.epoch} approve; "
            f"required: {majority_of(before)}",
        )
