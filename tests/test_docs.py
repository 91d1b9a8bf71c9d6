"""What README and docs say, held against the code: commands, links, names, constants, pictures."""

import ast
import doctest
import importlib
import importlib.util
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel

from recommons.client.sources import ColumnNames, load_dataset
from recommons.client.sources.folder import EVENT_FILES, ITEM_FILES
from recommons.common import commandline
from recommons.common.codes import REMEDIES
from recommons.common.errors import DataError
from recommons.common.models.site import SiteChoice
from recommons.common.plan import BlockPlan, CataloguePin, ModelPlan, Plan, PrivacyPlan, RoundPlan
from recommons.common.policy import Policy
from recommons.simulations.attacks import ATTACKS
from recommons.simulations.report.schema import Metrics, Report
from recommons.simulations.settings import SimulationSettings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
NAMES_OF_OTHER_TOOLS = {"--strict", "--trusted-entities"}
SHELL = re.compile(r"\s(?:\d?>|<|\||&).*")  # where a command goes to, and in which company


def blocks(path: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(path.read_text()) if kind == language]


def commands(path: Path) -> list[list[str]]:
    """Each `recommons` command of a page's shell blocks, as its words."""
    lines = "\n".join(blocks(path, "sh")).splitlines()
    parts = [
        SHELL.sub("", part.split("#")[0]).split() for line in lines for part in line.split("&&")
    ]
    return [words for words in parts if words and words[0] == "recommons"]


def options_of(command: click.Command) -> set[str]:
    found = {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in {*command.commands, *command.list_commands(context)}:
            inner = command.get_command(context, name)
            assert inner is not None, name
            found |= options_of(inner)
    return found | {"--help"}


def section(path: Path, heading: str) -> str:
    """The text under a heading, up to the next of any level."""
    parts = re.split(r"^#+ (.*)$", path.read_text(), flags=re.MULTILINE)
    headings = dict(zip(parts[1::2], parts[2::2], strict=True))
    return headings[heading]


def first_column(text: str) -> list[str]:
    """The names in the first column of a section's tables, without their code marks."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def slugs(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", path.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.strip().lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_command_of_a_page_parses(path: Path) -> None:
    root = commandline._root()
    for words in commands(path):
        name, rest = "recommons", words[1:]
        command: click.Command = root
        while isinstance(command, click.Group) and not rest[0].startswith("-"):
            context = command.make_context(name, rest)
            words_left = [*context._protected_args, *context.args]
            found, inner, rest = command.resolve_command(context, words_left)  # or raises
            assert inner is not None, words
            name, command = str(found), inner
        if isinstance(command, click.Group):
            assert set(rest) <= options_of(command), words
        else:
            command.make_context(name, list(rest))


def test_commands_are_found_and_a_wrong_option_is_not_parsed() -> None:
    assert sum(len(commands(path)) for path in PAGES) > 15
    simulate = commandline._root().commands["simulate"]
    with pytest.raises(click.UsageError):
        simulate.make_context("simulate", ["--speed", "9"])


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_option_that_a_page_names_exists(path: Path) -> None:
    prose = re.findall(r"`(--[a-z-]+)", path.read_text())
    assert set(prose) <= options_of(commandline._root()) | NAMES_OF_OTHER_TOOLS


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_internal_link_leads_somewhere(path: Path) -> None:
    for target in LINK.findall(BLOCK.sub("", path.read_text())):
        if target.startswith(("http:", "https:")):
            continue
        name, _, anchor = target.partition("#")
        page = (path.parent / name).resolve() if name else path
        assert page.exists(), target
        assert not anchor or anchor in slugs(page), target


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.findall(
        r"^([\w/-]+)$",
        "\n".join(re.findall(r"```\{toctree\}.*?```", (DOCS / "index.md").read_text(), re.DOTALL)),
        re.MULTILINE,
    )
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert set(listed) == pages | {"decisions/index"}


def schema(model: type[BaseModel], path: str) -> dict[str, set[str]]:
    """Field names by path of every object in `report.json`; metrics under their own name."""
    here = "Metrics" if model is Metrics else path
    names: set[str] = set()
    found: dict[str, set[str]] = {here: names}
    for field, described in model.model_fields.items():
        name = described.serialization_alias or field
        names.add(name)
        for inner in (described.annotation, *get_args(described.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                below = name if path == "report.json" else f"{path}.{name}"
                found |= schema(inner, below)
    return found


def test_the_report_page_names_exactly_the_fields_of_the_schema() -> None:
    expected = schema(Report, "report.json")
    assert len(expected) > 8
    for path, names in expected.items():
        heading = path if path == "Metrics" else f"`{path}`"
        assert set(first_column(section(DOCS / "report.md", heading))) == names, path


def model_fields(*models: type[BaseModel]) -> set[str]:
    return {name for model in models for name in model.model_fields}


def test_the_plan_page_names_exactly_the_settings() -> None:
    named = first_column(section(DOCS / "plan.md", "The settings file"))
    assert set(named) == model_fields(SimulationSettings)
    assert len(named) == len(set(named))


def test_the_plan_page_names_exactly_the_fields_of_the_plan() -> None:
    document = section(DOCS / "plan.md", "The plan document")
    assert set(first_column(document)) == model_fields(Plan)
    for name in model_fields(CataloguePin, ModelPlan, PrivacyPlan, RoundPlan, BlockPlan):
        assert f"`{name}`" in document, name


def test_the_policy_page_names_exactly_the_rules_with_their_codes() -> None:
    page = section(DOCS / "policy.md", "The rules")
    document = Policy().document()
    rules = {
        f"{table}.{name}" if isinstance(document[table], dict) else table
        for table in document
        for name in (document[table] if isinstance(document[table], dict) else [""])
    }
    assert set(first_column(page)) == rules
    codes = set(re.findall(r"`(policy/[a-z-]+)`", page))
    assert codes == {c for c in REMEDIES if c.startswith("policy/")} - {"policy/invalid"}


def test_plan_files_in_the_docs_are_admissible(tmp_path: Path) -> None:
    examples = [text for path in PAGES for text in blocks(path, "toml")]
    assert examples
    for text in examples:
        plan = tmp_path / "plan.toml"
        plan.write_text(text)
        loaded = SimulationSettings.load(plan, {})
        assert loaded.model_dump(include=set(tomllib.loads(text))) == tomllib.loads(text)


def test_the_data_page_names_exactly_the_columns_and_the_files() -> None:
    page = DOCS / "data.md"
    assert set(first_column(section(page, "Events"))) == {f.name for f in fields(ColumnNames)}
    found = "\n".join(re.findall(r"^\|.*", section(page, "What is found"), re.MULTILINE))
    named = set(re.findall(r"`([\w.]+\.(?:parquet|csv|tsv|jsonl|data|dat|item))`", found))
    assert set(EVENT_FILES) | set(ITEM_FILES) <= named


def test_the_data_page_names_exactly_the_codes_of_wrong_data() -> None:
    named = set(first_column(section(DOCS / "data.md", "Errors")))
    assert named == {code for code in REMEDIES if code.startswith("data/")} - {"data/catalogue"}


def test_the_data_pages_error_is_what_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "purchases.csv"
    file.write_text("user_id,item_id,timestamp\na,1,5\na,2,6\nb,1,late\n")
    with pytest.raises(DataError) as error:
        load_dataset(file)
    printed = f"error: {error.value}\ncode: {error.value.code}\nremedy: {error.value.remedy}\n"
    assert printed in blocks(DOCS / "data.md", "text")


def test_codes_that_pages_name_exist() -> None:
    rooms = "|".join(sorted({code.split("/")[0] for code in REMEDIES}))
    named = {
        code for path in PAGES for code in re.findall(rf"`((?:{rooms})/[a-z-]+)`", path.read_text())
    }
    assert len(named) > 50
    assert named <= set(REMEDIES)


def test_the_models_page_states_the_constants_of_the_code() -> None:
    table = section(DOCS / "models.md", "Constants")
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| `([^`]+)` \|", table, re.MULTILINE)
    assert len(rows) > 10
    for module, name, value in rows:
        code: Any = importlib.import_module(f"recommons.common.models.{module}")
        assert getattr(code, name) == ast.literal_eval(value), f"{module}.{name}"
    named = first_column(section(DOCS / "models.md", "What a site chooses"))
    assert named == [field.name for field in fields(SiteChoice)]


def test_the_picture_is_what_its_script_draws() -> None:
    path = DOCS / "_static" / "overview.py"
    spec = importlib.util.spec_from_file_location("overview", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.picture() == path.with_suffix(".svg").read_text(encoding="utf-8")


def test_examples_in_docstrings_hold() -> None:
    for room in ("client", "common", "server", "simulations"):
        for path in (ROOT / room).rglob("*.py"):
            if re.search(r"^\s*>>> ", path.read_text(), re.MULTILINE):
                name = "recommons." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
                result = doctest.testmod(importlib.import_module(name))
                assert result.failed == 0, name


def test_tests_that_pages_name_exist() -> None:
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = {name for path in PAGES for name in re.findall(r"`(test_\w+)`", path.read_text())}
    assert len(named) > 30
    assert named - defined <= {"test_users"}  # a field of the report


def test_every_row_of_the_threat_model_says_what_stops_it_what_is_left_and_what_shows_it() -> None:
    """Actor, capability, mitigation, residual risk, and a test or an attack; tables with all."""
    rows = heads = 0
    for line in (DOCS / "threat-model.md").read_text().splitlines():
        if not line.startswith("|") or set(line) <= set("|-"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 4, line
        if cells[-1] == "shown by":
            heads += 1
            continue
        rows += 1
        assert all(cells), line
        assert re.search(r"`[a-z0-9_-]+`", cells[-1]), f"no test or attack shows it: {line}"
    assert (heads, rows) >= (7, 35)


def test_pitfalls_are_ranked_by_what_they_do_to_the_guarantee() -> None:
    rows = re.findall(
        r"^\| (\d+) \| [^|]+ \| (\w+)", (DOCS / "pitfalls.md").read_text(), re.MULTILINE
    )
    assert [int(rank) for rank, _ in rows] == list(range(1, len(rows) + 1))
    order = ["voids", "outside", "weakens", "costs"]
    effects = [order.index(effect) for _, effect in rows]
    assert len(effects) > 15
    assert effects == sorted(effects)


def test_attacks_that_the_threat_model_names_exist() -> None:
    text = (DOCS / "threat-model.md").read_text()
    named = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", text))
    assert len(named) > 20
    assert named <= {attack.name for attack in ATTACKS}
