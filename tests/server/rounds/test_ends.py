"""How a run's end reaches the sites: those who joined it, those who were away, and nobody else."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flwr.app import Message

from recommons.client.site import Site
from recommons.common.errors import RecommonsError
from recommons.server.operating.stopping import StopRequest
from recommons.server.rounds.progress import RoundProgress
from tests.simulations.small_federation import COORDINATOR, SITES, Federation

EVERYBODY = frozenset(range(101, 105))
FOR_GOOD = StopRequest(for_good=True)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Federation:
    return Federation.found(tmp_path_factory.mktemp("ends") / "founded", tiny_data, rounds=1)


@pytest.fixture
def federation(founded: Federation, tmp_path: Path) -> Iterator[Federation]:
    yield founded.copy(tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy")


def away(nodes: frozenset[int]) -> Callable[[int, Message], str | None]:
    return lambda node, _message: "before" if node in nodes else None


def ended(federation: Federation) -> tuple[str, list[str]]:
    """Under which code the coordinator's ledger says that the run ended, and who has heard it."""
    last = federation.entries(COORDINATOR)[-1]
    assert last.kind == "run-ended"
    return last.body["code"], [head["site"] for head in last.body["heads"]]


def open_charges(federation: Federation) -> list[int]:
    """Charges of each site whose run has not ended there, of all that it ever made."""
    found = []
    for name in SITES:
        with Site.open(federation.of(name)) as site, site.store.transaction() as transaction:
            charges = site.store.budgets.charges(transaction)
        assert len(charges) <= 1
        found.append(sum(charge.open for charge in charges))
    return found


def begin_and_stop(federation: Federation, request: StopRequest) -> None:
    """The line to all sites is cut as they are asked for vectors, and the operator gives up."""
    gone: set[int] = set()
    asked: list[StopRequest] = []

    def listen(progress: RoundProgress) -> None:
        if progress.step == "masked":
            gone.update(EVERYBODY)
            asked.append(request)

    with pytest.raises(RecommonsError) as stopped:
        federation.run(
            listen,
            lambda node, _message: "before" if node in gone else None,
            lambda: asked[0] if asked else None,
        )
    assert stopped.value.code == "run/stopped"


def test_an_end_for_good_that_no_site_heard_is_told_to_those_who_come_back(
    federation: Federation,
) -> None:
    begin_and_stop(federation, FOR_GOOD)
    assert ended(federation) == ("run/stopped", [])
    assert open_charges(federation) == [1, 1, 1, 1]
    with pytest.raises(RecommonsError, match="the operator stopped"):
        federation.run(outage=away(EVERYBODY - {102, 104}), stop=lambda: FOR_GOOD)
    assert ended(federation) == ("run/stopped", ["site-1", "site-3"])
    assert open_charges(federation) == [1, 0, 1, 0]
    for site in ("site-1", "site-3"):
        last = federation.entries(site)[-1]
        assert (last.kind, last.body["code"]) == ("run-ended", "run/stopped")
        assert federation.receipts(site)[-1] == federation.receipts(COORDINATOR)[-1]


@pytest.mark.parametrize("begun", [False, True])
def test_nobody_is_asked_to_join_a_run_that_is_over(federation: Federation, begun: bool) -> None:
    """To join is to be charged for the whole plan."""
    if begun:
        with pytest.raises(RecommonsError, match="2 of 4 sites joined"):
            federation.run(outage=away(frozenset({103, 104})))
    with pytest.raises(RecommonsError) as stopped:
        federation.run(stop=lambda: FOR_GOOD)
    assert stopped.value.code == "run/stopped"
    told = ["site-0", "site-1"] if begun else []
    assert ended(federation) == ("run/stopped", told)
    assert open_charges(federation) == [0, 0, 0, 0]
    for site in SITES:
        assert ("plan-accepted" in federation.kinds(site)) == (site in told)


def test_an_operator_in_a_hurry_still_has_the_sites_told(federation: Federation) -> None:
    """Which takes a moment: their answers are waited for."""
    first: list[float] = []

    def listen(progress: RoundProgress) -> None:
        if progress.step == "masked":
            first.append(time.monotonic())

    def slow(_node: int, message: Message) -> None:
        if message.metadata.message_type in ("train.finish", "train.anchor"):
            time.sleep(0.1)

    def stop() -> StopRequest | None:
        return StopRequest(now=True, for_good=True) if first else None

    with pytest.raises(RecommonsError) as stopped:
        federation.run(listen, slow, stop)
    assert stopped.value.code == "run/stopped"
    assert ended(federation) == ("run/stopped", list(SITES))
    assert open_charges(federation) == [0, 0, 0, 0]


def test_a_run_that_was_stopped_begins_nothing_until_it_is_resumed(federation: Federation) -> None:
    begin_and_stop(federation, StopRequest())
    lines = federation.lines(COORDINATOR)
    with pytest.raises(RecommonsError) as stopped:
        federation.run(stop=StopRequest)
    assert stopped.value.code == "run/stopped"
    assert federation.lines(COORDINATOR) == lines
    assert federation.run().attempts == 2
