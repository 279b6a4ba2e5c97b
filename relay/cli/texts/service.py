"""What `relay serve`, `relay spool` and `relay reload` say, and every command in trouble."""

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
        "de spool is niet te gebruiken: {reason}; zet een reservekopie terug met relay spool restore, of zet {path} opzij en begin leeg",
        "the spool cannot be used: {reason}; put a backup back with relay spool restore, or move {path} aside and start empty",
    ),
    "spool.permission": (
        "geen toegang: {reason}; start als de gebruiker van de dienst, of geef die rechten op de map van {path}",
        "no access: {reason}; run as the service's user, or give that user rights on the directory of {path}",
    ),
    "spool.other": (
        "de relay kan niet werken met {path}: {reason}; herstel dat, of kies een andere plaats bij spool.url",
        "the relay cannot work with {path}: {reason}; put that right, or choose another place at spool.url",
    ),
    "spool.none": (
        "er is nog geen spool op {path}; start eerst relay serve",
        "there is no spool at {path} yet; start relay serve first",
    ),
    "spool.backed-up": (
        "{file} is geschreven: {count} berichten wachten daarin. Er staan adressen en mail in; bewaar hem waar anderen er niet bij kunnen",
        "{file} is written: {count} messages wait in it. It holds addresses and mail; keep it where others cannot read it",
    ),
    "spool.tokens-sealed": (
        "de OAuth2-tokens staan er versleuteld in; zonder [spool] secret_key zijn ze niet te gebruiken",
        "the OAuth2 tokens are in it, encrypted; without [spool] secret_key they are of no use",
    ),
    "spool.tokens-apart": (
        "de OAuth2-tokens staan er niet in maar in {path}; een kopie daarvan is zo geheim als een wachtwoord",
        "the OAuth2 tokens are not in it but in {path}; a copy of that is as secret as a password",
    ),
    "spool.restored": (
        "{file} is teruggezet: {count} berichten wachten. Wat sinds de kopie is bezorgd gaat nog eens weg; kijk met relay queue list voor u de relay start",
        "{file} is restored: {count} messages wait. What was delivered since the copy leaves again; look with relay queue list before you start the relay",
    ),
    "spool.replaced": (
        "de vorige spool is bewaard als {path}",
        "the spool of before is kept as {path}",
    ),
    "spool.exists": (
        "{file} bestaat al en blijft zoals het is; kies een andere naam",
        "{file} is there already and stays as it is; choose another name",
    ),
    "spool.no-copy": (
        "{file} is geen bruikbare spool: {reason}; neem een andere kopie",
        "{file} is no usable spool: {reason}; take another copy",
    ),
    "spool.file": (
        "{file} is niet te gebruiken: {reason}; kies een andere plaats",
        "{file} cannot be used: {reason}; choose another place",
    ),
    "spool.sound": ("{path} is gaaf", "{path} is sound"),
    "spool.faults": (
        "{path} is beschadigd; herstart de relay: die bouwt hem opnieuw op uit wat te lezen is en bewaart de oude",
        "{path} is damaged; restart the relay: it rebuilds it from what can be read and keeps the old one",
    ),
    "daemon.silent": (
        "de relay draait maar geeft geen antwoord ({reason}); bekijk zijn log, of herstart hem",
        "the relay runs but does not answer ({reason}); look at its log, or restart it",
    ),
    "daemon.no-web": (
        "de relay draait en [web] enabled = false; de commando's hebben die nodig: zet hem op true, of stop de relay",
        "the relay runs and [web] enabled = false; the commands need it: set it to true, or stop the relay",
    ),
    "daemon.no-token": (
        "{path} is niet te lezen; voer het commando uit als root of als de gebruiker van de relay",
        "{path} cannot be read; run the command as root or as the relay's user",
    ),
    "reload.applied": ("nieuwe configuratie in gebruik", "new configuration in force"),
    "reload.sandbox": (
        "de sandbox heeft geen configuratie om te lezen; maak een relay.toml en herstart",
        "the sandbox has no configuration to read; make a relay.toml and restart",
    ),
    "reload.restart": (
        "{key} verandert pas bij een herstart",
        "{key} changes only at a restart",
    ),
}
