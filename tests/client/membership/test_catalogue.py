"""The public catalogue's way to a site: with joining, by the agent's chore, or when asked for."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recommons.client.agent import catalogue
from recommons.client.agent.catalogue import download_catalogue, fetch_catalogue
from recommons.client.operating import catalogue_command
from recommons.client.site import Site
from recommons.common.commandline import main
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import CATALOGUE_FILE, catalogue_to_bytes
from recommons.common.errors import Refusal
from tests.client.membership.conftest import Federation
from tests.client.seat import Seat


def document(*items: str) -> bytes:
    return catalogue_to_bytes(Catalogue(item_ids=items, titles=("",) * len(items)))


def offer(federation: Federation, data: bytes) -> None:
    (federation.folder / CATALOGUE_FILE).write_bytes(data)


def test_a_site_that_joins_has_the_catalogue_that_the_operator_offers(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(federation, document("a", "b"))
    federation.let_in("plum")
    assert "catalogue.json has 2 items" in capsys.readouterr().out
    with Site.open(federation.site("plum")) as site:
        assert site.catalogue.item_ids == ("a", "b")


def test_where_nobody_offered_one_yet_the_agent_fetches_it_later(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    federation.let_in("plum")
    assert "catalogue.json is not there yet" in capsys.readouterr().out
    plum = federation.site("plum")
    fetch_catalogue(plum)
    assert not (plum / CATALOGUE_FILE).exists()
    offer(federation, document("a"))
    fetch_catalogue(plum)
    assert (plum / CATALOGUE_FILE).read_bytes() == document("a")


def test_nothing_is_put_over_what_the_operator_placed_meanwhile(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.let_in("plum")
    offer(federation, document("a"))
    place = federation.site("plum") / CATALOGUE_FILE
    download = download_catalogue

    def slow(folder: Path, *, seconds: float = 0) -> bytes | None:
        found = download(folder)
        place.write_bytes(document("b"))
        return found

    monkeypatch.setattr(catalogue, "download_catalogue", slow)
    fetch_catalogue(federation.site("plum"))
    assert place.read_bytes() == document("b")
    place.unlink()
    monkeypatch.setattr(catalogue_command, "download_catalogue", slow)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path != place and exists(path))
    plum = str(federation.site("plum"))
    assert main(["site", "catalogue", "fetch", plum, "--yes"]) == 0
    assert place.read_bytes() == document("a")
    assert place.with_name("catalogue.json.before").read_bytes() == document("b")


def test_a_name_that_leads_nowhere_is_no_empty_place(federation: Federation) -> None:
    federation.let_in("plum")
    place = federation.site("plum") / CATALOGUE_FILE
    place.symlink_to("/nowhere/catalogue.json")
    offer(federation, b"nothing that could be read")
    fetch_catalogue(federation.site("plum"))
    assert place.is_symlink()


def test_a_catalogue_that_is_there_is_replaced_by_the_operators_word_alone(
    federation: Federation,
    capsys: pytest.CaptureFixture[str],
    answers: Callable[[str], None],
) -> None:
    offer(federation, document("a", "b"))
    federation.let_in("plum")
    plum = federation.site("plum")
    offer(federation, document("b", "c", "d"))
    fetch_catalogue(plum)
    assert (plum / CATALOGUE_FILE).read_bytes() == document("a", "b")
    answers("n")
    assert main(["site", "catalogue", "fetch", str(plum)]) == 1
    assert "2 items are new, 1 are gone, 1 stay" in capsys.readouterr().err
    assert (plum / CATALOGUE_FILE).read_bytes() == document("a", "b")
    answers("y")
    assert main(["site", "catalogue", "fetch", str(plum), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["items"], told["features"]) == (3, [])
    assert (plum / CATALOGUE_FILE).read_bytes() == document("b", "c", "d")
    assert (plum / "catalogue.json.before").read_bytes() == document("a", "b")
    assert main(["site", "catalogue", "show", str(plum), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_no_catalogue_is_replaced_under_an_open_run(
    federation: Federation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(federation, document("a"))
    federation.let_in("plum")
    offer(federation, document("b"))
    plum = str(federation.site("plum"))
    monkeypatch.setattr(catalogue_command, "is_busy", lambda _site: True)
    assert main(["site", "catalogue", "fetch", plum, "--yes"]) == 1
    assert "site/busy" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["site", "catalogue", "fetch", plum, "--yes"]) == 0
    capsys.readouterr()
    assert main(["site", "catalogue", "fetch", plum]) == 0, "it is the same: nothing is asked"


def test_a_run_that_was_joined_while_the_question_stood_keeps_its_catalogue(
    federation: Federation,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answers: Callable[[str], None],
) -> None:
    offer(federation, document("a"))
    federation.let_in("plum")
    offer(federation, document("b"))
    plum = federation.site("plum")
    busy = iter((False, True))
    monkeypatch.setattr(catalogue_command, "is_busy", lambda _site: next(busy))
    answers("y")
    assert main(["site", "catalogue", "fetch", str(plum)]) == 1
    assert "site/busy" in capsys.readouterr().err
    assert (plum / CATALOGUE_FILE).read_bytes() == document("a")
    assert not (plum / "catalogue.json.before").exists()


def test_under_an_open_run_the_agent_brings_back_its_catalogue_and_no_other(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat = Seat.take(tmp_path / "run", tiny_data)
    seat.now = time.time()
    seat.join()
    folder = seat.found.sites["site-0"]
    with seat.open() as site:
        place = folder / site.config.catalogue
    own = place.read_bytes()
    place.unlink()
    monkeypatch.setattr(catalogue, "download_catalogue", lambda *_a, **_k: document("a"))
    with pytest.raises(Refusal) as refused:
        fetch_catalogue(folder)
    assert refused.value.code == "site/busy"
    assert not place.exists()
    monkeypatch.setattr(catalogue, "download_catalogue", lambda *_a, **_k: own)
    fetch_catalogue(folder)
    assert place.read_bytes() == own
    place.unlink()
    seat.finish()
    monkeypatch.setattr(catalogue, "download_catalogue", lambda *_a, **_k: document("a"))
    fetch_catalogue(folder)
    assert place.read_bytes() == document("a")


def test_a_coordinator_without_one_and_a_site_without_one_say_so(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    federation.let_in("plum")
    for command in ("fetch", "show"):
        assert main(["site", "catalogue", command, str(federation.site("plum"))]) == 2
        assert "site/catalogue" in capsys.readouterr().err


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def answer(said: str) -> None:
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: said)

    return answer
