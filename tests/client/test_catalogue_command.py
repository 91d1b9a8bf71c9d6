"""`recommons catalogue`: the document that a plan names, from a table of items."""

from pathlib import Path

import pytest

from recommons.common.commandline import main
from recommons.common.data.catalogue_document import catalogue_from_bytes


def test_a_table_of_items_becomes_the_public_document(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "catalogue.json"
    assert main(["catalogue", str(tiny_data / "items.csv"), str(out)]) == 0
    found = catalogue_from_bytes(out.read_bytes())
    assert found.item_ids == tuple(f"i{n:02d}" for n in range(40))
    assert found.titles[0] == "red lamp 0"
    assert [feature.name for feature in found.features] == ["price"]
    assert not found.inferred
    assert found.hash.hex() in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue.json"]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    table = tmp_path / "stock.tsv"
    table.write_text("sku\tlabel\nb\tBread\na\tApple\n")
    out = tmp_path / "catalogue.json"
    columns = "item_id=sku,title=label"
    assert main(["catalogue", str(table), str(out), "--columns", columns]) == 0
    found = catalogue_from_bytes(out.read_bytes())
    assert (found.item_ids, found.titles) == (("a", "b"), ("Apple", "Bread"))


@pytest.mark.parametrize("table", [None, "item_id\na\na\n", "title\nBread\n"])
def test_what_is_no_table_of_items_leaves_no_document(tmp_path: Path, table: str | None) -> None:
    path = tmp_path / "items.csv"
    if table is not None:
        path.write_text(table)
    assert main(["catalogue", str(path), str(tmp_path / "catalogue.json")]) == 2
    assert not (tmp_path / "catalogue.json").exists()
