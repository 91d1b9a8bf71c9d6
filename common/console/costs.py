"""ε of what a ledger says was released, computed once and remembered."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from recommons.common.privacy.accounting import epsilon_of, spending_of
from recommons.common.privacy.events import event_from_json
from recommons.common.privacy.spending import Spending

__all__ = ["epsilon_at", "spending_of_entries"]


@lru_cache(maxsize=4096)
def epsilon_at(spending: Spending, delta: float) -> float:
    """ε at δ; a page that is asked for every other second pays for it once."""
    return epsilon_of(spending, delta)


def spending_of_entries(events: Iterable[Mapping[str, Any]]) -> Spending:
    """What the releases of one attempt cost, as they stand in a ledger."""
    return spending_of(map(event_from_json, events))
