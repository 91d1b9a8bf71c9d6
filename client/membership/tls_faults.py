"""Why the coordinator's certificate was not believed, and what to do about it.

OpenSSL says it in a sentence of its own, which reaches us in the text of the connection's error.
"""

import re
import ssl
from typing import NamedTuple

import httpx

__all__ = ["TlsFault", "heedless_of_time", "tls_fault"]

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python does not name."""


class TlsFault(NamedTuple):
    """One reason.

    Attributes:
        said: What is wrong with the certificate, to follow "a certificate that ".
        remedy: What to do about it.
    """

    said: str
    remedy: str


_FAULTS = (
    (
        r"has expired",
        TlsFault(
            "has ended, by this host's clock",
            "Compare this host's clock with another. If it is right, ask the federation's operator "
            "for `recommons federation rotate certificate`.",
        ),
    ),
    (
        r"not yet valid",
        TlsFault(
            "is not valid yet, by this host's clock",
            "Set this host's clock by NTP; if it is right, the coordinator's is ahead: tell the "
            "federation's operator.",
        ),
    ),
    (
        r"hostname mismatch|ip address mismatch|is not valid for",
        TlsFault(
            "is for another name",
            "Use the name by which the federation was founded (`recommons federation init "
            "--address`); if this is it, somebody else answers there.",
        ),
    ),
)
_STRANGER = TlsFault(
    "is not under the federation's authority",
    "Somebody else answers there, or a proxy opens TLS: let it pass this address through unopened.",
)


def tls_fault(error: httpx.ConnectError) -> TlsFault | None:
    """The reason; None where the connection failed for something else than a certificate.

    Only this side's own verdict counts: an alert of the other side, or a line that is torn while
    hands are shaken, says nothing about whose certificate is there.
    """
    text = str(error).lower()
    if "certificate verify failed" not in text:
        return None
    return next((fault for pattern, fault in _FAULTS if re.search(pattern, text)), _STRANGER)


def heedless_of_time(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, which believes certificates whatever the time: to compare clocks, only."""
    context.verify_flags |= _NO_CHECK_TIME
    return context
