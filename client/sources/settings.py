"""`data.toml` in a site's folder: where its events are, and how they are read.

Without the file, the events are the one file that `site.json` names. A password is never in it:
it is taken from the environment or from a file at the moment of the connection, and dropped.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from recommons.client.sources.columns import ColumnNames, EventFilter
from recommons.common.checks import nearest_first
from recommons.common.errors import DataError

__all__ = ["DATA", "CacheSettings", "DataSettings", "EventSource", "read_settings"]

DATA = "data.toml"

_STRICT = ConfigDict(frozen=True, extra="forbid")
_SECRET = ("password", "passwd", "pwd", "secret", "token")
"""An option of a URL whose name holds one of these is a secret."""


class EventSource(BaseModel):
    """``[events]``: files, or a database and a query.

    Attributes:
        files: Paths and patterns (``*``, ``**``), relative to the site's folder: Parquet, CSV, TSV
            or JSONL.
        url: An SQLAlchemy URL without a password.
        query: One SELECT whose columns are named as in ``[columns]``.
        password_env: The environment variable that holds the password.
        password_file: The file that holds the password, in its first line.
    """

    model_config = _STRICT

    files: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    url: str | None = Field(default=None, repr=False)
    query: Annotated[str, Field(min_length=1)] | None = None
    password_env: Annotated[str, Field(min_length=1)] | None = None
    password_file: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.files) == (self.url is not None):
            raise ValueError("give either files or url")
        if (self.url is None) != (self.query is None):
            raise ValueError("url and query go together")
        if self.url is None and (self.password_env or self.password_file):
            raise ValueError("a password goes with url only")
        if self.password_env and self.password_file:
            raise ValueError("give one of password_env and password_file")
        return self

    @property
    def kind(self) -> str:
        """``parquet``, ``csv``, ``postgresql`` …; ``files`` where they are of several kinds."""
        if self.url is not None:
            return parsed_url(self.url).get_backend_name()
        endings = {Path(name).suffix.lstrip(".") for name in self.files}
        return endings.pop() if len(endings) == 1 else "files"

    def connection_url(self, folder: Path) -> URL:
        """The URL with its password.

        Args:
            folder: What a relative `password_file`, or file of SQLite, is relative to.

        Raises:
            DataError: ``data/settings``: not a URL. ``data/password``: the reference leads nowhere.
        """
        url = parsed_url(self.url or "")
        if url.get_backend_name() == "sqlite" and url.database and "://" not in url.database:
            url = url.set(database=str(folder / url.database))
        password = self._password(folder)
        return url if password is None else url.set(password=password)

    def _password(self, folder: Path) -> str | None:
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if value is None:
                raise DataError(
                    "data/password", f"the environment has no {self.password_env}, as in {DATA}"
                )
            return value
        if self.password_file is not None:
            try:
                text = (folder / self.password_file).read_text(encoding="utf-8")
            except (OSError, ValueError):
                # Not chained: the cause of an undecodable file quotes it.
                raise DataError(
                    "data/password", f"password_file of {DATA} cannot be read"
                ) from None
            return text.partition("\n")[0].rstrip("\r")
        return None


class ColumnSettings(BaseModel):
    """``[columns]``: the names of columns, where unusual; see `ColumnNames`."""

    model_config = _STRICT

    user_id: str | None = None
    item_id: str | None = None
    timestamp: str | None = None
    quantity: str | None = None
    value: str | None = None
    event_type: str | None = None


class FilterSettings(BaseModel):
    """``[filter]``: which events count; see `EventFilter`."""

    model_config = _STRICT

    least_value: float | None = None
    event_types: tuple[str, ...] | None = None


class CacheSettings(BaseModel):
    """``[cache]``: the compact copy of the events that rounds are computed from.

    Attributes:
        folder: Where it is, relative to the site's folder.
        max_age_hours: When a run is joined, a copy of a database's events older than this is read
            anew. Files are read anew whenever they have changed.
    """

    model_config = _STRICT

    folder: Annotated[str, Field(min_length=1)] = "cache"
    max_age_hours: Annotated[float, Field(ge=0, le=24 * 366)] = 24.0


class CheckSettings(BaseModel):
    """``[check]``: what `recommons site check` and `site data check` accept; no round asks for it.

    Attributes:
        most_bad_rows: The largest part of all rows that may be unreadable.
    """

    model_config = _STRICT

    most_bad_rows: Annotated[float, Field(ge=0, le=1)] = 0.01


class DataSettings(BaseModel):
    """`data.toml`."""

    model_config = _STRICT

    version: Annotated[int, Field(ge=1, le=1)] = 1
    events: EventSource
    columns: ColumnSettings = ColumnSettings()
    filter: FilterSettings = FilterSettings()
    cache: CacheSettings = CacheSettings()
    check: CheckSettings = CheckSettings()

    @property
    def names(self) -> ColumnNames:
        """The names of columns."""
        return ColumnNames(**self.columns.model_dump())

    @property
    def positives(self) -> EventFilter:
        """Which events count."""
        return EventFilter(**self.filter.model_dump())


_TABLES: dict[str, type[BaseModel]] = {
    "events": EventSource,
    "columns": ColumnSettings,
    "filter": FilterSettings,
    "cache": CacheSettings,
    "check": CheckSettings,
}


def read_settings(folder: Path, events: str) -> DataSettings:
    """The settings of a site's data.

    Args:
        folder: The site's folder.
        events: The file that stands for them where there is no `data.toml`.

    Raises:
        DataError: ``data/settings``: the file is not as it must be. ``data/password``: it holds a
            password. No message quotes a value.
    """
    try:
        document = (folder / DATA).read_bytes()
    except FileNotFoundError:
        return DataSettings(events=EventSource(files=(events,)))
    except OSError as error:
        raise DataError("data/settings", f"{DATA} cannot be read: {type(error).__name__}") from None
    try:
        settings = DataSettings.model_validate(tomllib.loads(document.decode("utf-8")))
    except ValidationError as error:
        raise DataError("data/settings", _described(error)) from None
    except ValueError:
        raise DataError("data/settings", f"{DATA} is not TOML in UTF-8") from None
    if settings.events.url is not None:
        url = parsed_url(settings.events.url)
        if url.password is not None or any(_is_secret(name) for name in url.query):
            raise DataError(
                "data/password",
                f"events.url of {DATA} holds a password; required: a reference to one, by "
                "password_env or password_file",
            )
    return settings


def parsed_url(text: str) -> URL:
    """An SQLAlchemy URL, taken apart.

    Raises:
        DataError: ``data/settings``; the text is not quoted.
    """
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise DataError("data/settings", f"events.url of {DATA} is not an SQLAlchemy URL") from None


def _described(error: ValidationError) -> str:
    """What is wrong where, and never what was found: it may be a password."""
    lines = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        place = [str(part) for part in item["loc"]]
        said = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            table = DataSettings if len(place) == 1 else _TABLES[place[0]]
            said = f"unknown; valid, nearest first: {nearest_first(place[-1], table.model_fields)}"
        lines.append(f"{DATA}: {'.'.join(place) or 'document'}: {said}")
    return "; ".join(lines)


def _is_secret(name: str) -> bool:
    return any(part in name.lower() for part in _SECRET)
