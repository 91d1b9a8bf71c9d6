from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from recommons.client.console.reading import SiteReader
from recommons.client.enrolment import accept_federation
from recommons.client.keys import LEDGER_KEY, NEXT_KEY, create_key
from recommons.client.records.halting import forget_earlier_ledger, note_earlier_ledger
from recommons.client.records.outbox import MOST_KEPT, note_outbound, sent, totals
from recommons.client.records.store import SiteStore
from recommons.client.site import Site
from recommons.common.codes import REMEDIES
from recommons.common.federation import Federation
from recommons.common.privacy.ledger import Head
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster
from tests.client.seat import OWN, Seat
from tests.console_serving import at, form_token, site_app, visitor
from tests.console_story import Story, told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Story:
    return told(tmp_path_factory.mktemp("site-console"), tiny_data)[1]


@pytest.fixture(scope="module")
def cork(story: Story) -> Iterator[str]:
    with at(site_app(story.sites / "cork")) as address:
        yield address


def test_every_message_is_shown_by_kind_size_and_hash(story: Story, cork: str) -> None:
    store = SiteStore(story.sites / "cork" / "site.db", read_only=True)
    with store.transaction() as connection:
        messages = sent(connection, most=1000)
    store.close()
    with visitor(cork) as client:
        page = client.get("/outbound").text
    assert {"join", "advertise", "shares", "masked", "sign", "reveal"} <= {
        message.kind.removeprefix("train.") for message in messages
    }
    assert all(message.sha256 in page for message in messages)
    assert all(f"{message.bytes} bytes" in page for message in messages)


def test_privacy_the_data_and_refusals_are_shown(cork: str) -> None:
    with visitor(cork) as client:
        now, refusals = client.get("/").text, client.get("/refusals").text
        budget, rounds = client.get("/budget").text, client.get("/rounds").text
    assert "<meter" in now
    assert "readable" in now
    assert "declared as 20" in now
    assert "policy/spent" in refusals
    assert REMEDIES["policy/spent"][:20] in refusals.replace("&#39;", "'")
    assert "Users alike" in budget
    assert "released" in rounds


def test_no_page_names_a_user_or_an_item(story: Story, cork: str) -> None:
    events = pl.read_parquet(story.sites / "cork" / "events.parquet")
    users = set(events["user_id"].to_list())
    with visitor(cork) as client:
        for path in ("/", "/rounds", "/outbound", "/budget", "/releases", "/refusals"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert not [user for user in users if user in answer.text], path


def test_the_site_is_paused_and_goes_on_by_a_form_of_this_session_alone(cork: str) -> None:
    with visitor(cork) as client:
        assert client.post("/pause", data={"form_token": "0" * 64}).status_code == 403
        assert "is paused" not in client.get("/").text
        form = {"form_token": form_token(client.get("/").text)}
        assert client.post("/pause", data=form).status_code == 303
        assert "paused by its operator" in client.get("/").text
        assert client.post("/resume", data=form).status_code == 303
        assert "paused by its operator" not in client.get("/").text
    with visitor(cork, inside=False) as stranger:
        assert stranger.post("/pause", data=form).headers["location"] == "/login"


def test_a_reader_changes_nothing(story: Story, cork: str) -> None:
    files = ("site.db", "ledger.jsonl", "policy.toml")
    before = [(story.sites / "cork" / name).read_bytes() for name in files]
    with visitor(cork) as client:
        for path in ("/", "/rounds", "/outbound", "/budget"):
            client.get(path)
    assert [(story.sites / "cork" / name).read_bytes() for name in files] == before


def test_the_outbox_counts_what_it_no_longer_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_KEPT >= 10_000
    monkeypatch.setattr("recommons.client.records.outbox.MOST_KEPT", 3)
    for number in range(5):
        note_outbound(
            tmp_path, kind="train.join", size=number, sha256=f"{number:064x}", code=None, now=9.0
        )
    store = SiteStore(tmp_path / "site.db", read_only=True)
    with store.transaction() as connection:
        kept, all_ = sent(connection, most=100), totals(connection)
    store.close()
    assert [message.number for message in kept] == [5, 4, 3]
    assert (all_.messages, all_.bytes) == (5, 10)


def test_a_ledger_is_followed_under_its_first_key_when_the_site_has_another(
    tmp_path: Path, tiny_data: Path
) -> None:
    seat = Seat.take(tmp_path / "run", tiny_data, rounds=1)
    folder = seat.found.sites[OWN]
    seat.join(sites=[OWN])
    reader = SiteReader(folder=folder, clock=lambda: seat.now)
    before = reader.read()
    assert (before.fault, len(before.history.runs)) == (None, 1)
    following, key = create_key(folder / NEXT_KEY), SigningIdentity(b"f" * 32)
    pinned = seat.found.coordinator.federation
    sites = tuple(
        replace(entry, public_key=following.public_key) if entry.site == OWN else entry
        for entry in pinned.roster.sites
    )
    roster = Roster(federation=pinned.roster.federation, epoch=2, sites=sites)
    accept_federation(
        folder,
        Federation(
            signed_roster=roster.sign(key),
            federation_key=key.public_key,
            coordinator_key=pinned.coordinator_key,
        ),
    )
    seat.open().store.close()
    assert (folder / LEDGER_KEY).exists()
    for again in (reader, SiteReader(folder=folder, clock=lambda: seat.now)):
        seen = again.read()
        assert (seen.fault, len(seen.history.runs)) == (None, 1)


def test_a_ledger_of_the_name_from_before_is_shown(story: Story, cork: str) -> None:
    with visitor(cork) as client, Site.open(story.sites / "cork") as site:
        with site.store.transaction() as transaction:
            note_earlier_ledger(site, transaction, Head(writer="cork", seq=99, hash=bytes(32)))
        page = client.get("/").text
        with site.store.transaction() as transaction:
            forget_earlier_ledger(site, transaction)
        after = client.get("/").text
    assert "site/earlier-ledger" in page
    assert "Others hold 100 lines" in page
    assert "This site takes no part" in page
    assert "site/earlier-ledger" not in after
