"""The remarks in the `relay.toml` that `relay setup` writes: key -> (nl, en)."""

from __future__ import annotations

import textwrap
from typing import Final

from presets.reply import sanitise

_WIDTH = 96

REMARKS: Final[dict[str, tuple[str, str]]] = {
    "head": (
        "Gemaakt door relay setup op {day}. Wijzigen mag: daarna relay check --online, en relay reload."
        " Alle sleutels met hun standaardwaarde staan in relay/README.md.",
        "Made by relay setup on {day}. Edit it freely: then relay check --online, and relay reload."
        " Every key with its default stands in relay/README.md.",
    ),
    "listener": (
        "Hier sturen uw programma's hun mail naartoe: geen beveiliging, geen inlog.",
        "Where your programs send their mail: no security, no login.",
    ),
    "no-client": (
        "Zonder [[client]] mag alleen deze computer sturen, en wie is toegelaten met relay client"
        " allow (zie relay client list).",
        "Without [[client]] only this machine may send, and who was let in by relay client allow"
        " (see relay client list).",
    ),
    "client": (
        "Wie mag sturen; alle andere adressen worden geweigerd.",
        "Who may send; all other addresses are refused.",
    ),
    "client-login": (
        "Wie mag sturen. any_login: een programma dat op een inlog staat mag er een verzinnen.",
        "Who may send. any_login: a program that insists on a login may make one up.",
    ),
    "smarthost": (
        "De server van de provider, die onze mail verder brengt.",
        "The provider's server, which takes our mail further.",
    ),
    "preset": ("{name}: {advice}", "{name}: {advice}"),
    "secret": (
        "Het wachtwoord staat alleen in dit bestand, naast deze configuratie; leesbaar voor zijn"
        " eigenaar.",
        "The password stands only in this file, beside this configuration; readable by its owner.",
    ),
    "sender-keep": (
        "De afzender blijft zoals het programma hem schrijft.",
        "The sender stays as the program writes it.",
    ),
    "sender-rewrite": (
        "Een afzender die dit account niet mag gebruiken wordt dit adres; antwoorden gaan naar de"
        " oorspronkelijke afzender.",
        "A sender that this account may not use becomes this address; replies go to the original"
        " sender.",
    ),
    "sender-force": (
        "Alle mail gaat weg met dit adres; antwoorden gaan naar de oorspronkelijke afzender.",
        "All mail leaves with this address; replies go to the original sender.",
    ),
    "oauth2": (
        "Inloggen zonder wachtwoord. Toestemming geven of vernieuwen: relay account login {name}",
        "Logging in without a password. To give or renew the consent: relay account login {name}",
    ),
}


def remark(key: str, language: str, **values: str) -> str:
    """The remark as TOML comments, wrapped; what comes from elsewhere cannot leave its comment."""
    nl, en = REMARKS[key]
    text = (nl if language == "nl" else en).format(**values)
    lines = textwrap.wrap(sanitise(text, 2000), _WIDTH, break_on_hyphens=False)
    return "\n".join(f"# {line}" for line in lines)
