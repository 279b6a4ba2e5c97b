"""Programs that put themselves between this computer and the mail server, and how they show.

A virus scanner or firewall that reads encrypted mail signs a certificate of its own on the fly:
its issuer gives it away. A firewall that inspects SMTP in clear blots out what it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CHROMIUM = (
    "https://chromium.googlesource.com/chromium/src/+/main/chrome/browser/resources/ssl/"
    "ssl_error_assistant/ssl_error_assistant.asciipb"
)
CISCO = (
    "https://www.cisco.com/c/en/us/support/docs/security/"
    "asa-5500-x-series-next-generation-firewalls/113423-asa-esmtp-smtp-inspection.html"
)


@dataclass(frozen=True, slots=True)
class Interceptor:
    """A product, the pattern that its issuer's name fits, and who saw that name."""

    product: str
    issuer: re.Pattern[str]
    source: str


def _known(product: str, issuer: str, source: str = CHROMIUM) -> Interceptor:
    return Interceptor(product, re.compile(issuer, re.IGNORECASE), source)


# Patterns are held against each value of an issuer's name, not against the whole of it.
INTERCEPTORS: tuple[Interceptor, ...] = (
    _known(
        "Avast",
        r"avast!? web/mail shield( self-signed)?( untrusted)?( root)?",
        "https://github.com/PHPMailer/PHPMailer/issues/776",
    ),
    _known(
        "AVG",
        r"avg web/mail shield( self-signed)?( untrusted)?( root)?",
        "https://github.com/curl/curl/issues/11268",
    ),
    _known(
        "Norton",
        r"norton web/mail shield( self-signed)?( untrusted)?( root)?",
        "https://github.com/matlab/matlab-mcp-server/issues/100",
    ),
    _known(
        "ESET",
        r"eset ssl filter ca",
        "https://github.com/the-last-byte/ESET-NPM-Breakage-Fix",
    ),
    _known("Kaspersky", r"kaspersky anti-virus personal root certificate"),
    _known(
        "Kaspersky",
        r"kaspersky web anti-virus certification authority",
        "https://github.com/keybase/client/issues/7228",
    ),
    _known("Bitdefender", r"bitdefender personal ca\.net-defender"),
    _known("Fortinet FortiGate", r"fortigate ca|fortinet( ltd\.)?"),
    _known("Sophos", r"sophos ssl ca_[a-z0-9-]+|sophos_ca_[a-z0-9]+|sophos web appliance"),
    _known("Sophos UTM", r"sophosutm proxy ca"),
    _known("Cisco Umbrella", r"cisco umbrella (root ca|primary subca)"),
    _known("Cyberoam", r"cyberoam certificate authority"),
    _known("Forcepoint", r"forcepoint cloud ca|forcepoint llc"),
    _known("McAfee Web Gateway", r"mcafee web gateway"),
    _known("SmoothWall", r"smoothwall-default-root-certificate-authority"),
    _known("SonicWall", r"https management certificate for sonicwall"),
    _known("Symantec Blue Coat", r"blue coat.*"),
    _known("Trend Micro InterScan", r"iwss\.trend"),
    _known("Zscaler", r"zscaler( inc\.)?|zscaler .*root ca.*"),
    _known("ContentKeeper", r"contentkeeper appliance ca \(\d+\)"),
)


def interceptor(issuer_values: Iterable[str]) -> Interceptor | None:
    """The product whose issuer this is, by the values (CN, O, OU) of the issuer's name."""
    values = [value.strip()[:200] for value in issuer_values]
    for each in INTERCEPTORS:
        if any(each.issuer.fullmatch(value) for value in values):
            return each
    return None


def masks_banner(banner: str) -> bool:
    """Whether a firewall has starred out the greeting, as Cisco's ESMTP inspection does."""
    return re.search(r"\*{6,}", banner) is not None


def masks_capabilities(capabilities: Iterable[str]) -> bool:
    """Whether a firewall has overwritten EHLO keywords: `250-XXXXXXXA` once said STARTTLS."""
    return any(re.fullmatch(r"X{4,}[A-Z]?", each.partition(" ")[0]) for each in capabilities)
