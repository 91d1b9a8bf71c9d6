"""`recommons tune`: settings for a budget, from made-up or public data alone."""

import json
import math
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.catalogue_document import catalogue_to_bytes
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models.content import tower_features
from recommons.common.models.interface import FederatedModel, PublicFigures
from recommons.common.models.neural.events import last_events
from recommons.common.models.registry import build_model
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.calibration import worst_case
from recommons.common.privacy.events import Cohort
from recommons.common.privacy.mechanism import RoundSpec
from recommons.simulations.central import Sums, train_centrally
from recommons.simulations.tuning import tuning
from recommons.simulations.tuning.made_up import made_up_users
from recommons.simulations.tuning.tuning import CHOICES, tune

COMMAND = [sys.executable, "-m", "recommons.common.commandline", "tune"]


def catalogue(items: int = 120) -> Catalogue:
    kinds = tuple((f"kind {k % 6}", f"make {k % 11}") for k in range(items))
    return Catalogue(
        item_ids=tuple(f"i{k:04d}" for k in range(items)),
        titles=("",) * items,
        features=(FeatureColumn(name="kind", kind="categories", values=kinds),),
    )


def plan(
    folder: Path, model: str = "two-tower", settings: str = "dim = 4", *, more: str = ""
) -> Path:
    (folder / "items.json").write_bytes(catalogue_to_bytes(catalogue()))
    path = folder / "plan.toml"
    given = "" if model == "als" else f"[settings]\n{settings}\n"
    path.write_text(
        f'model = "{model}"\nepsilon = 8\nsites = 4\nusers_per_site = 100\n'
        f'catalogue = "items.json"\n{more}{given}'
    )
    return path


class Watched:
    """What `tune` trains: models, users, mechanisms and sums."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.models: list[Mapping[str, Any]] = []
        self.users: list[Interactions] = []
        self.specs: list[tuple[RoundSpec, ...]] = []
        self.sums: list[tuple[Sums, ...]] = []
        monkeypatch.setattr(tuning, "train_centrally", self._train)

    def _train(
        self,
        model: FederatedModel,
        users: Interactions,
        specs: tuple[RoundSpec, ...],
        **options: Any,
    ) -> tuple[Sums, ...]:
        done = train_centrally(model, users, specs, **options)
        self.models.append(model.settings())
        self.users.append(users)
        self.specs.append(specs)
        self.sums.append(done)
        return done


def tuned(path: Path, *names: str, data: Path | None = None, users: int = 100) -> None:
    tune(path, data=data, names=names, users=users, repeats=1, seed=0, as_json=False)


def test_made_up_users_are_many_different_and_like_what_looks_alike() -> None:
    items = catalogue()
    users = made_up_users(items, 300, np.random.default_rng(0))
    assert users.n_users == 300
    assert np.diff(users.indptr).min() >= 5
    features = tower_features(items, 20)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    own = [unit[users.indices[a:b]] for a, b in zip(users.indptr, users.indptr[1:], strict=False)]
    within = np.mean([(rows @ rows.T).mean() for rows in own])
    assert within > (unit @ unit.T).mean() + 0.02
    popular = np.sort(np.bincount(users.indices, minlength=len(items)))[::-1]
    assert popular[0] > 3 * np.median(popular)
    again = made_up_users(items, 300, np.random.default_rng(0))
    assert np.array_equal(users.indices, again.indices)


def test_the_best_trial_is_printed_as_lines_of_a_plan(tmp_path: Path) -> None:
    command = [*COMMAND, str(plan(tmp_path)), "--only", "steps", "--users", "150"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    trials = document["trials"]
    assert trials[0]["settings"] == {}
    others = [steps for steps in CHOICES["steps"] if steps != 8]  # its own, tried already
    assert [trial["settings"]["steps"] for trial in trials[1:]] == others
    best = max(trials, key=lambda trial: trial["quality"])
    assert document["best"] == best["settings"]
    assert document["settings"] == {"dim": 4, **best["settings"]}
    assert all(0 < trial["quality"] <= 1 for trial in trials)
    uploads = [trial["upload_bytes"] for trial in trials[1:]]
    assert uploads == sorted(uploads)  # more rounds, more bytes


@pytest.mark.parametrize(
    ("model", "names", "match"),
    [("als", ("steps",), "draw users"), ("two-tower", ("colour",), "colour")],
)
def test_what_cannot_be_tuned_is_refused(
    tmp_path: Path, model: str, names: tuple[str, ...], match: str
) -> None:
    with pytest.raises(InvalidInput, match=match):
        tune(
            plan(tmp_path, model),
            data=None,
            names=names,
            users=100,
            repeats=1,
            seed=0,
            as_json=True,
        )


OWN = """warm = "content"
fusion = "deep"
features = 6
dim = 5
optimiser = "momentum"
rate = 0.5
steps = 3
"""


def test_the_plans_settings_reach_every_trial_and_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watched, given = Watched(monkeypatch), tomllib.loads(OWN)
    tuned(plan(tmp_path, settings=OWN), "clip")
    assert [model["clip"] for model in watched.models] == [0.1, 0.03, 0.3]
    for model in watched.models:
        assert {name: model[name] for name in given} == given
        assert model["als"] is None
    printed = capsys.readouterr().out
    pasted = tomllib.loads(printed[printed.index("[settings]") :])["settings"]
    assert {name: pasted[name] for name in given} == given
    assert set(pasted) <= {*given, "clip"}


def test_noise_is_to_those_who_train_as_the_plans_is_to_those_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 users are made up, of whom 80 train; 400 are declared, and spare attempts paid for."""
    watched = Watched(monkeypatch)
    tuned(plan(tmp_path, settings=OWN, more="spare_attempts = 2\n"))
    ((specs,), (users,), (done,)) = watched.specs, watched.users, watched.sums
    assert users.n_users == 80
    cohort = Cohort(sites=4, min_survivors=4, colluding=1)
    assert epsilon_of(worst_case(specs, cohort, 2), 1e-6) == pytest.approx(8.0, rel=1e-3)
    for sums, spec in zip(done, specs, strict=True):
        for block in spec.blocks:
            own = math.sqrt(4) * block.noise_stddev * block.grid
            assert sums[block.name].stddev == pytest.approx(own * 80 / 400)
    last, spec = done[-1]["update"], specs[-1]
    assert spec.sampling == 0.5
    spread = float(np.std(last.values))
    assert spread == pytest.approx(last.stddev, rel=0.5)  # gradients are beneath it


def test_public_data_are_tried_over_their_own_catalogue_and_no_more_than_declared(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    settings = 'warm = "content"\nfeatures = 4\nsteps = 1\ndim = 3'
    path = plan(tmp_path, settings=settings)
    tuned(path, data=tiny_data)
    assert watched.users[0].n_items == 40
    assert watched.users[0].n_users == 72  # nine tenths but for those who judge: 90 - 2·9
    assert watched.models[0]["users"] == 72
    path.write_text(path.read_text().replace("users_per_site = 100", "users_per_site = 15"))
    tuned(path, data=tiny_data)
    assert watched.users[1].n_users == 60
    assert watched.sums[1][0]["counts"].stddev > watched.sums[0][0]["counts"].stddev


def test_made_up_users_have_an_order_that_tells_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours in time are more alike than other pairs of a user; `sequence` reads the times."""
    items = catalogue()
    users = made_up_users(items, 300, np.random.default_rng(0))
    assert users.times is not None
    features = tower_features(items, 20)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    ordered = last_events(users, 1000, seed=0)
    near, any_two = [], []
    for own, times, length in zip(ordered.items, ordered.times, ordered.lengths, strict=True):
        assert (np.diff(times[:length]) > 0).all()
        likeness = unit[own[:length]] @ unit[own[:length]].T
        near.append(np.diagonal(likeness, 1).mean())
        any_two.append(likeness[np.triu_indices(length, 1)].mean())
    assert np.mean(near) > np.mean(any_two) + 0.02
    watched = Watched(monkeypatch)
    settings = 'warm = "content"\nfeatures = 4\nsteps = 1\ndim = 3'
    tuned(plan(tmp_path, "sequence", settings))
    assert watched.users[0].times is not None


@pytest.mark.parametrize("model", ["two-tower", "sequence"])
@pytest.mark.parametrize("warm", ["als", "content"])
@pytest.mark.parametrize("epsilon", [8.0, math.inf])
def test_the_defaults_lie_among_what_is_tried_and_at_no_edge(
    model: str, warm: str, epsilon: float
) -> None:
    figures = PublicFigures(declared_users={"all": 4000}, n_items=120, epsilon=epsilon)
    own = build_model(model, catalogue(), figures, settings={"warm": warm}).settings()
    for name, values in CHOICES.items():
        assert list(values) == sorted(values)
        assert own[name] in values[1:-1], name
