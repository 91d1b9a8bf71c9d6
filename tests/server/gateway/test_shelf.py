"""Releases on their way: from the shelf, through a real gateway, into a site's folder."""

from pathlib import Path

import httpx
import pytest

from recommons.client.agent.fetching import fetch_model, fetch_releases
from recommons.client.agent.link import LinkError
from recommons.client.releases import installed, served
from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.published import FILES, NOTE_FILE, ReleaseNote
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster, RosterSite
from tests.release_notes import COORDINATOR, make_note
from tests.server.gateway.conftest import FEDERATION, Door

LIST = "/v1/recommons/releases"
CATALOGUE = "/v1/recommons/catalogue"
CONTENTS = {FILES[0]: bytes(range(256)) * 20_000, FILES[1]: b'{"model":"als"}'}


def publish(door: Door, signer: SigningIdentity = COORDINATOR, **changed: object) -> ReleaseNote:
    """Put one more release on the shelf."""
    shelf = door.folder / "releases"
    number = len(list(shelf.glob("*"))) + 1
    before = shelf / f"{number - 1:03d}" / NOTE_FILE
    previous = ReleaseNote.from_bytes(before.read_bytes()).hash.hex() if number > 1 else ""
    given: dict[str, object] = {
        "federation": FEDERATION,
        "number": number,
        "run": f"{number:032x}",
        "previous": previous,
    }
    note = make_note(CONTENTS, signer, **(given | changed))
    folder = shelf / f"{number:03d}"
    folder.mkdir(parents=True)
    for name, content in {**CONTENTS, NOTE_FILE: note.to_bytes()}.items():
        (folder / name).write_bytes(content)
    return note


@pytest.fixture
def plum(door: Door) -> Path:
    """A member's folder, with the coordinator's key pinned."""
    home, offline = door.admit("plum"), SigningIdentity(b"f" * 32)
    site = RosterSite(site="plum", name="Plum", public_key=SigningIdentity(b"p" * 32).public_key)
    federation = Federation(
        signed_roster=Roster(federation=FEDERATION, epoch=1, sites=(site,)).sign(offline),
        federation_key=offline.public_key,
        coordinator_key=COORDINATOR.public_key,
    )
    (home / "federation.json").write_bytes(federation.to_bytes())
    return home


def test_the_latest_model_arrives_whole_and_every_note(door: Door, plum: Path) -> None:
    notes = [publish(door), publish(door)]
    with door.client(plum) as client:
        assert fetch_releases(plum, client) == notes
        assert fetch_releases(plum, client) == []
        first, second = installed(plum)
        assert (first.complete, second.complete) == (False, True)
        assert served(plum).note == notes[1]
        for name, content in CONTENTS.items():
            assert (second.path / name).read_bytes() == content
        fetch_model(plum, client, 1)
        assert all(release.complete for release in installed(plum))
        with pytest.raises(InvalidInput, match="known: 1 to 2"):
            fetch_model(plum, client, 3)


def test_a_download_that_broke_off_goes_on_from_its_last_byte(door: Door, plum: Path) -> None:
    publish(door)
    name = FILES[0]
    part = plum / "models" / ".parts" / "001" / name
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENTS[name][:1_000_001])
    with door.client(plum) as client:
        asked: list[str | None] = []
        client.event_hooks["request"].append(lambda r: asked.append(r.headers.get("range")))
        fetch_releases(plum, client)
    assert "bytes=1000001-" in asked
    assert (served(plum).path / name).read_bytes() == CONTENTS[name]


def test_bytes_that_are_not_the_signed_ones_are_thrown_away(door: Door, plum: Path) -> None:
    publish(door)
    stored = door.folder / "releases" / "001" / FILES[0]
    stored.write_bytes(b"x" + CONTENTS[FILES[0]][1:])
    with door.client(plum) as client:
        with pytest.raises(InvalidInput) as refused:
            fetch_releases(plum, client)
        assert refused.value.code == "release/corrupt"
        assert not any(release.complete for release in installed(plum))
        stored.write_bytes(CONTENTS[FILES[0]] + b"more")
        with pytest.raises(InvalidInput):
            fetch_releases(plum, client)
        stored.write_bytes(CONTENTS[FILES[0]])
        fetch_releases(plum, client)
    assert served(plum).complete


def test_nothing_of_another_key_or_another_history_is_kept(door: Door, plum: Path) -> None:
    publish(door, SigningIdentity(b"x" * 32))
    with door.client(plum) as client:
        with pytest.raises(InvalidInput) as refused:
            fetch_releases(plum, client)
        assert refused.value.code == "release/signature"
        assert installed(plum) == ()
        (door.folder / "releases" / "001").rename(door.folder / "gone")
        publish(door)
        fetch_releases(plum, client)
        publish(door, previous="00" * 32)
        with pytest.raises(InvalidInput) as refused:
            fetch_releases(plum, client)
        assert refused.value.code == "release/history"
    assert len(installed(plum)) == 1


def test_the_catalogue_is_given_whole_where_there_is_one(door: Door, plum: Path) -> None:
    with door.client(plum) as client:
        assert client.get(CATALOGUE).status_code == 204
        content = bytes(range(256)) * 20_000
        (door.folder / "catalogue.json").write_bytes(content)
        assert client.get(CATALOGUE).content == content
        assert client.post(CATALOGUE).status_code == 404
        assert client.get(f"{CATALOGUE}/").status_code == 404
    with door.client(door.admit("pear", listed=False)) as client:
        assert client.get(CATALOGUE).status_code == 403


def test_only_members_read_and_only_releases(door: Door, plum: Path) -> None:
    publish(door)
    (door.folder / "secret").write_text("secret")
    with door.client(plum) as client:
        assert client.get(LIST).json() == {"releases": 1}
        for path in (
            "/v1/recommons/releases/001/../../secret",
            "/v1/recommons/releases/001/%2e%2e/secret",
            "/v1/recommons/releases//001/model.json",
            "/v1/recommons/releases/001/model.json/",
            "/v1/recommons/releases/001/model.json?x=1",
            "/v1/recommons/releases/002/model.json",
            "/v1/recommons/releases/../secret",
            "/v1/recommons/",
        ):
            url = httpx.URL(f"https://127.0.0.1:{door.port}").copy_with(raw_path=path.encode())
            response = client.get(url)
            assert response.status_code == 404, path
            assert b"secret" not in response.content
        assert client.post(LIST).status_code == 404
    stranger = door.admit("pear", listed=False)
    with door.client(stranger) as client:
        assert client.get(LIST).status_code == 403
        with pytest.raises(LinkError) as refused:
            fetch_releases(stranger, client)
        assert refused.value.code == "agent/turned-away"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-", 200, slice(0, None)),
        ("bytes=3-", 206, slice(3, None)),
        ("bytes=3-5", 206, slice(3, 6)),
        ("bytes=3-99999999", 206, slice(3, None)),
        ("bytes=99999999-", 416, None),
        ("bytes=5-3", 416, None),
        ("bytes=-5", 416, None),
        ("bytes=0-1,3-4", 416, None),
        ("lines=1-", 416, None),
    ],
)
def test_one_range_of_bytes_is_given(
    door: Door, plum: Path, asked: str, status: int, part: slice | None
) -> None:
    publish(door)
    path, content = f"{LIST}/001/{FILES[1]}", CONTENTS[FILES[1]]
    with door.client(plum) as client:
        response = client.get(path, headers={"range": asked})
    assert response.status_code == status
    if part is not None:
        assert response.content == content[part]
    if status == 206 and part is not None:
        stop = len(content) if part.stop is None else part.stop
        assert response.headers["content-range"] == f"bytes 3-{stop - 1}/{len(content)}"
