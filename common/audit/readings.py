"""The federation's ε once more: in two other readings, and by accountants of other hands.

The headline counts on M - c shares of noise in a sum. *All honest*: every site of the cohort was
there and added its share. *Own share*: secure aggregation is broken, and one site's own share is
all that hides its users.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from recommons.common.audit.accountant import (
    Balance,
    Charge,
    Unaccountable,
    charges_of_attempt,
    epsilon_of,
)
from recommons.common.audit.spending import Spending
from recommons.common.errors import PrivacyError

__all__ = ["READINGS", "OtherAccountants", "other_accountants", "readings_of"]

Event = Mapping[str, Any]

READINGS: Mapping[str, Callable[[Event], Event]] = MappingProxyType(
    {
        "all_honest": lambda event: {**event, "min_survivors": event["cohort"], "colluding": 0},
        "own_share": lambda event: {**event, "min_survivors": 1, "colluding": 0},
    }
)
"""By name, an event with as many shares of noise as the reading counts on."""

PLANNING = "recommons-planning"
"""The accountant that planned, as `OtherAccountants` names it."""


def readings_of(spending: Spending) -> Mapping[str, float | None]:
    """ε of all releases in each of `READINGS`; None where an event cannot be accounted for."""
    alike: Counter[str] = Counter()
    events: dict[str, Sequence[Event]] = {}
    for attempts in spending.released.values():
        for attempt in attempts:
            # One attempt at a round costs what another does.
            told = [{**event, "attempt": 0} for event in attempt]
            key = json.dumps(told, sort_keys=True)
            alike[key] += 1
            events[key] = told
    return {name: _reading(events, alike, spending.delta, name) for name in READINGS}


def _reading(
    events: Mapping[str, Sequence[Event]], alike: Counter[str], delta: float, reading: str
) -> float | None:
    charges: Counter[Charge] = Counter()
    try:
        for key, count in alike.items():
            for charge in charges_of_attempt([READINGS[reading](event) for event in events[key]]):
                charges[charge] += count
    except (Unaccountable, KeyError):
        return None
    return epsilon_of(Balance.of(charges), delta)


@dataclass(frozen=True, kw_only=True)
class OtherAccountants:
    """What other accountants say of the same releases at the same δ.

    Attributes:
        epsilon: By accountant: `PLANNING`, and those of `privacy.crosschecks`; infinite for none.
        disagreements: Those whose ε cannot be true beside the audit's.
        failed: Why they could not be asked, and nothing is known of what they would say; else None.
    """

    epsilon: Mapping[str, float] = field(default_factory=dict)
    disagreements: tuple[str, ...] = ()
    failed: str | None = None


def other_accountants(spending: Spending) -> OtherAccountants:
    """Ask them; takes seconds, most of which are for importing Opacus.

    They cannot be asked where nothing was released, or an event is of no kind that they know.
    """
    # These share code with the planning, which is why they are beside the audit's own figure.
    from recommons.common.privacy.accounting import epsilon_of as planned_epsilon
    from recommons.common.privacy.accounting import spending_of
    from recommons.common.privacy.crosschecks import (
        contradicts_exact,
        cross_checks_of,
        disagreements,
    )
    from recommons.common.privacy.events import event_from_json
    from recommons.common.privacy.spending import Spending as Planned

    if not spending.attempts:
        return OtherAccountants(failed="nothing was released")
    if spending.epsilon is None:
        return OtherAccountants(failed="the audit itself could not account for every release")
    delta, found = spending.delta, spending.epsilon
    try:
        runs = [
            [event_from_json(event) for attempt in attempts for event in attempt]
            for attempts in spending.released.values()
        ]
        planned = planned_epsilon(Planned.total(map(spending_of, runs)), delta)
        checks = cross_checks_of(runs, delta)
    except PrivacyError as error:
        return OtherAccountants(failed=error.code)
    wrong = disagreements(found, checks)
    if contradicts_exact(found, planned):
        wrong = (PLANNING, *wrong)
    return OtherAccountants(epsilon={PLANNING: planned, **checks}, disagreements=wrong)
