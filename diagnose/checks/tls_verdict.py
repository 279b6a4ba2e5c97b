"""Whether the relay can trust what a server shows, and if not, why: each fault by its own name."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from diagnose.checks.chain import Certificate, as_utc, fits, linked, organisations, product_between
from diagnose.checks.tls_probe import Note, Seen
from diagnose.finding import Severity

DAYS_LEFT_WARNING = 21

OLD_PROTOCOLS = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})

# X509_V_ERR numbers of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_ABOVE = 18, 19
_NO_ISSUER = frozenset({2, 20, 21, 27})
_OTHER_NAME = frozenset({62, 64})


@dataclass(frozen=True, slots=True)
class Judged:
    """What the handshake that verifies came to. `code` None: it went well."""

    code: int | None
    detail: str = ""


def chain_complete(seen: Seen, judged: Judged) -> bool:
    """Whether the server sends all that leads from its certificate to an authority."""
    return judged.code is None or judged.code not in _NO_ISSUER or linked(seen.chain).self_signed


def notes(
    seen: Seen, judged: Judged, host: str, context: ssl.SSLContext, now: datetime
) -> Iterator[Note]:
    """All that is wrong; nothing when all is well."""
    own = seen.chain[0]
    about = {"subject": own.subject, "issuer": own.issuer}
    if seen.protocol in OLD_PROTOCOLS:
        yield Note("old-protocol", Severity.ERROR, {"protocol": seen.protocol})
    product = product_between(seen.chain)
    if product is not None:
        # Where the product's authority is installed here, mail gets through, but is read.
        severity = Severity.ERROR if judged.code is not None else Severity.WARNING
        known = {"product": product.product, "source": product.source, **about}
        yield Note("antivirus", severity, known)
    if judged.code is None:
        left = own.days_left(now)
        if left < DAYS_LEFT_WARNING:
            when = {"days": left, "not_after": as_utc(own.not_after)}
            yield Note("expires-soon", Severity.WARNING, when)
        return
    found = [*_facts(own, host, judged, now)]
    yield from found
    if product is None:
        yield from _issuer(seen, judged, context)
    explained = product is not None or any(
        judged.code in codes
        for codes in (_NO_ISSUER, _OTHER_NAME, (_SELF_SIGNED, _SELF_SIGNED_ABOVE))
    )
    if not explained and not found:
        id_ = "chain-date" if judged.code in (_EXPIRED, _NOT_YET_VALID) else "rejected"
        yield Note(id_, Severity.ERROR, {"error": judged.detail, "code": judged.code, **about})


def _facts(own: Certificate, host: str, judged: Judged, now: datetime) -> Iterator[Note]:
    """What is wrong with the server's own certificate; OpenSSL tells only the first of it."""
    if own.not_after < now:
        when = {"not_after": as_utc(own.not_after), "days": -own.days_left(now), "now": as_utc(now)}
        yield Note("expired", Severity.ERROR, when)
    if own.not_before > now:
        when = {"not_before": as_utc(own.not_before), "now": as_utc(now)}
        yield Note("not-yet-valid", Severity.ERROR, when)
    if judged.code in _OTHER_NAME or not fits(own, host):
        names = ", ".join(own.names or (own.common_name,))
        yield Note("wrong-name", Severity.ERROR, {"names": names})


def _issuer(seen: Seen, judged: Judged, context: ssl.SSLContext) -> Iterator[Note]:
    own, last = seen.chain[0], linked(seen.chain)
    if own.self_signed and judged.code in {_SELF_SIGNED, *_NO_ISSUER}:
        yield Note("self-signed", Severity.ERROR, {"subject": own.subject})
    elif judged.code == _SELF_SIGNED_ABOVE or (judged.code in _NO_ISSUER and last.self_signed):
        yield Note("unknown-issuer", Severity.ERROR, {"issuer": last.subject})
    elif judged.code in _NO_ISSUER:
        # Of an authority that this computer knows, or that says where its certificate can be had,
        # only a link is missing; of any other nobody here knows anything.
        missing = last.fetchable_issuer or last.issuer_organisation in organisations(context)
        id_ = "incomplete-chain" if missing else "unknown-issuer"
        yield Note(id_, Severity.ERROR, {"issuer": last.issuer, "sent": len(seen.chain)})
