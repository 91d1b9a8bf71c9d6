"""Models by name."""

import json

import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import InvalidInput
from recommons.common.models.interface import PublicFigures
from recommons.common.models.registry import MODEL_NAMES, build_model, model_from_settings

FIGURES = PublicFigures(declared_users={"a": 100}, n_items=40, epsilon=4.0)


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("epsilon", [0.5, 8.0, float("inf")])
def test_a_model_survives_the_way_through_a_plan(
    name: str, epsilon: float, catalogue: Catalogue
) -> None:
    figures = PublicFigures(declared_users={"a": 100}, n_items=40, epsilon=epsilon)
    model = build_model(name, catalogue, figures)
    settings = json.loads(json.dumps(model.settings()))
    again = model_from_settings(name, settings, catalogue)
    assert again == model or again.settings() == model.settings()
    assert again.rounds() == model.rounds()
    assert again.name == name


def test_an_unknown_model_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match="magic") as caught:
        build_model("magic", catalogue, FIGURES)
    assert caught.value.code == "model/unknown"
    with pytest.raises(InvalidInput, match="magic") as caught:
        model_from_settings("magic", {}, catalogue)
    assert caught.value.code == "model/unknown"


@pytest.mark.parametrize(
    ("name", "near"), [("als", "ridge, "), ("two-tower", "steps, "), ("sequence", "steps, ")]
)
def test_a_setting_that_a_model_does_not_have_is_told_with_those_it_has(
    name: str, near: str, catalogue: Catalogue
) -> None:
    wrong = "rigde" if name == "als" else "stepz"
    with pytest.raises(InvalidInput, match=wrong) as caught:
        build_model(name, catalogue, FIGURES, settings={wrong: 2})
    assert caught.value.code == "model/settings"
    assert f"valid, nearest first: {near}" in caught.value.message


def test_ease_takes_no_rank(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match="dim is 8"):
        build_model("ease", catalogue, FIGURES, dim=8)
