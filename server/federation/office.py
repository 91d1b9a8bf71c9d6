"""What the federation's operator does: invite, approve, reject, revoke, appoint.

Each act is one transaction of the book. What needs the federation's key takes it as an argument;
nothing here keeps it.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from sqlalchemy import Connection

from recommons.common.enrolment import Application
from recommons.common.epochs import Epoch
from recommons.common.errors import InvalidInput
from recommons.common.federation import RESERVED_NAMES
from recommons.common.heads import COORDINATOR
from recommons.common.invitation import SECRET_BYTES, Invitation
from recommons.common.peers import fingerprint, readable
from recommons.common.policy import plain_fingerprint
from recommons.common.secagg.identity import SigningIdentity, is_identifier
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.succession import Succession
from recommons.server.certificates.authority import key_fingerprint, requested_key
from recommons.server.federation.book import Admission, Book, Invited
from recommons.server.federation.founding import (
    COORDINATOR_KEY,
    authority_hash,
    create_coordinator_key,
    next_coordinator_key,
    open_book,
)
from recommons.server.federation.publishing import NEXT_KEY, publish
from recommons.server.federation.sealed_key import read_public_key
from recommons.server.records.home import CoordinatorHome

__all__ = ["FederationKey", "Office", "Request", "expiry", "roster_sites"]

_MOST_LOST = 1000
"""Epochs that a restored home may lack."""

FederationKey = Callable[[], SigningIdentity]
"""Opens the federation's key; asked only where a roster is to be signed."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What waits for the operator's word.

    Attributes:
        site: The site.
        name: What people call it.
        fingerprint: Of the signing key it asks to be known by.
        asked: Seconds since 1970.
        kind: A new site, a member that lost its certificate, or a member's new signing key.
    """

    site: str
    name: str
    fingerprint: str
    asked: int
    kind: str


@dataclass(eq=False)
class Office:
    """The operator's desk for one federation; a context manager."""

    home: CoordinatorHome
    book: Book

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open that of a home.

        Raises:
            InvalidInput: ``coordinator/home``.
        """
        home = CoordinatorHome.open(folder)
        read_public_key(folder)  # a home without a federation is refused here
        return cls(home, open_book(home))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.book.close()

    @property
    def federation(self) -> str:
        """The federation's id."""
        return self.home.settings.federation

    def invite(self, site: str, *, seconds: int, now: int) -> Invitation:
        """A single-use invitation; one for the same name that nobody has used is withdrawn.

        Raises:
            InvalidInput: ``federation/name``.
        """
        if not is_identifier(site) or site in RESERVED_NAMES:
            raise InvalidInput("federation/name", f"the site's name is {site!r}")
        invitation = Invitation(
            federation=self.federation,
            site=site,
            address=self.home.settings.desk,
            authority=authority_hash(self.home),
            federation_key=fingerprint(read_public_key(self.home.folder)),
            secret=secrets.token_bytes(SECRET_BYTES),
            expires=now + seconds,
        )
        keys = invitation.keys
        made = Invited(
            name=keys.name, mac=keys.mac, site=site, expires=invitation.expires, state="open"
        )
        with self.book.act() as act:
            self.book.invite(act, made, now=now)
        return invitation

    def requests(self) -> list[Request]:
        """Everything that waits, by site."""
        with self.book.act() as act:
            members = roster_sites(self.book.epoch(act))
            found = [self._request(asked, members) for asked in self.book.in_state(act, "waiting")]
            for statement, time in self.book.successions_asked(act):
                entry = members.get(statement.site)
                if entry is not None and entry.public_key == statement.old:
                    found.append(
                        Request(
                            site=entry.site,
                            name=entry.name,
                            fingerprint=fingerprint(statement.new),
                            asked=time,
                            kind="new signing key, signed by the present one",
                        )
                    )
        return sorted(found, key=lambda request: request.site)

    def approve(
        self, site: str, federation_key: FederationKey, *, expected: str | None, now: datetime
    ) -> Epoch:
        """Put what a site asked for into effect: a new epoch, and its certificate.

        Args:
            site: The site.
            federation_key: Signs the new roster.
            expected: The fingerprint that the operator was told, where it was.
            now: Start of the certificate's validity.

        Returns:
            The epoch in which the site stands as it asked.

        Raises:
            InvalidInput: ``federation/no-request``; ``federation/fingerprint``; or what
                `federation_key` raises.
        """
        waiting = [request for request in self.requests() if request.site == site]
        if not waiting:
            raise InvalidInput("federation/no-request", f"no request of {site!r} waits")
        if expected is not None and plain_fingerprint(expected) != waiting[0].fingerprint:
            raise InvalidInput(
                "federation/fingerprint",
                f"the request of {site} has the fingerprint {readable(waiting[0].fingerprint)}",
            )
        # Opened before the transaction: it takes half a second, and may be refused.
        key = federation_key() if self._needs_key(site) else None
        with self.book.act() as act:
            epoch = self._approve(act, site, waiting[0].fingerprint, key, now)
        publish(self.home, self.book)
        return epoch

    def reject(self, site: str) -> None:
        """Turn a request down.

        Raises:
            InvalidInput: ``federation/no-request``.
        """
        with self.book.act() as act:
            asked = [found for found in self.book.in_state(act, "waiting") if found.site == site]
            if not asked:
                raise InvalidInput("federation/no-request", f"no request of {site!r} waits")
            for found in asked:
                self.book.decide(act, found.name, "rejected")

    def turn_away(self, site: str) -> None:
        """From now on the gateway lets a site in no more, and its invitations are withdrawn.

        Raises:
            InvalidInput: ``federation/not-a-member``.
        """
        with self.book.act() as act:
            known = site in self.book.admissions(act)
            ended = self.book.withdraw(act, site)
            if not known and not ended and site not in roster_sites(self.book.epoch(act)):
                raise InvalidInput("federation/not-a-member", f"{site!r} is no member")
            self.book.turn_away(act, site)
        publish(self.home, self.book)

    def strike(self, site: str, federation_key: FederationKey) -> Epoch | None:
        """Sign a roster without a site; None where it is on none, or the last on it."""
        with self.book.act() as act:
            sites = roster_sites(self.book.epoch(act))
        if site not in sites or len(sites) == 1:
            return None
        key = federation_key()
        with self.book.act() as act:
            sites = roster_sites(self.book.epoch(act))
            sites.pop(site, None)
            epoch = self._next(act, tuple(sites.values()), key)
        publish(self.home, self.book)
        return epoch

    def appoint(self, federation_key: FederationKey) -> Epoch | None:
        """Replace the coordinator's signing key by a new one; None before there is a roster.

        The new key is drawn first and takes its place when the epoch that appoints it is durable:
        whenever the process ends, one of the two is in force, and `publish` puts it in its place.
        A key that an earlier call drew is taken, and never drawn over: it may have been appointed.
        """
        with self.book.act() as act:
            sites = roster_sites(self.book.epoch(act))
        if not sites:
            create_coordinator_key(self.home.folder / COORDINATOR_KEY)
            return None
        key = federation_key()
        publish(self.home, self.book)  # what an earlier call appointed, before the next is drawn
        identity = next_coordinator_key(self.home.folder / NEXT_KEY)
        present = self._coordinator
        with self.book.act() as act:
            said = Succession.sign(self.federation, COORDINATOR, present, identity)
            self.book.add_succession(act, said, now=int(time.time()))
            members = roster_sites(self.book.epoch(act))
            epoch = self._next(act, tuple(members.values()), key, identity.public_key)
        publish(self.home, self.book)
        return epoch

    @property
    def coordinator_key(self) -> bytes:
        """The public key of the coordinator."""
        return self._coordinator.public_key

    @property
    def _coordinator(self) -> SigningIdentity:
        secret = (self.home.folder / COORDINATOR_KEY).read_text("ascii").strip()
        return SigningIdentity(bytes.fromhex(secret))

    def _request(self, asked: Invited, members: dict[str, RosterSite]) -> Request:
        entry = Application.from_bytes(asked.application or b"").entry
        again = members.get(entry.site)
        return Request(
            site=entry.site,
            name=entry.name,
            fingerprint=fingerprint(entry.public_key),
            asked=asked.asked or 0,
            kind="new site" if again is None else "member that asks for a certificate again",
        )

    def _needs_key(self, site: str) -> bool:
        with self.book.act() as act:
            members = roster_sites(self.book.epoch(act))
            asked = [found for found in self.book.in_state(act, "waiting") if found.site == site]
        again = members.get(site)
        return not asked or again is None or again.public_key != asked[0].public_key

    def _approve(
        self,
        act: Connection,
        site: str,
        shown: str,
        key: SigningIdentity | None,
        now: datetime,
    ) -> Epoch:
        """Within one transaction: everything is looked at again, for it may have changed."""
        present = self.book.epoch(act)
        sites = roster_sites(present)
        asked = [found for found in self.book.in_state(act, "waiting") if found.site == site]
        if not asked:
            return self._succeed(act, site, shown, sites, key)
        application = Application.from_bytes(asked[0].application or b"")
        entry = application.entry
        if fingerprint(entry.public_key) != shown:
            raise InvalidInput("federation/fingerprint", f"the request of {site} was replaced")
        epoch = present
        if epoch is None or sites.get(site) != entry:
            if key is None:
                raise InvalidInput("federation/no-request", f"the roster changed under {site}")
            sites[site] = entry
            epoch = self._next(act, tuple(sites.values()), key)
        self._certify(act, site, application.node_request.encode(), now)
        self.book.decide(act, asked[0].name, "approved")
        return epoch

    def _succeed(
        self,
        act: Connection,
        site: str,
        shown: str,
        sites: dict[str, RosterSite],
        key: SigningIdentity | None,
    ) -> Epoch:
        entry = sites.get(site)
        for statement, _ in self.book.successions_asked(act):
            fits = entry is not None and (statement.site, statement.old) == (
                site,
                entry.public_key,
            )
            if fits and entry is not None and key is not None:
                if fingerprint(statement.new) != shown:
                    break
                sites[site] = RosterSite(site=site, name=entry.name, public_key=statement.new)
                return self._next(act, tuple(sites.values()), key)
        raise InvalidInput("federation/no-request", f"no request of {site!r} waits")

    def _certify(self, act: Connection, site: str, request: bytes, now: datetime) -> None:
        pem = self.home.authority.issue_site(self.federation, site, request, now=now)
        self.book.admit(act, site, pem, key_fingerprint(requested_key(request)))

    def _next(
        self,
        act: Connection,
        sites: Sequence[RosterSite],
        key: SigningIdentity,
        appointed: bytes | None = None,
    ) -> Epoch:
        """Sign the next epoch; the coordinator stays the present one's unless another is appointed.

        That is the book's word, not the file's: a rotation may have been cut off between the two.
        """
        present = self.book.epoch(act)
        kept = self.coordinator_key if present is None else present.coordinator_key
        roster = Roster(
            federation=self.federation,
            epoch=1 + self._latest(act, 0 if present is None else present.roster.epoch),
            sites=tuple(sorted(sites, key=lambda entry: entry.site)),
        )
        coordinator = kept if appointed is None else appointed
        keys = {**roster.keys, COORDINATOR: coordinator}
        epoch = Epoch.sign(roster, key, coordinator, _behind(keys, self.book.successions(act)))
        self.book.add_epoch(act, epoch)
        return epoch

    def _latest(self, act: Connection, present: int) -> int:
        """The latest epoch that is known of; a home restored from a backup does not know all.

        Two rosters of one number would part the sites for good. What a member says counts within
        reason: no member can use the numbers up.
        """
        said = [epoch for epoch, _ in self.book.reports(act).values()]
        return max(present, *(epoch for epoch in said if epoch <= present + _MOST_LOST), 0)


def roster_sites(epoch: Epoch | None) -> dict[str, RosterSite]:
    """The sites of an epoch by name; none where there is no epoch."""
    return {} if epoch is None else {entry.site: entry for entry in epoch.roster.sites}


def expiry(admission: Admission) -> datetime:
    """When a site's certificate ends."""
    return x509.load_pem_x509_certificate(admission.pem).not_valid_after_utc.astimezone(UTC)


def _behind(keys: Mapping[str, bytes], statements: Sequence[Succession]) -> list[Succession]:
    """The statements that led to these keys, by whose they are."""
    by_new = {(statement.site, statement.new): statement for statement in statements}
    found = []
    for site, key in keys.items():
        while (statement := by_new.get((site, key))) is not None and statement not in found:
            found.append(statement)
            key = statement.old
    return found
