"""Settings every test shares."""

import os
from pathlib import Path

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
