"""Which column of a file means what, and which events count."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from recommons.common.errors import DataError, InvalidInput

__all__ = ["EVENT_FIELDS", "ColumnNames", "EventColumns", "EventFilter"]


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The names of the columns that are read; each may be mapped to another.

    A field left at None takes the first of its usual names that the file has.

    Attributes:
        user_id: Usual names: ``user_id``, ``userId``. Required.
        item_id: Usual names: ``item_id``, ``movieId``, ``itemId``. Required, in items too.
        timestamp: Usual name: ``timestamp``.
        quantity: Usual name: ``quantity``; zero or less is a return, see `EventFilter`.
        value: Usual names: ``value``, ``rating``.
        event_type: Usual names: ``event_type``, ``event type``, ``event``.
        country: Usual name: ``country``: a column that is the same for all events of a user, by
            which users can be divided over sites.
        title: Usual name: ``title``, in the file of items.
    """

    user_id: str | None = None
    item_id: str | None = None
    timestamp: str | None = None
    quantity: str | None = None
    value: str | None = None
    event_type: str | None = None
    country: str | None = None
    title: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ColumnNames":
        """Read ``"user_id=customer,item_id=sku"``, as given on the command line.

        Raises:
            InvalidInput: Not of that form, an unknown field or one given twice.
        """
        known = [f.name for f in fields(cls)]
        chosen: dict[str, str] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            field, equals, column = (p.strip() for p in part.partition("="))
            if not equals or not column or field not in known or field in chosen:
                raise InvalidInput(
                    "input/argument",
                    f"columns has {part!r}; required: FIELD=NAME, each FIELD once, one of "
                    + ", ".join(known),
                )
            chosen[field] = column
        return cls(**chosen)

    def find(self, field: str, columns: Iterable[str], label: str) -> str | None:
        """The column of a file for a field; None where an optional one is not there.

        Raises:
            DataError: A column mapped by name is not in the file, or two usual names are.
        """
        present = set(columns)
        mapped = getattr(self, field)
        if mapped is not None:
            if mapped not in present:
                raise DataError(
                    "data/missing-column",
                    f"{label}: no column {mapped!r}, to which {field} is mapped",
                )
            return str(mapped)
        found = [name for name in _USUAL[field] if name in present]
        if len(found) > 1 and field in _REQUIRED:
            raise DataError(
                "data/ambiguous",
                f"{label}: columns {' and '.join(found)} could both be {field}; map one by name",
            )
        return found[0] if found else None

    def require(self, field: str, columns: Iterable[str], label: str) -> str:
        """The column of a file for a required field.

        Raises:
            DataError: There is none, or more than one.
        """
        found = self.find(field, columns, label)
        if found is None:
            raise DataError(
                "data/missing-column",
                f"{label}: no column for {field}; expected a column named "
                + " or ".join(_USUAL[field])
                + _other_separator(tuple(columns)),
            )
        return found

    def candidates(self, *chosen: str) -> tuple[str, ...]:
        """Every column name that would be recognised for the given fields."""
        names: list[str] = []
        for field in chosen:
            mapped = getattr(self, field)
            names.extend(_USUAL[field] if mapped is None else (mapped,))
        return tuple(dict.fromkeys(names))


def _other_separator(columns: tuple[str, ...]) -> str:
    """What separates the cells instead, where that is to be seen; no name: it may be an event."""
    for sign, name in _SEPARATORS.items():
        if len(columns) == 1 and sign in columns[0]:
            return (
                f"; its one column has {name} in it, and cells are separated by commas (.csv) "
                "or tabs (.tsv)"
            )
    return ""


_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
_USUAL: dict[str, tuple[str, ...]] = {
    "user_id": ("user_id", "userId"),
    "item_id": ("item_id", "movieId", "itemId"),
    "timestamp": ("timestamp",),
    "quantity": ("quantity",),
    "value": ("value", "rating"),
    "event_type": ("event_type", "event type", "event"),
    "country": ("country",),
    "title": ("title",),
}
_REQUIRED = ("user_id", "item_id")

EVENT_FIELDS = ("user_id", "item_id", "timestamp", "quantity", "value", "event_type", "country")
"""The fields of a file of events."""


@dataclass(frozen=True, kw_only=True)
class EventColumns:
    """The columns found in one file of events."""

    user_id: str
    item_id: str
    timestamp: str | None
    quantity: str | None
    value: str | None
    event_type: str | None
    country: str | None

    @classmethod
    def of(cls, columns: Iterable[str], names: ColumnNames, label: str) -> "EventColumns":
        """Find each field's column.

        Raises:
            DataError: A required or mapped column is missing, or the choice is not clear.
        """
        columns = tuple(columns)
        return cls(
            user_id=names.require("user_id", columns, label),
            item_id=names.require("item_id", columns, label),
            timestamp=names.find("timestamp", columns, label),
            quantity=names.find("quantity", columns, label),
            value=names.find("value", columns, label),
            event_type=names.find("event_type", columns, label),
            country=names.find("country", columns, label),
        )

    def in_each_row(self) -> tuple[str, ...]:
        """The columns in which no cell may be empty."""
        return tuple(filter(None, (self.user_id, self.item_id, self.timestamp)))


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events are positives; all others are left out, and their number is reported.

    Every event is one, with one exception: a quantity of zero or less is a return or a correction,
    and is left out. A rating is a positive whatever its height: that someone chose to watch is the
    signal. Set `least_value` to ask for more.

    Attributes:
        least_value: Events with a smaller value are left out; events without a value stay.
        event_types: Only these types count; by default all.
    """

    least_value: float | None = None
    event_types: tuple[str, ...] | None = None
