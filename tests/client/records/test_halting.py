"""After a halt was cleared, nobody is spent twice: what the lost lines spent is unknown."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from recommons.client.budgets.charging import participants
from recommons.client.commands import site as command
from recommons.client.enrolment import accept_federation
from recommons.client.membership.epochs import keep_waiting
from recommons.client.records.halting import clear_halt, halt
from recommons.common.epochs import Epoch
from recommons.common.errors import Refusal
from recommons.common.federation import Federation
from recommons.common.hashing import canonical_json
from recommons.common.plan import Plan
from recommons.common.privacy.ledger import Head
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster
from tests.client.seat import DAY, OWN, RUN, Seat

LATER_RUN, NEXT_RUN = b"run-number-one!!", b"run-number-two!!"


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    """The site has halted, and every site has pinned a later epoch."""
    made = Seat.take(tmp_path / "run", tiny_data, rounds=1)
    made.edit(budget={"epsilon": 100.0, "window_days": 30, "when_exhausted": "leave-users-out"})
    made.join(sites=[OWN])
    with made.open() as site, site.store.transaction() as transaction:
        halt(site, transaction, Head(writer=OWN, seq=99, hash=bytes(32)))
    return made


def renew(seat: Seat) -> Plan:
    """A later epoch of the same roster, pinned everywhere, and the plan for it."""
    roster = seat.later_epoch()
    document = seat.found.coordinator.plan.model_dump(mode="json")
    document["roster_hash"] = roster.hash.hex()
    return Plan.from_bytes(canonical_json(document))


def taking_part(seat: Seat, run: bytes) -> int:
    with seat.open() as site:
        keys = site.own_users().keys
        with site.store.transaction() as transaction:
            return len(participants(site, transaction, run_id=run, keys=keys).places)


def test_before_the_halt_everybody_took_part_and_while_it_lasts_nobody_asks(seat: Seat) -> None:
    assert taking_part(seat, RUN) == len(seat.users())
    assert seat.refused(OWN, "join", seat.announcement(run=LATER_RUN), LATER_RUN) == "site/halted"


def test_after_it_was_cleared_every_user_counts_as_spent_for_a_window(seat: Seat) -> None:
    plan = renew(seat)
    with seat.open() as site:
        assert clear_halt(site) == Head(writer=OWN, seq=99, hash=bytes(32))
    seat.join(plan, LATER_RUN, [OWN])
    assert taking_part(seat, LATER_RUN) == 0
    seat.now += (30 + 7) * DAY + 1
    seat.join(plan, NEXT_RUN, [OWN])
    assert taking_part(seat, NEXT_RUN) == len(seat.users())


def test_a_user_who_was_away_when_it_was_cleared_counts_as_spent_too(seat: Seat) -> None:
    plan, users = renew(seat), seat.users()
    seat.set_users(users[:2])
    with seat.open() as site:
        clear_halt(site)
    seat.set_users(users)
    seat.join(plan, LATER_RUN, [OWN])
    assert taking_part(seat, LATER_RUN) == 0


def test_a_user_who_came_after_it_was_cleared_takes_part(seat: Seat) -> None:
    plan = renew(seat)
    with seat.open() as site:
        clear_halt(site)
    seat.set_users([*seat.users(), "newcomer"])
    seat.join(plan, LATER_RUN, [OWN])
    assert taking_part(seat, LATER_RUN) == 1


def test_where_the_policy_refuses_the_next_plan_is_refused(seat: Seat) -> None:
    plan = renew(seat)
    with seat.open() as site:
        clear_halt(site)
    seat.edit(budget={"when_exhausted": "refuse"})
    announced = seat.announcement(plan, LATER_RUN)
    assert seat.refused(OWN, "join", announced, LATER_RUN) == "policy/spent"


def test_runs_from_before_the_halt_do_not_go_on(seat: Seat) -> None:
    """Their contexts may have been used in the lost lines."""
    renew(seat)
    with seat.open() as site:
        clear_halt(site)
    assert seat.refused(OWN, "advertise") == "plan/roster"


def test_the_command_asks_for_confirmation_and_for_a_later_epoch(seat: Seat) -> None:
    folder = str(seat.found.sites[OWN])
    asked = CliRunner().invoke(command, ["clear-halt", folder])
    assert asked.exit_code == 2
    early = CliRunner().invoke(command, ["clear-halt", folder, "--lost-for-good"])
    assert isinstance(early.exception, Refusal)
    assert early.exception.code == "site/halted"
    renew(seat)
    cleared = CliRunner().invoke(command, ["clear-halt", folder, "--lost-for-good"])
    assert cleared.exit_code == 0
    assert "line 100" in cleared.output
    assert "epoch 2 of the roster" in cleared.output
    assert "issued after the loss" in cleared.output
    again = CliRunner().invoke(command, ["clear-halt", folder, "--lost-for-good"])
    assert "not halted" in again.output


def test_the_halt_and_its_end_are_in_the_ledger(seat: Seat) -> None:
    renew(seat)
    with seat.open() as site:
        clear_halt(site)
    found = [(kind, body) for kind, body in seat.ledger() if kind in ("old-backup", "halt-cleared")]
    head = {"seq": 99, "head": bytes(32).hex()}
    assert found == [("old-backup", head), ("halt-cleared", head)]


@pytest.mark.parametrize("readable", [True, False])
def test_an_epoch_that_waited_when_the_site_halted_does_not_end_the_halt(
    tmp_path: Path, tiny_data: Path, readable: bool
) -> None:
    """The lost lines may be of it: its contexts may have been used."""
    seat = Seat.take(tmp_path / "run", tiny_data, rounds=1)
    key, folder = SigningIdentity(b"f" * 32), seat.found.sites[OWN]
    pinned = seat.found.coordinator.federation

    def numbered(epoch: int) -> Epoch:
        roster = Roster(federation=pinned.roster.federation, epoch=epoch, sites=pinned.roster.sites)
        return Epoch.sign(roster, key, pinned.coordinator_key)

    def pin(epoch: Epoch) -> None:
        accept_federation(
            folder,
            Federation(
                signed_roster=epoch.signed_roster,
                federation_key=key.public_key,
                coordinator_key=epoch.coordinator_key,
            ),
        )

    keep_waiting(folder, numbered(2))
    if not readable:
        (folder / "epochs" / "2.json").write_bytes(b"torn")
    with seat.open() as site, site.store.transaction() as transaction:
        halt(site, transaction, Head(writer=OWN, seq=99, hash=bytes(32)))
    pin(numbered(2))
    with seat.open() as site, pytest.raises(Refusal, match="epoch 2 was here") as refused:
        clear_halt(site)
    assert refused.value.code == "site/halted"
    pin(numbered(3))
    with seat.open() as site:
        assert clear_halt(site) is not None
