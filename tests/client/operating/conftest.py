"""A site in a federation of three, on one disk."""

from pathlib import Path

import pytest

from tests.client.seat import Seat


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    return Seat.take(tmp_path / "run", tiny_data)
