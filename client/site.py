"""One site: its folder, keys, pinned federation, policy, data, durable store and ledger.

A site's folder:

| file | holds |
|---|---|
| `site.json` | the site's id and where its data and the public catalogue are |
| `identity.key` | the site's signing key (hex, readable by its owner alone) |
| `federation.json` | what the site has pinned: the roster and the coordinator's key |
| `policy.json` | what the site allows |
| `site.db` | contexts, round states, replies, spending, the ledger |
| `ledger.jsonl` | the ledger again, as text, for auditors |
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from recommons.client.keys import read_key
from recommons.client.sources import read_histories
from recommons.client.store import SiteStore
from recommons.common.checks import describe_validation
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.federation import Federation
from recommons.common.hashing import canonical_json
from recommons.common.policy import Policy
from recommons.common.privacy.ledger import Chain
from recommons.common.secagg.identity import SigningIdentity

__all__ = ["Site", "SiteConfig"]


class SiteConfig(BaseModel):
    """`site.json`.

    Attributes:
        site: The site's id in the roster.
        declared_users: Number of its users, rounded, as it declares it to the federation.
        events: The site's own events, relative to the folder.
        catalogue: The public catalogue's document, relative to the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: str
    declared_users: Annotated[int, Field(ge=1)]
    events: str = "events.parquet"
    catalogue: str = "catalogue.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """An opened site folder; use as a context manager.

    Attributes:
        folder: The folder.
        config: Where its parts are.
        identity: Its signing key.
        federation: What it has pinned.
        policy: What it allows.
        store: Its durable memory.
    """

    folder: Path
    config: SiteConfig
    identity: SigningIdentity
    federation: Federation
    policy: Policy
    store: SiteStore

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a site's folder.

        Raises:
            InvalidInput: A file of the folder is missing or not as it must be.
            Refusal: ``site/old-backup``: the database is older than the ledger beside it.
        """
        try:
            config = SiteConfig.model_validate_json((folder / "site.json").read_bytes())
            opened = cls(
                folder=folder,
                config=config,
                identity=read_key(folder / "identity.key"),
                federation=Federation.from_bytes((folder / "federation.json").read_bytes()),
                policy=Policy.from_json((folder / "policy.json").read_bytes()),
                store=SiteStore(folder / "site.db"),
            )
            opened.publish_ledger()
        except ValidationError as error:
            raise InvalidInput("site/folder", describe_validation("site.json", error)) from error
        except OSError as error:
            name = Path(error.filename or folder).name
            raise InvalidInput(
                "site/folder", f"{folder} is not a site's folder: {name} cannot be read"
            ) from error
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.store.close()

    @property
    def id(self) -> str:
        """The site's id in the roster."""
        return self.config.site

    @cached_property
    def catalogue(self) -> Catalogue:
        """The public catalogue."""
        return catalogue_from_bytes((self.folder / self.config.catalogue).read_bytes())

    @cached_property
    def interactions(self) -> Interactions:
        """The site's own users' histories, over the public catalogue."""
        return read_histories(self.folder / self.config.events, self.catalogue).interactions

    def record(self, connection: Connection, kind: str, body: Mapping[str, Any]) -> None:
        """Append to the ledger within a transaction; `publish_ledger` copies it to the file."""
        last = self.store.last_line(connection)
        chain = Chain.start(self.id) if last is None else Chain.resume(last[1])
        _, line = chain.append(kind=kind, body=body, time=_now(), sign=self.identity.sign)
        self.store.add_line(connection, 0 if last is None else last[0] + 1, line)

    def head(self, connection: Connection) -> bytes:
        """This site's id and where its ledger stands, as canonical JSON."""
        last = self.store.last_line(connection)
        head = None if last is None else Chain.resume(last[1]).head
        return canonical_json(
            {
                "site": self.id,
                "seq": -1 if head is None else head.seq,
                "head": "" if head is None else head.hash.hex(),
            }
        )

    def publish_ledger(self) -> None:
        """Bring `ledger.jsonl` up to the lines that are durable in the store.

        Raises:
            Refusal: ``site/old-backup``: the file holds lines that the store does not; contexts and
                spending would be forgotten.
        """
        path = self.folder / "ledger.jsonl"
        # The transaction is exclusive: no other request counts or writes at the same time.
        with self.store.transaction() as connection:
            data = path.read_bytes() if path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]  # a torn last line was never complete
            lines = self.store.lines_from(connection, 0)
            stored = b"".join(line + b"\n" for line in lines)
            if not stored.startswith(whole):
                raise Refusal(
                    "site/old-backup", "the database does not hold what the ledger's file holds"
                )
            if len(whole) < len(data):
                os.truncate(path, len(whole))
            if len(whole) < len(stored):
                with path.open("ab") as file:
                    file.write(stored[len(whole) :])
                    file.flush()
                    os.fsync(file.fileno())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
