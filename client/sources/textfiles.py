"""Finding the place in a text file that cannot be read, without ever showing what stands there."""

import codecs
import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from recommons.common.errors import DataError

__all__ = ["TextForm", "check_utf8", "header_of", "line_of_row", "unreadable_row"]

_CHUNK = 1 << 20
_REPLACED = "\ufffd"


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

    @property
    def named(self) -> bool:
        """The first row names the columns."""
        return self.header and self.separator is not None


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A row of a text file: number 0 is the header; `line` is the line on which it ends."""

    number: int
    cells: list[str]
    line: int


def check_utf8(path: Path, label: str, form: TextForm, known: Collection[str]) -> None:
    """Read a file once and refuse bytes that are not UTF-8.

    Args:
        path: The file.
        label: Its name in messages.
        form: How it is divided.
        known: Column names that may be shown. Others are not: a file without its header has an
            event in its first row.

    Raises:
        DataError: Names file, row, line and column of the first such byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 0
    with path.open("rb") as file:
        chunk = b"start"
        while chunk:
            chunk = file.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # What the decoder kept of the last chunk is part of a character: no line ends.
                line = lines + error.object.count(b"\n", 0, error.start) + 1
                place = _place_of_line(path, form, line, known)
                raise DataError(
                    "data/encoding", f"{label}, {place}: not UTF-8; expected UTF-8 text"
                ) from None
            lines += chunk.count(b"\n")


def _place_of_line(path: Path, form: TextForm, line: int, known: Collection[str]) -> str:
    try:
        row = next((row for row in _rows(path, form) if row.line >= line), None)
        names = header_of(path, form)
    except csv.Error:
        return f"line {line}"
    if row is None or row.number == 0:
        return f"line {line}"
    spoiled = [k for k, cell in enumerate(row.cells) if _REPLACED in cell]
    column = ""
    if form.separator is not None and spoiled:
        k = spoiled[0]
        column = f", column {names[k] if k < len(names) and names[k] in known else k + 1}"
    return f"row {row.number} (line {line}){column}"


def header_of(path: Path, form: TextForm) -> tuple[str, ...]:
    """The cells of the first row that is not blank; empty where the form has no header.

    Raises:
        csv.Error: The quotes in it are not balanced.
    """
    return tuple(next(_rows(path, form)).cells) if form.named else ()


def line_of_row(path: Path, form: TextForm, number: int) -> int:
    """The line on which a row ends; rows count from 1 after the header."""
    try:
        for row in _rows(path, form):
            if row.number == number:
                return row.line
    except csv.Error:
        pass
    return number + form.named


def unreadable_row(path: Path, form: TextForm, width: int) -> tuple[int, int, str] | None:
    """The first row that is not of the form: its number, its line and what was expected."""
    if form.separator is None:
        return _unreadable_json(path, form)
    last = _Row(number=0, cells=[], line=0)
    try:
        for row in _rows(path, form):
            # Polars takes missing cells at the end of a row for empty ones, but not in a first row
            # that stands for the header.
            short = not form.header and row.number == 1 and len(row.cells) < width
            if len(row.cells) > width or short:
                return row.number, row.line, f"expected {width} cells"
            last = row
    except csv.Error:
        return last.number + 1, last.line + 1, "expected quotes in pairs"
    return None


def _unreadable_json(path: Path, form: TextForm) -> tuple[int, int, str] | None:
    for row in _rows(path, form):
        try:
            value = json.loads(row.cells[0])
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return row.number, row.line, "expected one JSON object a line"
    return None


def _rows(path: Path, form: TextForm) -> Iterator[_Row]:
    """All rows, counted as Polars does: blank lines are rows of text tables, after the header."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        if form.separator is None:
            filled = ((line, text) for line, text in enumerate(file, 1) if text.strip())
            for number, (line, text) in enumerate(filled, 1):
                yield _Row(number=number, cells=[text], line=line)
            return
        number = 0 if form.header else 1
        for cells, line in _cells(file, form):
            if number == 0 and not cells:
                continue
            yield _Row(number=number, cells=cells, line=line)
            number += 1


def _cells(file: TextIO, form: TextForm) -> Iterator[tuple[list[str], int]]:
    reader = csv.reader(
        file,
        delimiter=form.separator or ",",
        quoting=csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE,
        strict=True,
    )
    for cells in reader:
        yield cells, reader.line_num
