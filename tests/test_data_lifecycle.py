"""The page of the data's life names every file and every table that the code makes."""

import ast
import re
from pathlib import Path

from sqlalchemy import MetaData, create_engine

from recommons.client.records.store import SiteStore
from recommons.server.federation import book
from tests.client.seat import OWN, Seat

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "data-lifecycle.md").read_text("utf-8")
ROOMS = ("client", "server", "common")
FILE = re.compile(
    r"[\w-]+(\.[\w-]+)*\.(json|jsonl|toml|db|key|pem|pub|log|id|lock|safetensors|parquet)"
)
NOT_KEPT = {
    *("PLAN.toml", "PLAN.json"),  # placeholders of a command's help
    *("ledger.jsonl", "receipts.jsonl"),  # endings of exported copies
    "pyproject.toml",  # of Flower's bundle
    *("events.jsonl", "items.jsonl", "items.parquet", "ratings.parquet"),  # a site's own source
    "user.key",  # an array's name
    "coordinator.toml",  # a sign by which an older home is known
    "manifest.json",  # of the compact copy, in `cache/`
}


def strings(path: Path) -> set[str]:
    """Every text of a module that is no docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    }


def test_every_file_that_the_code_names_is_on_the_page() -> None:
    named = {
        text
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for text in strings(path)
        if FILE.fullmatch(text)
    }
    assert len(named) > 50
    lacking = {name for name in named - NOT_KEPT if f"`{name}`" not in PAGE}
    assert lacking - {name for name in lacking if f"/{name}`" in PAGE} == set()


def tables_of(path: Path) -> set[str]:
    found = MetaData()
    found.reflect(create_engine(f"sqlite:///{path}"))
    return set(found.tables)


def test_every_table_of_the_databases_is_on_the_page(tmp_path: Path) -> None:
    SiteStore(tmp_path / "site.db").close()
    site = tables_of(tmp_path / "site.db")
    desk = set(book._META.tables)
    assert len(site) > 10
    assert len(desk) > 5
    assert {table for table in site | desk if f"`{table}`" not in PAGE} == set()


def test_every_file_in_a_sites_folder_is_on_the_page(tmp_path: Path, tiny_data: Path) -> None:
    seat = Seat.take(tmp_path / "run", tiny_data)
    seat.join()
    seat.mask(seat.to_masked())
    names = {path.name for path in seat.found.sites[OWN].iterdir()}
    assert {"site.db", "ledger.jsonl", "cache"} <= names
    names -= {"site.db-journal"}
    missing = {name for name in names if f"`{name}" not in PAGE and f"/{name}`" not in PAGE}
    assert missing == set()


def test_every_record_has_a_place_and_an_end() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(rows) > 50
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 4, line
        assert all(cells), line
