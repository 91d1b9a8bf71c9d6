"""How much of a site's data is on items of the catalogue; asked for by checks, never in a round."""

from collections.abc import Mapping
from dataclasses import dataclass

from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import DataError
from recommons.common.units import counted

__all__ = ["UNKNOWN", "Usable", "check_users"]

UNKNOWN = "an item that is not in the catalogue"
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Usable:
    """What of a site's data is on items of the catalogue.

    Attributes:
        users: Users with at least one such event.
        events: Those events.
        unknown: Events on other items, which would count otherwise.
    """

    users: int
    events: int
    unknown: int

    def __str__(self) -> str:
        return f"usable: {counted(self.users, 'user')}, {counted(self.events, 'event')}"

    @property
    def warning(self) -> str | None:
        """What is told where most events are on unknown items."""
        both = self.events + self.unknown
        if 2 * self.unknown <= both:
            return None
        return f"{self.unknown:,} of {counted(both, 'event')} are on {UNKNOWN}"


def check_users(
    users: int, reasons: Mapping[str, int], usable: Usable | None, catalogue: Catalogue | None
) -> None:
    """Refuse data that give nobody to learn from.

    Args:
        users: Users with an event that counts.
        reasons: Events that do not count or cannot be read, by reason.
        usable: What is on items of the catalogue; None where nothing was compared.
        catalogue: What was compared with.

    Raises:
        DataError: ``data/no-users``.
    """
    if not users:
        left = ", ".join(f"{count:,} left out ({reason})" for reason, count in reasons.items())
        said = f"no event counts: {left}" if left else "there are no events"
        raise DataError("data/no-users", said)
    if usable is not None and catalogue is not None and not usable.users:
        like = ", ".join(catalogue.item_ids[:_SHOWN])  # public
        raise DataError(
            "data/no-users",
            f"none of {counted(usable.unknown, 'event')} is on an item of the catalogue, whose ids "
            f"are like {like}",
        )
