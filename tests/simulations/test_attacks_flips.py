"""One bit flipped in any field of any message: a refusal, an abort, or the exact sum."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommons.client.site import Site
from recommons.common.errors import InvalidInput, ProtocolAbort, RecommonsError
from recommons.common.federation import sign_announcement
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.wire import Envelope, Exchange
from recommons.simulations.attacks import Ground
from recommons.simulations.attacks.fields import Field, fields, flipped
from recommons.simulations.attacks.stage import STEPS, Stage

TARGET = "site-0"
ONE = 1 << 20
DOWN: tuple[Exchange, ...] = ("shares", "masked", "sign", "reveal")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a place: durability is not what is tested here."""
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def ground(folder: Path) -> Ground:
    return Ground.found(folder / "ground")


def finished(stage: Stage, protocol: CoordinatorRound) -> str:
    """``"exact"`` or a code; a sum that is not the survivors' own fails the test."""
    try:
        while True:
            step = STEPS[protocol.step // 2]
            for site in protocol.awaiting:
                body = b"" if step == "advertise" else protocol.message_for(site)
                try:
                    protocol.receive(site, stage.ask(site, step, body))
                except RecommonsError:
                    continue
            if step == "reveal":
                break
            stage.close(protocol)
        result = protocol.finish()
    except ProtocolAbort as abort:
        return abort.code
    hot = {int(site.removeprefix("site-")) for site in result.survivors}
    assert result.values.tolist() == [ONE if place in hot else 0 for place in range(6)]
    return "exact"


@pytest.mark.parametrize("exchange", DOWN)
def test_a_bit_flipped_on_the_way_to_a_site_ends_the_attempt_there(
    exchange: Exchange, ground: Ground, folder: Path
) -> None:
    """Every field, a few bits each; the site's database is put back after every flip.

    Two flips make another well-formed request: of a public state that can still be read, and of a
    set of survivors that is still large enough. What the site answers to them, the coordinator
    sets aside, because it is signed over what the site was shown.
    """
    with ground.stage(folder / f"down-{exchange}", before=exchange) as stage:
        message = stage.honest.message_for(TARGET)
        before = stage.backup(TARGET)
        database = stage.found.sites[TARGET] / "site.db"
        ledger = stage.found.sites[TARGET] / "ledger.jsonl"
        lines = ledger.read_bytes()
        for field in fields(message):
            for bit, changed in flipped(message, 1, field):
                place = f"{field.name}, bit {bit}"
                try:
                    reply = stage.ask(TARGET, exchange, changed)
                except ProtocolAbort:
                    assert not stage.holds_state(TARGET), place
                else:
                    assert field.name in {"public state", "U3"}, place
                    code = stage.resumed(stage.honest).receive(TARGET, reply)
                    assert code == "secagg/signature", place
                database.write_bytes(before)
                ledger.write_bytes(lines)  # or the site would notice that its database is old
        assert stage.revealed() == ()
        assert finished(stage, stage.honest) == "exact"


@pytest.mark.parametrize("exchange", DOWN)
def test_the_others_end_without_the_site_whose_message_was_hit(
    exchange: Exchange, ground: Ground, folder: Path
) -> None:
    """To the end of the round, once a step: the sum is exact over the others."""
    with ground.stage(folder / f"end-{exchange}", before=exchange) as stage:
        message = stage.honest.message_for(TARGET)
        found = fields(message)
        _, changed = next(flipped(message, 0, found[len(found) // 2]))
        stage.refusal(TARGET, exchange, changed)
        assert finished(stage, stage.honest) == "exact"
        assert TARGET not in stage.revealed()


@pytest.mark.parametrize("exchange", STEPS)
def test_a_bit_flipped_on_the_way_to_the_coordinator_excludes_the_site(
    exchange: Exchange, ground: Ground, folder: Path
) -> None:
    """Every field, several bits each; what was summed before does not change."""
    with ground.stage(folder / f"up-{exchange}", before=exchange) as stage:
        others = tuple(site for site in stage.plan.cohort if site != TARGET)
        body = b"" if exchange == "advertise" else stage.honest.message_for(TARGET)
        message = stage.ask(TARGET, exchange, body)
        stage.exchange(stage.honest, exchange, without=(TARGET,))
        for field in fields(message):
            for bit, changed in flipped(message, 4, field):
                protocol = stage.resumed(stage.honest)
                code = protocol.receive(TARGET, changed)
                assert code is not None, f"{field.name}, bit {bit}"
                assert code.startswith("secagg/"), f"{field.name}, bit {bit}"
                strayed = field.name in {"kind", "ctx"}  # a late message is no fault of the site's
                assert dict(protocol.excluded) == {TARGET: code} or strayed
                assert protocol.awaiting == () or strayed
        assert stage.honest.receive(others[0], message) is not None
        protocol = stage.resumed(stage.honest)
        protocol.receive(TARGET, changed)
        assert finished(stage, protocol) == "exact"


def test_a_bit_flipped_in_a_plan_or_its_signature_is_refused(ground: Ground, folder: Path) -> None:
    run_id = b"another run's id"
    with ground.stage(folder / "plan") as stage:
        body = sign_announcement(stage.plan, run_id, stage.found.coordinator.identity)
        whole = Field(name="announcement", start=0, end=len(body))
        lines = len((stage.found.sites[TARGET] / "ledger.jsonl").read_bytes().splitlines())
        for bit, changed in flipped(body, 150, whole):
            code = stage.refusal(TARGET, "join", changed, run_id=run_id)
            assert code in {"plan/signature", "plan/invalid"}, f"bit {bit}"
        assert stage.refusal(TARGET, "advertise", run_id=run_id) == "site/not-joined"
        ledger = (stage.found.sites[TARGET] / "ledger.jsonl").read_bytes()
        assert len(ledger.splitlines()) == lines


def test_a_bit_flipped_in_an_envelope_leads_to_no_other_round() -> None:
    """What is not refused as it is read names another attempt, whose messages do not fit."""
    envelope = Envelope(run_id=bytes(16), exchange="masked", round=1, attempt=1)
    data = envelope.to_bytes()
    whole = Field(name="envelope", start=0, end=len(data))
    for _, changed in flipped(data, 8 * len(data), whole):
        try:
            other = Envelope.from_bytes(changed)
        except InvalidInput:
            continue
        assert other != envelope


def test_the_fields_of_the_grammar_are_the_whole_of_every_message(
    ground: Ground, folder: Path
) -> None:
    with ground.stage(folder / "whole") as stage:
        protocol = stage.before("reveal")
        stage.exchange(protocol, "reveal")
        for said in stage.said:
            for message in (said.request, said.reply):
                if message:
                    found = fields(message)
                    assert [field.start for field in found[1:]] == [f.end for f in found[:-1]]
        with pytest.raises(ValueError, match="accounts for"):
            fields(stage.said[0].reply + b"\0")
        assert isinstance(stage.sites[TARGET], Site)
