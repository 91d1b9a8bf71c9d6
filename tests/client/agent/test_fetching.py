"""Releases at a site are there whole when the power goes, or are fetched again."""

import json
import os
from pathlib import Path

import httpx
import pytest

from recommons.client.agent.fetching import fetch_releases
from recommons.client.releases import installed
from recommons.client.serving.served_model import read_choice, write_choice
from recommons.common.federation import Federation
from recommons.common.models.site import SiteChoice
from recommons.common.published import FILES, NOTE_FILE
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster, RosterSite
from tests.release_notes import COORDINATOR, make_note

CONTENTS = {FILES[0]: bytes(1000), FILES[1]: b'{"model":"als"}'}
NOTE = make_note(CONTENTS)
SERVED = {**CONTENTS, NOTE_FILE: NOTE.to_bytes()}


@pytest.fixture
def plum(tmp_path: Path) -> Path:
    offline, own = SigningIdentity(b"f" * 32), SigningIdentity(b"p" * 32)
    site = RosterSite(site="plum", name="Plum", public_key=own.public_key)
    federation = Federation(
        signed_roster=Roster(federation="fruit", epoch=1, sites=(site,)).sign(offline),
        federation_key=offline.public_key,
        coordinator_key=COORDINATOR.public_key,
    )
    (tmp_path / "federation.json").write_bytes(federation.to_bytes())
    return tmp_path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Which files the disk has for certain, by number."""
    found: set[int] = set()
    real = os.fsync

    def noted(descriptor: int) -> None:
        real(descriptor)
        found.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    return found


def line() -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        if name == "releases":
            return httpx.Response(200, content=json.dumps({"releases": 1}))
        return httpx.Response(200, stream=httpx.ByteStream(SERVED[name]))

    return httpx.Client(transport=httpx.MockTransport(answer), base_url="https://fruit")


def test_what_was_fetched_is_on_the_disk_before_it_is_in_place(
    plum: Path, settled: set[int]
) -> None:
    with line() as client:
        assert fetch_releases(plum, client) == [NOTE]
    (release,) = installed(plum)
    assert release.complete
    for name in SERVED:
        assert (release.path / name).stat().st_ino in settled, name


def test_a_file_of_another_length_than_was_signed_for_is_fetched_again(plum: Path) -> None:
    with line() as client:
        fetch_releases(plum, client)
        (release,) = installed(plum)
        (release.path / FILES[0]).write_bytes(b"")
        assert not installed(plum)[0].complete
        fetch_releases(plum, client)
    assert installed(plum)[0].complete
    assert (release.path / FILES[0]).read_bytes() == CONTENTS[FILES[0]]


def test_what_a_site_chose_for_its_scores_is_on_the_disk(tmp_path: Path, settled: set[int]) -> None:
    choice = SiteChoice(local_weight=0.5)
    write_choice(tmp_path, choice)
    assert (tmp_path / "serving.json").stat().st_ino in settled
    assert read_choice(tmp_path / "serving.json") == choice
