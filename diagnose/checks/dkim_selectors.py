"""The selectors at which DKIM keys usually stand: those that presets name, and common ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from presets.catalog import catalog
from presets.model import Preset

# A domain's selectors cannot be listed. These are the habits of servers and services.
COMMON = (
    *("default", "dkim", "mail", "smtp", "email", "relay", "key1", "key2", "x", "dkim1", "dkim2"),
    *("selector1", "selector2", "google", "k1", "k2", "k3", "s1", "s2", "s1024", "s2048"),
    *("fm1", "fm2", "fm3", "protonmail", "protonmail2", "protonmail3", "sig1", "zoho", "zmail"),
    *("mandrill", "mailjet", "brevo1", "brevo2", "resend", "pm", "mxvault", "transip", "hostnet"),
)

_NAMED = re.compile(r"([A-Za-z0-9-]+(?:/[A-Za-z0-9-]+)*)\._domainkey|\bselector ([A-Za-z0-9-]+)")


def usual_selectors() -> tuple[str, ...]:
    """All of them, those of the presets first, each once."""
    named = (selector for preset in catalog() for selector in named_by(preset))
    return tuple(dict.fromkeys([*named, *COMMON]))


def named_by(preset: Preset) -> tuple[str, ...]:
    """The selectors in which a preset's DKIM and SPF facts say that its customers' keys stand."""
    facts = [
        preset.dkim.value if preset.dkim else None,
        preset.spf.own_domain if preset.spf else "",
    ]
    return tuple(dict.fromkeys(_named(fact or "" for fact in facts)))


def _named(facts: Iterable[str]) -> Iterator[str]:
    for fact in facts:
        for names, single in _NAMED.findall(fact):
            first, *others = (names or single).split("/")
            stem = first[:-1]  # transip-A/B/C stands for transip-A, transip-B, transip-C
            yield first
            yield from (each if len(each) > 1 else f"{stem}{each}" for each in others)
