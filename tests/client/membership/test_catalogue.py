"""The public catalogue's way to a site: with joining, by the agent's chore, or when asked for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from recommons.client.agent import catalogue
from recommons.client.agent.catalogue import fetch_catalogue
from recommons.client.agent.connection import gateway_client
from recommons.client.operating import catalogue_command
from recommons.client.site import Site
from recommons.common.commandline import main
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import CATALOGUE_FILE, catalogue_to_bytes
from recommons.common.errors import DataError
from tests.client.membership.conftest import Federation


def document(*items: str) -> bytes:
    return catalogue_to_bytes(Catalogue(item_ids=items, titles=("",) * len(items)))


def offer(federation: Federation, data: bytes) -> None:
    (federation.folder / CATALOGUE_FILE).write_bytes(data)


def fetch(folder: Path) -> None:
    with gateway_client(folder) as client:
        fetch_catalogue(folder, client)


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
    fetch(plum)
    assert not (plum / CATALOGUE_FILE).exists()
    offer(federation, document("a"))
    fetch(plum)
    assert (plum / CATALOGUE_FILE).read_bytes() == document("a")


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, document("a")[:-1]])
def test_what_is_no_catalogue_is_not_kept(federation: Federation, data: bytes) -> None:
    federation.let_in("plum")
    offer(federation, data)
    with pytest.raises(DataError) as refused:
        fetch(federation.site("plum"))
    assert refused.value.code == "data/catalogue"
    assert not (federation.site("plum") / CATALOGUE_FILE).exists()


def test_what_is_longer_than_any_catalogue_is_not_read_to_its_end(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.let_in("plum")
    offer(federation, document("a"))
    monkeypatch.setattr(catalogue, "_LARGEST", len(document("a")) - 1)
    with pytest.raises(DataError, match="required: less"):
        fetch(federation.site("plum"))


def test_a_catalogue_that_is_there_is_replaced_by_the_operators_word_alone(
    federation: Federation,
    capsys: pytest.CaptureFixture[str],
    answers: Callable[[str], None],
) -> None:
    offer(federation, document("a", "b"))
    federation.let_in("plum")
    plum = federation.site("plum")
    offer(federation, document("b", "c", "d"))
    fetch(plum)
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
