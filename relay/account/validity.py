"""Until when an account keeps working when nobody does anything, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal

from relay.config.model import Issuer, OAuth2
from relay.config.secret import SecretError, SecretRef
from relay.spool.vault_entry import Grant

Reason = Literal[
    "certificate", "secret", "google-testing", "microsoft-idle", "unknown", "not-applicable"
]

# An app of which Google has not been told that it is in production.
GOOGLE_TESTING = timedelta(days=7)
# Microsoft's refresh tokens live 90 days, counted again from each use.
MICROSOFT_IDLE = timedelta(days=90)

_TEXTS: Final[dict[Reason, tuple[str, str]]] = {
    "certificate": ("het certificaat verloopt", "the certificate expires"),
    "secret": (
        "het clientgeheim verloopt (secret_expires)",
        "the client secret expires (secret_expires)",
    ),
    "google-testing": (
        "staat uw Google-app nog op Testing, dan eindigt de toestemming na 7 dagen",
        "if your Google app is still in testing, its consent ends after 7 days",
    ),
    "microsoft-idle": (
        "90 dagen na het laatste gebruik, en elk gebruik telt opnieuw",
        "90 days after the last use, and each use counts anew",
    ),
    "unknown": ("er is geen einddatum bekend", "no end is known"),
    "not-applicable": ("met een wachtwoord", "with a password"),
}


@dataclass(frozen=True, slots=True)
class Validity:
    """The first known end; `until` is None where none is known."""

    until: datetime | None
    reason: Reason

    def text(self, language: str) -> str:
        """The reason in words, English for anything but `nl`."""
        nl, en = _TEXTS[self.reason]
        return nl if language == "nl" else en


def works_until(oauth2: OAuth2 | None, grant: Grant | None, now: datetime) -> Validity:
    """The first of the ends that are known; `oauth2` None means a login with a password.

    Reads the certificate; one that cannot be read has no known end.
    """
    if oauth2 is None:
        return Validity(None, "not-applicable")
    ends: list[tuple[datetime, Reason]] = []
    if oauth2.certificate is not None:
        if (end := _certificate_end(oauth2.certificate)) is not None:
            ends.append((end, "certificate"))
    elif oauth2.client_secret is not None and oauth2.secret_expires is not None:
        ends.append((datetime.combine(oauth2.secret_expires, time.min, UTC), "secret"))
    if oauth2.interactive and grant is not None and grant.refresh_token is not None:
        if oauth2.issuer is Issuer.MICROSOFT:
            ends.append((grant.refreshed_at + MICROSOFT_IDLE, "microsoft-idle"))
        elif may_be_testing(grant.consented_at, grant.refreshed_at):
            assert grant.consented_at is not None
            ends.append((grant.consented_at + GOOGLE_TESTING, "google-testing"))
    return Validity(*min(ends)) if ends else Validity(None, "unknown")


def may_be_testing(consented_at: datetime | None, worked_at: datetime) -> bool:
    """False once a refresh token worked after the seven days: the app is published."""
    return consented_at is not None and worked_at <= consented_at + GOOGLE_TESTING


def _certificate_end(reference: SecretRef) -> datetime | None:
    from cryptography import x509

    try:
        certificates = x509.load_pem_x509_certificates(reference.read().encode("ascii", "replace"))
    except (SecretError, ValueError):
        return None
    # Entra checks the leaf's own dates; the leaf is the first.
    return certificates[0].not_valid_after_utc
