"""The certificates that a server sends: what they say, and what is wrong with them."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import islice
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from diagnose.checks.antivirus import Interceptor, interceptor
from diagnose.finding import Document
from presets.reply import sanitise

MOST_CERTIFICATES = 10
_MOST_NAMES = 100
_LONGEST_NAME = 300


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of the chain; all texts are printable."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    common_name: str
    issuer_values: tuple[str, ...]
    issuer_organisation: str
    self_signed: bool
    fetchable_issuer: bool  # it says at which web address its issuer's certificate can be had

    def document(self) -> Document:
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "not_after": self.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "names": list(self.names),
        }

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative from the moment that it has."""
        return (self.not_after - now).days


def sent_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the server sent, its own first, as DER; verified or not.

    Public from Python 3.13 on; before it only in the module below `ssl`, and where even that is
    missing the server's own certificate is all there is.
    """
    for holder in (tls, getattr(tls, "_sslobj", None)):
        unverified = getattr(holder, "get_unverified_chain", None)
        if unverified is None:
            continue
        try:
            found = [_der(each) for each in (unverified() or ())]
        except (AttributeError, TypeError, ValueError, ssl.SSLError):
            continue
        if found:
            return tuple(found[:MOST_CERTIFICATES])
    own = tls.getpeercert(binary_form=True)
    return (own,) if own else ()


def _der(certificate: Any) -> bytes:
    if isinstance(certificate, bytes):
        return certificate
    import _ssl

    der: bytes = certificate.public_bytes(_ssl.ENCODING_DER)
    return der


def read_certificate(der: bytes) -> Certificate:
    """Raises ValueError: it cannot be read."""
    try:
        found = x509.load_der_x509_certificate(der)
        return Certificate(
            subject=_shown(found.subject),
            issuer=_shown(found.issuer),
            not_before=found.not_valid_before_utc,
            not_after=found.not_valid_after_utc,
            names=_names(found),
            common_name=next(_values(found.subject, NameOID.COMMON_NAME), ""),
            issuer_values=tuple(sanitise(str(each.value), _LONGEST_NAME) for each in found.issuer),
            issuer_organisation=next(_values(found.issuer, NameOID.ORGANIZATION_NAME), ""),
            self_signed=found.subject == found.issuer,
            fetchable_issuer=_fetchable(found),
        )
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as bad:
        raise ValueError(sanitise(str(bad), _LONGEST_NAME)) from bad


def linked(chain: Sequence[Certificate]) -> Certificate:
    """The last certificate that the server's own one leads to by what was sent."""
    last = chain[0]
    for _ in chain:
        above = next((each for each in chain if each.subject == last.issuer), last)
        if above is last:
            break
        last = above
    return last


def fits(certificate: Certificate, host: str) -> bool:
    """Whether it is for this host, as OpenSSL judges (RFC 9525 section 6): whole names, or a
    wildcard for the first label; the common name where there are no other names."""
    names = certificate.names or ((certificate.common_name,) if certificate.common_name else ())
    try:
        address = str(ip_address(host))
    except ValueError:
        return any(_name_fits(name.lower().removesuffix("."), host.lower()) for name in names)
    return address in names


def _name_fits(name: str, host: str) -> bool:
    if not name.startswith("*."):
        return name == host
    first, _, rest = host.partition(".")
    return bool(first) and rest == name[2:]


def product_between(chain: Sequence[Certificate]) -> Interceptor | None:
    """The product that signed one of these certificates on its way here."""
    found = (interceptor(each.issuer_values) for each in chain)
    return next((each for each in found if each is not None), None)


def organisations(context: ssl.SSLContext) -> set[str]:
    """The organisations of the authorities that `context` has loaded."""
    loaded: list[Any] = context.get_ca_certs()
    pairs = (pair for each in loaded for part in each.get("subject", ()) for pair in part)
    return {value for key, value in pairs if key == "organizationName"}


def as_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _shown(name: x509.Name) -> str:
    return sanitise(name.rfc4514_string(), _LONGEST_NAME)


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> Any:
    return (sanitise(str(each.value), _LONGEST_NAME) for each in name.get_attributes_for_oid(oid))


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    kinds = (x509.DNSName, x509.IPAddress)
    found = (str(each.value) for each in extension.value if isinstance(each, kinds))
    return tuple(sanitise(name, _LONGEST_NAME) for name in islice(found, _MOST_NAMES))


def _fetchable(certificate: x509.Certificate) -> bool:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return False
    return any(
        each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
        and each.access_location.value.startswith("http")
        for each in access.value
    )
