import pytest
from typer.testing import CliRunner

from recommons.common.models.registry import MODEL_NAMES
from recommons.simulations.benchmarks.commands import bench
from recommons.simulations.model_names import MODELS


def test_help_names_the_models_there_are() -> None:
    assert tuple(MODELS.split("|")) == MODEL_NAMES


@pytest.mark.parametrize("command", ["quality", "site"])
def test_the_benchmarks_help_names_all_of_them(command: str) -> None:
    told = CliRunner().invoke(bench, [command, "--help"], env={"COLUMNS": "200"})
    assert MODELS in told.output
