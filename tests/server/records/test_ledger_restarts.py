"""A coordinator that is killed at any write goes on, and the run's last heads are anchored."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommons.common import durably
from recommons.common.errors import RecommonsError
from recommons.server.operating.attendance import attended
from recommons.server.records import folder as server_folder
from recommons.server.records import ledger as server_ledger
from recommons.server.records.journal import RunJournal
from recommons.server.rounds.cohort import Cohort
from recommons.server.rounds.progress import RoundProgress
from recommons.simulations.training_run import run_in_process
from tests.simulations.small_federation import COORDINATOR, SITES, WRITERS, Federation


class Killed(BaseException):
    """The process is gone; nothing after it happens."""


@pytest.fixture(scope="module")
def founded(tiny_data: Path) -> Iterator[Federation]:
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Federation.found(Path(name) / "founded", tiny_data, rounds=1)


@pytest.fixture
def federation(founded: Federation) -> Iterator[Federation]:
    copy = founded.copy(founded.folder.with_name("copy"))
    yield copy
    shutil.rmtree(copy.folder)


def check_anchored(federation: Federation) -> None:
    """Chains are whole, attempts distinct, and everybody holds everybody's last line."""
    for writer in WRITERS:
        heads = [
            head
            for holder in WRITERS
            if holder != writer
            for head in federation.heads_held_by(holder)
            if head.writer == writer
        ]
        entries = federation.entries(writer, heads)
        last = len(entries) - 1
        assert [head.seq for head in heads].count(last) == len(SITES)
    issued = federation.receipts(COORDINATOR)
    assert len({receipt.to_bytes() for receipt in issued}) == len(issued)
    for site in SITES:
        assert federation.receipts(site)[-1] == issued[-1]
    contexts = [
        entry.body["context"]
        for entry in federation.entries(COORDINATOR)
        if entry.kind == "round-opened"
    ]
    assert len(contexts) == len(set(contexts))
    assert federation.kinds(COORDINATOR).count("model-released") == 1
    assert federation.kinds(COORDINATOR).count("run-ended") == 1


WRITES = 11
"""Lines an undisturbed run of one round appends: nine entries and two receipts."""


def test_an_undisturbed_run_writes_so_many_lines(federation: Federation) -> None:
    federation.run()
    check_anchored(federation)
    lines = len(federation.lines(COORDINATOR)) + len(federation.receipts(COORDINATOR))
    assert lines == WRITES


@pytest.mark.parametrize("number", range(WRITES + 1))
def test_killed_at_a_write_the_run_goes_on_and_is_anchored(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The process dies before a line is written, or in the middle of it; the last: after all."""
    count, torn = 0, number % 2 == 0

    def append(path: Path, line: bytes, **size: int) -> int:
        nonlocal count
        if count == number:
            if torn:
                with path.open("ab") as file:
                    file.write(line[: len(line) // 2])
            raise Killed
        count += 1
        return original(path, line, **size)

    original = server_ledger.append_durably
    monkeypatch.setattr(server_ledger, "append_durably", append)
    if number < WRITES:
        with pytest.raises(Killed):
            federation.run()
    else:
        federation.run()
    monkeypatch.undo()
    assert federation.run().release is not None
    check_anchored(federation)


def test_killed_between_the_heads_and_the_certificate(federation: Federation) -> None:
    def listen(progress: RoundProgress) -> None:
        if progress.step == "sign":
            raise Killed

    with pytest.raises(Killed):
        federation.run(listen)
    assert federation.kinds(COORDINATOR)[-1] == "heads"
    assert federation.run().attempts == 2
    check_anchored(federation)
    kinds = federation.kinds(COORDINATOR)
    assert kinds[kinds.index("heads") + 1] == "round-aborted"


def test_killed_between_the_end_of_the_run_and_the_anchor(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_arguments: object) -> None:
        raise Killed

    monkeypatch.setattr(Cohort, "anchor", killed)
    with pytest.raises(Killed):
        federation.run()
    assert federation.kinds(COORDINATOR)[-1] == "run-ended"
    assert all(len(federation.receipts(site)) == 1 for site in SITES)
    monkeypatch.undo()
    lines = federation.lines(COORDINATOR)
    federation.run()
    assert federation.lines(COORDINATOR) == lines
    check_anchored(federation)


def test_a_second_process_beside_one_that_is_at_work_is_refused_and_writes_nothing(
    federation: Federation,
) -> None:
    def listen(progress: RoundProgress) -> None:
        if progress.step == "sign":
            raise Killed

    with pytest.raises(Killed):
        federation.run(listen)
    before, run = federation.kinds(COORDINATOR), federation.coordinator
    with attended(run.folder), pytest.raises(RecommonsError) as refused:
        run_in_process(federation.folder, run)
    assert refused.value.code == "run/ledger-busy"
    assert federation.kinds(COORDINATOR) == before
    assert run_in_process(federation.folder, run).attempts == 2


def test_bytes_and_seconds_are_those_of_every_process_of_the_run(federation: Federation) -> None:
    def listen(progress: RoundProgress) -> None:
        events.append(progress)
        if progress.step == "sign" and progress.attempt == 1:
            raise Killed

    events: list[RoundProgress] = []
    with pytest.raises(Killed):
        federation.run(listen)
    before = events[-1]
    assert before.bytes_up > 0
    traffic = federation.run(listen).traffic
    after = events[-1]
    # The live counter begins at nothing, as a console expects; the result has both.
    assert traffic.bytes_up.total() == before.bytes_up + after.bytes_up
    assert traffic.bytes_down.total() == before.bytes_down + after.bytes_down
    assert federation.run().traffic.bytes_up == traffic.bytes_up  # it only told the end again


def test_an_end_that_no_site_heard_is_told_to_those_who_come_back(federation: Federation) -> None:
    plan = federation.coordinator.plan
    privacy = plan.privacy.model_copy(update={"spare_attempts": 0})
    path = federation.of(COORDINATOR) / "plan.json"
    path.write_bytes(plan.model_copy(update={"privacy": privacy}).to_bytes())
    away: set[int] = set()

    def listen(progress: RoundProgress) -> None:
        if progress.step == "masked":
            away.update(range(101, 105))

    def ends() -> list[str]:
        with pytest.raises(RecommonsError) as ended:
            federation.run(listen, lambda node, _message: "before" if node in away else None)
        assert ended.value.code == "run/attempts"
        last = federation.entries(COORDINATOR)[-1]
        assert (last.kind, last.body["code"]) == ("run-ended", "run/attempts")
        return [head["site"] for head in last.body["heads"]]

    assert ends() == []
    assert ends() == []  # still nobody there
    away -= {102}
    assert ends() == ["site-1"]  # too few for a sum, and enough to be told
    assert federation.kinds("site-1")[-1] == "run-ended"
    lines = federation.lines(COORDINATOR)
    with pytest.raises(RecommonsError):
        federation.run()
    assert federation.lines(COORDINATOR) == lines


def test_a_sum_that_was_saved_but_not_written_down_is_made_again(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, data: bytes) -> None:
        original(path, data)
        raise Killed

    original = durably.write_durably
    monkeypatch.setattr(server_folder, "write_durably", killed)
    with pytest.raises(Killed):
        federation.run()
    monkeypatch.undo()
    assert federation.run().attempts == 2
    check_anchored(federation)


def test_a_run_that_failed_for_good_is_anchored_too_and_does_not_begin_again(
    federation: Federation,
) -> None:
    def outage(_node: int, message: object) -> str | None:
        kind = message.metadata.message_type  # type: ignore[attr-defined]
        return "before" if kind == "train.sign" else None

    for _ in range(2):
        with pytest.raises(RecommonsError) as found:
            federation.run(outage=outage)
        assert found.value.code == "run/attempts"
    for writer in WRITERS:
        entry = federation.entries(writer)[-1]
        assert (entry.kind, entry.body["code"]) == ("run-ended", "run/attempts")
        assert entry.body["outcome"] == "failed"
    assert [len(federation.receipts(site)) for site in SITES] == [1] * len(SITES)
    assert federation.kinds(COORDINATOR).count("run-ended") == 1


def test_a_run_that_too_few_sites_joined_goes_on_when_they_are_there(
    federation: Federation,
) -> None:
    def outage(node: int, _message: object) -> str | None:
        return "before" if node > 102 else None

    with pytest.raises(RecommonsError) as found:
        federation.run(outage=outage)
    assert found.value.code == "run/sites"
    assert federation.run().attempts == 1
    entries = federation.entries(COORDINATOR)
    ended = [entry.body for entry in entries if entry.kind == "run-ended"]
    assert [(body["outcome"], len(body["heads"])) for body in ended] == [
        ("failed", 0),
        ("finished", 4),
    ]


def test_a_site_that_was_silent_at_the_end_is_anchored_when_the_run_is_taken_up_again(
    federation: Federation,
) -> None:
    def outage(node: int, message: object) -> str | None:
        kind = message.metadata.message_type  # type: ignore[attr-defined]
        return "before" if node == 101 and kind == "train.anchor" else None

    federation.run(outage=outage)
    assert [len(federation.receipts(site)) for site in SITES] == [1, 2, 2, 2]
    federation.run()
    check_anchored(federation)


def test_a_new_coordinator_process_holds_the_heads_that_the_last_one_wrote(
    federation: Federation,
) -> None:
    federation.run()
    held = RunJournal(federation.coordinator).held
    assert set(held) == set(SITES)
    for site in SITES:
        assert held[site].head.seq == len(federation.lines(site)) - 1


def test_sigkill_in_the_middle_of_a_run(federation: Federation) -> None:
    """A real process, killed as soon as it has written the heads of the first attempt."""
    script = f"""
import os, signal
from pathlib import Path
from tests.simulations.small_federation import Federation
def listen(progress):
    if progress.step == "sign":
        os.kill(os.getpid(), signal.SIGKILL)
Federation(Path({str(federation.folder)!r})).run(listen)
"""
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    federation.run()
    check_anchored(federation)
