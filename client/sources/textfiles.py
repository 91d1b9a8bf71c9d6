"""Finding the place in a text file that cannot be read, without ever showing what stands there."""

import codecs
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from recommons.common.errors import DataError

if TYPE_CHECKING:
    import _csv

__all__ = ["TextForm", "check_utf8", "header_of", "line_of_row", "unreadable_row"]

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class TextForm:
    """How a text file is divided into cells.

    Attributes:
        separator: One character between two cells; None for JSON lines.
        header: The first row names the columns.
        quoted: Cells may stand in double quotes.
    """

    separator: str | None
    header: bool = True
    quoted: bool = True


def check_utf8(path: Path, label: str, form: TextForm) -> None:
    """Read a file once and refuse bytes that are not UTF-8.

    Raises:
        DataError: Names file, row, line and column of the first such byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                # The decoder keeps the start of a character cut by the chunk's end: no newlines.
                line = lines + error.object.count(b"\n", 0, error.start) + 1
                raise DataError("data/encoding", _not_utf8(path, label, form, line)) from None
            lines += chunk.count(b"\n")
    if decoder.getstate()[0]:
        line = lines + 1
        raise DataError("data/encoding", _not_utf8(path, label, form, line))


def _not_utf8(path: Path, label: str, form: TextForm, line: int) -> str:
    place = f"line {line}"
    for row, cells, end in _records(path, form):
        if end >= line:
            spoiled = [k for k, cell in enumerate(cells) if "\ufffd" in cell]
            names = header_of(path, form)
            name = names[spoiled[0]] if spoiled and spoiled[0] < len(names) else None
            column = f", column {name}" if name and "\ufffd" not in name and row else ""
            place = f"row {row} (line {line}){column}" if row else f"line {line}, the header"
            break
    return f"{label}, {place}: not UTF-8; expected UTF-8 text"


def header_of(path: Path, form: TextForm) -> tuple[str, ...]:
    """The first row's cells; empty where the file has none or no header."""
    if not form.header or form.separator is None:
        return ()
    with _open(path) as file:
        return tuple(next(_reader(file, form), ()))


def line_of_row(path: Path, form: TextForm, row: int) -> int:
    """The line on which a row ends; rows count from 1 after the header."""
    for number, _cells, line in _records(path, form):
        if number == row:
            return line
    return row + form.header


def unreadable_row(path: Path, form: TextForm, width: int) -> tuple[int, int, str] | None:
    """The first row that is not of the form: its number, its line and what was expected."""
    if form.separator is None:
        return _unreadable_json(path)
    row, line = 0, 0
    try:
        for row, cells, line in _records(path, form):
            if cells and len(cells) > width:
                return row, line, f"expected {width} cells"
    except csv.Error:
        return row + 1, line + 1, "expected cells with balanced quotes"
    return None


def _unreadable_json(path: Path) -> tuple[int, int, str] | None:
    row = 0
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            row += 1
            try:
                value = json.loads(text)
            except ValueError:
                return row, line, "expected one JSON object"
            if not isinstance(value, dict):
                return row, line, "expected one JSON object"
            if any(isinstance(cell, dict) for cell in value.values()):
                return row, line, "expected text, numbers or lists as values"
    return None


def _records(path: Path, form: TextForm) -> Iterator[tuple[int, list[str], int]]:
    """Row number (0 for the header), cells, and the line on which the row ends."""
    with _open(path) as file:
        if form.separator is None:
            row = 0
            for line, text in enumerate(file, 1):
                if text.strip():
                    row += 1
                    yield row, [text], line
            return
        reader = _reader(file, form)
        for row, cells in enumerate(reader, 0 if form.header else 1):
            yield row, cells, reader.line_num


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _reader(file: TextIO, form: TextForm) -> "_csv.Reader":
    return csv.reader(
        file,
        delimiter=form.separator or ",",
        quoting=csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE,
        strict=True,
    )
