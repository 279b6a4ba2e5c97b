"""What the commands say, in Dutch and in English: key -> (nl, en)."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "bug": (
        "dit is een fout in relay zelf; meld hem met deze regel: {error}",
        "this is a bug in relay; report it with this line: {error}",
    ),
    "listen.taken": (
        "{host} poort {port} ({key}) is bezet door een ander programma; stop dat, of kies in relay.toml een andere poort bij {key}",
        "{host} port {port} ({key}) is taken by another program; stop that, or choose another port at {key} in relay.toml",
    ),
    "listen.forbidden": (
        "{host} poort {port} ({key}) mag deze gebruiker niet openen; kies een poort boven 1023, of geef de dienst CAP_NET_BIND_SERVICE",
        "this user may not open {host} port {port} ({key}); choose a port above 1023, or give the service CAP_NET_BIND_SERVICE",
    ),
    "listen.other": (
        "{host} poort {port} ({key}) is niet te openen: {reason}; noem bij {key} een adres van deze computer",
        "{host} port {port} ({key}) cannot be opened: {reason}; name an address of this machine at {key}",
    ),
    "spool.in-use": (
        "de spool {path} is in gebruik bij proces {pid}; er draait al een relay, stop die eerst",
        "the spool {path} is held by process {pid}; a relay runs already, stop that first",
    ),
    "spool.too-new": (
        "de spool {path} heeft schema {found} en deze versie kent tot {known}; installeer de nieuwere relay die hem maakte",
        "the spool {path} has schema {found} and this version knows up to {known}; install the newer relay that made it",
    ),
    "spool.damaged": (
        "de spool is niet te gebruiken: {reason}; zet een reservekopie terug, of zet {path} opzij en begin leeg",
        "the spool cannot be used: {reason}; restore a backup, or move {path} aside and start empty",
    ),
    "spool.permission": (
        "geen toegang: {reason}; start als de gebruiker van de dienst, of geef die rechten op de map van {path}",
        "no access: {reason}; run as the service's user, or give that user rights on the directory of {path}",
    ),
    "spool.other": (
        "de relay kan niet werken met {path}: {reason}",
        "the relay cannot work with {path}: {reason}",
    ),
}


def text(key: str, language: str, /, **values: object) -> str:
    """The text of `key` in `language` (English for anything but `nl`), its blanks filled in."""
    nl, en = TEXTS[key]
    return (nl if language == "nl" else en).format(**values)
