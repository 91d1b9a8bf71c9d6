"""`recommons catalogue`: the public document of a federation's items. Heavy things wait inside."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["catalogue"]


def catalogue(
    items: Annotated[
        Path, typer.Argument(metavar="ITEMS", help="A table of items: Parquet, CSV, TSV or JSONL.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The document to write.")] = Path(
        "catalogue.json"
    ),
    columns: Annotated[
        str | None,
        typer.Option(metavar="FIELD=NAME,…", help="Names of item_id and title, where unusual."),
    ] = None,
) -> None:
    """Make the catalogue's document, which a plan names and every site holds a copy of.

    It is public: the coordinator and all sites see it whole. A plan pins it by its hash, so that a
    site with another one refuses (plan/catalogue). Give the same file to every site.

    Example:
        recommons catalogue items.csv catalogue.json
    """
    from recommons.client.sources.columns import ColumnNames
    from recommons.client.sources.items import build_catalogue, read_items
    from recommons.common.data.catalogue_document import catalogue_to_bytes
    from recommons.common.durably import write_durably
    from recommons.common.errors import DataError
    from recommons.common.units import counted

    if not items.is_file():
        raise DataError("data/not-found", f"{items}: no such file; expected a table of items")
    names = ColumnNames() if columns is None else ColumnNames.parse(columns)
    found = build_catalogue(read_items(items, items.name, names), ())
    write_durably(output, catalogue_to_bytes(found), public=True)
    typer.echo(f"{output}: {counted(len(found), 'item')}, hash {found.hash.hex()}")
