"""`recommons catalogue`: the document that a plan names, from a table of items."""

import os
import signal
import stat
import subprocess
import sys
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


KILLED = """
import os, sys
from recommons.common.commandline import main
def killed(*_arguments, **_named):
    os.kill(os.getpid(), 9)
setattr(os, sys.argv[1], killed)
main(["catalogue", *sys.argv[2:]])
"""


@pytest.mark.parametrize("call", ["fsync", "replace", "rename"])
def test_a_kill_leaves_the_document_as_it_was_until_the_new_one_is_on_the_disk(
    tmp_path: Path, tiny_data: Path, call: str
) -> None:
    """Whichever way it takes its place; what was not synchronised may be empty after a cut."""
    out, before = tmp_path / "catalogue.json", b"the document of before"
    out.write_bytes(before)
    words = [sys.executable, "-c", KILLED, call, str(tiny_data / "items.csv"), str(out)]
    done = subprocess.run(words, check=False, capture_output=True)
    if done.returncode == 0:
        assert call != "fsync"  # it takes its place by the other call
        assert len(catalogue_from_bytes(out.read_bytes())) == 40
    else:
        assert done.returncode == -signal.SIGKILL
        assert out.read_bytes() == before
    assert main(["catalogue", str(tiny_data / "items.csv"), str(out)]) == 0
    assert len(catalogue_from_bytes(out.read_bytes())) == 40


def test_the_document_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synchronised(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        there.append((tmp_path / "catalogue.json").exists())

    names: list[str] = []
    there: list[bool] = []
    monkeypatch.setattr("os.fsync", synchronised)
    out = str(tmp_path / "catalogue.json")
    assert main(["catalogue", str(tiny_data / "items.csv"), out]) == 0
    assert (names[0].startswith(".catalogue.json."), names[1]) == (True, tmp_path.name)
    assert there == [False, True]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_others_may_read_the_document_as_far_as_the_mask_lets_them(
    tmp_path: Path, tiny_data: Path, mask: int, mode: int
) -> None:
    out, earlier = tmp_path / "catalogue.json", os.umask(mask)
    try:
        assert main(["catalogue", str(tiny_data / "items.csv"), str(out)]) == 0
    finally:
        os.umask(earlier)
    assert stat.S_IMODE(out.stat().st_mode) == mode
