"""What one site allows. Checked at the site, before a run is joined and before every round.

The coordinator can override none of it. `policy_file` reads and writes the operator's file.
"""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.hashing import canonical_json, digest
from recommons.common.plan import Hex32, Name, Plan

__all__ = [
    "ATTEMPT_LIFE_SECONDS",
    "BudgetPolicy",
    "CohortPolicy",
    "PeersPolicy",
    "PlansPolicy",
    "Policy",
    "RosterPolicy",
    "check_plan",
    "plain_fingerprint",
]

ATTEMPT_LIFE_SECONDS = 7 * 86_400
"""How long after its advertisement a site takes further steps of an attempt; so long after a vector
left may its sum be opened at the latest (`docs/policy.md`)."""

FINGERPRINT_DIGITS = 40


def plain_fingerprint(value: str) -> str:
    """Without what people put between the digits when they read them to each other."""
    return "".join(value.lower().replace(":", " ").replace("-", " ").split())


def _plain_fingerprint(value: object) -> object:
    return plain_fingerprint(value) if isinstance(value, str) else value


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("must not name anything twice")
    return values


Fingerprint = Annotated[
    str,
    BeforeValidator(_plain_fingerprint),
    Field(pattern=rf"^[0-9a-f]{{{FINGERPRINT_DIGITS}}}$"),
]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class BudgetPolicy(_Table):
    """What may be spent about one user in any window of time.

    Attributes:
        unit: Whose budget it is: one user's record at this site.
        epsilon: Cap on ε, at `delta`, of everything reserved about one user in one window;
            ``"unlimited"`` also allows plans without noise.
        delta: Cap on a plan's δ, and the δ at which the cap on ε is read.
        window_days: Length of the rolling window in days; 0 for all time.
        when_exhausted: Whether users whose budget does not hold a plan are left out of it while
            the others take part, or the whole plan is refused.
    """

    unit: Literal["user"] = "user"
    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["unlimited"] = 8.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    window_days: Annotated[int, Field(ge=0, le=36_500)] = 365
    when_exhausted: Literal["leave-users-out", "refuse"] = "leave-users-out"


class PlansPolicy(_Table):
    """Which plans may be run.

    Attributes:
        models: Models that may be trained.
        hashes: If any are listed, only plans of these hashes; otherwise every plan within bounds.
        largest_upload_bytes: Largest masked vector the site sends in one attempt.
        most_rounds: Most rounds of a plan.
        most_spare_attempts: Most attempts beyond one a round.
        inferred_catalogue: Whether a catalogue read off the events is accepted as if public.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_distinct)] = (
        "als",
        "ease",
        "two-tower",
        "sequence",
    )
    hashes: Annotated[tuple[Hex32, ...], AfterValidator(_distinct)] = ()
    largest_upload_bytes: Annotated[int, Field(ge=1)] = 1 << 30
    most_rounds: Annotated[int, Field(ge=1)] = 100
    most_spare_attempts: Annotated[int, Field(ge=0)] = 10
    inferred_catalogue: Literal["refuse", "accept"] = "refuse"


class CohortPolicy(_Table):
    """With how many others, and how many users of its own, the site takes part.

    Attributes:
        least_survivors: Least M.
        least_colluding: Least c a plan must be prepared for.
        least_own_users: Fewest users, as the site declares them, with which it takes part.
    """

    least_survivors: Annotated[int, Field(ge=2)] = 3
    least_colluding: Annotated[int, Field(ge=0)] = 1
    least_own_users: Annotated[int, Field(ge=1)] = 1


class PeersPolicy(_Table):
    """Whose keys the operator has verified out of band, and how many of them a sum must hold.

    Attributes:
        least_verified_survivors: How many verified peers, this site not counted, must be among the
            survivors of every sum; ``"c + 1"`` is one more than the plan's colluding sites.
        verified: Fingerprint of the public key (`peers.fingerprint`) by site.
    """

    least_verified_survivors: Annotated[int, Field(ge=0)] | Literal["c + 1"] = "c + 1"
    verified: dict[Name, Fingerprint] = Field(default_factory=dict)

    def least(self, colluding: int) -> int:
        """The number for a plan that assumes so many colluding sites."""
        rule = self.least_verified_survivors
        return colluding + 1 if isinstance(rule, str) else rule


class RosterPolicy(_Table):
    """How a new epoch of the roster takes effect at this site.

    Attributes:
        new_epoch: Only by the operator's own word, or also by the signatures of a majority of the
            sites of the pinned epoch.
    """

    new_epoch: Literal["by-hand", "by-majority"] = "by-hand"


class Policy(_Table):
    """A site's own limits; the defaults suit a first federation.

    A new policy names no verified peer, and so refuses every plan until its operator has compared
    keys with some.

    Attributes:
        version: Version of this document.
        secure_aggregation: Always required; the field is there to be read, not to be changed.
        budget: What may be spent about one user.
        plans: Which plans may be run.
        cohort: With how many others.
        peers: With whom.
        roster: How a new epoch is accepted.
    """

    version: Literal[1] = 1
    secure_aggregation: Literal["required"] = "required"
    budget: BudgetPolicy = Field(default_factory=BudgetPolicy)
    plans: PlansPolicy = Field(default_factory=PlansPolicy)
    cohort: CohortPolicy = Field(default_factory=CohortPolicy)
    peers: PeersPolicy = Field(default_factory=PeersPolicy)
    roster: RosterPolicy = Field(default_factory=RosterPolicy)

    def document(self) -> dict[str, Any]:
        """The resolved policy as a JSON object, every default written out."""
        return self.model_dump(mode="json")

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 by which the ledger knows the policy."""
        return digest("recommons/policy/1", canonical_json(self.document()))

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Read a policy document.

        Raises:
            InvalidInput: Not JSON, or not a policy; names each field at fault.
        """
        try:
            policy = cls.model_validate_json(data)
            _ = policy.hash  # a number beyond canonical JSON is found here, not at the first round
        except ValidationError as error:
            raise InvalidInput("policy/invalid", describe_validation("policy", error)) from error
        except ValueError as error:
            raise InvalidInput(
                "policy/invalid", "policy: holds a number JSON cannot carry"
            ) from error
        return policy


def check_plan(policy: Policy, plan: Plan, declared_users: int) -> None:
    """Refuse a plan that the policy does not allow; nothing has left the site.

    What depends on the roster is in `peers.verified_peers`, what depends on earlier plans in the
    site's budgets.

    Args:
        policy: The site's policy.
        plan: The plan, already known to be signed and well formed.
        declared_users: The rounded number the site declares; the true one decides nothing here,
            or whether a site refuses would depend on one user.

    Raises:
        Refusal: With the code of the first rule that is broken.
    """
    _check_model(policy.plans, plan)
    _check_guarantee(policy.budget, plan)
    _check_cohort(policy.cohort, plan, declared_users)
    _check_size(policy.plans, plan)


def _check_model(rules: PlansPolicy, plan: Plan) -> None:
    if rules.hashes and plan.hash().hex() not in rules.hashes:
        raise Refusal("policy/plan-hash", "the plan's hash is not among those the policy lists")
    if plan.model.name not in rules.models:
        raise Refusal(
            "policy/model", f"model is {plan.model.name!r}; allowed: {', '.join(rules.models)}"
        )
    if plan.catalogue.inferred and rules.inferred_catalogue == "refuse":
        raise Refusal("policy/catalogue", "the catalogue was read off the events, not published")


def _check_guarantee(rules: BudgetPolicy, plan: Plan) -> None:
    privacy = plan.privacy
    if rules.epsilon != "unlimited" and privacy.target > rules.epsilon:
        raise Refusal(
            "policy/epsilon", f"epsilon is {privacy.target:g}; allowed: {rules.epsilon:g}"
        )
    if privacy.epsilon is not None and privacy.delta > rules.delta:
        raise Refusal("policy/delta", f"delta is {privacy.delta:g}; allowed: {rules.delta:g}")


def _check_cohort(rules: CohortPolicy, plan: Plan, declared_users: int) -> None:
    privacy = plan.privacy
    if privacy.min_survivors < rules.least_survivors:
        raise Refusal(
            "policy/survivors",
            f"min_survivors is {privacy.min_survivors}; required: {rules.least_survivors}",
        )
    if privacy.colluding < rules.least_colluding:
        raise Refusal(
            "policy/colluding",
            f"colluding is {privacy.colluding}; required: {rules.least_colluding}",
        )
    if declared_users < rules.least_own_users:
        raise Refusal(
            "policy/own-users",
            f"this site declares {declared_users} users; required: {rules.least_own_users}",
        )


def _check_size(rules: PlansPolicy, plan: Plan) -> None:
    if len(plan.rounds) > rules.most_rounds:
        raise Refusal(
            "policy/rounds", f"the plan has {len(plan.rounds)} rounds; allowed: {rules.most_rounds}"
        )
    if plan.privacy.spare_attempts > rules.most_spare_attempts:
        raise Refusal(
            "policy/spare-attempts",
            f"spare_attempts is {plan.privacy.spare_attempts}; "
            f"allowed: {rules.most_spare_attempts}",
        )
    for number, spec in enumerate(plan.specs()):
        upload = -(-spec.size * spec.ring_bits // 8)
        if upload > rules.largest_upload_bytes:
            raise Refusal(
                "policy/upload",
                f"round {number} uploads {upload} bytes; allowed: {rules.largest_upload_bytes}",
            )
