"""A ledger that one process opens while another writes."""

import fcntl
import threading
from pathlib import Path

import pytest

from recommons.server.records.ledger import ReceiptFile, append_durably


def test_a_line_that_another_process_is_writing_is_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    append_durably(path, b"first")
    opened: list[ReceiptFile] = []
    with path.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b"sec")
        thread = threading.Thread(target=lambda: opened.append(ReceiptFile.open(path)))
        thread.start()
        thread.join(0.5)
        file.write(b"ond\n")
    thread.join(10)
    assert path.read_bytes() == b"first\nsecond\n"
    opened[0].keep(b"second")  # it knows the line
    assert path.read_bytes() == b"first\nsecond\n"


@pytest.mark.parametrize("torn", [b"", b"tor"])
def test_a_torn_last_line_is_cut_off_on_the_disk(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(b"first\n" + torn)
    ReceiptFile.open(path)
    assert path.read_bytes() == b"first\n"
    ReceiptFile.open(tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()
