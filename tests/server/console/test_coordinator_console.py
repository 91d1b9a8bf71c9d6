import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from recommons.common.codes import REMEDIES
from recommons.common.federation import Federation
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.console.reading import CoordinatorReader
from tests.console_serving import COOKIE, PASSWORD, at, coordinator_app, form_token, visitor
from tests.console_story import SITES, Story, told


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> tuple[Story, Story]:
    return told(tmp_path_factory.mktemp("coordinator-console"), tiny_data)


@pytest.fixture(scope="module")
def live(stories: tuple[Story, Story]) -> Iterator[str]:
    with at(coordinator_app(stories[0].coordinator)) as address:
        yield address


@pytest.fixture(scope="module")
def done(stories: tuple[Story, Story]) -> Iterator[str]:
    with at(coordinator_app(stories[1].coordinator)) as address:
        yield address


def test_a_round_that_goes_on_is_shown_with_its_sites_bytes_and_privacy(live: str) -> None:
    with visitor(live) as client:
        page = client.get("/").text
    assert "round 3 of 3, attempt 1: sites train, add noise and mask." in page
    assert all(site in page for site in SITES)
    assert "5 of 5" in page
    assert "<meter" in page
    assert "secagg/too-few-sites" in page
    assert "oslo" in page


def test_refusals_come_with_their_remedies(done: str) -> None:
    with visitor(done) as client:
        page = client.get("/refusals").text
    for code in ("secagg/too-few-sites", "run/refused"):
        assert code in page
        assert REMEDIES[code][:20] in page.replace("&#39;", "'")


def test_a_finished_run_has_a_release(done: str) -> None:
    with visitor(done) as client:
        page = client.get("/releases").text
        runs = client.get("/runs").text
    assert "finished" in runs
    assert "als" in page
    assert "None yet" not in page


def test_a_ledger_goes_on_under_its_first_key_when_the_coordinators_is_replaced(
    stories: tuple[Story, Story], tmp_path: Path
) -> None:
    folder = shutil.copytree(stories[1].coordinator, tmp_path / "coordinator")
    reader = CoordinatorReader(folder)
    before = reader.read()
    assert (before.fault, len(before.runs)) == (None, 2)
    present = Federation.from_bytes((folder / "federation.json").read_bytes())
    fresh = SigningIdentity(b"n" * 32)
    # As `recommons.server.federation.publishing` does, the federation's file last.
    shutil.copy(folder / "coordinator.key", folder / "ledger.key")
    (folder / "coordinator.key").write_text(fresh.secret_bytes().hex() + "\n")
    rotated = replace(present, coordinator_key=fresh.public_key)
    (folder / "federation.json").write_bytes(rotated.to_bytes())
    for again in (reader, CoordinatorReader(folder)):
        assert again.read() == before


def test_nobody_sees_a_page_without_logging_in(live: str) -> None:
    with visitor(live, inside=False) as client:
        for path in ("/", "/runs", "/sites", "/releases", "/refusals"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
            assert "berlin" not in answer.text
        client.cookies.set(COOKIE, "0" * 64)
        assert client.get("/").status_code == 303
        assert client.get("/", headers={"recommons-live": "1"}).status_code == 401


def test_other_names_other_origins_and_large_forms_are_refused(live: str) -> None:
    with visitor(live) as client:
        page = client.get("/").text
        assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        assert client.get("/", headers={"host": "127.0.0.1.evil.example"}).status_code == 421
        form = {"form_token": form_token(page)}
        wrong = {"origin": "http://evil.example"}
        assert client.post("/logout", data=form, headers=wrong).status_code == 403
        cross = {"sec-fetch-site": "cross-site"}
        assert client.post("/logout", data=form, headers=cross).status_code == 403
        assert client.post("/logout", data={"form_token": "0" * 64}).status_code == 403
        assert client.post("/logout", content=b"x" * 5000).status_code == 413
        assert client.request("PUT", "/").status_code == 405
        assert client.get("/").status_code == 200
        assert client.post("/logout", data=form).status_code == 303
        assert client.get("/").status_code == 303


def test_every_answer_carries_the_strict_policy_and_the_cookie_is_for_this_server(
    live: str,
) -> None:
    with visitor(live, inside=False) as client:
        answer = client.get("/login")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<style" not in answer.text
    assert 'style="' not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_login_gives_a_new_cookie(live: str) -> None:
    with visitor(live, inside=False) as client:
        token = form_token(client.get("/login").text)
        planted = client.cookies[COOKIE]
        client.post("/login", data={"form_token": token, "password": PASSWORD})
        assert client.cookies[COOKIE] != planted


def test_guesses_are_limited(stories: tuple[Story, Story]) -> None:
    app = coordinator_app(stories[0].coordinator, tries=2)
    with at(app) as address, visitor(address, inside=False) as client:
        form = {"form_token": form_token(client.get("/login").text), "password": "wrong"}
        found = [client.post("/login", data=form).status_code for _ in range(3)]
    assert found == [403, 403, 429]


def test_a_page_that_has_not_changed_is_not_sent_again(live: str) -> None:
    with visitor(live) as client:
        first = client.get("/")
        again = client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_changed_ledger_is_not_believed(stories: tuple[Story, Story], tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    folder.mkdir()
    for name in ("federation.json", "ledger.jsonl"):
        (folder / name).write_bytes((stories[1].coordinator / name).read_bytes())
    ledger = folder / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"round":0', b'"round":1', 1))
    with at(coordinator_app(folder)) as address, visitor(address) as client:
        assert "ledger/changed" in client.get("/").text


def test_what_the_system_refuses_is_named(stories: tuple[Story, Story], tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    folder.mkdir()
    (folder / "federation.json").write_bytes(
        (stories[1].coordinator / "federation.json").read_bytes()
    )
    with at(coordinator_app(folder)) as address, visitor(address) as client:
        (folder / "ledger.jsonl").mkdir()
        answer = client.get("/")
    assert answer.status_code == 503
    assert "command/system" in answer.text
    assert "Is a directory" in answer.text


def test_unknown_pages_are_named_as_such(live: str) -> None:
    with visitor(live) as client:
        answer: httpx.Response = client.get("/runs/nothing")
    assert answer.status_code == 404
    assert "no such page" in answer.text
