"""Whether the secrets of `[smarthost.oauth2]` are what their flow needs, found out at the start."""

from __future__ import annotations

import json

from relay.config import locate
from relay.config.builder import Builder
from relay.config.fault import BadValueError
from relay.config.model import FlowKind
from relay.config.secret import SecretError, SecretRef

_KEY_FILE = ("client_email", "private_key", "token_uri")


def check_secrets(
    flow: FlowKind,
    client_secret: SecretRef | None,
    certificate: SecretRef | None,
    where: tuple[locate.Path, Builder],
) -> None:
    """Notes a fault where a certificate or a key file cannot be used."""
    path, build = where
    if certificate is not None and (text := _read(certificate, build)) is not None:
        _check_certificate(text, ((*path, "certificate"), build))
        if client_secret is not None:
            build.problems.warning(
                (*path, "client_secret"),
                "heeft geen effect naast certificate",
                "has no effect beside certificate",
            )
    if flow != "service-account" or client_secret is None:
        return
    key_file = _read(client_secret, build)
    if key_file is not None and not _is_key_file(key_file):
        fault = BadValueError(
            "is geen sleutelbestand van een serviceaccount; download het bij Google als JSON",
            "is no key file of a service account; download it from Google as JSON",
        )
        build.problems.unusable((*path, "client_secret"), fault)


def _read(reference: SecretRef, build: Builder) -> str | None:
    try:
        return reference.read(build.environ)
    except SecretError:
        return None  # noted when it was first read


def _check_certificate(pem: str, where: tuple[locate.Path, Builder]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path, build = where
    content = pem.encode("utf-8")
    try:
        certificate = x509.load_pem_x509_certificates(content)[0]
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        # Without the cause, which may quote the key.
        fault = BadValueError(
            "bevat geen sleutel met certificaat (PEM, zonder wachtwoord), samen in een bestand",
            "holds no key with its certificate (PEM, without a passphrase), together in one file",
        )
        build.problems.unusable(path, fault)
        return
    if not isinstance(key, RSAPrivateKey) or certificate.public_key() != key.public_key():
        fault = BadValueError(
            "de sleutel hoort niet bij het certificaat, of is geen RSA-sleutel",
            "the key does not belong to the certificate, or is no RSA key",
        )
        build.problems.unusable(path, fault)


def _is_key_file(text: str) -> bool:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = json.loads(text)
        if any(not isinstance(found[key], str) for key in _KEY_FILE):
            return False
        load_pem_private_key(found["private_key"].encode("utf-8"), None)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return True
