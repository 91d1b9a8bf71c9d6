"""`policy.toml`: the operator's own file, with every rule explained where it is set."""

import json
import tomllib

from recommons.common.errors import InvalidInput
from recommons.common.policy import Policy

__all__ = ["policy_from_toml", "policy_to_toml"]


def policy_from_toml(data: bytes) -> Policy:
    """Read the file, UTF-8; what it does not set has its default.

    Raises:
        InvalidInput: ``policy/invalid``: not TOML, or not a policy; names each field at fault.
    """
    try:
        # By way of JSON, so that the file is read as strictly as the document in the ledger:
        # no text for a number, no date where TOML has one.
        document = json.dumps(tomllib.loads(data.decode()), default=str)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("policy/invalid", f"policy.toml: not TOML: {error}") from error
    return Policy.from_json(document)


def policy_to_toml(policy: Policy) -> str:
    """The file of a policy, every default written out; `policy_from_toml` gives the same policy."""
    budget, plans, cohort = policy.budget, policy.plans, policy.cohort
    verified = "\n".join(
        f"{_value(site)} = {_value(seen)}" for site, seen in sorted(policy.peers.verified.items())
    )
    return f"""\
# What this site allows. Read before every run is joined and before every round; the coordinator can
# override none of it. Check the file after an edit: recommons site policy check DIR
# Every rule and what it refuses: docs/policy.md

version = {policy.version}
# Nothing leaves unmasked. This cannot be switched off.
secure_aggregation = {_value(policy.secure_aggregation)}

[budget]
# One user's record at this site, added or removed with all its events.
unit = {_value(budget.unit)}
# Cap on epsilon, at this delta, of all that plans reserve about one user in one window. Nothing
# that was reserved is handed back. "unlimited" also allows plans without noise.
epsilon = {_value(budget.epsilon)}
delta = {_value(budget.delta)}
# A rolling window, in days; 0 is for all time.
window_days = {budget.window_days}
# When a user's budget does not hold a plan: "leave-users-out" trains on the others alone, "refuse"
# refuses the plan once it would leave out users who were there for the plans before.
when_exhausted = {_value(budget.when_exhausted)}

[plans]
models = {_value(plans.models)}
# Hashes of the plans to allow; when empty, any plan within the bounds.
hashes = {_value(plans.hashes)}
largest_upload_bytes = {plans.largest_upload_bytes}
most_rounds = {plans.most_rounds}
most_spare_attempts = {plans.most_spare_attempts}
# A catalogue read off the events tells that somebody touched an item: "refuse" or "accept".
inferred_catalogue = {_value(plans.inferred_catalogue)}

[cohort]
# A sum is opened over no fewer sites (M), and holds against at least so many that collude (c).
least_survivors = {cohort.least_survivors}
least_colluding = {cohort.least_colluding}
# Of this site's users, as it declares them.
least_own_users = {cohort.least_own_users}

[peers]
# How many sites whose keys you have verified must be in every sum, this one not counted: a number,
# or "c + 1", one more than the plan's colluding sites, so that one of them is honest.
least_verified_survivors = {_value(policy.peers.least_verified_survivors)}

[peers.verified]
# Call each peer, compare the fingerprints that `recommons site peers list` shows at both ends, and
# give what was read to you to `recommons site peers verify`, which writes it here:
# site-b = "0f3c 91aa 27de 5b60 4417 8e02 c9d1 73fb 6a58 e4b2"
{verified}

[roster]
# A new epoch of the federation's roster takes effect "by-hand", by `recommons site roster accept`,
# or "by-majority", also when most sites of the pinned epoch have signed it.
new_epoch = {_value(policy.roster.new_epoch)}
"""


def _value(value: object) -> str:
    """A TOML value: of text, numbers and lists of text, JSON is TOML, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
