"""Joining a run: everything a site checks before it lets a plan reserve its users' budget."""

import json
import logging

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from recommons.client.budgets.charging import reserve_users, silent_runs
from recommons.client.records.closing import end_run
from recommons.client.records.halting import check_not_halted_in
from recommons.client.site import Site
from recommons.common.errors import DataError, InvalidInput, ProtocolAbort, Refusal
from recommons.common.federation import open_announcement, sign_acceptance
from recommons.common.models.registry import remembered_model
from recommons.common.peers import verified_peers
from recommons.common.plan import Plan
from recommons.common.policy import check_plan
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.mechanism import BlockMechanism
from recommons.common.privacy.noise import fits_ring
from recommons.common.privacy.noise_table import MAX_STDDEV, MIN_STDDEV
from recommons.common.privacy.quantization import MAX_SENSITIVITY

__all__ = ["check_catalogue", "check_mechanism", "join"]

_SLACK = 1 + 1e-9
_log = logging.getLogger(__name__)


def join(site: Site, run_id: bytes, body: bytes) -> bytes:
    """Accept or refuse an announced plan; what is accepted counts as reserved in full.

    Whether the site accepts depends on the plan, the policy and earlier plans, never on its users:
    those whose budget does not hold the plan are left out, and only the site's operator learns how
    many they are.

    Returns:
        The site's signed acceptance.

    Raises:
        InvalidInput: The announcement is not the pinned coordinator's, or not a plan.
        Refusal: The policy forbids it, or the plan's mechanism is not what it claims.
    """
    plan = open_announcement(body, run_id, site.federation)
    with site.store.transaction() as transaction:
        known = _joined(site, transaction, run_id, plan)
    if known:
        return _acceptance(site, plan, run_id)
    try:
        check_plan(site.policy, plan, site.config.declared_users)
        verified_peers(site.policy, plan, site.federation.roster, site.id)
        check_mechanism(site, plan)
        _reserve(site, plan, run_id, _own_keys(site))
    except (Refusal, InvalidInput) as refusal:
        with site.store.transaction() as transaction:
            site.record_once(
                transaction,
                "plan-refused",
                {
                    "run": run_id.hex(),
                    "plan": plan.hash().hex(),
                    "code": refusal.code,
                    "reason": refusal.message,
                    "policy": site.policy.hash.hex(),
                },
            )
        raise
    finally:
        site.publish_ledger()
    return _acceptance(site, plan, run_id)


def check_mechanism(site: Site, plan: Plan) -> None:
    """Check that the pinned mechanism is the model's and costs no more than the plan claims.

    Raises:
        InvalidInput: Settings that the model does not know, or a cohort that cannot hold.
        Refusal: ``plan/cohort``, ``plan/catalogue``, or ``plan/mechanism``: other blocks, clips or
            sizes than the model's, a ring too small for the sum, or a larger ε.
    """
    if plan.declared_users.get(site.id) != site.config.declared_users:
        raise Refusal("plan/cohort", "the plan does not name this site with its declared users")
    plan.parameters()  # refuses a cohort that cannot hold
    check_catalogue(site, plan)
    model = remembered_model(plan.model.name, plan.model.settings, site.catalogue)
    wanted = [[(b.name, b.size, b.clip) for b in blocks] for blocks in model.rounds()]
    specs = plan.specs()
    if wanted != [[(b.name, b.size, b.clip) for b in spec.blocks] for spec in specs]:
        raise Refusal("plan/mechanism", "the plan's blocks are not those of its model")
    if model.sampling() != tuple(spec.sampling for spec in specs):
        raise Refusal("plan/mechanism", "the plan's rates of sampling are not those of its model")
    if not all(_can_be_carried_out(block) for spec in specs for block in spec.blocks):
        raise Refusal("plan/mechanism", "no site can round to the plan's grid or draw its noise")
    if not all(fits_ring(spec, len(plan.cohort)) for spec in specs):
        raise Refusal("plan/mechanism", "a sum may wrap round in the ring the plan pins")
    if plan.privacy.epsilon is None:
        return
    cost = epsilon_of(plan.reserved(), plan.privacy.delta)
    if cost > plan.privacy.epsilon * _SLACK:
        raise Refusal(
            "plan/mechanism",
            f"the plan's mechanism costs epsilon {cost:.6g}; it claims {plan.privacy.epsilon:.6g}",
        )


def check_catalogue(site: Site, plan: Plan) -> None:
    """Whether the site's own copy is the catalogue that the plan pins.

    Raises:
        Refusal: ``plan/catalogue``.
        InvalidInput: As `Site.catalogue`.
    """
    if site.catalogue.hash.hex() != plan.catalogue.hash:
        raise Refusal("plan/catalogue", "the plan pins another catalogue than this site has")


def _can_be_carried_out(block: BlockMechanism) -> bool:
    """What would fail only when the vector is made must not be joined and charged."""
    stddev = block.noise_stddev
    drawn = not stddev or MIN_STDDEV <= stddev <= MAX_STDDEV
    return drawn and block.sensitivity <= MAX_SENSITIVITY


def _own_keys(site: Site) -> npt.NDArray[np.uint64]:
    """The keyed hashes of the users in the site's data.

    Raises:
        Refusal: ``site/data``. Which of the data's faults it is depends on users: it stays in the
            site's own log.
    """
    try:
        return site.own_users(joining=True).keys
    except DataError as error:
        _log.warning("%s: %s", error.code, error.message)
        raise Refusal("site/data", "this site's data cannot be read") from None


def _joined(site: Site, transaction: Connection, run_id: bytes, plan: Plan) -> bool:
    """Whether this run was joined, with this very plan; a run has one plan for good."""
    known = site.store.run(transaction, run_id)
    if known is not None and known.plan != plan.to_bytes():
        raise Refusal("site/repeated-step", "the run was joined with another plan")
    return known is not None


def _reserve(site: Site, plan: Plan, run_id: bytes, keys: npt.NDArray[np.uint64]) -> None:
    """Charge the users and accept in one transaction: two plans at once do not both fit."""
    with site.store.transaction() as transaction:
        check_not_halted_in(site, transaction)
        if _joined(site, transaction, run_id, plan):
            return  # another request was faster
        for silent in silent_runs(site, transaction):
            ended = ProtocolAbort("site/silent", "nothing was heard of the run for a whole window")
            end_run(site, transaction, silent, ended, outcome="failed", code=ended.code)
        exhausted = reserve_users(site, transaction, run_id=run_id, plan=plan, keys=keys)
        site.store.add_run(transaction, run_id, plan.to_bytes())
        site.record(transaction, "plan-accepted", _accepted(site, plan, run_id))
        if exhausted:
            site.record(transaction, "budget-exhausted", _exhausted(site, run_id))
        took_part, left_out = site.store.budgets.head_counts(transaction)[run_id]
    if left_out and not took_part:  # in the site's own log, and nowhere else
        _log.warning("run %s: no user has budget left, so that nobody's data goes in", run_id.hex())


def _acceptance(site: Site, plan: Plan, run_id: bytes) -> bytes:
    return sign_acceptance(site.id, plan, run_id, site.identity)


def _accepted(site: Site, plan: Plan, run_id: bytes) -> dict[str, object]:
    return {
        "run": run_id.hex(),
        "plan": plan.hash().hex(),
        "document": json.loads(plan.to_bytes()),
        "policy": site.policy.hash.hex(),
    }


def _exhausted(site: Site, run_id: bytes) -> dict[str, object]:
    rules = site.policy.budget
    return {
        "run": run_id.hex(),
        "window_days": rules.window_days,
        "epsilon": rules.epsilon,  # users are left out of a limited budget only
        "delta": rules.delta,
    }
