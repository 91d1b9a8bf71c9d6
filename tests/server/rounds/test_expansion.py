"""Recovery in several processes gives what one process gives, and a failure has a name."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recommons.common.errors import ProtocolAbort, RecommonsError
from recommons.common.secagg.derivation import private_key, public_key
from recommons.common.secagg.expansion import Expansion, in_threads
from recommons.common.secagg.ring import Ring
from recommons.server.rounds import expansion as server_expansion
from recommons.server.rounds.expansion import in_processes, on_all_cores


def some_expansion() -> Expansion:
    secrets = {place: bytes([place + 1]) * 32 for place in range(7)}
    survivors = (0, 2, 3, 5)
    return Expansion(
        full=bytes(range(32)),
        seeds={place: secrets[place] for place in survivors},
        mask_keys={place: public_key(private_key(secrets[place])) for place in survivors},
        private_keys={place: secrets[place] for place in (1, 4, 6)},
    )


def test_an_expansion_survives_the_pipe_and_shows_no_secret() -> None:
    expansion = some_expansion()
    assert Expansion.from_bytes(expansion.to_bytes()) == expansion
    assert len(expansion) == len(list(expansion.masks())) == 4 + 3 * 4
    assert repr(expansion) == "Expansion(4 survivors, 3 dropped)"
    with pytest.raises(ProtocolAbort):
        Expansion.from_bytes(expansion.to_bytes() + b"\0")


@pytest.mark.parametrize("parts", [1, 2, 3, 9])
def test_parts_hold_every_mask_once(parts: int) -> None:
    expansion = some_expansion()
    found = [mask for part in range(parts) for mask in expansion.masks(part, parts)]
    assert sorted(found) == sorted(expansion.masks())


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("processes", [1, 2, 5])
def test_processes_add_what_a_thread_adds(bits: int, processes: int) -> None:
    expected, found = (Ring(bits).wrap(np.arange(1001)) for _ in range(2))
    in_threads(expected, some_expansion())
    in_processes(found, some_expansion(), processes=processes)
    assert np.array_equal(found, expected)
    assert found.tolist() != list(range(1001))


def test_the_coordinator_takes_processes_for_many_masks_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []

    def note(words: object, expansion: object, *, processes: int) -> None:
        started.append(processes)

    monkeypatch.setattr(server_expansion, "in_processes", note)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    words, expected = np.zeros(10, np.uint32), np.zeros(10, np.uint32)
    in_threads(expected, some_expansion())
    on_all_cores(words, some_expansion())
    assert np.array_equal(words, expected)
    assert started == []
    monkeypatch.setattr(server_expansion, "_PROCESS_MASKS", 16)
    on_all_cores(words, some_expansion())
    assert started == [3]


def test_a_process_that_fails_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RecommonsError) as caught:
        in_processes(np.zeros(8, np.uint32), some_expansion(), processes=2)
    assert caught.value.code == "run/expansion"


def test_a_job_is_a_pipe_and_nothing_else() -> None:
    """Garbage ends the process, and its words hold no byte of what it was given."""
    secret = bytes(range(200, 232))
    job = server_expansion._HEAD.pack(4, 8, 0, 1) + secret
    done = subprocess.run(
        [sys.executable, "-m", server_expansion.__name__],
        input=job,
        capture_output=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode != 0
    assert done.stdout == b""
    assert secret.hex().encode() not in done.stderr
    assert repr(secret)[2:-1].encode() not in done.stderr
