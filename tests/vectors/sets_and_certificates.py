"""Messages 6 and 8, altered by a coordinator."""

from dataclasses import replace

from recommons.common.secagg.messages import Certificate, Survivors
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.statements import survived
from tests.vectors.forgeries import flipped
from tests.vectors.play import Play
from tests.vectors.rejections import Case

__all__ = ["certificates", "survivors"]

ME = "site-1"


def survivors(plays: dict[str, Play]) -> list[Case]:
    """Step 6, at site-1 of five of whom site-2 sent no vector."""
    play = plays["five"]
    good = Survivors.from_bytes(play.broadcasts[6])

    def case(name: str, message: Survivors | bytes, code: str, **more: object) -> Case:
        data = message if isinstance(message, bytes) else message.to_bytes()
        found = Case(name=f"survivors: {name}", play=play, kind=6, message=data, code=code, site=ME)
        return replace(found, **more)  # type: ignore[arg-type]

    def some(members: tuple[int, ...], size: int = 5) -> Survivors:
        return replace(good, survivors=SiteSet.of(size, members))

    late = plays["five without one"]
    there = Survivors.from_bytes(late.broadcasts[6])
    return [
        case("another attempt's", replace(good, ctx=flipped(good.ctx)), "other-context"),
        case("the last byte missing", play.broadcasts[6][:-1], "malformed"),
        case("before the inbox", good, "out-of-order", after=3),
        case(
            "other dealers than I masked against",
            replace(good, dealers=good.survivors),
            "other-set",
        ),
        case("of a cohort of six", some((0, 1, 3, 4), 6), "other-set"),
        case("without me", some((0, 2, 3, 4)), "not-in-set"),
        case("three survivors", some((0, 1, 3)), "too-few-sites"),
        case(
            "a survivor that dealt no shares",
            replace(there, survivors=SiteSet.of(5, (0, 1, 2, 3, 4))),
            "other-set",
            play=late,
        ),
        case(
            "too few verified peers",
            good,
            "verified-peers",
            verified=(("site-0", "site-2"), 2),
        ),
        case("a second set", some((0, 1, 2, 3)), "second-survivors", after=7),
        case("the same once more", good, "repeated", after=7, ends=False),
    ]


def certificates(plays: dict[str, Play]) -> list[Case]:
    """Step 8, at site-1 of five of whom site-2 sent no vector (q = 4)."""
    play = plays["five"]
    good = Certificate.from_bytes(play.broadcasts[8])

    def case(name: str, message: Certificate | bytes, code: str, **more: object) -> Case:
        data = message if isinstance(message, bytes) else message.to_bytes()
        name = f"certificate: {name}"
        found = Case(name=name, play=play, kind=8, message=data, code=code, site=ME)
        return replace(found, **more)  # type: ignore[arg-type]

    def signers(members: tuple[int, ...], size: int = 5) -> Certificate:
        known = dict(good.by_place())
        found = tuple(known.get(i, bytes(64)) for i in members)
        return replace(good, signers=SiteSet.of(size, members), signatures=found)

    a, b, *rest = good.signatures
    everyone = SiteSet.of(5, range(5))
    return [
        case("another attempt's", replace(good, ctx=flipped(good.ctx)), "other-context"),
        case("a byte too many", play.broadcasts[8] + b"\0", "malformed"),
        case("before the survivors", good, "out-of-order", after=5),
        case("for other keys", replace(good, full=flipped(good.full)), "other-set"),
        case("for other dealers", replace(good, dealers=good.survivors), "other-set"),
        case("for other survivors", replace(good, survivors=everyone), "other-set"),
        case("a signer who did not survive", signers((0, 1, 2, 3)), "certificate-signer"),
        case("signers of a cohort of six", signers((0, 1, 3, 4), 6), "certificate-signer"),
        case("three signatures", signers((0, 1, 3)), "quorum"),
        case(
            "a signature altered",
            replace(good, signatures=(a, b, *rest[:-1], flipped(rest[-1], 0))),
            "certificate-signature",
        ),
        case(
            "two signatures exchanged",
            replace(good, signatures=(b, a, *rest)),
            "certificate-signature",
        ),
        case(
            "signatures on another set of survivors",
            replace(good, signatures=_other_signatures(play, good)),
            "certificate-signature",
        ),
        case(
            "another certificate",
            signers((0, 1, 3)),
            "second-certificate",
            after=9,
            ends=False,
        ),
        case("the same once more", good, "repeated", after=9, ends=False),
    ]


def _other_signatures(play: Play, good: Certificate) -> tuple[bytes, ...]:
    """What the signers would have signed had site-2 survived."""
    statement = survived(good.ctx, good.full, good.dealers, SiteSet.of(5, range(5)))
    names = play.scenario.names
    return tuple(play.scenario.identity(names[i]).sign(*statement) for i in good.signers)
