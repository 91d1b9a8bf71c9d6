"""What the operator types and reads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from recommons.common import sealing
from recommons.common.commandline import main
from recommons.common.invitation import Invitation
from recommons.common.policy import Policy
from recommons.common.policy_file import policy_from_toml
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.records.home import CoordinatorHome
from tests.server.federation.conftest import PASSPHRASE, Applicant, Founded

VARIABLE = "RECOMMONS_FEDERATION_PASSPHRASE"


@pytest.fixture
def passphrase(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    return PASSPHRASE


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == status
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_init_makes_keys_authority_settings_and_a_policy(
    tmp_path: Path,
    passphrase: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sealing, "_COST", 2**10)
    home, key = tmp_path / "fruit", tmp_path / "stick.key"
    words = ["federation", "init", str(home), "--address", "c.example", "--key", str(key)]
    assert main(words) == 0
    settings = CoordinatorHome.open(home).settings
    assert (settings.federation, settings.names, settings.listen) == (
        "fruit",
        ("c.example",),
        "0.0.0.0",  # noqa: S104 - what was asked for
    )
    assert policy_from_toml((home / "policy.toml").read_bytes()) == Policy()
    assert key.exists()
    assert not (home / "federation.key").exists()
    assert passphrase not in capsys.readouterr().out
    assert main(words) == 2  # never twice
    bare = tmp_path / "alone"
    assert main(["federation", "init", str(bare)]) == 0
    assert CoordinatorHome.open(bare).settings.listen == "127.0.0.1"


@pytest.mark.parametrize("wrong", [["--name", "Fruit!"], ["--address", "https://x"]])
def test_init_refuses_what_cannot_be_reached_or_named(
    tmp_path: Path, passphrase: str, wrong: list[str]
) -> None:
    assert passphrase
    assert main(["federation", "init", str(tmp_path / "fruit"), *wrong]) == 2
    assert not (tmp_path / "fruit").exists()


def test_an_invitation_is_the_first_line_and_the_only_one_on_it(
    founded: Founded, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    words = ["federation", "invite", "plum", "--home", str(founded.folder), "--no-wait"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert Invitation.from_text(told.out).site == "plum"
    assert told.out.count("\n") == 1


def test_an_operator_approves_what_is_shown_and_refuses_what_is_not(
    founded: Founded, plum: Applicant, passphrase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passphrase
    founded.apply(founded.invite("plum"), plum.application())
    home = ["--home", str(founded.folder)]
    (request,) = said(capsys, "federation", "requests", *home)["requests"]
    assert main(["federation", "approve", "plum", *home, "--fingerprint", "0" * 40]) == 2
    assert (
        main(["federation", "approve", "plum", *home, "--fingerprint", request["fingerprint"]]) == 0
    )
    told = said(capsys, "federation", "status", *home)
    assert [(m["site"], m["turned_away"]) for m in told["members"]] == [("plum", False)]
    assert main(["federation", "status", *home]) == 0
    assert "plum" in capsys.readouterr().out
    assert main(["federation", "approve", "plum", *home, "--yes"]) == 2


def test_requests_stand_in_columns(
    founded: Founded, plum: Applicant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    founded.apply(founded.invite("plum"), plum.application())
    other = Applicant.make(tmp_path / "gooseberry", "gooseberry")
    founded.apply(founded.invite("gooseberry"), other.application())
    assert main(["federation", "requests", "--home", str(founded.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    found = [re.search(r"( [0-9a-f]{4}){10}  ", line) for line in lines]
    assert len({match and match.span() for match in found}) == 1
    assert found[0]


def test_a_wrong_passphrase_approves_nothing_and_revoking_still_turns_away(
    founded: Founded,
    plum: Applicant,
    cherry: Applicant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    founded.let_in(plum)
    founded.let_in(cherry)
    monkeypatch.setenv(VARIABLE, "not the passphrase")
    home = ["--home", str(founded.folder)]
    assert main(["federation", "revoke", "plum", *home, "--yes"]) == 2
    assert founded.office.home.members() == ["cherry"]
    assert said(capsys, "federation", "status", *home)["epoch"] == 2
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    assert main(["federation", "revoke", "plum", *home, "--yes"]) == 0  # again, to the end
    assert said(capsys, "federation", "status", *home)["epoch"] == 3


def test_a_request_is_rejected_by_name(founded: Founded, plum: Applicant) -> None:
    founded.apply(founded.invite("plum"), plum.application())
    home = ["--home", str(founded.folder)]
    assert main(["federation", "reject", "plum", *home]) == 0
    assert main(["federation", "reject", "plum", *home]) == 2


def test_the_coordinators_key_and_the_passphrase_are_replaced(
    founded: Founded, plum: Applicant, passphrase: str, tmp_path: Path
) -> None:
    founded.let_in(plum)
    (founded.folder / "ledger.jsonl").write_text("")  # a run has taken place
    home = ["--home", str(founded.folder)]
    before = founded.office.coordinator_key
    assert main(["federation", "rotate", "coordinator", *home, "--yes"]) == 0
    assert founded.office.coordinator_key != before
    secret = bytes.fromhex((founded.folder / "ledger.key").read_text().strip())
    assert SigningIdentity(secret).public_key == before
    (tmp_path / "new").write_text("another passphrase\n")
    new = str(tmp_path / "new")
    assert main(["federation", "rotate", "passphrase", *home, "--new-passphrase-file", new]) == 0
    assert main(["federation", "rotate", "coordinator", *home, "--yes"]) == 2  # the old one
    words = ["--yes", "--passphrase-file", new]
    assert main(["federation", "rotate", "coordinator", *home, *words]) == 0
    assert main(["federation", "rotate", "everything", *home]) == 2
    assert passphrase


def test_a_folder_that_is_no_home_is_refused(tmp_path: Path) -> None:
    for words in (["requests"], ["status"], ["invite", "plum"], ["reject", "plum"]):
        assert main(["federation", *words, "--home", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []
