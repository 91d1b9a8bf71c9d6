"""`recommons tune`: settings for a budget, from made-up or public data alone."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.catalogue_document import catalogue_to_bytes
from recommons.common.errors import InvalidInput
from recommons.common.models.content import tower_features
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


def plan(folder: Path, model: str = "two-tower") -> Path:
    (folder / "items.json").write_bytes(catalogue_to_bytes(catalogue()))
    path = folder / "plan.toml"
    steps = "[settings]\ndim = 4\n" if model == "two-tower" else ""
    path.write_text(
        f'model = "{model}"\nepsilon = 8\nsites = 4\nusers_per_site = 100\n'
        f'catalogue = "items.json"\n{steps}'
    )
    return path


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
    assert [trial["settings"]["steps"] for trial in trials[1:]] == list(CHOICES["steps"])
    best = max(trials, key=lambda trial: trial["quality"])
    assert document["best"] == best["settings"]
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


def test_the_defaults_lie_among_what_is_tried() -> None:
    for values in CHOICES.values():
        assert list(values) == sorted(values)
        assert all(math.isfinite(value) for value in values)
