from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from recommons.client.agent.credentials import create_node_key, read_node_key
from recommons.common.errors import InvalidInput
from recommons.server.certificates.authority import Authority, Credentials, key_fingerprint, site_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("fruit & nuts", now=NOW)


def issue(authority: Authority, folder: Path, site: str = "plum/1") -> x509.Certificate:
    request = create_node_key(folder, site)
    pem = authority.issue_site("fruit & nuts", site, request, now=NOW)
    return x509.load_pem_x509_certificate(pem)


def test_a_site_certificate_carries_the_sites_own_node_key_and_name(
    authority: Authority, tmp_path: Path
) -> None:
    certificate = issue(authority, tmp_path)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key == read_node_key(tmp_path).public_key()
    assert key_fingerprint(key) == key_fingerprint(read_node_key(tmp_path).public_key())
    assert site_of(certificate, "fruit & nuts") == "plum/1"
    assert site_of(certificate, "fruit") is None


def test_an_independent_verifier_accepts_what_the_authority_issued(
    authority: Authority, tmp_path: Path
) -> None:
    certificate = issue(authority, tmp_path)
    policy = PolicyBuilder().store(Store([authority.certificate]))
    verified = policy.time(NOW).build_client_verifier().verify(certificate, [])
    assert verified.chain[-1] == authority.certificate
    server = authority.issue_server(["coordinator.example", "127.0.0.1"], now=NOW)
    served = x509.load_pem_x509_certificate(server.certificate)
    named = policy.time(NOW).build_server_verifier(x509.DNSName("coordinator.example"))
    named.verify(served, [])
    with pytest.raises(VerificationError):
        named.verify(certificate, [])  # a site's certificate is no server's
    with pytest.raises(VerificationError):
        policy.time(NOW).build_client_verifier().verify(served, [])
    late = NOW + timedelta(days=400)
    with pytest.raises(VerificationError):
        policy.time(late).build_client_verifier().verify(certificate, [])


def test_a_request_must_prove_that_its_sender_holds_a_key_on_the_right_curve(
    authority: Authority,
) -> None:
    small = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    wrong_curve = builder.sign(small, hashes.SHA256()).public_bytes(Encoding.PEM)
    good = builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384())
    der = bytearray(good.public_bytes(Encoding.DER))
    der[-1] ^= 1
    altered = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)
    for request in (wrong_curve, altered, b"nothing"):
        with pytest.raises(InvalidInput) as refused:
            authority.issue_site("fruit & nuts", "plum", request, now=NOW)
        assert refused.value.code == "authority/request"


def test_an_authority_is_taken_up_with_its_passphrase_only(authority: Authority) -> None:
    kept = authority.credentials(b"pips")
    assert Authority.load(kept, b"pips").certificate == authority.certificate
    other = Authority.create("other", now=NOW).credentials()
    mixed = Credentials(certificate=kept.certificate, key=other.key)
    for credentials, passphrase in ((kept, b"peel"), (kept, None), (mixed, None)):
        with pytest.raises(InvalidInput) as refused:
            Authority.load(credentials, passphrase)
        assert refused.value.code == "authority/key"


def test_a_node_key_is_never_overwritten_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    create_node_key(tmp_path, "plum")
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_node_key(tmp_path, "plum")
