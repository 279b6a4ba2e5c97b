"""What `relay web` says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "web.ask": ("Wachtwoord voor de pagina: ", "Password for the page: "),
    "web.again": ("Nog een keer: ", "Once more: "),
    "web.differ": (
        "de twee wachtwoorden zijn niet gelijk; begin opnieuw",
        "the two passwords differ; start again",
    ),
    "web.length": (
        "een wachtwoord heeft hier {least} tot {most} tekens",
        "a password has {least} to {most} characters here",
    ),
    "web.no-terminal": (
        "geef het wachtwoord in een terminal, of met --stdin op de eerste regel",
        "give the password in a terminal, or with --stdin on the first line",
    ),
    "web.no-text": ("het wachtwoord is geen UTF-8-tekst", "the password is no UTF-8 text"),
    "web.then": (
        "Zet deze regel in een bestand dat alleen de dienst kan lezen (chmod 600), en noem het in relay.toml: [web] password_hash = {{ file = .. }}; dan: relay reload",
        "Put this line in a file that only the service can read (chmod 600), and name it in relay.toml: [web] password_hash = {{ file = .. }}; then: relay reload",
    ),
}
