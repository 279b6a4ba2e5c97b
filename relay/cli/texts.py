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
        "de relay kan niet werken met {path}: {reason}; herstel dat, of kies een andere plaats bij spool.url",
        "the relay cannot work with {path}: {reason}; put that right, or choose another place at spool.url",
    ),
    "spool.none": (
        "er is nog geen spool op {path}; start eerst relay serve",
        "there is no spool at {path} yet; start relay serve first",
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
    "queue.headers": (
        "ID|toestand|wacht op|ontvangen|client|afzender|ontvanger|bytes|volgende poging",
        "ID|state|waits for|received|client|sender|recipient|bytes|next attempt",
    ),
    "queue.total": ("{shown} van {total} berichten", "{shown} of {total} messages"),
    "queue.unknown": ("{id}: geen bericht met dit id", "{id}: no message has this id"),
    "queue.unchanged": ("{id}: niets veranderd", "{id}: nothing changed"),
    "queue.sandbox": (
        "{id}: blijft hier, want uit de sandbox wordt niets verzonden; maak een relay.toml en stuur het opnieuw",
        "{id}: stays, since nothing is sent from a sandbox; make a relay.toml and send it again",
    ),
    "queue.existing": (
        "{path} bestaat al en blijft zoals het is; kies een andere map",
        "{path} is there already and stays as it is; choose another directory",
    ),
    "queue.retry": ("nu opnieuw geprobeerd: {count}", "tried now: {count}"),
    "queue.hold": ("vastgehouden: {count}", "held: {count}"),
    "queue.release": ("vrijgegeven: {count}", "released: {count}"),
    "queue.delete": ("verwijderd: {count}", "deleted: {count}"),
    "queue.reroute": ("omgeleid: {count}", "rerouted: {count}"),
    "queue.export": ("opgeslagen: {count}", "written: {count}"),
    "show.labels": (
        "id|toestand|wacht op|ontvangen|volgende poging|client|afzender|onderwerp|Message-ID|bytes|hersteld",
        "id|state|waits for|received|next attempt|client|sender|subject|Message-ID|bytes|repaired",
    ),
    "show.in-doubt": ("(misschien al bezorgd)", "(may have been delivered)"),
    "show.recipients": (
        "ontvanger|toestand|vastgehouden|smarthost|antwoord",
        "recipient|state|held for|smarthost|reply",
    ),
    "show.attempt": (
        "poging|smarthost|uitkomst|fase|antwoord|betekenis",
        "attempt|smarthost|outcome|phase|reply|meaning",
    ),
    "show.running": ("bezig", "running"),
    "client.headers": ("naam|netwerken|toegelaten", "name|networks|allowed"),
    "client.default": ("standaard", "default"),
    "client.refused": ("adres|keer|laatst|toelaten met", "address|times|last|allow with"),
    "client.none-refused": ("niemand is geweigerd", "nobody was refused"),
    "client.allowed": (
        "{address} mag nu sturen, als {name}",
        "{address} may send now, as {name}",
    ),
    "client.listed": (
        "{address} mocht al sturen: het staat bij client {client} ({network})",
        "{address} could send already: it is listed at client {client} ({network})",
    ),
    "client.removed": (
        "{address} is niet meer met de hand toegelaten",
        "{address} is no longer allowed by hand",
    ),
    "client.still": (
        "{address} mag blijven sturen: het staat bij client {client} ({network}); haal het daar weg en doe relay reload",
        "{address} may still send: it is listed at client {client} ({network}); remove it there and run relay reload",
    ),
    "client.unknown": (
        "{address} was niet met de hand toegelaten; zie relay client list",
        "{address} was not allowed by hand; see relay client list",
    ),
    "client.window": (
        "leervenster open tot {until}: mail van onbekende apparaten in het kantoor wordt vastgehouden; zie relay client refused en relay queue list",
        "learning window open until {until}: mail of unknown devices in the office is held; see relay client refused and relay queue list",
    ),
    "client.window-closed": ("leervenster gesloten", "learning window closed"),
    "account.headers": (
        "gebruikersnaam|server|smarthosts|gepauzeerd|reden",
        "user name|server|smarthosts|paused|reason",
    ),
    "account.resumed": (
        "{username} op {host} wordt weer geprobeerd",
        "{username} at {host} is tried again",
    ),
    "account.unchanged": (
        "{username} op {host} was niet gepauzeerd",
        "{username} at {host} was not paused",
    ),
    "status.good": ("{queued} wachtend, {held} vastgehouden", "{queued} queued, {held} held"),
    "status.sandbox": (
        "sandbox, er wordt niets verzonden; {queued} wachtend, {held} vastgehouden",
        "sandbox, nothing is sent; {queued} queued, {held} held",
    ),
    "status.headers": (
        "smarthost|wachtend|geblokkeerd|tot|reden",
        "smarthost|queued|blocked by|until|reason",
    ),
    "status.not-running": (
        "de relay draait niet; start relay serve",
        "the relay is not running; start relay serve",
    ),
    "status.spool-failing": (
        "de spool werkt niet: {detail}",
        "the spool does not work: {detail}",
    ),
    "status.account-paused": (
        "login {username} op {host} geweigerd: {reply}; zet het goede wachtwoord, dan relay account resume",
        "login {username} at {host} refused: {reply}; set the right password, then relay account resume",
    ),
    "status.smarthost-backing-off": (
        "smarthost {smarthost} werkt niet: {reply}",
        "smarthost {smarthost} is out of order: {reply}",
    ),
    "status.queue-old": (
        "het oudste bericht wacht al {minutes} minuten; zie relay queue list",
        "the oldest message has waited {minutes} minutes; see relay queue list",
    ),
    "status.disk-low": (
        "nog {free_bytes} bytes schijfruimte, minder dan de reserve van {reserve_bytes}: nieuwe mail wordt geweigerd",
        "{free_bytes} bytes of disk left, below the reserve of {reserve_bytes}: new mail is refused",
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
    "why.refused": ("geweigerd: {reply}", "refused: {reply}"),
    "why.accepted": (
        "aangenomen: {address} is client {client} ({network})",
        "accepted: {address} is client {client} ({network})",
    ),
    "why.learning": (
        "aangenomen en vastgehouden: {address} staat niet op de lijst, het leervenster is open; relay client allow {address}",
        "accepted and held: {address} is not listed, the learning window is open; relay client allow {address}",
    ),
    "why.labels": (
        "regel|smarthost|afzender|kopie aan|limieten",
        "rule|smarthost|sender|copy to|limits",
    ),
    "why.no-route": (
        "geen [[route]] past: de eerste smarthost",
        "no [[route]] fits: the first smarthost",
    ),
    "why.blocked": (" (nu even niet)", " (not just now)"),
    "why.not-allowed": (
        "- niet in allowed_senders van deze smarthost; zet policy op rewrite of force",
        "- not in this smarthost's allowed_senders; set policy to rewrite or force",
    ),
    "why.limits": ("limieten van de client", "limits of the client"),
    "why.sandbox": (
        "sandbox: vastgehouden, er wordt niets verzonden",
        "sandbox: held, nothing is sent",
    ),
    "why.trial": (
        "proef (mode = hold): wacht op relay queue release",
        "trial (mode = hold): waits for relay queue release",
    ),
    "check.pass": ("alles in orde", "all good"),
    "check.warn": ("in orde, met waarschuwingen", "good, with warnings"),
    "check.fail": ("er zijn problemen", "there are problems"),
    "check.unknown": ("niet alles kon worden nagegaan", "not everything could be checked"),
    "check.configuration": ("configuratie", "configuration"),
    "check.configuration.good": (
        "{path} is in orde, elk geheim is te lezen",
        "{path} is good, every secret can be read",
    ),
    "check.configuration.sandbox": (
        "er is geen relay.toml: sandbox, er wordt niets verzonden",
        "there is no relay.toml: sandbox, nothing is sent",
    ),
    "check.service": ("dienst", "service"),
    "check.service.running": ("de relay draait", "the relay is running"),
    "check.service.stopped": (
        "de relay draait niet|relay serve",
        "the relay is not running|relay serve",
    ),
    "check.port": ("poort {host}:{port} ({key})", "port {host}:{port} ({key})"),
    "check.port.free": ("vrij", "free"),
    "check.port.ours": ("in gebruik door deze relay", "in use by this relay"),
    "check.port.taken": (
        "bezet door een ander programma|stop dat programma, of kies een andere poort bij {key}",
        "taken by another program|stop that program, or choose another port at {key}",
    ),
    "check.port.forbidden": (
        "deze gebruiker mag deze poort niet openen|kies een poort boven 1023, of geef de dienst CAP_NET_BIND_SERVICE",
        "this user may not open this port|choose a port above 1023, or give the service CAP_NET_BIND_SERVICE",
    ),
    "check.port.other": (
        "niet te openen: {reason}|noem bij {key} een adres van deze computer",
        "cannot be opened: {reason}|name an address of this machine at {key}",
    ),
    "check.spool": ("spool", "spool"),
    "check.spool.good": ("{path}, schema {found}", "{path}, schema {found}"),
    "check.spool.new": (
        "{path} wordt bij de eerste start gemaakt",
        "{path} is made at the first start",
    ),
    "check.spool.not-writable": (
        "in {path} mag deze gebruiker niet schrijven|geef de gebruiker van de dienst die map: chown",
        "this user may not write in {path}|give the service's user that directory: chown",
    ),
    "check.spool.unreadable": (
        "{path} mag deze gebruiker niet lezen|voer dit uit als de gebruiker van de dienst",
        "this user may not read {path}|run this as the service's user",
    ),
    "check.spool.damaged": (
        "{path} is niet te gebruiken: {reason}|zet een reservekopie terug, of zet het bestand opzij",
        "{path} cannot be used: {reason}|restore a backup, or move the file aside",
    ),
    "check.spool.too-new": (
        "{path} heeft schema {found}, deze versie kent tot {known}|installeer de nieuwere relay die hem maakte",
        "{path} has schema {found}, this version knows up to {known}|install the newer relay that made it",
    ),
    "check.disk": ("schijf", "disk"),
    "check.disk.good": (
        "{free_bytes} bytes vrij, reserve {reserve_bytes}",
        "{free_bytes} bytes free, reserve {reserve_bytes}",
    ),
    "check.disk.low": (
        "{free_bytes} bytes vrij, minder dan de reserve van {reserve_bytes}: nieuwe mail wordt geweigerd|maak ruimte vrij, of verlaag [spool] reserve_bytes",
        "{free_bytes} bytes free, below the reserve of {reserve_bytes}: new mail is refused|free some space, or lower [spool] reserve_bytes",
    ),
    "check.smarthost": ("smarthost {name} ({host}:{port})", "smarthost {name} ({host}:{port})"),
    "check.smarthost.login": (
        "{address} laat {username} inloggen",
        "{address} lets {username} log in",
    ),
    "check.smarthost.open": (
        "{address} antwoordt, zonder login",
        "{address} answers, without a login",
    ),
    "check.smarthost.certificate": (
        "certificaat nog {days} dagen geldig",
        "certificate valid for {days} more days",
    ),
}


def text(key: str, language: str, /, **values: object) -> str:
    """The text of `key` in `language` (English for anything but `nl`), its blanks filled in."""
    nl, en = TEXTS[key]
    return (nl if language == "nl" else en).format(**values)


def parts(key: str, language: str, /, **values: object) -> list[str]:
    """The pieces of a text that bars separate, the blanks of each filled in."""
    nl, en = TEXTS[key]
    return [piece.format(**values) for piece in (nl if language == "nl" else en).split("|")]
