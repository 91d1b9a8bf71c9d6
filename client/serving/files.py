"""Lists of recommendations as a file, written a batch at a time."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from recommons.client.serving.recommending import RECOMMENDATION_SCHEMA
from recommons.common.errors import InvalidInput

__all__ = ["check_output", "write_recommendations"]

_FORMATS = (".parquet", ".csv", ".jsonl")


def check_output(path: Path) -> None:
    """Refuse an output file early, before anything is scored.

    Raises:
        InvalidInput: Its ending is none that is written, it is a folder, or its folder is missing.
    """
    if path.suffix.lower() not in _FORMATS:
        required = f"a file that ends in {', '.join(_FORMATS)}"
        raise InvalidInput("recommend/output", f"output is {path}; required: {required}")
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput("recommend/output", f"output is {path}; required: a file in a folder")


def write_recommendations(frames: Iterator[pl.DataFrame], path: Path) -> int:
    """Write frames of `RECOMMENDATION_SCHEMA`; the file appears whole or not at all.

    Args:
        frames: The lists, in order; read once, one at a time.
        path: Parquet, CSV or JSONL by its ending; an existing file is replaced.

    Returns:
        Number of rows written.

    Raises:
        InvalidInput: As `check_output`.
    """
    check_output(path)
    rows = 0

    def source(
        columns: list[str] | None, _predicate: object, _rows: object, _batch: object
    ) -> Iterator[pl.DataFrame]:
        nonlocal rows
        for frame in frames:
            rows += len(frame)
            yield frame if columns is None else frame.select(columns)

    table = register_io_source(source, schema=RECOMMENDATION_SCHEMA)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        if path.suffix.lower() == ".parquet":
            table.sink_parquet(unfinished)
        elif path.suffix.lower() == ".csv":
            table.sink_csv(unfinished)
        else:
            table.sink_ndjson(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows
