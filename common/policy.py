"""What one site allows. Checked at the site, before a run is joined and before every round.

The coordinator can override none of it.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.plan import Plan

__all__ = ["Policy", "check_plan"]


class Policy(BaseModel):
    """A site's own limits; the defaults suit a first federation.

    Attributes:
        epsilon_cap: Largest ε, at `delta_cap`, that all plans ever joined may reserve together;
            None allows plans without noise.
        delta_cap: Largest δ a plan may claim.
        models: Models that may be trained.
        least_survivors: Least M.
        least_colluding: Least c a plan must be prepared for.
        least_own_users: Fewest users, as the site declares them, with which it takes part.
        inferred_catalogue: Whether a catalogue read off the events is accepted as if public.
        largest_upload_bytes: Largest masked vector the site sends in one attempt.
        secure_aggregation: Always required; the field is there to be read, not to be changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon_cap: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = 8.0
    delta_cap: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    models: tuple[str, ...] = ("als", "ease")
    least_survivors: Annotated[int, Field(ge=2)] = 3
    least_colluding: Annotated[int, Field(ge=0)] = 1
    least_own_users: Annotated[int, Field(ge=1)] = 1
    inferred_catalogue: Literal["refuse", "accept"] = "refuse"
    largest_upload_bytes: Annotated[int, Field(ge=1)] = 1 << 30
    secure_aggregation: Literal["required"] = "required"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a policy document.

        Raises:
            InvalidInput: Not JSON, or not a policy; names each field at fault.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise InvalidInput("policy/invalid", describe_validation("policy", error)) from error


def check_plan(policy: Policy, plan: Plan, declared_users: int) -> None:
    """Refuse a plan that the policy does not allow; nothing has left the site.

    Args:
        policy: The site's policy.
        plan: The plan, already known to be signed and well formed.
        declared_users: The rounded number the site declares; the true one decides nothing here,
            or whether a site refuses would depend on one user.

    Raises:
        Refusal: With the code of the first rule that is broken.
    """
    privacy = plan.privacy
    if plan.model.name not in policy.models:
        raise Refusal(
            "policy/model", f"model is {plan.model.name!r}; allowed: {', '.join(policy.models)}"
        )
    if policy.epsilon_cap is not None and privacy.target > policy.epsilon_cap:
        raise Refusal(
            "policy/epsilon", f"epsilon is {privacy.target:g}; allowed: {policy.epsilon_cap:g}"
        )
    if privacy.epsilon is not None and privacy.delta > policy.delta_cap:
        raise Refusal("policy/delta", f"delta is {privacy.delta:g}; allowed: {policy.delta_cap:g}")
    if privacy.min_survivors < policy.least_survivors:
        raise Refusal(
            "policy/survivors",
            f"min_survivors is {privacy.min_survivors}; required: {policy.least_survivors}",
        )
    if privacy.colluding < policy.least_colluding:
        raise Refusal(
            "policy/colluding",
            f"colluding is {privacy.colluding}; required: {policy.least_colluding}",
        )
    if declared_users < policy.least_own_users:
        raise Refusal(
            "policy/own-users",
            f"this site declares {declared_users} users; required: {policy.least_own_users}",
        )
    if plan.catalogue.inferred and policy.inferred_catalogue == "refuse":
        raise Refusal("policy/catalogue", "the catalogue was read off the events, not published")
    for number, spec in enumerate(plan.specs()):
        upload = spec.size * spec.ring_bits // 8
        if upload > policy.largest_upload_bytes:
            raise Refusal(
                "policy/upload",
                f"round {number} uploads {upload} bytes; allowed: {policy.largest_upload_bytes}",
            )
