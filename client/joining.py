"""Joining a run: everything a site checks before it lets a plan reserve its users' budget."""

from recommons.client.site import Site
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.federation import open_announcement
from recommons.common.models.registry import model_from_settings
from recommons.common.plan import Plan
from recommons.common.policy import check_plan
from recommons.common.privacy.accounting import epsilon
from recommons.common.privacy.calibration import reserved_events

__all__ = ["check_mechanism", "join"]

_SLACK = 1 + 1e-9


def join(site: Site, run_id: bytes, body: bytes) -> bytes:
    """Accept or refuse an announced plan; what is accepted counts as reserved in full.

    Returns:
        The site's id and its ledger's head.

    Raises:
        InvalidInput: The announcement is not the pinned coordinator's, or not a plan.
        Refusal: The policy forbids it, or the plan's mechanism is not what it claims.
    """
    plan = open_announcement(body, run_id, site.federation)
    with site.store.transaction() as transaction:
        known = site.store.run(transaction, run_id)
        if known is not None and known.plan != plan.to_bytes():
            raise Refusal("site/repeated-step", "the run was joined with another plan")
        if known is not None:
            return site.head(transaction)
    try:
        check_plan(site.policy, plan, site.interactions.n_users)
        check_mechanism(site, plan)
    except (Refusal, InvalidInput) as refusal:
        with site.store.transaction() as transaction:
            site.record(
                transaction,
                "plan-refused",
                {"plan": plan.hash().hex(), "code": refusal.code, "reason": refusal.message[:500]},
            )
        site.publish_ledger()
        raise
    with site.store.transaction() as transaction:
        site.store.add_run(transaction, run_id, plan.to_bytes())
        site.record(transaction, "plan-accepted", _accepted(plan, run_id))
        head = site.head(transaction)
    site.publish_ledger()
    return head


def check_mechanism(site: Site, plan: Plan) -> None:
    """Check that the pinned mechanism is the model's and costs no more than the plan claims.

    Raises:
        InvalidInput: Settings that the model does not know.
        Refusal: ``plan/cohort``, ``plan/catalogue``, or ``plan/mechanism``: other blocks, clips or
            sizes than the model's, or a larger ε.
    """
    if site.id not in plan.cohort:
        raise Refusal("plan/cohort", "this site is not in the plan's cohort")
    if site.catalogue.hash.hex() != plan.catalogue.hash:
        raise Refusal("plan/catalogue", "the plan pins another catalogue than this site has")
    model = model_from_settings(plan.model.name, plan.model.settings, site.catalogue)
    wanted = [[(b.name, b.size, b.clip) for b in blocks] for blocks in model.rounds()]
    specs = plan.specs()
    if wanted != [[(b.name, b.size, b.clip) for b in spec.blocks] for spec in specs]:
        raise Refusal("plan/mechanism", "the plan's blocks are not those of its model")
    if plan.privacy.epsilon is None:
        return
    events = reserved_events(specs, plan.noise_cohort(), plan.privacy.spare_attempts)
    cost = epsilon(events, plan.privacy.delta)
    if cost > plan.privacy.epsilon * _SLACK:
        raise Refusal(
            "plan/mechanism",
            f"the plan's mechanism costs epsilon {cost:.6g}; it claims {plan.privacy.epsilon:.6g}",
        )


def _accepted(plan: Plan, run_id: bytes) -> dict[str, object]:
    return {
        "run": run_id.hex(),
        "plan": plan.hash().hex(),
        "roster": plan.roster_hash,
        "model": plan.model.name,
        "epsilon": plan.privacy.epsilon,
        "delta": plan.privacy.delta,
        "min_survivors": plan.privacy.min_survivors,
        "colluding": plan.privacy.colluding,
        "spare_attempts": plan.privacy.spare_attempts,
        "cohort": list(plan.cohort),
    }
