"""Settings every test shares."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

settings.register_profile(
    "recommons",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("recommons")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data sets that may not be shipped; tests that need it are skipped without."""
    root = os.environ.get("RECOMMONS_DATA")
    folder = Path(root) if root else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the unshipped data sets: {folder} is not there (set RECOMMONS_DATA)")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of made-up events: 90 users in two tastes, 40 items with titles and prices."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(7)
    rows = ["user_id,item_id,timestamp"]
    for user in range(90):
        liked = np.arange(20) + 20 * (user % 2)
        others = rng.choice(40, 2, replace=False)
        chosen = np.unique(np.concatenate([rng.choice(liked, 9, replace=False), others]))
        for item in rng.permutation(chosen):
            rows.append(f"u{user:03d},i{item:02d},{1_600_000_000 + len(rows)}")
    (folder / "events.csv").write_text("\n".join(rows) + "\n")
    words = ("red", "blue", "tall", "small", "round")
    items = ["item_id,title,price"]
    items += [
        f"i{i:02d},{words[i % 5]} {'lamp' if i < 20 else 'chair'} {i},{1 + i % 7}.5"
        for i in range(40)
    ]
    (folder / "items.csv").write_text("\n".join(items) + "\n")
    return folder
