"""What a ledger may say: each kind of entry with its fields and their types.

A kind's meaning never changes within a version. Fields not named here are refused, so that no user
id, no data and no realised size of a batch can slip into a record that is shown to others.

Documents (a roster, a plan, a policy) stand in the ledger as they are, so that an auditor needs
nothing but ledgers; the hash beside a document is checked here, the document itself by its reader.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from recommons.common.hashing import canonical_json, digest
from recommons.common.privacy.ledger_fields import (
    ACCEPTANCE,
    ATTEMPT,
    CODE,
    COUNT,
    DOCUMENT,
    EVENTS,
    HASH,
    KEY,
    NAME,
    NUMBER_OR_NULL,
    OUTCOME,
    REASON,
    RUN,
    SEED,
    SIGNATURE,
    SITES,
    SUCCESSIONS,
    Fields,
    by_site,
    fields_fault,
)

__all__ = ["KINDS", "Kind", "entry_fault"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of entry.

    Attributes:
        writer: Whose entry it is.
        says: What it says, one sentence.
        required: Type by field.
        optional: The fields that may be absent.
        document: The hash field that the field ``document`` must have, and the domain of the hash;
            of a roster, the hash is of its member ``roster``.
    """

    writer: Literal["site", "coordinator", "either"]
    says: str
    required: Fields
    optional: Fields = field(default_factory=dict)
    document: tuple[str, str] | None = None


_RUN: Fields = {"run": RUN}
_REFUSAL: Fields = {"code": CODE, "reason": REASON}
_HEADS = by_site("heads", seq=COUNT, head=HASH, signature=SIGNATURE)
_MASKED = by_site("vectors", masked=HASH)
_SIGNATURES = by_site("signatures", signature=SIGNATURE)
_ROSTER: Fields = {"roster": HASH, "epoch": COUNT, "document": DOCUMENT, "federation_key": KEY}

# The domains under which `Roster.hash`, `Plan.hash` and `Policy.hash` are made.
_ROSTER_HASH = ("roster", "recommons/roster/1")
_PLAN_HASH = ("plan", "recommons/plan/1")
_POLICY_HASH = ("policy", "recommons/policy/1")

_SITE_KINDS: dict[str, Kind] = {
    "roster-accepted": Kind(
        writer="site",
        says="The site has pinned this roster and the keys that speak for the federation.",
        required={**_ROSTER, "coordinator_key": KEY, "accepted": ACCEPTANCE},
        optional={"approvals": _SIGNATURES, "successions": SUCCESSIONS},
        document=_ROSTER_HASH,
    ),
    "policy-changed": Kind(
        writer="site",
        says="From here on the site answers by this policy.",
        required={"policy": HASH, "document": DOCUMENT},
        document=_POLICY_HASH,
    ),
    "plan-accepted": Kind(
        writer="site",
        says="The site joined a run and reserved the plan's whole cost.",
        required={**_RUN, "plan": HASH, "document": DOCUMENT, "policy": HASH},
        document=_PLAN_HASH,
    ),
    "plan-refused": Kind(
        writer="site",
        says="The site refused an announced plan; nothing was sent.",
        required={"plan": HASH, **_REFUSAL, "policy": HASH},
        optional=_RUN,
    ),
    "round-refused": Kind(
        writer="site",
        says="The site refused an attempt of a run it had joined; nothing was sent.",
        required={**_RUN, "round": COUNT, "attempt": COUNT, **_REFUSAL},
    ),
    "reserved": Kind(
        writer="site",
        says="An attempt begins; these releases are charged before the first byte leaves.",
        required={**ATTEMPT, "plan": HASH, "events": EVENTS},
    ),
    "committed": Kind(
        writer="site",
        says="The masked vector is about to leave: the releases count as made.",
        required={**ATTEMPT, "events": EVENTS},
    ),
    "released": Kind(
        writer="site",
        says="A quorum certified the survivors, and the site reveals its shares.",
        required={
            **ATTEMPT,
            "masked": HASH,
            "certificate": HASH,
            "survivors": SITES,
            "events": EVENTS,
        },
    ),
    "aborted": Kind(
        writer="site",
        says="The site gave the attempt up and erased its secrets.",
        required={**ATTEMPT, "code": CODE},
        optional={"reason": REASON},
    ),
    "user-forgotten": Kind(
        writer="site",
        says="The records of one user were erased.",
        required={},
    ),
    "budget-exhausted": Kind(
        writer="site",
        says="Users who were there since the window's first plan take no part in this run: the "
        "plans of the window, with this one, exceed the policy's caps.",
        required={
            **_RUN,
            "window_days": COUNT,
            "epsilon": NUMBER_OR_NULL,
            "delta": NUMBER_OR_NULL,
        },
    ),
    "old-backup": Kind(
        writer="site",
        says="Others hold this head of the site's ledger, which the ledger lacks: the site halts.",
        required={"seq": COUNT, "head": HASH},
    ),
    "halt-cleared": Kind(
        writer="site",
        says="The site's operator let it go on after a halt.",
        required={"seq": COUNT, "head": HASH},
    ),
    "earlier-ledger": Kind(
        writer="site",
        says="Others hold this head of a ledger that a site of this name had before, under another "
        "key. The operator has given it up; every user counts as spent for the policy's window.",
        required={"seq": COUNT, "head": HASH},
    ),
    "head-forgotten": Kind(
        writer="site",
        says="The site's operator had it forget this head, the latest it held of the writer's "
        "ledger: until the next one, it takes an earlier head, too.",
        required={"writer": NAME, "seq": COUNT, "head": HASH},
    ),
}

_COORDINATOR_KINDS: dict[str, Kind] = {
    "roster": Kind(
        writer="coordinator",
        says="The roster under which the coordinator runs plans.",
        required=_ROSTER,
        document=_ROSTER_HASH,
    ),
    "plan": Kind(
        writer="coordinator",
        says="A run begins with this plan.",
        required={**_RUN, "plan": HASH, "document": DOCUMENT},
        document=_PLAN_HASH,
    ),
    "round-opened": Kind(
        writer="coordinator",
        says="An attempt begins; its context is used from here on.",
        required=ATTEMPT,
        optional={"public_state": HASH},
    ),
    "advertisements": Kind(
        writer="coordinator",
        says="The keys of these sites (U1) and the public state were sent to all of them.",
        required={**ATTEMPT, "advertisements": HASH, "sites": SITES},
        optional={"public_state": HASH},
    ),
    "heads": Kind(
        writer="coordinator",
        says="Where the survivors' ledgers stood when their vectors arrived, as they signed it.",
        required={**ATTEMPT, "heads": _HEADS},
    ),
    "certificate": Kind(
        writer="coordinator",
        says="A quorum certified this set of survivors; the hashes are of the vectors summed.",
        required={
            **ATTEMPT,
            "certificate": HASH,
            "full": HASH,
            "shared": SITES,
            "survivors": SITES,
            "masked": _MASKED,
            "signatures": _SIGNATURES,
        },
    ),
    "sum": Kind(
        writer="coordinator",
        says="The sum was opened; these releases were made.",
        required={**ATTEMPT, "sum": HASH, "events": EVENTS},
    ),
    "round-aborted": Kind(
        writer="coordinator",
        says="The attempt came to nothing; the releases charged all the same, if vectors had been "
        "asked for.",
        required={**ATTEMPT, "code": CODE, "events": EVENTS},
        optional={"reason": REASON},
    ),
    "model-released": Kind(
        writer="coordinator",
        says="The model was published, with what all its releases cost.",
        required={
            **_RUN,
            "model": HASH,
            "plan": HASH,
            "epsilon": NUMBER_OR_NULL,
            "delta": NUMBER_OR_NULL,
            "accountant": NAME,
        },
    ),
    "canaries-committed": Kind(
        writer="coordinator",
        says="An empirical audit begins: the hash of the seed of its coins, drawn before the run.",
        required={**_RUN, "commitment": HASH},
    ),
    "canaries-revealed": Kind(
        writer="coordinator",
        says="The seed of an empirical audit's coins, shown after the run.",
        required={**_RUN, "seed": SEED},
    ),
}

_EITHERS_KINDS: dict[str, Kind] = {
    "run-ended": Kind(
        writer="either",
        says="The run is over; the coordinator adds the sites' last heads.",
        required={**_RUN, "outcome": OUTCOME},
        optional={"code": CODE, "heads": _HEADS},
    ),
}

KINDS: Mapping[str, Kind] = MappingProxyType(_SITE_KINDS | _COORDINATOR_KINDS | _EITHERS_KINDS)
"""Every kind of entry by its name."""


def entry_fault(kind: object, body: object) -> str | None:
    """What is wrong with an entry, or None; names the kind or field, never a value."""
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return "unknown kind of entry"
    fault = fields_fault(known.required, known.optional, body)
    if fault is None and known.document is not None and isinstance(body, Mapping):
        return _document_fault(*known.document, body)
    return fault


def _document_fault(name: str, domain: str, body: Mapping[str, Any]) -> str | None:
    document = body["document"]
    hashed = document.get("roster") if name == "roster" else document
    try:
        found = digest(domain, canonical_json(hashed)).hex()
    except (ValueError, RecursionError):
        return "field 'document' is not canonical JSON"
    return None if found == body[name] else f"field {name!r} is not the hash of the document"
