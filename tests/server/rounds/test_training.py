"""A plan carried out: what happens at the same time, and what is durable before what."""

import threading
from pathlib import Path

import pytest
from flwr.app import Message

from recommons.common.hashing import digest
from recommons.common.models.als import AlsModel
from recommons.common.models.interface import Arrays
from recommons.common.models.state import arrays_to_bytes
from tests.simulations.small_federation import COORDINATOR, SITES, Federation


def test_sites_advertise_while_the_coordinator_still_computes_the_rounds_state(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other: the state of each round is held back until all have begun."""
    federation = Federation.found(tmp_path, tiny_data)
    advertising = threading.Semaphore(0)
    computed = AlsModel.public_state
    held_up: list[bool] = []

    def after_the_advertisements(model: AlsModel, done: object) -> Arrays:
        held_up.append(all(advertising.acquire(timeout=20) for _ in SITES))
        return computed(model, done)  # type: ignore[arg-type]

    def seen(_node: int, message: Message) -> None:
        if message.metadata.message_type == "train.advertise":
            advertising.release()

    monkeypatch.setattr(AlsModel, "public_state", after_the_advertisements)
    result = federation.run(outage=seen)
    assert held_up == [True] * len(federation.coordinator.plan.rounds)
    assert result.aborts == ()


def test_the_state_that_went_out_stands_in_the_ledger_before_it_does(
    tiny_data: Path, tmp_path: Path
) -> None:
    federation = Federation.found(tmp_path, tiny_data)
    federation.run()
    told = [e.body for e in federation.entries(COORDINATOR) if e.kind == "advertisements"]
    nothing = digest("recommons/state/1", arrays_to_bytes({})).hex()
    assert told[0]["public_state"] == nothing
    assert len({body["public_state"] for body in told}) == len(told)
