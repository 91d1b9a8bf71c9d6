"""`recommons site status`, `data` and `model list`: what they say, and that they disturb nobody."""

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recommons.client.membership.data_check import catalogue_findings, data_findings
from recommons.client.operating.status import AGENT_LOCK, read_status
from recommons.client.records.halting import note_earlier_ledger
from recommons.client.site import SiteConfig
from recommons.common import commandline
from recommons.common.codes import REMEDIES
from recommons.common.errors import InvalidInput
from recommons.common.privacy.ledger import Head
from tests.client.seat import OWN, RUN, Seat


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert commandline.main(["site", *arguments]) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    return dict(json.loads(told(capsys, *arguments, "--json")))


def test_a_fresh_site_has_nothing_to_tell(seat: Seat, capsys: pytest.CaptureFixture[str]) -> None:
    with seat.open():
        pass
    status = read_status(seat.found.sites[OWN])
    assert (status.site, status.running, status.halted, status.paused) == (OWN, False, False, None)
    assert (status.data, status.open_runs, status.releases) == (None, (), ())
    assert status.certificate_ends is None
    said = told(capsys, "status", str(seat.found.sites[OWN]))
    assert "not running" in said
    assert "not read yet" in said


def test_a_site_before_its_federation_is_a_site(tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text('{"site": "plum", "declared_users": 10}')
    status = read_status(tmp_path)
    assert (status.site, status.federation, status.epoch) == ("plum", None, None)


def test_runs_data_and_ledger_are_told(seat: Seat, capsys: pytest.CaptureFixture[str]) -> None:
    seat.join()
    status = read_status(seat.found.sites[OWN])
    assert status.open_runs == (RUN.hex(),)
    assert status.ledger_entries == len(seat.ledger())
    assert status.data is not None
    assert (status.data.ok, status.data.source, status.data.users) == (True, "parquet", 6)
    assert "6 users" in told(capsys, "status", str(seat.found.sites[OWN]))
    seat.finish()
    assert read_status(seat.found.sites[OWN]).open_runs == ()


def test_data_that_cannot_be_read_are_told_once_with_the_code(seat: Seat) -> None:
    (seat.found.sites[OWN] / "events.parquet").write_bytes(b"")
    (seat.found.sites[OWN] / "data.toml").write_text("events = 1\n")
    assert seat.refused(OWN, "join", seat.announcement()) == "site/data"
    first = read_status(seat.found.sites[OWN]).data
    assert first is not None
    assert (first.ok, first.code) == (False, "data/settings")
    seat.now += 60
    assert seat.refused(OWN, "join", seat.announcement()) == "site/data"
    assert read_status(seat.found.sites[OWN]).data == first, "since when it has been so"


def test_an_agent_is_seen_by_its_lock(seat: Seat) -> None:
    folder = seat.found.sites[OWN]
    descriptor = os.open(folder / AGENT_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    assert not read_status(folder).running
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert read_status(folder).running
    os.close(descriptor)
    assert not read_status(folder).running


def test_looking_changes_nothing(seat: Seat, capsys: pytest.CaptureFixture[str]) -> None:
    seat.join()
    folder = seat.found.sites[OWN]

    def contents() -> dict[str, str]:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = contents()
    for command in (("status",), ("data", "check"), ("model", "list")):
        told(capsys, *command, str(folder))
    assert contents() == before


def test_data_are_counted_for_the_operator(seat: Seat, capsys: pytest.CaptureFixture[str]) -> None:
    folder = seat.found.sites[OWN]
    rows = pl.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["i00", "nothing", "i21"]})
    (folder / "more").mkdir()
    rows.write_csv(folder / "more" / "a.csv")
    (folder / "data.toml").write_text('[events]\nfiles = ["more/*.csv"]\n')
    looked = document(capsys, "data", "check", str(folder))
    counted = {"users": 2, "events": 3, "left_out": {}, "bad": {}}
    usable = {"users": 2, "events": 2, "unknown_items": 1}
    assert looked == {"source": "csv", **counted, "first_bad": None, "usable": usable}
    read = document(capsys, "data", "refresh", str(folder))
    assert (read["users"], read["events"], read["pairs"], read["unknown_items"]) == (2, 3, 2, 1)
    rows[:1].write_csv(folder / "more" / "b.csv")
    assert document(capsys, "data", "refresh", str(folder))["events"] == 4
    health = read_status(folder).data
    assert health is not None
    assert health.events == 4


def test_bad_rows_are_told_to_the_operator_and_refused_by_the_check_alone(
    seat: Seat, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = seat.found.sites[OWN]
    (folder / "shop.csv").write_text("user_id,item_id\nu,i00\nzebra,\nv,i00\n")
    (folder / "data.toml").write_text('[events]\nfiles = ["shop.csv"]\n')
    assert commandline.main(["site", "data", "check", str(folder)]) == 2
    printed = capsys.readouterr()
    assert "cannot be read: 1 (item_id: the cell is empty; expected an id)" in printed.out
    assert "first of them: shop.csv, line 3: item_id" in printed.out
    assert "1 of 3 rows cannot be read" in printed.err
    assert "code: data/bad-rows" in printed.err
    (finding,) = data_findings(folder)
    assert (finding.ok, "data.toml is 0.01" in finding.said) == (False, True)
    assert "zebra" not in printed.out + printed.err + finding.said
    # A round asks nobody: the site joins with the others.
    seat.join()
    assert "1 of them cannot be read" in told(capsys, "status", str(folder))
    assert "data/bad-rows: 1 rows" in caplog.text
    with (folder / "data.toml").open("a") as more:
        more.write("[check]\nmost_bad_rows = 0.5\n")
    assert "2 users" in told(capsys, "data", "check", str(folder))
    (finding,) = data_findings(folder)
    assert finding.ok
    assert "1 cannot be read" in finding.said


NO_USER = {
    "a foreign column of ids": ("user_id,item_id\nu,zebra\nv,zebra\n", "", "none of 2 events"),
    "a filter": (
        "user_id,item_id,event_type\nu,i00,buy\nv,i01,buy\n",
        '[filter]\nevent_types = ["view"]\n',
        "no event counts: 2 left out (another event type)",
    ),
    "no row": ("user_id,item_id\n", "", "there are no events"),
}


@pytest.mark.parametrize("why", NO_USER)
def test_data_that_give_no_user_fail_every_check_by_name(
    seat: Seat, capsys: pytest.CaptureFixture[str], why: str
) -> None:
    content, more, expected = NO_USER[why]
    folder = seat.found.sites[OWN]
    (folder / "shop.csv").write_text(content)
    (folder / "data.toml").write_text(f'[events]\nfiles = ["shop.csv"]\n{more}')
    for command in ("check", "refresh"):
        assert commandline.main(["site", "data", command, str(folder)]) == 2
        printed = capsys.readouterr()
        assert "code: data/no-users" in printed.err
        assert expected in printed.err
        assert "zebra" not in printed.out + printed.err
        assert commandline.main(["site", "data", command, str(folder), "--json"]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "data/no-users"
    (finding,) = data_findings(folder)
    assert (finding.ok, finding.remedy) == (False, REMEDIES["data/no-users"])
    assert expected in finding.said


def test_events_on_unknown_items_are_noted_once_they_are_most(
    seat: Seat, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = seat.found.sites[OWN]
    rows = ["user_id,item_id", "u,i00", "u,a", "v,b", ""]
    (folder / "shop.csv").write_text("\n".join(rows))
    (folder / "data.toml").write_text('[events]\nfiles = ["shop.csv"]\n')
    checked = told(capsys, "data", "check", str(folder))
    assert "usable: 1 user, 1 event" in checked
    assert "left out: 2 (an item that is not in the catalogue)" in checked
    assert "note: 2 of 3 events" in checked
    (finding,) = data_findings(folder)
    assert finding.ok is None
    assert "usable: 1 user, 1 event" in finding.said
    assert "2 of 3 events" in finding.said
    assert "catalogue show" in finding.remedy
    (folder / "shop.csv").write_text("\n".join([*rows[:2], "w,i01", *rows[2:]]))
    assert "note" not in told(capsys, "data", "check", str(folder))
    (finding,) = data_findings(folder)
    assert finding.ok


def test_without_a_catalogue_items_are_said_not_to_be_compared(
    seat: Seat, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = seat.found.sites[OWN]
    (folder / SiteConfig.read(folder).catalogue).unlink()
    assert "not compared" in told(capsys, "data", "check", str(folder))
    assert document(capsys, "data", "check", str(folder))["usable"] is None
    (finding,) = data_findings(folder)
    assert (finding.ok, "not compared" in finding.said) == (True, True)


@pytest.mark.parametrize("command", ["status", "data check", "data refresh", "model list"])
def test_a_folder_that_is_no_sites_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    status = commandline.main(["site", *command.split(), str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (status, found["error"]["code"]) == (2, "site/folder")
    commandline.main(["site", *command.split(), str(tmp_path / "plumm")])
    assert f"{tmp_path / 'plumm'}: no such folder" in capsys.readouterr().err


def test_there_is_no_release_before_the_first(
    seat: Seat, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(seat.found.sites[OWN])
    assert document(capsys, "model", "list", folder) == {"releases": []}
    assert "none received" in told(capsys, "model", "list", folder)


def test_a_ledger_of_the_name_from_before_is_told_with_what_to_do(
    seat: Seat, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = seat.found.sites[OWN]
    with seat.open() as site:
        assert read_status(folder).earlier_ledger is None
        with site.store.transaction() as transaction:
            note_earlier_ledger(site, transaction, Head(writer=OWN, seq=99, hash=bytes(32)))
    assert document(capsys, "status", str(folder))["earlier_ledger"] == 100
    said = told(capsys, "status", str(folder))
    (line,) = [line for line in said.splitlines() if line.startswith("REFUSES")]
    assert "100 lines" in line
    assert "clear-halt" in line


def test_a_catalogue_that_is_not_there_is_called_that_everywhere(
    seat: Seat, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = seat.found.sites[OWN]
    (finding,) = catalogue_findings(folder)
    assert (finding.ok, "has 40 items" in finding.said) == (True, True)
    (folder / "site.json").write_text(
        f'{{"site": "{OWN}", "declared_users": 10, "catalogue": "items.json"}}'
    )
    assert seat.refused(OWN, "join", seat.announcement()) == "site/catalogue"
    assert seat.ledger()[-1][1]["code"] == "site/catalogue"
    assert commandline.main(["site", "data", "refresh", str(folder)]) == 2
    assert "site/catalogue" in capsys.readouterr().err
    health = read_status(folder).data
    assert health is not None
    assert (health.ok, health.code, health.source) == (False, "site/catalogue", "items.json")
    (finding,) = catalogue_findings(folder)
    assert (finding.ok, "items.json" in finding.said) == (None, True)
    (folder / "items.json").write_bytes(b"{}")
    (finding,) = catalogue_findings(folder)
    assert (finding.ok, "is not a catalogue" in finding.said) == (False, True)
    assert commandline.main(["site", "data", "refresh", str(folder)]) != 0
    health = read_status(folder).data
    assert health is not None
    assert health.code == "data/catalogue"


@pytest.mark.parametrize("name", ["federation.json", "site.db"])
def test_a_file_that_cannot_be_read_is_named(seat: Seat, name: str) -> None:
    seat.join()
    path = seat.found.sites[OWN] / name
    path.unlink()
    if name == "site.db":
        path.write_bytes(b"not a database" * 1000)
    else:
        path.mkdir()
    with pytest.raises(InvalidInput, match=name) as refused:
        read_status(seat.found.sites[OWN])
    assert refused.value.code == "site/folder"


def test_models_of_a_folder_whose_site_json_is_broken_are_not_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.json").write_text("{}")
    assert commandline.main(["site", "model", "list", str(tmp_path)]) == 2
    assert "site/folder" in capsys.readouterr().err
