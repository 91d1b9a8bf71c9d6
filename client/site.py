"""One site: its folder, keys, pinned federation, policy, data, durable store and ledger.

A site's folder:

| file | holds |
|---|---|
| `site.json` | the site's id and where its data and the public catalogue are |
| `identity.key` | the site's signing key (hex, readable by its owner alone) |
| `ledger.key` | the key under which the ledger began, once another is in force |
| `federation.json` | what the site has pinned: the roster and the coordinator's key |
| `policy.toml` | what the site allows, as its operator wrote it |
| `site.db` | contexts, round states, replies, users' budgets, the ledger, receipts |
| `ledger.jsonl` | the ledger again, as text, for auditors |
| `data.toml` | where the events are, if they are not the one file that `site.json` names |
| `cache/` | a compact copy of the events: users by keyed hash |
| `receipts.jsonl` | the coordinator's receipts, with the heads of all survivors' ledgers |
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from recommons.client.keys import ledger_identity, present_identity
from recommons.client.records.acceptance import acceptance_of, pinned_hash
from recommons.client.records.books import LEDGER, RECEIPTS
from recommons.client.records.database import DATABASE
from recommons.client.records.health import DataHealth, note_health
from recommons.client.records.store import SiteStore
from recommons.client.sources.cache import OwnUsers
from recommons.client.sources.own import OwnSource
from recommons.client.sources.settings import read_settings
from recommons.common.checks import describe_validation
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import remembered_catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.durably import is_disk_fault
from recommons.common.errors import DataError, InvalidInput
from recommons.common.federation import Federation
from recommons.common.policy import Policy
from recommons.common.policy_file import policy_from_toml
from recommons.common.privacy.ledger import Chain
from recommons.common.secagg.identity import SigningIdentity

__all__ = ["Site", "SiteConfig"]


_LONGEST_REASON = 500


class SiteConfig(BaseModel):
    """`site.json`.

    Attributes:
        site: The site's id in the roster.
        declared_users: Number of its users, rounded, as it declares it to the federation.
        events: The site's own events, relative to the folder, where there is no `data.toml`.
        catalogue: The public catalogue's document, relative to the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: str
    declared_users: Annotated[int, Field(ge=1)]
    events: str = "events.parquet"
    catalogue: str = "catalogue.json"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Of a site's folder.

        Raises:
            InvalidInput: ``site/folder``: it is not a site's, or a field is not as required.
            OSError: The disk is full or fails.
        """
        try:
            return cls.model_validate_json((folder / "site.json").read_bytes())
        except ValidationError as error:
            raise InvalidInput("site/folder", describe_validation("site.json", error)) from error
        except OSError as error:
            if is_disk_fault(error):
                raise
            raise InvalidInput(
                "site/folder",
                f"{folder} is not a site's folder: site.json cannot be read"
                if folder.is_dir()
                else f"{folder}: no such folder",
            ) from error


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
        clock: Seconds since 1970. What the store has seen of it never runs backwards.
    """

    folder: Path
    config: SiteConfig
    identity: SigningIdentity
    federation: Federation
    policy: Policy
    store: SiteStore
    clock: Callable[[], float] = time.time

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """Open a site's folder.

        Args:
            folder: The folder.
            clock: The site's clock.

        Raises:
            InvalidInput: A file of the folder is missing or not as it must be.
            Refusal: ``site/old-backup``: the database is older than the ledger beside it.
        """
        try:
            config = SiteConfig.read(folder)
            federation = Federation.from_bytes((folder / "federation.json").read_bytes())
            opened = cls(
                folder=folder,
                config=config,
                identity=present_identity(folder, federation.roster.keys.get(config.site)),
                federation=federation,
                policy=policy_from_toml((folder / "policy.toml").read_bytes()),
                store=SiteStore(folder / DATABASE),
                clock=clock,
            )
            opened._take_up()
        except OSError as error:
            if is_disk_fault(error):
                raise  # the folder is a site's; its ledger cannot be brought up to date
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
    def ledger_identity(self) -> SigningIdentity:
        """The key that signs the ledger's lines: the site's when the ledger began."""
        return ledger_identity(self.folder, self.identity)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The public catalogue.

        Raises:
            InvalidInput: ``site/catalogue``: its file cannot be read.
            DataError: ``data/catalogue``: it is not a catalogue.
            OSError: The disk fails.
        """
        path = self.folder / self.config.catalogue
        try:
            return remembered_catalogue(path.read_bytes())
        except OSError as error:
            if is_disk_fault(error):
                raise
            raise InvalidInput(
                "site/catalogue",
                f"{path.name} cannot be read; required: the federation's public catalogue",
            ) from error

    @cached_property
    def source(self) -> OwnSource:
        """Where the site's users come from; not to be asked for within a transaction.

        Raises:
            DataError: `data.toml` is not as it must be.
            InvalidInput: ``site/catalogue``.
        """
        with self.store.transaction() as connection:
            secret = self.store.budgets.secret(connection)
        return OwnSource(
            folder=self.folder,
            settings=read_settings(self.folder, self.config.events),
            catalogue=self.catalogue,
            secret=secret,
            clock=self.clock,
        )

    def own_users(
        self, *, with_order: bool = False, joining: bool = False, anew: bool = False
    ) -> OwnUsers:
        """The site's own users by keyed hash, and their histories over the public catalogue.

        Nobody, and nobody with a known item, are data like any other: whether a site takes part
        must not depend on its last user. Not to be asked for within a transaction.

        Args:
            with_order: Interactions carry times and kinds where the events have them.
            joining: A run is being joined; see `OwnSource.users`.
            anew: Read the source, whatever the compact copy says.

        Raises:
            DataError: The data cannot be read.
            InvalidInput: ``site/catalogue``.
        """
        kind = self.config.catalogue
        try:
            _ = self.catalogue  # first, so that its faults are not called the data's
            kind = "data.toml"
            kind = self.source.settings.events.kind
            if anew:
                own = self.source.read_anew(with_order=with_order)
            else:
                own = self.source.users(with_order=with_order, joining=joining)
        except (DataError, InvalidInput) as error:
            note_health(self.store, DataHealth.of_failure(error, kind, self.clock()))
            raise
        note_health(self.store, DataHealth.of(own, kind))
        return own

    @property
    def interactions(self) -> Interactions:
        """The site's own users' histories, one row a user, in the order of their keyed hashes."""
        return self.own_users().interactions

    def _take_up(self) -> None:
        """Bring the text up to the ledger, and the ledger to the settings in force."""
        try:
            with self.store.transaction() as connection:
                self._publish(connection)
                recorded = self._record_settings(connection)
            if recorded:
                self.publish_ledger()
        except BaseException:
            self.store.close()
            raise

    def _record_settings(self, connection: Connection) -> bool:
        """Write the pinned roster and the policy in force into the ledger, where they are new."""
        store, pinned, policy = self.store, pinned_hash(self.federation), self.policy.hash
        before, known = store.fact(connection, "federation"), store.fact(connection, "policy")
        if before != pinned:
            accepted = acceptance_of(store, connection, pinned, first=before is None)
            self.record(connection, "roster-accepted", {**self._roster_body(), **accepted})
            store.set_fact(connection, "federation", pinned)
        if known != policy:
            body = {"policy": policy.hex(), "document": self.policy.document()}
            self.record(connection, "policy-changed", body)
            store.set_fact(connection, "policy", policy)
        return (before, known) != (pinned, policy)

    def _roster_body(self) -> dict[str, object]:
        federation = self.federation
        return {
            "roster": federation.roster.hash.hex(),
            "epoch": federation.roster.epoch,
            "document": json.loads(federation.signed_roster.to_bytes()),
            "federation_key": federation.federation_key.hex(),
            "coordinator_key": federation.coordinator_key.hex(),
        }

    def record(self, connection: Connection, kind: str, body: Mapping[str, Any]) -> None:
        """Append to the ledger within a transaction; `publish_ledger` copies it to the file."""
        body = _fit_to_record(body)
        chain, now = self.chain(connection), self.now(connection)
        _, line = chain.append(
            kind=kind, body=body, time=_rfc3339(now), sign=self.ledger_identity.sign
        )
        LEDGER.append(connection, line)

    def record_once(self, connection: Connection, kind: str, body: Mapping[str, Any]) -> None:
        """As `record`, unless the last entry says the very same: repetitions fill no disk."""
        last = LEDGER.last(connection)
        if last is not None:
            entry = json.loads(last.line)
            if (entry["kind"], entry["body"]) == (kind, _fit_to_record(body)):
                return
        self.record(connection, kind, body)

    def now(self, connection: Connection) -> int:
        """The time in whole seconds, never before one that this site has used already."""
        return self.store.budgets.now(connection, self.clock())

    def chain(self, connection: Connection) -> Chain:
        """Where this site's ledger stands."""
        last = LEDGER.last(connection)
        return Chain.start(self.id) if last is None else Chain.resume(last.line)

    def publish_ledger(self) -> None:
        """Bring `ledger.jsonl` and `receipts.jsonl` up to the lines in the store.

        Raises:
            Refusal: ``site/old-backup``: a file holds lines that the store does not; contexts and
                spending would be forgotten.
        """
        with self.store.transaction() as connection:
            self._publish(connection)

    def _publish(self, connection: Connection) -> None:
        for book in (LEDGER, RECEIPTS):
            book.publish(connection, self.folder)


def _fit_to_record(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with a reason that any ledger takes, whatever the message quotes."""
    if "reason" not in body:
        return dict(body)
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in str(body["reason"]))
    return {**body, "reason": plain[:_LONGEST_REASON] or "?"}


def _rfc3339(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
