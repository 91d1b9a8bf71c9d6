"""What was released, as immutable, versioned events that accountants interpret.

The meaning of an event never changes: a new meaning is a new type or a new version. An event this
code does not know is refused, never skipped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, ClassVar

from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.secagg.ring import RING_WIDTHS

__all__ = [
    "NEIGHBOURS",
    "UNIT",
    "Cohort",
    "GaussianSumRelease",
    "Reading",
    "event_from_json",
    "events_of_round",
]

NEIGHBOURS = "add-or-remove one user"
UNIT = "user"
_MAX_INTEGER = 2**53 - 1  # what RFC 8785 JSON can carry


def _require(holds: bool, name: str, value: object, requirement: str) -> None:
    if not holds:
        raise InvalidInput("input/argument", f"{name} is {value}; required: {requirement}")


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Who takes part, as far as the noise is concerned.

    Attributes:
        sites: N, size of the plan's cohort.
        min_survivors: M, least number of sites in a certified sum.
        colluding: c, at most so many of them withhold their noise or tell what it was. That no
            more do is an assumption about people.
        max_sites_per_person: How many sites may hold a user record of the same person; a person's
            part of a sum is so many times a user's.
    """

    sites: int
    min_survivors: int
    colluding: int
    max_sites_per_person: int = 1

    def __post_init__(self) -> None:
        _require(self.colluding >= 0, "colluding", self.colluding, "zero or more")
        _require(
            self.colluding < self.min_survivors <= self.sites,
            "min_survivors",
            self.min_survivors,
            f"more than colluding ({self.colluding}), at most the sites ({self.sites})",
        )
        _require(
            1 <= self.max_sites_per_person <= self.sites,
            "max_sites_per_person",
            self.max_sites_per_person,
            f"1 to the sites ({self.sites})",
        )


class Reading(Enum):
    """How many shares of noise one counts on."""

    PLANNED = "planned"
    """M - c shares: what the guarantee rests on."""
    ALL_HONEST = "all-honest"
    """N shares: every site present and honest."""
    OWN_SHARE = "own-share"
    """One share: should secure aggregation be broken."""

    def shares(self, event: "GaussianSumRelease") -> int:
        """n, the number of independent shares of noise counted on in the event's sum."""
        if self is Reading.PLANNED:
            return event.min_survivors - event.colluding
        return event.cohort if self is Reading.ALL_HONEST else 1


@dataclass(frozen=True, kw_only=True)
class GaussianSumRelease:
    """One attempt at one block of one secure sum, noised by shares of discrete Gaussian noise.

    Meaning: the coordinator may learn Σ over sites of (clamped integer sum + share), where a user's
    integer contribution has L2 norm at most `sensitivity`, at least ``min_survivors - colluding``
    sites added independent shares N_Z(0, noise_stddev²) to each of `size` coordinates, each drawn
    within `table_error(noise_stddev)` of that law. Where `sampling` is None every user took part.
    Otherwise each user was drawn with that probability, at every site, independently of the other
    users and of every other draw (Poisson): once for all blocks of an attempt, afresh for the next
    attempt, and nobody but the user's own site learns who was drawn or how many.

    Attributes:
        round: Index of the round, from 0.
        attempt: Index of the attempt at it, from 0.
        block: The block's name.
        size: Number of coordinates; a site's share takes so many draws.
        clip: C, infinite where contributions are integers already.
        sensitivity: S, in grid units.
        noise_stddev: s, in grid units; 0 for no noise, hence no guarantee.
        cohort: N.
        min_survivors: M.
        colluding: c.
        ring_bits: k.
        max_sites_per_person: Factor of the sensitivity when the unit is a person.
        sampling: Probability with which a user took part, or None for full participation.
        neighbours: The neighbouring relation.
        unit: The unit of privacy.
    """

    TYPE: ClassVar[str] = "gaussian-sum"
    VERSION: ClassVar[int] = 1

    round: int
    attempt: int
    block: str
    size: int
    clip: float
    sensitivity: int
    noise_stddev: float
    cohort: int
    min_survivors: int
    colluding: int
    ring_bits: int
    max_sites_per_person: int = 1
    sampling: float | None = None
    neighbours: str = NEIGHBOURS
    unit: str = UNIT

    def __post_init__(self) -> None:
        for name, least in (("round", 0), ("attempt", 0), ("size", 1), ("sensitivity", 1)):
            value = getattr(self, name)
            _require(least <= value <= _MAX_INTEGER, name, value, f"{least} to 2^53 - 1")
        _require(self.clip > 0, "clip", self.clip, "a positive number")
        _require(
            0 <= self.noise_stddev <= _MAX_INTEGER, "noise_stddev", self.noise_stddev, "0 to 2^53"
        )
        _require(self.ring_bits in RING_WIDTHS, "ring_bits", self.ring_bits, "8, 16, … or 64")
        _require(
            self.sampling is None or 0 < self.sampling <= 1, "sampling", self.sampling, "in (0, 1]"
        )
        _require(self.neighbours == NEIGHBOURS, "neighbours", self.neighbours, NEIGHBOURS)
        _require(self.unit == UNIT, "unit", self.unit, UNIT)
        Cohort(
            sites=self.cohort,
            min_survivors=self.min_survivors,
            colluding=self.colluding,
            max_sites_per_person=self.max_sites_per_person,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object that holds every field; an infinite clip is written as null."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["clip"] = None if math.isinf(self.clip) else self.clip
        return {"type": self.TYPE, "version": self.VERSION, **values}


def event_from_json(value: object) -> GaussianSumRelease:
    """Read an event strictly: every field present, none unknown, each of its type.

    A whole float is written by RFC 8785 as an integer, so an integer is accepted for a float.

    Raises:
        PrivacyError: ``privacy/unknown-event`` for a type or version this code does not know,
            ``privacy/bad-event`` for one that is not as its type requires.
    """
    if not isinstance(value, Mapping):
        raise PrivacyError("privacy/bad-event", "an event is not a JSON object")
    known = (GaussianSumRelease.TYPE, GaussianSumRelease.VERSION)
    version = value.get("version")
    if (value.get("type"), version) != known or isinstance(version, bool):
        raise PrivacyError(
            "privacy/unknown-event",
            f"event of type {value.get('type')!r}, version {value.get('version')!r}; "
            f"known: {known[0]!r}, version {known[1]}",
        )
    names = {field.name for field in fields(GaussianSumRelease)}
    given = set(value) - {"type", "version"}
    if given != names:
        raise PrivacyError(
            "privacy/bad-event",
            f"event lacks {sorted(names - given)} or holds unknown {sorted(given - names)}",
        )
    return _build({name: _typed(name, value[name]) for name in names})


def events_of_round(
    spec: RoundSpec, cohort: Cohort, *, round_index: int, attempt: int = 0
) -> tuple[GaussianSumRelease, ...]:
    """The releases of one attempt at one round, one event a block."""
    return tuple(
        GaussianSumRelease(
            round=round_index,
            attempt=attempt,
            block=block.name,
            size=block.size,
            clip=block.clip,
            sensitivity=block.sensitivity,
            noise_stddev=block.noise_stddev,
            cohort=cohort.sites,
            min_survivors=cohort.min_survivors,
            colluding=cohort.colluding,
            ring_bits=spec.ring_bits,
            max_sites_per_person=cohort.max_sites_per_person,
            sampling=spec.sampling,
        )
        for block in spec.blocks
    )


_INTEGERS = frozenset(
    {
        "round",
        "attempt",
        "size",
        "sensitivity",
        "cohort",
        "min_survivors",
        "colluding",
        "ring_bits",
        "max_sites_per_person",
    }
)
_TEXTS = frozenset({"block", "neighbours", "unit"})


def _typed(name: str, value: object) -> Any:  # noqa: ANN401 - a JSON value of the field's type
    if name == "sampling" and value is None:
        return None
    if name == "clip" and value is None:
        return math.inf
    wanted: tuple[type, ...] = (
        (int,) if name in _INTEGERS else (str,) if name in _TEXTS else (int, float)
    )
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise PrivacyError(
            "privacy/bad-event", f"field {name!r} of an event has type {type(value).__name__}"
        )
    return value if name in _INTEGERS | _TEXTS else float(value)  # type: ignore[arg-type]


def _build(values: Mapping[str, Any]) -> GaussianSumRelease:
    try:
        return GaussianSumRelease(**values)
    except InvalidInput as error:
        raise PrivacyError("privacy/bad-event", error.message) from error
