"""Whole attempts: the naive site and coordinator against the committed transcripts and refusals."""

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.naive_secagg import masks
from tests.naive_secagg import messages as m
from tests.naive_secagg.attempt import Attempt, vector_hash
from tests.naive_secagg.coordinator import Coordinator
from tests.naive_secagg.fields import Refused
from tests.naive_secagg.site import Site
from tests.vectors import models, operation_models
from tests.vectors.reading import load, of, rejections, transcripts


def attempt_of(t: models.Transcript) -> Attempt:
    c = t.context
    signing = {site.site: of(site.signing_public) for site in t.sites}
    return Attempt(
        federation=c.federation,
        run=of(c.run),
        round_index=c.round,
        attempt=c.attempt,
        cohort=c.cohort,
        public_keys=[signing[name] for name in c.cohort],
        roster_hash=of(c.roster_hash),
        plan_hash=of(c.plan_hash),
        colluding=t.parameters.colluding,
        survivors=t.parameters.survivors,
        bits=t.shape.bits,
        size=t.shape.size,
        spec=of(t.spec),
    )


def naive_site(t: models.Transcript, name: str, **rules: Any) -> Site:
    place = t.context.cohort.index(name)
    brought = t.sites[place]
    assert brought.site == name
    vector = [int(value) for value in brought.vector]
    signing, entropy = of(brought.signing_secret), of(brought.entropy)
    return Site(attempt_of(t), place, signing, entropy, vector, **rules)


def sent_to(t: models.Transcript, name: str, kind: int) -> bytes | None:
    data = t.inboxes.get(name) if kind == 4 else t.broadcasts.get(str(kind))  # type: ignore[call-overload]
    return None if data is None else of(data)


def fed(coordinator: Coordinator, t: models.Transcript, step: int) -> None:
    for place, name in enumerate(t.context.cohort):
        data = t.uploads[name].get(str(step))  # type: ignore[call-overload]
        if data is not None:
            assert coordinator.receive(place, of(data)) in (None, t.excluded.get(name))


def closed(coordinator: Coordinator, t: models.Transcript) -> dict[int, bytes]:
    return coordinator.close(of(t.public_state) if coordinator.step == 1 else b"")


TRANSCRIPTS = pytest.mark.parametrize("name", sorted(transcripts()))


@TRANSCRIPTS
def test_a_naive_site_sends_every_message_of_a_transcript(name: str) -> None:
    t = transcripts()[name]
    for brought in t.sites:
        site, sent = naive_site(t, brought.site), t.uploads[brought.site]
        answer = site.advertise()
        for kind in (1, 3, 5, 7, 9):
            data = sent_to(t, brought.site, kind - 1) if kind > 1 else None
            if data is not None:
                answer = site.receive(kind - 1, data)
            found = sent.get(str(kind))  # type: ignore[call-overload]
            if found is None:
                break  # lost on the way: the coordinator goes on without this site
            if not (brought.cheats and kind == 3):
                assert answer == of(found), kind
        secrets = t.secrets[brought.site]
        assert site.mask_private == of(secrets.mask_private)
        assert site.encryption_private == of(secrets.encryption_private)
        if secrets.seed is not None:
            assert (site.seed, site.full) == (of(secrets.seed), of(t.full or ""))


@TRANSCRIPTS
def test_a_naive_coordinator_sends_every_message_and_opens_the_sum(name: str) -> None:
    t = transcripts()[name]
    coordinator = Coordinator(attempt_of(t))
    assert attempt_of(t).ctx == of(t.context.ctx)
    total, code = None, None
    try:
        for step in (1, 3, 5, 7):
            fed(coordinator, t, step)
            for place, message in closed(coordinator, t).items():
                assert message == sent_to(t, t.context.cohort[place], step + 1), step
        fed(coordinator, t, 9)
        total = coordinator.finish()
    except Refused as refused:
        code = refused.code
    excluded = {t.context.cohort[place]: why for place, why in coordinator.excluded.items()}
    assert excluded == t.excluded
    if t.ending is not None:
        assert (coordinator.step, code) == (t.ending.step, t.ending.code)
    if t.result is None:
        assert total is None
        return
    assert total is not None
    survivors = [t.context.cohort[place] for place in coordinator.survivors.members]
    assert survivors == t.result.survivors
    assert masks.encode_vector(total, t.shape.bits) == of(t.result.wire)
    centred = [masks.centred(value, t.shape.bits) for value in total]
    assert centred == [int(value) for value in t.result.values]
    assert total == plain_sum(t)
    for name in survivors:
        masked = m.read(of(t.uploads[name]["5"]), 5)
        assert isinstance(masked, m.Masked)
        found = vector_hash(masked.bits, masked.size, masked.vector)
        assert found == of(t.result.vector_hashes[name])


def plain_sum(t: models.Transcript) -> list[int]:
    assert t.result is not None
    rows = [[int(v) for v in s.vector] for s in t.sites if s.site in t.result.survivors]
    return [sum(column) % 2**t.shape.bits for column in zip(*rows, strict=True)]


def test_the_transcripts_cover_three_five_and_ten_sites_in_both_rings_with_dropouts() -> None:
    opened = [t for t in transcripts().values() if t.result]
    for sites in (3, 5, 10):
        for bits in (32, 64):
            found = [t for t in opened if (t.parameters.sites, t.shape.bits) == (sites, bits)]
            assert found
    lost = {step for t in opened for step in t.lost.values()}
    assert lost == {1, 3, 5, 7, 9}
    codes = {t.ending.code for t in transcripts().values() if t.ending}
    assert codes == {
        "secagg/too-few-sites",
        "secagg/quorum",
        "secagg/too-few-shares",
        "secagg/dealer-fault",
    }


@pytest.mark.parametrize("case", rejections(), ids=lambda case: case.name)
def test_the_naive_implementation_refuses_what_must_be_refused(case: models.Rejection) -> None:
    t = transcripts()[case.transcript]
    if case.receiver == "coordinator":
        coordinator = Coordinator(attempt_of(t))
        for step in range(1, case.kind, 2):
            fed(coordinator, t, step)
            closed(coordinator, t)
        places = {name: place for place, name in enumerate(t.context.cohort)}
        for name in case.already:
            assert coordinator.receive(places[name], of(t.uploads[name][str(case.kind)])) is None  # type: ignore[index]
        sender = places[case.sender or ""]
        assert coordinator.receive(sender, of(case.message)) == case.code
        assert (sender in coordinator.excluded) is case.ends
        return
    rules: dict[str, Any] = {}
    if case.verified:
        peers = [t.context.cohort.index(name) for name in case.verified.peers]
        rules["verified"] = (peers, case.verified.least)
    if case.pinned_state_hash:
        rules["pinned_state"] = of(case.pinned_state_hash)
    site = naive_site(t, case.receiver, **rules)
    site.advertise()
    for kind in range(2, case.after or 0, 2):
        data = sent_to(t, case.receiver, kind)
        assert data is not None
        site.receive(kind, data)
    with pytest.raises(Refused) as refused:
        site.receive(case.kind, of(case.message))
    assert refused.value.code == case.code
    assert (site.step == 0) is case.ends


def test_every_code_of_a_message_check_is_covered() -> None:
    path = Path(__file__).parents[3] / "common" / "codes" / "protocol.py"
    known = {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and str(node.value).startswith("secagg/")
    }
    of_callers = {  # raised before a message is looked at: arguments, states, new attempts
        "secagg/cohort-size",
        "secagg/colluding",
        "secagg/context",
        "secagg/least-survivors",
        "secagg/not-in-cohort",
        "secagg/roster",
        "secagg/signing-key",
        "secagg/state",
        "secagg/vector",
    }
    malformed = {case.code for case in load("messages", operation_models.Messages).malformed}
    endings = {t.ending.code for t in transcripts().values() if t.ending}
    assert {c.code for c in rejections()} | malformed | endings == known - of_callers
