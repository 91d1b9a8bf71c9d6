"""What the agent asks of the coordinator now and then: new epochs, and a renewed certificate.

An epoch that comes is kept, for the operator to look at. It is pinned here when the operator has
given the word, or where the policy says ``by-majority`` and most sites of the pinned epoch have
signed it; and not while a run is open at the site: a run that was joined under one roster ends
under another.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography import x509

from recommons.client.agent.credentials import CERTIFICATE, read_node_key, signing_request
from recommons.client.agent.logs import event
from recommons.client.membership.epochs import (
    has_word,
    is_busy,
    keep_waiting,
    own_approvals,
    pin_epoch,
    take_approvals,
    waiting_epochs,
)
from recommons.client.membership.rotation import statement
from recommons.client.site import Site
from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput, RecommonsError, Refusal
from recommons.common.news import NEWS, News, Report

__all__ = ["ask_time", "fetch_news"]

_LARGEST = 64 << 20
_log = logging.getLogger(__name__)


def fetch_news(folder: Path, client: httpx.Client) -> None:
    """Tell the coordinator what it does not have yet, and take what is new.

    Args:
        folder: The site's folder.
        client: A line to the gateway under the site's certificate.

    Raises:
        RecommonsError: ``agent/unreachable`` or ``agent/turned-away``, or what the folder's faults
            are called.
    """
    with Site.open(folder) as site:
        approvals = own_approvals(folder)
        report = Report(
            epoch=site.federation.roster.epoch,
            approvals=approvals,
            succession=statement(site),
            request=_renewal(site),
        )
    news = _ask(client, report)
    take_approvals(folder, approvals)
    if news.certificate is not None:
        _take_certificate(folder, news.certificate)
    for epoch in news.epochs:
        with Site.open(folder) as site:
            sound = epoch.is_signed_by(site.federation.federation_key)
        if not sound:
            raise Refusal("roster/signature", "the coordinator gave a roster that nobody signed")
        if keep_waiting(folder, epoch):
            event(_log, "epoch arrived", epoch=epoch.roster.epoch)
    _pin_what_may(folder)


def ask_time(client: httpx.Client) -> int:
    """The coordinator's clock, by a report that asks for nothing.

    Raises:
        RecommonsError: ``agent/unreachable`` or ``agent/turned-away``.
    """
    return _ask(client, Report(epoch=0)).time


def _pin_what_may(folder: Path) -> None:
    """The latest epoch that may be pinned now; an earlier one where the latest may not."""
    for epoch in reversed(waiting_epochs(folder)):
        with Site.open(folder) as site:
            if epoch.roster.epoch <= site.federation.roster.epoch or is_busy(site):
                return
            by_hand = has_word(folder, epoch)
            try:
                pin_epoch(site, epoch, by_hand=by_hand)
            except Refusal as refusal:
                if refusal.code != "roster/not-approved":
                    event(_log, "epoch refused", code=refusal.code, epoch=epoch.roster.epoch)
                continue
        Site.open(folder).store.close()  # which writes the new roster into the ledger
        event(_log, "epoch pinned", epoch=epoch.roster.epoch, by_hand=by_hand)
        return


def _renewal(site: Site) -> str | None:
    """A signing request where a third of the certificate's time or less is left."""
    certificate = x509.load_pem_x509_certificate((site.folder / CERTIFICATE).read_bytes())
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if (end - datetime.fromtimestamp(site.clock(), UTC)) * 3 > end - begin:
        return None
    return signing_request(read_node_key(site.folder), site.id).decode("ascii")


def _take_certificate(folder: Path, pem: str) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise InvalidInput("enrolment/certificate", "what came is no certificate") from None
    if certificate.public_key() != read_node_key(folder).public_key():
        raise Refusal("enrolment/certificate", "the certificate is for another key")
    write_durably(folder / CERTIFICATE, pem.encode())
    event(_log, "certificate renewed", until=certificate.not_valid_after_utc.date().isoformat())


def _ask(client: httpx.Client, report: Report) -> News:
    try:
        with client.stream("POST", NEWS, content=report.to_bytes()) as response:
            data = b""
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > _LARGEST:
                    raise InvalidInput("enrolment/message", "news of more than is sensible")
    except httpx.HTTPError as error:
        raise RecommonsError(
            "agent/unreachable", f"no answer from the gateway: {type(error).__name__}"
        ) from error
    if response.status_code != httpx.codes.OK:
        code = "agent/unreachable" if response.status_code >= 500 else "agent/turned-away"
        raise RecommonsError(code, f"the gateway answered {response.status_code}")
    return News.from_bytes(data)
