"""How a federation stands: who is in it, until when, and at which epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from recommons.common.peers import fingerprint
from recommons.server.federation.book import Invited
from recommons.server.federation.office import Office, Request, expiry, roster_sites
from recommons.server.federation.sealed_key import read_public_key

__all__ = ["MemberStanding", "Standings", "standings"]


@dataclass(frozen=True, kw_only=True)
class MemberStanding:
    """One site.

    Attributes:
        site: The site.
        fingerprint: Of its signing key on the present roster.
        until: When its certificate ends, as a date; empty where it has none.
        turned_away: The gateway refuses it.
        pinned: The epoch it has pinned, as it said last.
        approves: It has signed the present epoch.
    """

    site: str
    fingerprint: str
    until: str
    turned_away: bool
    pinned: int | None
    approves: bool


@dataclass(frozen=True, kw_only=True)
class Standings:
    """The federation.

    Attributes:
        federation: Its id.
        federation_key: Fingerprint of the key that signs rosters.
        epoch: The present epoch; None before the first.
        members: The sites of the present roster.
        open: Invitations that nobody has used yet, their time not over.
        requests: What waits.
        server_until: When the server's certificate ends.
        authority_until: When the authority's does.
    """

    federation: str
    federation_key: str
    epoch: int | None
    members: Sequence[MemberStanding]
    open: Sequence[Invited]
    requests: Sequence[Request]
    server_until: datetime
    authority_until: datetime

    def fields(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "federation": self.federation,
            "federation_key": self.federation_key,
            "epoch": self.epoch,
            "members": [vars(member) for member in self.members],
            "invitations": [
                {"site": invited.site, "expires": invited.expires} for invited in self.open
            ],
            "requests": [vars(request) for request in self.requests],
            "server_until": self.server_until.isoformat(),
            "authority_until": self.authority_until.isoformat(),
        }


def standings(office: Office, now: datetime) -> Standings:
    """How it stands now."""
    book, folder = office.book, office.home.folder
    requests = office.requests()
    with book.act() as act:
        epoch, admissions, reports = book.epoch(act), book.admissions(act), book.reports(act)
        invited = [one for one in book.in_state(act, "open") if one.expires > now.timestamp()]
    members = []
    for site, entry in roster_sites(epoch).items():
        admission = admissions.get(site)
        members.append(
            MemberStanding(
                site=site,
                fingerprint=fingerprint(entry.public_key),
                until="" if admission is None else expiry(admission).date().isoformat(),
                turned_away=admission is None or admission.turned_away,
                pinned=reports[site][0] if site in reports else None,
                approves=epoch is not None and site in epoch.approvals,
            )
        )
    served = x509.load_pem_x509_certificate((folder / "gateway.pem").read_bytes())
    authority = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    return Standings(
        federation=office.federation,
        federation_key=fingerprint(read_public_key(folder)),
        epoch=None if epoch is None else epoch.roster.epoch,
        members=members,
        open=invited,
        requests=requests,
        server_until=served.not_valid_after_utc,
        authority_until=authority.not_valid_after_utc,
    )
