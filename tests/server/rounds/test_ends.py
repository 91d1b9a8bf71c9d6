"""How a run's end reaches the sites: those who joined it, those who were away, and nobody else."""

import shutil
import time
from collections.abc import Callable, Iterator
from errno import ENOSPC
from pathlib import Path

import pytest
from flwr.app import Message

from recommons.client.site import Site
from recommons.common.errors import RecommonsError
from recommons.common.wire import Envelope
from recommons.server.operating.refusals import take_refusals
from recommons.server.operating.stopping import StopRequest
from recommons.server.rounds.progress import RoundProgress
from recommons.server.rounds.training import TrainingResult
from recommons.server.transport.line import Line
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


def ended(federation: Federation) -> tuple[str | None, list[str]]:
    """Under which code the coordinator's ledger says that the run ended, and who has heard it."""
    last = federation.entries(COORDINATOR)[-1]
    assert last.kind == "run-ended"
    return last.body.get("code"), [head["site"] for head in last.body["heads"]]


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


def sum_and_die(federation: Federation, without: frozenset[int] = frozenset()) -> None:
    """Some sites are away; the process is killed when the last round has its sum."""

    def listen(progress: RoundProgress) -> None:
        if progress.step == "release":
            raise KeyError("killed")

    with pytest.raises(KeyError, match="killed"):
        federation.run(listen, away(without))
    assert federation.kinds(COORDINATOR)[-1] == "sum"


def stop_for_good(federation: Federation, without: frozenset[int] = frozenset()) -> None:
    with pytest.raises(RecommonsError) as stopped:
        federation.run(outage=away(without), stop=lambda: FOR_GOOD)
    assert stopped.value.code == "run/stopped"


def joined(federation: Federation) -> list[str]:
    """The sites that have ever joined; the others have no ledger."""
    return [
        site
        for site in SITES
        if (federation.of(site) / "ledger.jsonl").exists()
        and "plan-accepted" in federation.kinds(site)
    ]


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
        with pytest.raises(
            RecommonsError, match=r"2 of 4 sites joined; .* not among them: site-2, site-3"
        ):
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


def test_what_nobody_hears_is_written_once_however_often_it_is_told(
    federation: Federation,
) -> None:
    begin_and_stop(federation, FOR_GOOD)
    lines = federation.lines(COORDINATOR)
    for _ in range(2):
        stop_for_good(federation, without=EVERYBODY)
    assert federation.lines(COORDINATOR) == lines
    assert federation.run(outage=away(frozenset({104}))).attempts == 2


def test_an_end_that_nobody_heard_is_written_again_after_another_attempt(
    federation: Federation,
) -> None:
    for _ in range(2):
        begin_and_stop(federation, FOR_GOOD)
    assert federation.kinds(COORDINATOR).count("run-ended") == 2


@pytest.mark.parametrize("back", [EVERYBODY, frozenset({101}), frozenset({104})])
def test_a_run_that_has_all_its_sums_is_ended_for_good_without_a_release(
    federation: Federation, back: frozenset[int]
) -> None:
    """However few are back; and whoever has never joined is not asked to."""
    sum_and_die(federation, without=frozenset({104}))
    stop_for_good(federation, without=EVERYBODY - back)
    told = [site for node, site in enumerate(SITES[:3], start=101) if node in back]
    assert ended(federation) == ("run/stopped", told)
    assert open_charges(federation) == [int(s not in told) for s in SITES[:3]] + [0]
    assert joined(federation) == list(SITES[:3])
    assert "model-released" not in federation.kinds(COORDINATOR)


@pytest.mark.parametrize("back", [EVERYBODY, frozenset({101}), frozenset({104})])
def test_a_run_that_has_all_its_sums_is_released_whoever_is_there_and_nobody_joins_it(
    federation: Federation, back: frozenset[int]
) -> None:
    sum_and_die(federation, without=frozenset({104}))
    assert federation.run(outage=away(EVERYBODY - back)).attempts == 1
    told = [site for node, site in enumerate(SITES[:3], start=101) if node in back]
    assert ended(federation) == (None, told)
    assert joined(federation) == list(SITES[:3])
    released = federation.kinds(COORDINATOR).index("model-released")
    federation.run()
    if not told:
        assert ended(federation) == (None, list(SITES[:3]))
    assert federation.kinds(COORDINATOR).count("model-released") == 1
    assert federation.kinds(COORDINATOR)[released + 1 :] == ["run-ended"] * (1 if told else 2)
    assert open_charges(federation) == [0, 0, 0, 0]


def test_what_is_released_is_finished_though_it_is_stopped_for_good_before_a_site_hears(
    federation: Federation,
) -> None:
    sum_and_die(federation)
    federation.run(outage=away(EVERYBODY))
    federation.run(stop=lambda: FOR_GOOD)
    assert ended(federation) == (None, list(SITES))
    assert open_charges(federation) == [0, 0, 0, 0]


def test_what_may_have_been_published_is_never_ended_without_a_release(
    federation: Federation,
) -> None:
    """A site that fetched it would serve a model of a run that its ledger calls failed."""

    def published_on_a_full_disk(_result: TrainingResult) -> None:
        raise OSError(ENOSPC, "no room")

    with pytest.raises(OSError, match="no room"):
        federation.run(keep=published_on_a_full_disk)
    assert federation.kinds(COORDINATOR)[-1] == "model-released"
    federation.run(stop=lambda: FOR_GOOD)
    assert ended(federation) == (None, list(SITES))


@pytest.mark.parametrize("good", [True, False])
def test_a_run_that_is_taken_up_after_its_end_charges_nobody(
    federation: Federation, good: bool
) -> None:
    """Those who missed the end hear it, and the last receipt is left again."""
    sum_and_die(federation, without=frozenset({104}))

    def run(outage: Callable[[int, Message], str | None]) -> TrainingResult:
        return federation.run(outage=outage, stop=lambda: FOR_GOOD if good else None)

    def carry_out(outage: Callable[[int, Message], str | None]) -> None:
        if not good:
            run(outage)
            return
        with pytest.raises(RecommonsError) as stopped:
            run(outage)
        assert stopped.value.code == "run/stopped"

    def unanchored(node: int, message: Message) -> str | None:
        lost = node in (102, 104) or message.metadata.message_type == "train.anchor"
        return "before" if lost else None

    carry_out(unanchored)
    lines = federation.lines(COORDINATOR)
    assert open_charges(federation) == [0, 1, 0, 0]
    carry_out(away(frozenset()))
    assert federation.lines(COORDINATOR) == lines
    assert open_charges(federation) == [0, 0, 0, 0]
    assert joined(federation) == list(SITES[:3])
    for site in SITES[:3]:
        assert federation.receipts(site)[-1] == federation.receipts(COORDINATOR)[-1]


def test_who_would_not_hear_an_end_is_left_for_the_keeper_and_who_was_silent_is_not(
    federation: Federation,
) -> None:
    sum_and_die(federation, without=frozenset({104}))
    run = federation.coordinator.folder
    stop_for_good(federation, without=frozenset({101, 102, 103}))
    assert take_refusals(run) == {104}
    assert take_refusals(run) == frozenset()
    stop_for_good(federation, without=EVERYBODY)
    assert take_refusals(run) == frozenset()
    (run / "refusals.json").write_text('["x", null, 7, Infinity]')
    assert take_refusals(run) == {7}


def test_a_site_that_cannot_hear_it_just_now_is_told_again(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_request: object) -> bytes:
        raise RecommonsError("site/disk", "no room")

    sum_and_die(federation)
    monkeypatch.setattr("recommons.client.app.answer", no_room)
    stop_for_good(federation)
    assert take_refusals(federation.coordinator.folder) == frozenset()


def test_a_site_that_gives_an_earlier_head_counts_as_one_that_would_not_hear(
    federation: Federation, tmp_path: Path
) -> None:
    begin_and_stop(federation, StopRequest())
    shutil.copytree(federation.of("site-0"), tmp_path / "old")
    federation.run()
    shutil.rmtree(federation.of("site-0"))
    shutil.copytree(tmp_path / "old", federation.of("site-0"))
    federation.run(outage=away(EVERYBODY - {101}))
    assert take_refusals(federation.coordinator.folder) == {101}


def test_where_only_the_end_is_told_a_silent_site_is_not_waited_for_as_long_as_in_a_step(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, waited = Line.exchange, []

    def noted(
        line: Line, envelope: Envelope, bodies: dict[int, bytes], *, deadline_seconds: float
    ) -> object:
        waited.append((envelope.exchange, deadline_seconds))
        return exchange(line, envelope, bodies, deadline_seconds=deadline_seconds)

    sum_and_die(federation)
    monkeypatch.setattr(Line, "exchange", noted)
    stop_for_good(federation)
    assert waited == [("finish", 30.0), ("anchor", 30.0)]
