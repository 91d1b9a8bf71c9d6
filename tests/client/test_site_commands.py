"""What a site's operator sees and does: budgets, users who leave, the policy, the roster."""

import errno
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recommons.client.enrolment import accept_federation
from recommons.client.membership.changes import changes
from recommons.client.membership.epochs import is_busy
from recommons.client.records import database
from recommons.client.records.books import hold_heads
from recommons.common.codes import REMEDIES
from recommons.common.commandline import main
from recommons.common.epochs import Epoch
from recommons.common.federation import Federation
from recommons.common.heads import COORDINATOR
from recommons.common.peers import fingerprint, readable
from recommons.common.privacy.ledger import Head
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster
from tests.client.seat import OWN, RUN, SITES, Seat

FEDERATION = SigningIdentity(b"f" * 32)


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    seat = Seat.take(tmp_path / "run", tiny_data)
    for site in SITES:
        seat.edit(site, budget={"when_exhausted": "leave-users-out"})
    return seat


@pytest.fixture
def folder(seat: Seat) -> str:
    return str(seat.found.sites[OWN])


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_budgets_are_shown_by_what_users_have_in_common(
    seat: Seat, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seat.join()
    seat.mask(seat.to_masked())
    seat.set_users([*seat.users(), "new-1", "new-2"])
    seat.join(run=b"run-number-one!!", sites=[OWN])
    document = said(capsys, "site", "budget", folder)
    assert document["budget"]["epsilon"] == 8
    assert [(g["users"], g["standing"], g["runs"]) for g in document["users"]] == [
        (6, "active", 1),
        (2, "active", 1),
    ]
    spent = document["users"][0]
    assert 7.9 < spent["reserved_epsilon"] <= 8.0
    assert 0 < spent["released_epsilon"] < spent["reserved_epsilon"]
    assert document["users"][1]["released_epsilon"] == 0
    assert [(r["took_part"], r["left_out"]) for r in document["runs"]] == [(6, 0), (2, 6)]


def test_one_users_budget_is_shown_alone(
    seat: Seat, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seat.join()
    one = said(capsys, "site", "budget", folder, "--user", seat.users()[0])
    assert [(g["users"], g["runs"]) for g in one["users"]] == [(1, 1)]
    assert "runs" not in one
    assert said(capsys, "site", "budget", folder, "--user", "nobody")["users"] == []


def test_the_table_is_for_people(
    seat: Seat, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seat.join()
    capsys.readouterr()
    assert main(["site", "budget", folder]) == 0
    text = capsys.readouterr().out
    assert "Budget of each user: ε 8.0 at δ 1e-05 in all time" in text
    assert "no budget left" in text


def test_users_opt_out_are_forgotten_and_come_back(
    seat: Seat, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seat.join()
    user = seat.users()[0]
    out = said(capsys, "site", "opt-out", folder, user)
    assert out["users"] == [{"user": user, "before": "active", "now": "opted-out"}]
    gone = said(capsys, "site", "forget", folder, user, "never-seen", "--yes")
    assert [entry["before"] for entry in gone["users"]] == ["opted-out", None]
    entries = seat.ledger()
    assert [body for kind, body in entries if kind == "user-forgotten"] == [{}, {}]
    said(capsys, "site", "forget", folder, user, "--yes")  # again: nothing new happened
    assert [kind for kind, _ in seat.ledger()].count("user-forgotten") == 2
    assert said(capsys, "site", "opt-in", folder, user)["users"][0]["before"] == "forgotten"
    groups = said(capsys, "site", "budget", folder)["users"]
    assert {(g["standing"], g["users"]) for g in groups} == {("active", 6), ("forgotten", 1)}


@pytest.mark.parametrize("command", ["forget", "opt-out", "opt-in"])
def test_an_empty_id_is_refused_and_changes_nobody(
    folder: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--yes"] if command == "forget" else []
    assert main(["site", command, folder, "someone", "", *more]) == 2
    assert "USER is ''; required: the id of a user" in capsys.readouterr().err
    assert not said(capsys, "site", "budget", folder)["users"]


def test_forgetting_is_confirmed(
    seat: Seat, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["site", "forget", folder, "someone"]) == 1
    assert main(["site", "forget", folder, "someone", "--json"]) == 2
    assert "user-forgotten" not in [kind for kind, _ in seat_ledger(seat)]


def test_forgetting_asks_about_the_site_by_its_name(
    tmp_path: Path,
    folder: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda text, **_: asked.append(text))
    assert main(["site", "forget", str(tmp_path / "nowhere"), "someone"]) == 2
    assert "site/folder" in capsys.readouterr().err
    assert asked == []
    assert main(["site", "forget", folder, "someone"]) == 0
    assert asked == [f"Forget 1 user at {OWN}?"]


@pytest.mark.parametrize("fault", ["data.toml", "disk"])
def test_forgetting_fails_by_name_while_the_copy_stays_and_may_be_repeated(
    seat: Seat,
    folder: str,
    fault: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seat.join()
    user, place, copies = seat.users()[0], Path(folder), Path(folder) / "cache"

    def refuses(path: Path, *, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        if fault == "disk":
            patch.setattr(shutil, "rmtree", refuses)
        else:
            (place / "data.toml").write_text("events = 1\n")
        for _ in range(2):
            assert main(["site", "forget", folder, user, "--yes"]) != 0
            told = capsys.readouterr()
            assert ("command/system" if fault == "disk" else "data/settings") in told.err
            assert "the compact copy of the events is still there" in told.err
            assert told.out == ""
            assert any(path.is_dir() for path in copies.iterdir())
            lines = (place / "ledger.jsonl").read_text()
            assert lines.count('"kind":"user-forgotten"') == 1
    (place / "data.toml").unlink(missing_ok=True)
    assert (
        said(capsys, "site", "forget", folder, user, "--yes")["users"][0]["before"] == "forgotten"
    )
    assert not any(path.is_dir() for path in copies.iterdir())
    assert [kind for kind, _ in seat.ledger()].count("user-forgotten") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["start", "FOLDER", "--health", "0"],
        ["check", "FOLDER"],
        ["roster", "accept", "--site", "FOLDER"],
        ["roster", "approve", "--site", "FOLDER"],
    ],
)
def test_a_folder_that_is_no_sites_is_called_that_by_every_command(
    tmp_path: Path,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("FLWR_TELEMETRY_ENABLED", "FLWR_DISABLE_UPDATE_CHECK", "FLWR_HOME"):
        monkeypatch.setenv(name, "")
    given = [str(tmp_path / "nowhere") if word == "FOLDER" else word for word in words]
    assert main(["site", *given]) == 2
    assert "code: site/folder" in capsys.readouterr().err


def test_an_agent_without_a_coordinator_opens_no_port(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLWR_TELEMETRY_ENABLED", "FLWR_DISABLE_UPDATE_CHECK", "FLWR_HOME"):
        monkeypatch.setenv(name, "")
    assert main(["site", "start", folder, "--health", "0"]) == 2
    told = capsys.readouterr().err
    assert "code: agent/connection" in told
    assert "health endpoints" not in told


def test_a_coordinators_other_key_without_its_word_may_mean_another_ledger(seat: Seat) -> None:
    roster = seat.found.coordinator.federation.roster
    other = epoch(roster, 2, SigningIdentity(b"c" * 32).public_key)
    with seat.open() as site:
        (told,) = changes(site, other)
        assert "NOT signed by its earlier key" in told
        assert "forget-head" not in told
        with site.store.transaction() as transaction:
            hold_heads(transaction, [Head(writer=COORDINATOR, seq=3, hash=bytes(32))])
        (told,) = changes(site, other)
    assert told.startswith("coordinator: signs plans with another key")
    assert "`recommons site forget-head` of coordinator" in told


def test_asking_whether_a_run_is_under_way_writes_nothing(seat: Seat) -> None:
    seat.join()
    with seat.open() as site:
        before = (site.folder / "site.db").read_bytes()
        seat.now += 60
        assert is_busy(site)
        assert (site.folder / "site.db").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        "status DIR",
        "pause DIR",
        "resume DIR",
        "budget DIR",
        "budget DIR --user u001",
        "forget DIR u001",
        "opt-out DIR u001",
        "opt-in DIR u001",
        "forget-head DIR site-1",
        "clear-halt DIR --lost-for-good",
        "ledger export DIR OUT",
        "roster list DIR",
        "roster accept --site DIR",
        "data refresh DIR",
        "rotate DIR",
    ],
)
def test_a_database_that_another_process_holds_is_named_by_every_command(
    seat: Seat,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
) -> None:
    seat.join()
    told = words.replace("DIR", folder).replace("OUT", str(tmp_path / "out")).split()
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 1)
    monkeypatch.setattr(database, "_LOOK_SECONDS", 0.001)
    with closing(sqlite3.connect(Path(folder) / "site.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        status = main(["site", *told])
    said = capsys.readouterr().err
    assert status == 1
    assert "code: site/locked\n" in said
    assert f"remedy: {REMEDIES['site/locked']}\n" in said


def seat_ledger(seat: Seat) -> list[tuple[str, Any]]:
    seat.open().store.close()
    return seat.ledger()


def test_checking_a_policy_shows_every_fingerprint_and_changes_nothing(
    seat: Seat, folder: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seat.edit(peers={"verified": {"site-1": seat.policy().peers.verified["site-1"]}})
    before = sorted(path.name for path in Path(folder).iterdir())
    document = said(capsys, "site", "policy", "check", folder)
    assert document["hash"] == seat.policy().hash.hex()
    keys = seat.found.coordinator.federation.roster.keys
    assert [(p["site"], p["verified"], p["own"]) for p in document["peers"]] == [
        ("site-0", False, True),
        ("site-1", True, False),
        ("site-2", False, False),
    ]
    assert document["peers"][2]["fingerprint"] == readable(fingerprint(keys["site-2"]))
    assert sorted(path.name for path in Path(folder).iterdir()) == before

    plan = tmp_path / "plan.json"
    plan.write_bytes(seat.found.coordinator.plan.to_bytes())
    capsys.readouterr()
    assert main(["site", "policy", "check", folder, "--plan", str(plan), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "policy/verified-peers"
    seat.edit(peers={"least_verified_survivors": 1})
    assert said(capsys, "site", "policy", "check", folder, "--plan", str(plan))["plan"] == "allowed"


def test_a_policy_with_a_mistake_is_refused_by_field(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(folder) / "policy.toml").write_text("[budget]\nepsilon = '8'\nwindow = 3\n")
    capsys.readouterr()
    assert main(["site", "policy", "check", folder, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "policy/invalid"
    assert "budget.epsilon" in error["message"]
    assert "budget.window" in error["message"]


def test_an_epoch_is_accepted_by_hand_or_by_majority_and_stands_in_the_ledger(
    seat: Seat, folder: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pinned = seat.found.coordinator.federation
    for site in seat.found.sites.values():
        accept_federation(
            site,
            Federation(
                signed_roster=pinned.roster.sign(FEDERATION),
                federation_key=FEDERATION.public_key,
                coordinator_key=pinned.coordinator_key,
            ),
        )
    file = tmp_path / "epoch.json"
    file.write_bytes(epoch(pinned.roster, 2, pinned.coordinator_key).to_bytes())
    words = ["site", "roster", "accept", str(file), "--site", folder]
    capsys.readouterr()
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "roster/not-approved"
    assert said(capsys, *words, "--yes")["epoch"] == 2

    file.write_bytes(epoch(pinned.roster, 3, pinned.coordinator_key).to_bytes())
    for name in ("site-1", "site-2"):
        where = str(seat.found.sites[name])
        assert main(["site", "roster", "approve", str(file), "--site", where]) == 0
    seat.edit(roster={"new_epoch": "by-majority"})
    assert said(capsys, *words)["epoch"] == 3
    accepted = [body["epoch"] for kind, body in seat.ledger() if kind == "roster-accepted"]
    assert accepted[-2:] == [2, 3]
    assert RUN not in seat.plans


def epoch(roster: Roster, number: int, coordinator_key: bytes) -> Epoch:
    newer = Roster(federation=roster.federation, epoch=number, sites=roster.sites)
    return Epoch.sign(newer, FEDERATION, coordinator_key)
