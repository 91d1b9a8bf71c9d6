"""The embedded data set: complete, attributed, small."""

import numpy as np

from recommons.common.data.dataset import split_dataset
from recommons.simulations.online_retail import (
    ATTRIBUTION,
    load_online_retail,
    online_retail_folder,
)


def test_the_embedded_data_set_has_its_known_counts() -> None:
    dataset = load_online_retail()
    assert dataset.name == "online-retail"
    assert (dataset.n_users, len(dataset.catalogue), dataset.rows) == (5852, 4744, 788_187)
    assert len(dataset.interactions.indices) == 481_879
    assert not dataset.catalogue.inferred
    assert [(c.name, c.kind) for c in dataset.catalogue.features] == [("price", "number")]
    assert dataset.countries is not None
    assert dataset.countries.null_count() == 0
    split = split_dataset(dataset, np.random.default_rng(0))
    assert (split.source, split.train.n_users) == ("benchmark", 4746)
    assert (split.validation.users.size, split.test.users.size) == (553, 553)


def test_the_licence_travels_with_the_data() -> None:
    licence = (online_retail_folder() / "LICENSE.md").read_text()
    assert "Creative Commons Attribution 4.0" in licence
    assert "10.24432/C5CG6D" in licence
    assert "10.24432/C5CG6D" in ATTRIBUTION


def test_the_embedded_data_set_is_about_two_megabytes() -> None:
    size = sum(path.stat().st_size for path in online_retail_folder().rglob("*") if path.is_file())
    assert 1.5e6 < size < 3e6
