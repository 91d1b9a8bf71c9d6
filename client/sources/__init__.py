"""Where a site's data comes from: files of events and of items."""

from recommons.client.sources.columns import ColumnNames, EventFilter
from recommons.client.sources.folder import load_dataset
from recommons.client.sources.histories import (
    Histories,
    read_histories,
    write_histories,
)

__all__ = [
    "ColumnNames",
    "EventFilter",
    "Histories",
    "load_dataset",
    "read_histories",
    "write_histories",
]
