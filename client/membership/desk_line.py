"""The site's line to the enrolment desk, before it has any certificate."""

import hmac
import json
import ssl
from dataclasses import dataclass
from typing import Self

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from recommons.client.membership.tls_faults import tls_fault
from recommons.common.codes import REMEDIES
from recommons.common.enrolment import (
    APPLY,
    AUTHORITY,
    OFFER,
    Application,
    Offer,
    Standing,
    seal_call,
)
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.invitation import Invitation
from recommons.common.peers import fingerprint

__all__ = ["DeskLine", "authority_context"]

_SECONDS = 20.0
_LARGEST_ANSWER = 16 << 20
_LARGEST_CERTIFICATE = 16 << 10


@dataclass(frozen=True)
class DeskLine:
    """An open line; a context manager.

    Attributes:
        invitation: The invitation, which says whom to believe.
        authority: The authority's certificate, PEM; its hash is the invitation's.
        client: Believes that authority alone.
    """

    invitation: Invitation
    authority: bytes
    client: httpx.Client

    @classmethod
    def open(cls, invitation: Invitation) -> Self:
        """Fetch the authority's certificate, compare it, and speak under it from then on.

        The first connection believes nobody and tells nothing; what it brings is believed for its
        hash, which the invitation holds.

        Raises:
            Refusal: ``enrolment/unreachable`` or ``enrolment/authority``.
        """
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        with _client(invitation.address, blind) as client:
            pem = _read(client, "GET", AUTHORITY, b"", _LARGEST_CERTIFICATE)
        try:
            found = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
        except ValueError:
            found = b""
        if not hmac.compare_digest(found, invitation.authority):
            raise Refusal(
                "enrolment/authority", "the authority's certificate is not the invitation's"
            )
        return cls(invitation, pem, _client(invitation.address, authority_context(pem)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.client.close()

    def offer(self) -> Offer:
        """What is offered.

        Raises:
            Refusal: With the desk's code; ``enrolment/federation-key``: it speaks for another
                federation; ``roster/signature``: its roster is not that federation's.
            InvalidInput: ``enrolment/message``.
        """
        body = seal_call(self.invitation.keys, "offer")
        offer = Offer.from_bytes(_read(self.client, "POST", OFFER, body, _LARGEST_ANSWER))
        if not hmac.compare_digest(
            fingerprint(offer.federation_key), self.invitation.federation_key
        ):
            raise Refusal(
                "enrolment/federation-key", "the desk names another key than the invitation"
            )
        epoch = offer.epoch
        if epoch is not None and not (
            epoch.is_signed_by(offer.federation_key)
            and epoch.roster.federation == self.invitation.federation
        ):
            raise Refusal("roster/signature", "the roster is not signed by the federation's key")
        return offer

    def apply(self, application: Application) -> Standing:
        """Send the application, or the same one again, and learn where it stands.

        Raises:
            Refusal: With the desk's code.
            InvalidInput: ``enrolment/message``.
        """
        body = seal_call(self.invitation.keys, "apply", application.to_bytes())
        return Standing.from_bytes(_read(self.client, "POST", APPLY, body, _LARGEST_ANSWER))


def authority_context(pem: bytes) -> ssl.SSLContext:
    """TLS 1.3 that believes one authority, and checks the server's name.

    Raises:
        Refusal: ``enrolment/authority``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise Refusal("enrolment/authority", "the authority's certificate is not one") from error
    return context


def _client(address: str, context: ssl.SSLContext) -> httpx.Client:
    # The proxy of the environment is used; a redirect is never followed.
    return httpx.Client(
        base_url=f"https://{address}", verify=context, timeout=_SECONDS, follow_redirects=False
    )


def _read(client: httpx.Client, method: str, path: str, body: bytes, largest: int) -> bytes:
    try:
        with client.stream(method, path, content=body) as response:
            data = b""
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > largest:
                    raise InvalidInput("enrolment/message", f"an answer above {largest} bytes")
    except httpx.HTTPError as error:
        fault = tls_fault(error) if isinstance(error, httpx.ConnectError) else None
        if fault is not None:
            raise Refusal(
                "enrolment/authority", f"the desk shows a certificate that {fault.said}"
            ) from error
        raise Refusal(
            "enrolment/unreachable", f"no answer from {client.base_url.host}: {_kind(error)}"
        ) from error
    if response.status_code == httpx.codes.OK:
        return data
    raise Refusal(*_told(response.status_code, data))


def _told(status: int, data: bytes) -> tuple[str, str]:
    try:
        code = str(json.loads(data)["code"])
    except (ValueError, KeyError, TypeError, RecursionError):
        code = ""
    if code not in REMEDIES:
        return "enrolment/unreachable", f"the desk answered {status}"
    return code, "the enrolment desk refused the call"


def _kind(error: httpx.HTTPError) -> str:
    return type(error).__name__
