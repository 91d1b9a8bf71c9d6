"""What a site shows at the coordinator's door: its node key and the certificate over it.

| file in the site's folder | holds |
|---|---|
| `node.key` | the node key, ECDSA on P-384, PEM, readable by its owner alone; drawn here |
| `node.pem` | the certificate that the federation's authority issued for it |
| `authority.pem` | the authority's certificate, pinned at enrolment; the only one believed |

The node key opens the connection and signs Flower's node headers. It is not the site's signing
key: whoever steals it can be silent or noisy in the site's place, but can sign nothing for it.
"""

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from recommons.common.durably import create_durably
from recommons.common.errors import InvalidInput

__all__ = [
    "AUTHORITY",
    "CERTIFICATE",
    "KEY",
    "certificate_fault",
    "create_node_key",
    "read_node_key",
    "tls_context",
]

KEY = "node.key"
CERTIFICATE = "node.pem"
AUTHORITY = "authority.pem"


def create_node_key(folder: Path, site: str, name: str = KEY) -> bytes:
    """Draw a node key in a site's folder.

    Args:
        folder: The site's folder.
        site: The site's id, written into the request for the reader's eyes only.
        name: The key's file.

    Returns:
        The signing request for the authority, PEM; it proves that the site holds the key.

    Raises:
        FileExistsError: There is a key already; it is never overwritten.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    create_durably(folder / name, pem)
    return signing_request(key, site)


def signing_request(key: ec.EllipticCurvePrivateKey, site: str) -> bytes:
    """A request for a certificate over a key, also to renew one; PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, site[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hashes.SHA384()).public_bytes(Encoding.PEM)


def read_node_key(folder: Path, name: str = KEY) -> ec.EllipticCurvePrivateKey:
    """The node key.

    Raises:
        InvalidInput: ``agent/credentials``: there is none, or it is not one; its content is never
            shown.
    """
    try:
        key = load_pem_private_key((folder / name).read_bytes(), None)
    except (OSError, ValueError, TypeError):
        raise InvalidInput("agent/credentials", f"{name} cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInput("agent/credentials", f"{name} does not hold a key on P-384")
    return key


def certificate_fault(folder: Path, now: datetime) -> str | None:
    """Why no gateway of the federation takes this site's certificate; None where nothing is wrong.

    A server that turns a certificate away in TLS 1.3 may close the line without a word.

    Args:
        folder: The site's folder.
        now: The time, aware.
    """
    try:
        certificate, authority = (
            x509.load_pem_x509_certificate((folder / name).read_bytes())
            for name in (CERTIFICATE, AUTHORITY)
        )
        certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return "this site's certificate is not of the authority that it has pinned"
    if now > certificate.not_valid_after_utc:
        return f"this site's certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"this site's certificate begins on {certificate.not_valid_before_utc:%Y-%m-%d}"
    return None


def tls_context(folder: Path) -> ssl.SSLContext:
    """TLS 1.3 towards the coordinator alone: its authority, its name, this site's certificate.

    Raises:
        InvalidInput: ``agent/credentials``: a file is missing, or key and certificate do not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(folder / AUTHORITY)
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            "agent/credentials",
            f"{AUTHORITY}, {CERTIFICATE} and {KEY} in {folder} do not open a connection: "
            f"{type(error).__name__}",
        ) from error
    return context
