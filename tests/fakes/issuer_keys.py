"""The keys that the fake issuer's registered app and service account prove themselves with."""

from __future__ import annotations

import base64
import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")


@dataclass(frozen=True, slots=True)
class AppCertificate:
    """A self-signed certificate as one uploads it to an app registration; `pem` has the key too."""

    pem: str
    public_key: rsa.RSAPublicKey
    thumbprint: str

    @classmethod
    def make(cls, until: datetime | None = None) -> AppCertificate:
        """A new one, good until `until` or for a year."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
        now = datetime.now(UTC)
        end = until or now + timedelta(days=365)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end) - timedelta(days=1))
            .not_valid_after(end)
            .sign(key, hashes.SHA256())
        )
        digest = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256()))
        text = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        return cls(_pem(key) + text, key.public_key(), digest.rstrip(b"=").decode("ascii"))


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A Google service account with the right to act for everybody of the domain."""

    email: str
    key: str
    public_key: rsa.RSAPublicKey

    @classmethod
    def make(cls) -> ServiceAccount:
        """A new one."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls("relay@bakkerij-123.iam.gserviceaccount.com", _pem(key), key.public_key())

    def key_file(self, token_uri: str) -> str:
        """The JSON as the Cloud console gives it to download."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "bakkerij-123",
                "private_key_id": "0123456789abcdef",
                "private_key": self.key,
                "client_email": self.email,
                "client_id": "112233445566778899001",
                "token_uri": token_uri,
            }
        )


@functools.cache
def registered_app() -> AppCertificate:
    """The certificate of the registered app, made once a test run: keys are slow to make."""
    return AppCertificate.make()


@functools.cache
def registered_account() -> ServiceAccount:
    """The service account, made once a test run."""
    return ServiceAccount.make()
