"""The federation's certificate authority: who may open a connection to the coordinator.

A site draws its node key itself and sends a signing request; the certificate it gets back carries
that very key. The node key is also what Flower knows the site's node by, so that certificate and
node are bound by arithmetic and not by a table. Certificates open connections only: nothing that a
round depends on is believed because of them (DESIGN, section 3).

| certificate | key usage | names |
|---|---|---|
| authority | signs certificates, no further authorities | the federation |
| server | TLS server | the names and addresses that sites reach the coordinator by |
| site | TLS client | ``recommons:FEDERATION/SITE`` as a URI |

All keys are ECDSA on P-384, which Flower's node authentication requires of node keys.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from recommons.common.errors import InvalidInput

__all__ = ["Authority", "Credentials", "key_fingerprint", "site_of"]

_SCHEME = "recommons:"
_SKEW = timedelta(hours=1)
_HASH = hashes.SHA384()


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A certificate and its private key, both PEM; the key must be kept from everyone else."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Authority:
    """Signs certificates of one federation.

    Attributes:
        certificate: Its own certificate; every member pins it.
    """

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, federation: str, *, now: datetime, days: int = 3650) -> Self:
        """Draw a new authority's key and sign its certificate.

        Args:
            federation: The federation's id.
            now: Start of validity (an hour is added before, for clocks that are behind).
            days: Length of validity.
        """
        key = ec.generate_private_key(ec.SECP384R1())
        name = _name(f"Recommons {federation}"[:64])
        certificate = (
            _builder(name, name, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, _HASH)
        )
        return cls(certificate=certificate, _key=key)

    @classmethod
    def load(cls, credentials: Credentials, passphrase: bytes | None = None) -> Self:
        """Take up an authority.

        Raises:
            InvalidInput: ``authority/key``: not a certificate with its own key, or a wrong
                passphrase.
        """
        try:
            certificate = x509.load_pem_x509_certificate(credentials.certificate)
            key = load_pem_private_key(credentials.key, passphrase)
        except (ValueError, TypeError):
            # Not chained: the cause's message may quote the file.
            raise InvalidInput(
                "authority/key", "the authority's key or certificate cannot be read"
            ) from None
        if (
            not isinstance(key, ec.EllipticCurvePrivateKey)
            or key.public_key() != certificate.public_key()
        ):
            raise InvalidInput("authority/key", "the key is not the one in the certificate")
        return cls(certificate=certificate, _key=key)

    def credentials(self, passphrase: bytes | None = None) -> Credentials:
        """Certificate and key to keep, the key encrypted where a passphrase is given."""
        return Credentials(
            certificate=self.certificate.public_bytes(Encoding.PEM),
            key=_private_pem(self._key, passphrase),
        )

    def issue_server(self, names: Sequence[str], *, now: datetime, days: int = 365) -> Credentials:
        """A certificate for a TLS server, with a fresh key.

        Args:
            names: Host names and IP addresses by which it is reached; at least one.
            now: Start of validity.
            days: Length of validity.
        """
        key = ec.generate_private_key(ec.SECP384R1())
        certificate = self._issue(
            _name(names[0][:64]),
            key.public_key(),
            x509.SubjectAlternativeName([_general_name(name) for name in names]),
            ExtendedKeyUsageOID.SERVER_AUTH,
            now,
            days,
        )
        return Credentials(
            certificate=certificate.public_bytes(Encoding.PEM), key=_private_pem(key, None)
        )

    def issue_site(
        self, federation: str, site: str, request: bytes, *, now: datetime, days: int = 365
    ) -> bytes:
        """A certificate for the node key that a site proves to hold.

        Args:
            federation: The federation's id.
            site: The site's id in the roster; the request's own subject is not believed.
            request: The site's signing request, PEM.
            now: Start of validity.
            days: Length of validity.

        Returns:
            The certificate, PEM.

        Raises:
            InvalidInput: ``authority/request``: not a request signed by a P-384 key.
        """
        return self._issue(
            _name(site[:64]),
            requested_key(request),
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(_site_uri(federation, site))]
            ),
            ExtendedKeyUsageOID.CLIENT_AUTH,
            now,
            days,
        ).public_bytes(Encoding.PEM)

    def _issue(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        names: x509.SubjectAlternativeName,
        purpose: x509.ObjectIdentifier,
        now: datetime,
        days: int,
    ) -> x509.Certificate:
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _builder(subject, self.certificate.subject, public_key, now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(names, critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self._key, _HASH)
        )


def requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a signing request that its sender proved to hold.

    Raises:
        InvalidInput: ``authority/request``.
    """
    try:
        parsed = x509.load_pem_x509_csr(request)
        sound = parsed.is_signature_valid
        key = parsed.public_key()
    except (ValueError, TypeError, InvalidSignature) as error:
        raise InvalidInput("authority/request", "the signing request cannot be read") from error
    if (
        not sound
        or not isinstance(key, ec.EllipticCurvePublicKey)
        or not isinstance(key.curve, ec.SECP384R1)
    ):
        raise InvalidInput(
            "authority/request", "the signing request is not signed by a key on P-384"
        )
    return key


def key_fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of a public key's SubjectPublicKeyInfo, in hex."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    return digest.finalize().hex()


def site_of(certificate: x509.Certificate, federation: str) -> str | None:
    """The site that a certificate was issued to; None where it is no site's of this federation.

    The certificate's signature and validity must have been checked before (TLS does).
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    prefix = _site_uri(federation, "")
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or not uris[0].startswith(prefix):
        return None
    return unquote(uris[0][len(prefix) :]) or None


def _site_uri(federation: str, site: str) -> str:
    return f"{_SCHEME}{quote(federation, safe='')}/{quote(site, safe='')}"


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, key_cert_sign: bool = False, digital_signature: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
