"""Ways round policy and budgets that were found by attacking them; each is shut."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from recommons.client.budgets.rules import leaves_out
from recommons.client.commands import site as site_command
from recommons.client.records import heads as heads_of_others
from recommons.client.records.heads import forget_held, keep_receipt
from recommons.client.rounds import contribution, steps
from recommons.common.errors import LedgerError, ProtocolAbort
from recommons.common.hashing import canonical_json
from recommons.common.heads import Place, Receipt, SignedHead
from recommons.common.plan import Plan
from recommons.common.policy import ATTEMPT_LIFE_SECONDS, BudgetPolicy
from recommons.common.privacy.ledger import Chain
from recommons.common.privacy.noise import clamp_and_add_noise
from recommons.common.privacy.spending import Cost, Spending
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.site import SiteRound
from recommons.common.wire import Outcome, pack, unpack
from recommons.server.planning.wish import Wish
from tests.client.seat import DAY, OWN, RUN, SITES, START, Seat

NEXT = b"run-number-one!!"
LIFE_DAYS = ATTEMPT_LIFE_SECONDS // DAY


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    """A sum of any two of the three sites; users are left out of what exceeds 8 in a day."""
    wish = Wish(epsilon=8.0, delta=1e-5, colluding=0, min_survivors=2)
    seat = Seat.take(tmp_path / "run", tiny_data, wish=wish)
    for site in SITES:
        seat.edit(site, budget={"when_exhausted": "leave-users-out", "window_days": 1})
    return seat


def masked(seat: Seat, run: bytes = RUN) -> tuple[CoordinatorRound, list[SignedHead]]:
    """Every site's vector, and the heads that came with them."""
    protocol, heads = seat.to_masked(run), []
    for site in list(protocol.expected):
        reply = seat.ask(site, "masked", protocol.message_for(site), run)
        message, head = unpack(reply, 2)
        heads.append(SignedHead.from_bytes(head))
        protocol.receive(site, message)
    protocol.close_masked()
    return protocol, heads


def receipt(seat: Seat, heads: list[SignedHead], seq: int = 1, run: bytes = RUN) -> bytes:
    return issued(seat, heads, seq, run).to_bytes()


def issued(seat: Seat, heads: list[SignedHead], seq: int, run: bytes = RUN) -> Receipt:
    coordinator = seat.found.coordinator
    return Receipt.issue(
        coordinator.plan.federation,
        Place(run=run.hex(), round=0, attempt=0),
        heads,
        Chain(writer="coordinator", length=seq, link=bytes([seq]) * 32),
        coordinator.identity,
    )


def to_reveal(seat: Seat) -> tuple[CoordinatorRound, list[SignedHead]]:
    protocol, heads = masked(seat)
    for site in SITES:
        protocol.receive(site, seat.ask(site, "sign", protocol.message_for(site)))
    protocol.close_signatures()
    return protocol, heads


def changed(plan: Plan, change: Any) -> Plan:
    document = plan.model_dump(mode="json")
    change(document)
    return Plan.from_bytes(canonical_json(document))


# An attempt has a life.


def test_a_sum_that_the_others_still_could_open_counts(seat: Seat) -> None:
    """Else the vectors of two runs that a user has no budget for become public in one window."""
    seat.join()
    protocol, heads = to_reveal(seat)
    seat.now += (LIFE_DAYS + 0.5) * DAY
    seat.join(run=NEXT)  # nothing was heard of the first for longer than a window
    body = pack(protocol.message_for(OWN), receipt(seat, heads))
    for name in SITES:
        assert seat.refused(name, "reveal", body) == "site/attempt-expired"
    with seat.open() as site, site.store.transaction() as transaction:
        assert site.store.budgets.head_counts(transaction)[NEXT] == (0, 6)
        assert not site.store.open_attempts(transaction, RUN)
    assert ("aborted", "site/attempt-expired") in [(k, b.get("code")) for k, b in seat.ledger()]


@pytest.mark.parametrize("late", [0, 1])
def test_the_last_second_of_an_attempt_is_seven_days_after_it_began(seat: Seat, late: int) -> None:
    seat.join()
    protocol, heads = to_reveal(seat)
    body = pack(protocol.message_for(OWN), receipt(seat, heads))
    seat.now = START + LIFE_DAYS * DAY + late
    if late:
        assert seat.refused(OWN, "reveal", body) == "site/attempt-expired"
    else:
        seat.ask(OWN, "reveal", body)


def test_shares_that_were_revealed_are_not_sent_again_later(seat: Seat) -> None:
    """The first reply may not have arrived: sent again it would open the sum then."""
    seat.join()
    protocol, heads = to_reveal(seat)
    body = pack(protocol.message_for(OWN), receipt(seat, heads))
    first = seat.ask(OWN, "reveal", body)
    assert seat.ask(OWN, "reveal", body) == first
    seat.now += LIFE_DAYS * DAY + 1
    assert seat.refused(OWN, "reveal", body) == "site/attempt-expired"


def test_a_step_that_outlasts_the_attempt_leaves_nothing(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat.join()
    protocol = seat.to_masked()
    slow(monkeypatch, seat, LIFE_DAYS * DAY + 1)
    body = protocol.message_for(OWN)
    assert seat.refused(OWN, "masked", body) == "site/attempt-expired"


def test_a_charge_is_active_when_the_reply_leaves(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat.join()
    protocol = seat.to_masked()
    slow(monkeypatch, seat, DAY / 2)
    seat.mask(protocol)
    with seat.open() as site, site.store.transaction() as transaction:
        assert site.store.budgets.charges(transaction)[0].active == START + DAY // 2


def slow(monkeypatch: pytest.MonkeyPatch, seat: Seat, seconds: float) -> None:
    """Noise takes its time."""
    noised = clamp_and_add_noise

    def slowly(*arguments: Any) -> Any:
        seat.now += seconds
        return noised(*arguments)

    monkeypatch.setattr(contribution, "clamp_and_add_noise", slowly)


def test_a_run_that_ends_while_an_attempt_begins_keeps_no_secrets(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat.join()
    begin = SiteRound.begin

    def slowly(**arguments: Any) -> Any:
        monkeypatch.undo()
        seat.ask(OWN, "finish", Outcome().to_bytes())
        return begin(**arguments)

    monkeypatch.setattr(SiteRound, "begin", slowly)
    with pytest.raises(Exception, match="ended") as found:
        seat.ask(OWN, "advertise")
    assert getattr(found.value, "code", "") == "site/run-ended"
    with seat.open() as site, site.store.transaction() as transaction:
        assert not site.store.open_attempts(transaction)
    assert seat.ledger()[-1][0] == "run-ended"


# Whether a site takes part depends on nobody.


@pytest.mark.parametrize("rows", [[], [("a", "no-such-item")], [("a", "i00")]])
def test_a_site_sends_its_noise_whoever_is_in_its_data(
    seat: Seat, rows: list[tuple[str, str]]
) -> None:
    events = pl.DataFrame(rows, {"user_id": pl.String, "item_id": pl.String}, orient="row")
    events.write_parquet(seat.found.sites[OWN] / "events.parquet")
    seat.join()
    seat.mask(seat.to_masked())
    assert seat.ledger()[-1][0] == "committed"


@pytest.mark.parametrize(("ids", "warned"), [("7", False), ("007", True)])
def test_the_operator_is_warned_of_ids_in_another_spelling(
    seat: Seat, ids: str, *, warned: bool
) -> None:
    command = ["budget", str(seat.found.sites[OWN])]
    seat.set_users(["7"])
    assert "another way" not in CliRunner().invoke(site_command, command).output
    seat.join()
    seat.set_users([ids])
    assert ("another way" in CliRunner().invoke(site_command, command).output) == warned


def test_the_operator_takes_an_earlier_head_again_by_name(seat: Seat) -> None:
    seat.join()
    _, heads = masked(seat)
    with seat.open() as site, site.store.transaction() as transaction:
        keep_receipt(site, transaction, issued(seat, heads, 1))
    command = ["forget-head", str(seat.found.sites[OWN]), "site-1"]
    assert heads[1].head.hash.hex() in CliRunner().invoke(site_command, command).output
    assert "no head" in CliRunner().invoke(site_command, command).output


# A refusal is a refusal, and is written.


@pytest.mark.parametrize("key", ["x\ny", "e\u0301\u202e", "k" * 1000])
def test_a_plan_whose_words_no_ledger_takes_is_refused_in_the_ledger(seat: Seat, key: str) -> None:
    plan = changed(seat.found.coordinator.plan, lambda d: d["model"]["settings"].update({key: 1}))
    for _ in range(2):
        assert seat.refused(OWN, "join", seat.announcement(plan)) == "model/settings"
    written = [body for kind, body in seat.ledger() if kind == "plan-refused"]
    assert [body["code"] for body in written] == ["model/settings"]
    assert written[0]["reason"].isascii()


def widen(document: Any) -> None:
    for round_ in document["rounds"]:
        round_["ring_bits"] = 64
        for block in round_["blocks"]:
            block["noise_stddev"] = 2.0**17


def too_fine(document: Any) -> None:
    for round_ in document["rounds"]:
        round_["ring_bits"] = 64
        for block in round_["blocks"]:
            block["sensitivity"] = 2**31


@pytest.mark.parametrize("change", [widen, too_fine])
def test_a_plan_that_no_site_can_carry_out_charges_nobody(seat: Seat, change: Any) -> None:
    plan = changed(seat.found.coordinator.plan, change)
    assert seat.refused(OWN, "join", seat.announcement(plan)) == "plan/mechanism"
    assert "nois" in seat.ledger()[-1][1]["reason"]


def test_a_clip_of_nothing_is_not_one_without_bounds(seat: Seat) -> None:
    with pytest.raises(Exception, match="clip"):
        changed(
            seat.found.coordinator.plan,
            lambda d: d["rounds"][1]["blocks"][0].update(clip=0.0),
        )


# Heads of others are held for good.


def test_a_new_epoch_makes_no_site_forget_what_it_holds_of_others(seat: Seat) -> None:
    """A coordinator that may issue one could else hide that a peer was restored from a backup."""
    seat.join()
    protocol, heads = masked(seat)
    with seat.open() as site, site.store.transaction() as transaction:
        keep_receipt(site, transaction, issued(seat, heads, 1))
    seat.later_epoch([OWN])
    back = SignedHead.sign(
        protocol.context.federation, Chain(writer="site-1", length=2, link=bytes(32)), key(seat)
    )
    earlier = issued(seat, [heads[0], back, heads[2]], 2)
    with seat.open() as site:
        with (
            site.store.transaction() as transaction,
            pytest.raises(LedgerError, match="site-1") as found,
        ):
            keep_receipt(site, transaction, earlier)
        assert found.value.code == "ledger/rollback"
        assert forget_held(site, "site-1") == heads[1].head
        with site.store.transaction() as transaction:
            keep_receipt(site, transaction, earlier)


def key(seat: Seat, name: str = "site-1") -> SigningIdentity:
    with seat.open(name) as site:
        return site.identity


def test_a_receipt_that_was_overtaken_by_a_later_one_reveals_nothing(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat.join()
    protocol, heads = to_reveal(seat)
    read = heads_of_others.read_receipt

    def overtaken(site: Any, data: bytes, place: Place) -> Receipt:
        found = read(site, data, place)
        with site.store.transaction() as transaction:
            keep_receipt(site, transaction, issued(seat, heads, 9, NEXT))
        return found

    monkeypatch.setattr(steps, "read_receipt", overtaken)
    with pytest.raises(ProtocolAbort) as found:
        seat.ask(OWN, "reveal", pack(protocol.message_for(OWN), receipt(seat, heads)))
    assert found.value.code == "ledger/rollback"
    assert seat.ledger()[-1][0] == "aborted"


# Work within a transaction stays small.


def test_whether_users_are_left_out_costs_no_more_than_the_square_of_the_plans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = 0
    total = Spending.total

    def counting(spendings: Any) -> Spending:
        nonlocal added
        listed = list(spendings)
        added += len(listed)
        return total(listed)

    monkeypatch.setattr(Spending, "total", counting)
    large = [Spending.of([Cost(mu_squared=0.999, rho=0.5)])] * 4
    small = [Spending.of([Cost(mu_squared=1e-5 * (1 + k), rho=1e-5)]) for k in range(60)]
    counting_ = {bytes([k]): cost for k, cost in enumerate((*large, *small))}
    assert not leaves_out(bytes([63]), counting_, BudgetPolicy())
    assert added < 64 * 64
