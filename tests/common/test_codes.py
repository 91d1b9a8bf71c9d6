import ast
import re
import subprocess
import sys
from pathlib import Path

from recommons.common.codes import REMEDIES

ROOT = Path(__file__).parents[2]
ROOMS = ("client", "common", "server", "simulations")
CODE = re.compile(r"[a-z]+/[a-z0-9-]+")


def raised_codes() -> set[str]:
    """Every string in the sources that is the first argument of an error of ours."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and node.args:
                    first, name = node.args[0], getattr(node.func, "id", "")
                    error = name.endswith(("Error", "Input", "Refusal", "Abort"))
                    if error and isinstance(first, ast.Constant) and isinstance(first.value, str):
                        found.add(first.value)
    return {code for code in found if CODE.fullmatch(code)}


def test_every_code_that_is_raised_has_a_remedy() -> None:
    codes = raised_codes()
    assert len(codes) > 50
    assert codes <= set(REMEDIES)


def test_codes_and_remedies_are_well_formed() -> None:
    for code, remedy in REMEDIES.items():
        assert CODE.fullmatch(code), code
        assert remedy[0].isupper(), code
        assert remedy[-1] in ".)", code
        assert "  " not in remedy, code


def test_the_docs_list_every_code() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "recommons.common.codes"], capture_output=True, check=True, text=True
    ).stdout
    assert (ROOT / "docs" / "codes.md").read_text() == printed
