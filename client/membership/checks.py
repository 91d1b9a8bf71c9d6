"""What must be right around a site before it takes part: name, proxy, TLS, clock, disk, data.

Each check says what it found and, where that is wrong, what to do. None changes anything, and none
tells the coordinator anything but that somebody connected.
"""

import os
import shutil
import socket
import ssl
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography import x509

from recommons.client.agent.connection import connection_of
from recommons.client.agent.credentials import AUTHORITY, CERTIFICATE, tls_context
from recommons.client.membership.data_check import catalogue_findings, data_findings
from recommons.client.membership.desk_line import authority_context
from recommons.client.membership.findings import Finding
from recommons.client.membership.news import ask_time
from recommons.client.membership.tls_faults import heedless_of_time, tls_fault
from recommons.common.errors import RecommonsError

__all__ = [
    "CLOCK_AHEAD_SECONDS",
    "CLOCK_BEHIND_SECONDS",
    "check_certificate",
    "check_clock",
    "check_disk",
    "check_line",
    "check_name",
    "check_proxy",
    "check_site",
]

CLOCK_AHEAD_SECONDS, CLOCK_BEHIND_SECONDS = 4, 240
"""How far a site's clock may be off. Flower 1.41 refuses node signatures that are more than 5 s
ahead of its clock or 305 s behind; the answer's own journey is allowed for."""

_LEAST_FREE = 1 << 30
_SECONDS = 10.0
_DAYS_LEFT = 30


def check_name(address: str) -> Finding:
    """Whether the coordinator's name leads anywhere."""
    host, port = _parts(address)
    if _proxy_for(host):
        return Finding(what="dns", ok=True, said=f"{host}: left to the proxy")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Finding(
            what="dns",
            ok=False,
            said=f"{host} cannot be resolved: {type(error).__name__}",
            remedy="Check the name with the federation's operator, and this host's DNS; or set "
            "HTTPS_PROXY where names are resolved by a proxy.",
        )
    addresses = sorted({str(entry[4][0]) for entry in found})
    return Finding(what="dns", ok=True, said=f"{host} is {', '.join(addresses)}")


def check_proxy(address: str) -> Finding:
    """Which proxy the agent would use."""
    host, _ = _parts(address)
    proxy = _proxy_for(host)
    if proxy is None:
        return Finding(what="proxy", ok=True, said="none: connections are direct")
    try:
        url = httpx.URL(proxy)
        with socket.create_connection((url.host, url.port or 80), timeout=_SECONDS):
            pass
    except (OSError, httpx.InvalidURL) as error:
        return Finding(
            what="proxy",
            ok=False,
            said=f"the proxy of the environment does not answer: {type(error).__name__}",
            remedy="Correct HTTPS_PROXY, or name the coordinator in NO_PROXY.",
        )
    return Finding(what="proxy", ok=True, said=f"{url.host}:{url.port or 80} answers")


def check_line(what: str, address: str, context: ssl.SSLContext, *, needed: bool) -> Finding:
    """Whether the coordinator's server answers, under the federation's authority and its name.

    Args:
        what: Which of its doors it is.
        address: ``host:port``.
        context: Whom to believe, and what to show.
        needed: Whether it must answer now.
    """
    try:
        with httpx.Client(verify=context, timeout=_SECONDS, follow_redirects=False) as client:
            client.get(f"https://{address}/")
    except httpx.ConnectError as error:
        fault = tls_fault(error)
        if fault is None:
            return _away(what, address, error, needed)
        said = f"{address} shows a certificate that {fault.said}"
        return Finding(what=what, ok=False, said=said, remedy=fault.remedy)
    except httpx.ProxyError as error:
        return _away(what, address, error, needed)
    except httpx.ConnectTimeout as error:
        return _away(what, address, error, needed)
    except httpx.TransportError:
        pass  # it wanted a client certificate after it had proved itself: that is what was asked
    return Finding(what=what, ok=True, said=f"{address} answers under the federation's authority")


def _away(what: str, address: str, error: Exception, needed: bool) -> Finding:
    return Finding(
        what=what,
        ok=False if needed else None,
        said=f"{address} does not answer: {type(error).__name__}",
        remedy="Check that the coordinator runs, and that the firewall lets this host out to it.",
    )


def check_clock(theirs: int, ours: float) -> Finding:
    """Whether the site's clock is near the coordinator's."""
    ahead = ours - theirs
    if -CLOCK_BEHIND_SECONDS <= ahead <= CLOCK_AHEAD_SECONDS:
        return Finding(what="clock", ok=True, said=f"{abs(ahead):.0f} s from the coordinator's")
    direction = "ahead of" if ahead > 0 else "behind"
    return Finding(
        what="clock",
        ok=False,
        said=f"{abs(ahead):.0f} s {direction} the coordinator's; allowed: "
        f"{CLOCK_AHEAD_SECONDS} s ahead, {CLOCK_BEHIND_SECONDS} s behind",
        remedy="Set this host's clock by NTP; if it is right, tell the federation's operator that "
        "the coordinator's is not.",
    )


def check_disk(folder: Path) -> Finding:
    """Whether there is room for keys, the ledger and released models."""
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        return Finding(
            what="disk",
            ok=False,
            said=f"{place} may not be written by this user",
            remedy="Name a folder that the agent's user owns.",
        )
    enough = free >= _LEAST_FREE
    return Finding(
        what="disk",
        ok=enough,
        said=f"{free / 2**30:.1f} GiB free",
        remedy="" if enough else "Free 1 GiB: a site whose ledger cannot be written takes no part.",
    )


def check_certificate(folder: Path, now: datetime) -> Finding:
    """Whether the site's certificate is valid for some time."""
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    days = (certificate.not_valid_after_utc - now).days
    if days < 0:
        return Finding(
            what="credential",
            ok=False,
            said=f"this site's certificate ended {-days} days ago",
            remedy="Ask the federation's operator for an invitation under the same name, and run "
            "`recommons site join` with it in this folder.",
        )
    return Finding(
        what="credential",
        ok=True if days > _DAYS_LEFT else None,
        said=f"this site's certificate is valid for {days} days",
        remedy="" if days > _DAYS_LEFT else "Let the agent run: it renews the certificate itself.",
    )


def check_site(folder: Path, clock: Callable[[], float]) -> list[Finding]:
    """All of it, for a site that has joined.

    Raises:
        InvalidInput: ``site/folder``, ``agent/connection`` or ``agent/credentials``: the folder is
            not that of a joined site.
    """
    address, context = connection_of(folder).address, tls_context(folder)
    # Whom it believes, without what it shows: so that a refused certificate is told from a line.
    bare = authority_context((folder / AUTHORITY).read_bytes())
    findings = [
        check_name(address),
        check_proxy(address),
        check_line("tls", address, bare, needed=True),
        check_certificate(folder, datetime.fromtimestamp(clock(), UTC)),
    ]
    theirs: int | None = None
    try:
        theirs = _time_at(address, context)
    except RecommonsError as error:
        findings.append(Finding(what="member", ok=False, said=error.message, remedy=error.remedy))
        # A clock that is far off makes certificates invalid; it is told all the same.
        with suppress(RecommonsError):
            theirs = _time_at(address, heedless_of_time(tls_context(folder)))
    else:
        findings.append(Finding(what="member", ok=True, said="the gateway lets this site in"))
    if theirs is not None:
        findings.append(check_clock(theirs, clock()))
    own = [*catalogue_findings(folder), *data_findings(folder)]
    return [*findings, check_disk(folder), *own]


def _time_at(address: str, context: ssl.SSLContext) -> int:
    with httpx.Client(base_url=f"https://{address}", verify=context, timeout=_SECONDS) as client:
        return ask_time(client)


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _proxy_for(host: str) -> str | None:
    """The proxy that httpx would use for a host, by the environment."""
    proxies = urllib.request.getproxies_environment()
    if _is_exempt(host, proxies.get("no", "")):
        return None
    return proxies.get("https") or proxies.get("all")


def _is_exempt(host: str, exempt: str) -> bool:
    """Whether NO_PROXY names the host, or a domain that it is of."""
    names = [name.strip().lower().lstrip(".") for name in exempt.split(",") if name.strip()]
    return any(name in ("*", host) or host.lower().endswith(f".{name}") for name in names)
