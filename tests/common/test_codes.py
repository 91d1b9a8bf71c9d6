import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommons.common.codes import CODES, REMEDIES, ROOMS
from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import InvalidInput
from recommons.common.models.registry import MODEL_NAMES, model_from_settings

ROOT = Path(__file__).parents[2]
ROOMS_OF_SOURCE = ("client", "common", "server", "simulations")
CODE = re.compile(r"[a-z]+/[a-z0-9-]+")
NAMES_ONLY = ("common/codes/", "simulations/attacks/")
"""Where codes are listed or expected, not raised."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS_OF_SOURCE:
        for path in (ROOT / room).rglob("*.py"):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def raised_codes() -> set[str]:
    """Every string in the sources that is the first argument of an error of ours."""
    found = set()
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                first, name = node.args[0], getattr(node.func, "id", "")
                error = name.endswith(("Error", "Input", "Refusal", "Abort"))
                if error and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return {code for code in found if CODE.fullmatch(code)}


def told_codes(node: ast.AST) -> Iterator[str]:
    """Every code that a piece of source may tell: not what it compares, lists or looks up by.

    Of a code that is put together only the beginning is found, with its hyphen.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from CODE.findall(node.value)
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from told_codes(value)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        if not isinstance(node.value, ast.Tuple):
            yield from told_codes(node.value)
    elif not isinstance(node, ast.Set | ast.Compare):
        for child in ast.iter_child_nodes(node):
            yield from told_codes(child)


def test_the_remedy_of_an_unknown_model_leaves_their_names_to_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        model_from_settings("magic", {}, Catalogue(item_ids=("a",), titles=("A",)))
    assert all(name in caught.value.message for name in MODEL_NAMES)
    words = re.findall(r"[\w-]+", caught.value.remedy)
    assert not set(words) & set(MODEL_NAMES)


def test_every_code_that_is_raised_has_a_remedy() -> None:
    codes = raised_codes()
    assert len(codes) > 50
    assert codes <= set(REMEDIES)


def test_every_code_is_told_somewhere_in_the_source() -> None:
    told = {
        code
        for name, tree in sources()
        if not name.startswith(NAMES_ONLY)
        for code in told_codes(tree)
    }
    beginnings = tuple(code for code in told if code.endswith("-"))
    assert {code for code in set(CODES) - told if not code.startswith(beginnings)} == set()


def test_a_code_that_is_only_compared_or_listed_is_not_told() -> None:
    text = """
LIST = ("run/listed", "run/too")
MAP = {"run/key": "run/value"}
if code in {"run/set"} or code == "run/same":
    raise E("run/said", f"run/begun-{what}")
"""
    found = set(told_codes(ast.parse('"As `run/doc`."' + text)))
    assert found == {"run/value", "run/said", "run/begun-"}


def test_codes_meanings_and_remedies_are_well_formed() -> None:
    for code, (meaning, remedy) in CODES.items():
        assert CODE.fullmatch(code), code
        for text in (meaning, remedy):
            assert text[0].isupper() or text.startswith("data.toml"), code
            assert text[-1] in ".)", code
            assert "  " not in text, code
            assert "|" not in text, code
        assert len(re.findall(r"\.(?: |$)", meaning)) == 1, code  # one sentence


def test_no_two_codes_mean_the_same() -> None:
    meanings = [code.meaning for code in CODES.values()]
    assert len(meanings) == len(set(meanings))


def test_every_room_says_who_meets_its_codes() -> None:
    assert set(ROOMS) == {code.partition("/")[0] for code in CODES}


def test_the_docs_list_every_code() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "recommons.common.codes"], capture_output=True, check=True, text=True
    ).stdout
    page = (ROOT / "docs" / "codes.md").read_text()
    assert page == printed
    assert re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE) == sorted(CODES)
