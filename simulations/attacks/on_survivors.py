"""Attacks on steps 6 to 9: whose sum is opened."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from recommons.client.keys import read_key
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.messages import Certificate, Survivors
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.statements import survived
from recommons.common.wire import Exchange
from recommons.simulations.attacks.attack import COLLUDER, TARGET, Attack, Ended
from recommons.simulations.attacks.stage import Stage

__all__ = ["ATTACKS"]

_EVERYONE = SiteSet(5, 31)
_CERTIFICATE = "step 8: at least q valid signatures, by sites of the cohort, on my (full, U2, U3)"
_BOTH = "both kinds of share of one site, and with them its own vector"


def _proposed(stage: Stage) -> Survivors:
    return Survivors.from_bytes(stage.honest.message_for(TARGET))


def _refused(stage: Stage, exchange: Exchange, body: bytes) -> Ended:
    return Ended(code=stage.refusal(TARGET, exchange, body), victims=(TARGET,))


def _survivors(change: Callable[[Survivors], Survivors]) -> Callable[[Stage], Ended]:
    return lambda stage: _refused(stage, "sign", change(_proposed(stage)).to_bytes())


def _set(*places: int, size: int = 5) -> SiteSet:
    return SiteSet.of(size, places)


def _never_dealt(stage: Stage) -> Ended:
    """The colluder dealt nothing, so U2 lacks it; U3 has it all the same."""
    protocol = stage.before("shares")
    stage.exchange(protocol, "shares", without=(COLLUDER,))
    stage.close(protocol)
    stage.before("sign")
    proposed = _proposed(stage)
    return _refused(stage, "sign", replace(proposed, survivors=_EVERYONE).to_bytes())


def _two_sets(stage: Stage) -> Ended:
    proposed = _proposed(stage)
    stage.ask(TARGET, "sign", proposed.to_bytes())
    other = replace(proposed, survivors=_set(0, 1, 2, 3))
    return Ended(code=stage.refusal(TARGET, "sign", other.to_bytes()))


def _signature(stage: Stage, site: str, survivors: SiteSet) -> bytes:
    proposed = replace(_proposed(stage), survivors=survivors)
    return stage.ask(site, "sign", proposed.to_bytes())[-64:]


def _colluders(stage: Stage, survivors: SiteSet) -> bytes:
    """The colluding site signs whatever is asked."""
    key = read_key(stage.found.sites[COLLUDER] / "identity.key")
    full = stage.agreed().full
    return key.sign(*survived(stage.context().hash, full, _EVERYONE, survivors))


def _both_kinds(stage: Stage) -> Ended:
    """Half are told that everyone survived, half that the target did not; each needs a quorum."""
    without_target = _set(1, 2, 3, 4)
    one = {0: _signature(stage, TARGET, _EVERYONE), 1: _signature(stage, "site-1", _EVERYONE)}
    two = {place: _signature(stage, f"site-{place}", without_target) for place in (2, 3)}
    codes = set()
    for site, survivors, signed in (
        (TARGET, _EVERYONE, one),
        ("site-2", without_target, two),
    ):
        signed = signed | {4: _colluders(stage, survivors)}
        body = _certificate(stage, survivors, signed.items()).to_bytes()
        codes.add(stage.refusal(site, "reveal", body))
    return Ended(code=" and ".join(sorted(codes)), victims=(TARGET, "site-2"))


def _certificate(
    stage: Stage,
    survivors: SiteSet,
    signatures: Iterable[tuple[int, bytes]],
    full: bytes | None = None,
) -> Certificate:
    signed = dict(signatures)
    return Certificate(
        ctx=stage.context().hash,
        full=full or stage.agreed().full,
        dealers=_EVERYONE,
        survivors=survivors,
        signers=_set(*signed),
        signatures=tuple(signed[place] for place in sorted(signed)),
    )


def _honest(stage: Stage) -> Certificate:
    return Certificate.from_bytes(stage.honest.message_for(TARGET))


def _presented(change: Callable[[Certificate], Certificate]) -> Callable[[Stage], Ended]:
    return lambda stage: _refused(stage, "reveal", change(_honest(stage)).to_bytes())


def _short(certificate: Certificate) -> Certificate:
    return replace(certificate, signers=_set(0, 1, 2), signatures=certificate.signatures[:3])


def _twice(certificate: Certificate) -> Certificate:
    one = certificate.signatures[1]
    return replace(certificate, signatures=(*certificate.signatures[:2], one, one, one))


def _sixth(certificate: Certificate) -> Certificate:
    stranger = SigningIdentity(b"s" * 32)
    signature = stranger.sign(
        *survived(certificate.ctx, certificate.full, certificate.dealers, certificate.survivors)
    )
    return replace(
        certificate,
        signers=_set(*range(6), size=6),
        signatures=(*certificate.signatures, signature),
    )


def _stranger(certificate: Certificate) -> Certificate:
    stranger = SigningIdentity(b"s" * 32)
    statement = survived(
        certificate.ctx, certificate.full, certificate.dealers, certificate.survivors
    )
    return replace(certificate, signatures=(*certificate.signatures[:4], stranger.sign(*statement)))


def _other_sets(stage: Stage) -> Ended:
    """Signatures of the others on a set without the target, shown as if they were on its own."""
    mine = _signature(stage, TARGET, _EVERYONE)
    others = {place: _signature(stage, f"site-{place}", _set(1, 2, 3, 4)) for place in (1, 2, 3)}
    signed = {0: mine, **others, 4: _colluders(stage, _EVERYONE)}
    return _refused(stage, "reveal", _certificate(stage, _EVERYONE, signed.items()).to_bytes())


def _of_others(stage: Stage) -> Ended:
    """A full quorum on a set without the target, shown to the target, which signed another."""
    _signature(stage, TARGET, _EVERYONE)
    left = _set(1, 2, 3, 4)
    signed = {place: _signature(stage, f"site-{place}", left) for place in (1, 2, 3)}
    signed[4] = _colluders(stage, left)
    return _refused(stage, "reveal", _certificate(stage, left, signed.items()).to_bytes())


def _second_certificate(stage: Stage) -> Ended:
    honest = _honest(stage)
    stage.ask(TARGET, "reveal", honest.to_bytes())
    other = replace(honest, signers=_set(0, 1, 2, 3), signatures=honest.signatures[:4])
    return Ended(code=stage.refusal(TARGET, "reveal", other.to_bytes()))


def _attack(
    name: str,
    run: Callable[[Stage], Ended],
    *,
    does: str,
    gains: str = _BOTH,
    rule: str = _CERTIFICATE,
    code: str,
    before: Exchange = "reveal",
    opens: bool = False,
) -> Attack:
    return Attack(
        name=name,
        does=does,
        gains=gains,
        rule=rule,
        code=code,
        run=run,
        before=before,
        opens=opens,
    )


ATTACKS = (
    _attack(
        "survivors-without-me",
        _survivors(lambda m: replace(m, survivors=_set(1, 2, 3, 4))),
        does="asks the target to sign a set of survivors without itself",
        gains="shares of the target's mask key while its masked vector is in hand",
        rule="step 6: I am in it",
        code="secagg/not-in-set",
        before="sign",
    ),
    _attack(
        "too-few-survivors",
        _survivors(lambda m: replace(m, survivors=_set(0, 1, 2))),
        does="asks for a sum over three where the plan requires four",
        gains="a sum with less noise than the guarantee counts on, over fewer users",
        rule="step 6: |U3| ≥ M",
        code="secagg/too-few-sites",
        before="sign",
    ),
    _attack(
        "survivors-of-other-dealers",
        _survivors(lambda m: replace(m, dealers=_set(0, 1, 2, 3), survivors=_set(0, 1, 2, 3))),
        does="asks for a set of survivors under another U2 than the target masked against",
        gains="pair masks with the site left out stay in the sum, or are opened apart",
        rule="step 6: U2 is the one I masked against",
        code="secagg/other-set",
        before="sign",
    ),
    _attack(
        "survivors-of-a-larger-cohort",
        _survivors(lambda m: replace(m, survivors=_set(*range(6), size=6))),
        does="counts a site outside the cohort among the survivors",
        gains="made-up survivors to reach M",
        rule="step 6: U3 ⊆ U2",
        code="secagg/other-set",
        before="sign",
    ),
    _attack(
        "survivor-that-never-dealt",
        _never_dealt,
        does="counts a site among the survivors that dealt no shares",
        gains="made-up survivors to reach M",
        rule="step 6: U3 ⊆ U2",
        code="secagg/other-set",
        before="advertise",
    ),
    _attack(
        "two-survivor-sets",
        _two_sets,
        does="asks the target to sign a second set of survivors",
        rule="step 6: I have signed no other for this ctx",
        code="site/repeated-step",
        before="sign",
    ),
    _attack(
        "both-kinds-of-share",
        _both_kinds,
        does="tells half the sites that the target survived and half that it did not",
        rule="q over the cohort: two sets cannot both be certified",
        code="secagg/quorum",
        before="sign",
    ),
    _attack(
        "short-certificate",
        _presented(_short),
        does="shows three signatures where the quorum is four",
        code="secagg/quorum",
    ),
    _attack(
        "one-signature-for-three",
        _presented(_twice),
        does="shows one site's signature in the places of three",
        code="secagg/certificate-signature",
    ),
    _attack(
        "signer-outside-the-cohort",
        _presented(_sixth),
        does="adds the signature of a site outside the cohort",
        code="secagg/certificate-signer",
    ),
    _attack(
        "stranger-signs-for-a-site",
        _presented(_stranger),
        does="shows a stranger's signature in the place of a site",
        code="secagg/certificate-signature",
    ),
    _attack(
        "certificate-under-other-keys",
        _presented(lambda c: replace(c, full=bytes(32))),
        does="shows a certificate that names another set of keys, spec or state",
        code="secagg/other-set",
    ),
    _attack(
        "signatures-over-another-set",
        _other_sets,
        does="shows signatures over a set without the target as if they were over its own",
        code="secagg/certificate-signature",
        before="sign",
    ),
    _attack(
        "certificate-of-another-set",
        _of_others,
        does="shows the target a true certificate of a set that it did not sign",
        code="secagg/other-set",
        before="sign",
    ),
    _attack(
        "second-certificate",
        _second_certificate,
        does="asks for a second reveal with another quorum on the same set",
        gains="nothing here, but a site that answers twice must compare all it ever said",
        rule="step 9: once",
        code="site/repeated-step",
        opens=True,
    ),
)
