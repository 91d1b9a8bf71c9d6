"""What a member may tell and ask beside Flower's calls: epochs, approvals, its certificate.

A service of the gateway: the site was admitted by its certificate before it comes here.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from sqlalchemy import Connection

from recommons.common.epochs import Epoch, is_approved_by
from recommons.common.errors import RecommonsError
from recommons.common.news import LARGEST_REPORT, MOST_EPOCHS, NEWS, News, Report
from recommons.common.succession import Succession
from recommons.server.certificates.authority import key_fingerprint, requested_key
from recommons.server.federation.book import Book
from recommons.server.federation.founding import open_book
from recommons.server.federation.publishing import publish
from recommons.server.gateway.denial import Denial
from recommons.server.gateway.members import Member
from recommons.server.gateway.upstream import Answer
from recommons.server.records.home import CoordinatorHome

__all__ = ["Membership"]

_REPORT_EVERY_SECONDS = 15


class Membership:
    """Answers members of one federation.

    Args:
        home: The coordinator's home.
        clock: Seconds since 1970.
    """

    def __init__(self, home: CoordinatorHome, clock: Callable[[], float] = time.time) -> None:
        self._home, self._clock = home, clock
        self._book: Book = open_book(home)

    @property
    def paths(self) -> frozenset[bytes]:
        """What it answers, by exact bytes."""
        return frozenset({NEWS.encode()})

    async def answer(self, path: bytes, member: Member, body: bytes) -> Answer:
        """Answer one call.

        Raises:
            Denial: ``gateway/malformed`` or ``gateway/too-large``.
        """
        if len(body) > LARGEST_REPORT:
            raise Denial(413, "gateway/too-large", f"a report above {LARGEST_REPORT} bytes")
        # The book waits for its turn at the disk: not in the loop that serves everybody.
        told = await asyncio.to_thread(self._news, member, body)
        return Answer(status=200, media_type="application/json", body=told)

    def _news(self, member: Member, body: bytes) -> bytes:
        now = int(self._clock())
        try:
            report = Report.from_bytes(body)
            node_key = None
            if report.request is not None:
                node_key = key_fingerprint(requested_key(report.request.encode()))
        except RecommonsError as error:
            raise Denial(400, "gateway/malformed", f"{error.code}: {error.message}") from error
        with self._book.act() as act:
            if report.epoch:
                self._note(act, member.site, report, now)
            certificate = self._renewed(act, member, report, node_key)
            epochs = self._book.epochs_after(act, report.epoch, MOST_EPOCHS) if report.epoch else []
        if certificate is not None:
            publish(self._home, self._book)
        return News(time=now, epochs=epochs, certificate=certificate).to_bytes()

    def _note(self, act: Connection, site: str, report: Report, now: int) -> None:
        """Keep what is new; a report that says nothing new writes at most every 15 seconds."""
        known = self._book.reports(act).get(site)
        if known is None or known[0] != report.epoch or now - known[1] > _REPORT_EVERY_SECONDS:
            self._book.report(act, site, report.epoch, now=now)
        for number, signature in report.approvals.items():
            epoch = self._book.epoch(act, number)
            if epoch is not None and self._is_approval(act, site, epoch, signature):
                self._book.add_approval(act, number, site, signature)
        if report.succession is not None and self._is_fresh(act, site, report.succession):
            self._book.add_succession(act, report.succession, now=now)

    def _is_approval(self, act: Connection, site: str, epoch: Epoch, signature: bytes) -> bool:
        """Whether a signature is the site's over this epoch, by a key it had in it or before."""
        before = self._book.epoch(act, epoch.roster.epoch - 1)
        keys = {found.roster.keys.get(site) for found in (epoch, before) if found is not None}
        return any(key is not None and is_approved_by(epoch, key, signature) for key in keys)

    def _is_fresh(self, act: Connection, site: str, statement: Succession) -> bool:
        """Whether a statement replaces the site's present key by one that nobody has."""
        present = self._book.epoch(act)
        if present is None or statement.site != site:
            return False
        keys = present.roster.keys
        taken = set(keys.values()) | {
            other.new for other in self._book.successions(act) if other != statement
        }
        return (
            keys.get(site) == statement.old
            and statement.new not in taken
            and statement.holds(self._home.settings.federation)
        )

    def _renewed(
        self, act: Connection, member: Member, report: Report, node_key: str | None
    ) -> str | None:
        """A new certificate for the same node key, once half of the present one's time is over."""
        admission = self._book.admissions(act).get(member.site)
        if report.request is None or admission is None or admission.turned_away:
            return None
        if node_key != admission.node_key:
            return None
        now = datetime.fromtimestamp(self._clock(), UTC)
        present = x509.load_pem_x509_certificate(admission.pem)
        begin, end = present.not_valid_before_utc, present.not_valid_after_utc
        if (end - now) * 2 > end - begin:
            return admission.pem.decode()  # it has one that it may have lost on the way
        pem = self._home.authority.issue_site(
            self._home.settings.federation, member.site, report.request.encode(), now=now
        )
        self._book.admit(act, member.site, pem, admission.node_key)
        return pem.decode()
