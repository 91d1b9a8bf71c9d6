"""The benchmarks of sequences and of hidden items: what they read, hide and count."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import HeldOutUsers
from recommons.common.errors import DataError
from recommons.common.models.neural.sequence import SequenceModel
from recommons.simulations.benchmarks import beauty, hidden_items, neural
from recommons.simulations.benchmarks.beauty import load_sequences, next_item_quality
from recommons.simulations.benchmarks.hidden_items import hide_items, judge
from recommons.simulations.benchmarks.pipeline import whole_run

ALS = {"dim": 3, "round_shares": [0.4, 0.6], "kernel_weight": 0.4, "ridge": 2.0, "seed": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sequences.txt").write_text("1 10 9 2 30\n2 9 30 10\n")
    (tmp_path / "item2attributes.json").write_text(json.dumps({"10": [1, 2], "9": [2], "30": []}))
    return tmp_path


def test_sequences_keep_their_order_and_items_their_attributes(folder: Path) -> None:
    read = load_sequences(folder)
    assert read.catalogue.item_ids == ("10", "2", "30", "9")
    assert read.catalogue.features[0].values == (("a1", "a2"), (), (), ("a2",))
    first = read.whole.take(np.array([0]))
    assert first.times is not None
    order = np.argsort(first.times)
    assert [read.catalogue.item_ids[i] for i in first.indices[order]] == ["10", "9", "2", "30"]
    assert load_sequences(folder, attributes=False).catalogue.features == ()


def test_the_last_item_is_held_out_and_the_rest_comes_before_it(folder: Path) -> None:
    read = load_sequences(folder)
    ids = np.array(read.catalogue.item_ids)
    assert ids[read.held_out(1).indices].tolist() == ["30", "10"]
    assert ids[read.held_out(2).indices].tolist() == ["2", "30"]
    assert sorted(ids[read.before_last(2).indices]) == ["10", "9", "9"]


@pytest.mark.parametrize("text", ["1 2 2 3\n", "1 2 3\n", "1 two 3 4\n"])
def test_what_is_no_sequence_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "sequences.txt").write_text(text)
    with pytest.raises(DataError):
        load_sequences(tmp_path, attributes=False)


def test_equal_scores_gain_nothing() -> None:
    """A constant model must not rank first what it was asked for."""
    seen = Interactions.from_pairs(np.array([0]), np.array([0]), n_users=1, n_items=101)
    wanted = Interactions.from_pairs(np.array([0]), np.array([50]), n_users=1, n_items=101)

    def constant(users: Interactions) -> np.ndarray:
        return np.zeros((users.n_users, users.n_items), np.float32)

    def best(users: Interactions) -> np.ndarray:
        return np.eye(1, users.n_items, 50, dtype=np.float32)

    users = np.array([0])
    assert next_item_quality(constant, seen, wanted, users) == {"ndcg@10": 0.0, "hit@10": 0.0}
    assert next_item_quality(best, seen, wanted, users) == {"ndcg@10": 1.0, "hit@10": 1.0}

    def fifth(users: Interactions) -> np.ndarray:
        scores = best(users)
        scores[0, 1:5] = 2.0
        return scores

    found = next_item_quality(fifth, seen, wanted, users)
    assert found["ndcg@10"] == pytest.approx(1 / np.log2(6))


def test_hidden_items_leave_training_and_are_what_users_are_asked_for() -> None:
    draws = np.random.default_rng(0)

    def some(users: int) -> Interactions:
        rows, items = np.nonzero(draws.random((users, 50)) < 0.3)
        return Interactions.from_pairs(rows, items, n_users=users, n_items=50)

    train, whole = some(30), some(10)
    mark = draws.random(len(whole.indices)) < 0.5
    judged = HeldOutUsers(
        users=np.arange(10), fold_in=whole.where(mark), held_out=whole.where(~mark)
    )
    hidden = hide_items(train, judged, seed=1, share=0.2)
    assert len(hidden.items) == 10
    assert not np.isin(hidden.train.indices, hidden.items).any()
    assert np.isin(hidden.wanted.indices, hidden.items).all()
    assert not np.isin(hidden.seen.indices, hidden.items).any()
    assert len(hidden.seen.indices) + len(hidden.wanted.indices) == len(whole.indices)

    many = hide_items(train, judged, seed=1, share=1.0)

    def oracle(_users: Interactions) -> np.ndarray:
        return many.wanted.matrix().toarray() * (1 + np.arange(50, dtype=np.float32))

    def nothing(users: Interactions) -> np.ndarray:
        return np.zeros((users.n_users, 50), np.float32)

    assert judge(nothing, many) == 0.0  # equal scores count against
    assert judge(oracle, many) == 1.0


def test_the_benchmark_of_hidden_items_runs_as_a_module(tiny_data: Path) -> None:
    command = [sys.executable, "-m", "recommons.simulations.benchmarks.hidden_items"]
    command += [str(tiny_data), "--epsilon", "inf", "--sites", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(done.stdout)["recall@20"]
    assert {"model", "random", "model's mean score"} <= found.keys()
    assert all(0 <= value <= 1 for value in found.values())


@pytest.mark.parametrize("module", ["neural", "hidden_items", "beauty"])
def test_data_that_are_not_there_are_refused_by_name(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"recommons.simulations.benchmarks.{module}", "ml-1m"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "code: data/" in done.stderr
    assert "ml-1m" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", [neural, hidden_items, beauty])
def test_users_that_are_misspelt_are_refused_and_not_taken_for_validation_users(
    module: Any, tmp_path: Path
) -> None:
    command = typer.Typer()
    command.command()(module.main)
    refused = CliRunner().invoke(command, [str(tmp_path), "--users", "tset"])
    assert refused.exit_code == 2
    assert "validation" in refused.output


def test_sites_read_the_order_of_events_that_a_sequence_model_trains_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole run of three sites: what `contribute` is given has the times that were written."""
    draws = np.random.default_rng(0)
    catalogue = Catalogue(item_ids=tuple(f"i{k:02d}" for k in range(30)), titles=("",) * 30)
    times = np.concatenate([draws.permutation(5) for _ in range(30)])
    users = Interactions(
        indptr=np.arange(31) * 5,
        indices=np.sort(np.stack([draws.permutation(30)[:5] for _ in range(30)]), axis=1)
        .ravel()
        .astype(np.int32),
        n_items=30,
        times=times,
    )
    seen: list[Interactions] = []
    original = SequenceModel.contribute

    def noting(
        self: SequenceModel, number: int, state: Any, some: Interactions, blocks: Any
    ) -> Any:
        seen.append(some)
        return original(self, number, state, some, blocks)

    monkeypatch.setattr(SequenceModel, "contribute", noting)
    settings = {"steps": 1, "rate": 1.0, "dim": 4, "features": 0, "als": ALS}
    release, training = whole_run(
        catalogue,
        pl.Series([f"u{k:02d}" for k in range(30)]),
        users,
        model="sequence",
        epsilon=8.0,
        settings=settings,
        sites=3,
    )
    assert training.attempts == 4
    assert release.settings["last"] == 50
    expected = sorted(
        tuple(zip(row.indices.tolist(), np.asarray(row.times).tolist(), strict=True))
        for row in (users.take(np.array([k])) for k in range(30))
    )
    last = [some for some in seen if some.n_users][-3:]
    rows = [some.take(np.array([k])) for some in last for k in range(some.n_users)]
    assert all(row.times is not None for row in rows)
    assert expected == sorted(
        tuple(zip(row.indices.tolist(), np.asarray(row.times).tolist(), strict=True))
        for row in rows
    )
