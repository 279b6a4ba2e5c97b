"""What `relay queue`, `relay sender` and `relay why` say."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
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
    "cure.adopt": (
        "smarthost {smarthost} weigerde {sender} als afzender. Als {address} kan de mail weg; antwoorden gaan dan nog naar de oorspronkelijke afzender. Voor dit bericht, alles wat net zo wacht, en latere mail:",
        "smarthost {smarthost} refused {sender} as the sender. As {address} the mail can leave; replies will still go to the original sender. For this message, all that waits likewise, and later mail:",
    ),
    "cure.config": ("of voorgoed in relay.toml:", "or for good in relay.toml:"),
    "cure.release": (
        "bij smarthost {smarthost} gaat dit bericht nu weg als {leaves_as}; probeer het zo:",
        "at smarthost {smarthost} this message leaves as {leaves_as} now; try it so:",
    ),
    "cure.otherwise": (
        "en wordt dat ook geweigerd, noem dan een adres dat het account wel mag gebruiken:",
        "and if that is refused too, name an address that the account may use:",
    ),
    "cure.address": (
        "smarthost {smarthost} weigerde {leaves_as} als afzender; noem een adres dat het account wel mag gebruiken:",
        "smarthost {smarthost} refused {leaves_as} as the sender; name an address that the account may use:",
    ),
    "cure.adopted": (
        "mail van {sender} via {smarthost} gaat voortaan weg als {address}; terugnemen: relay sender remove {sender}",
        "mail from {sender} through {smarthost} leaves as {address} from now on; to take it back: relay sender remove {sender}",
    ),
    "cure.not-held": (
        "{id}: wordt niet vastgehouden om zijn afzender; zie relay queue show {id}",
        "{id}: is not held for its sender; see relay queue show {id}",
    ),
    "cure.no-address": (
        "{id}: als welk adres het account van {smarthost} mag sturen is niet bekend; noem het: relay queue cure {id} --as ADRES",
        "{id}: nobody knows what the account of {smarthost} may send as; name it: relay queue cure {id} --as ADDRESS",
    ),
    "cure.no-effect": (
        "{id}: gaat bij {smarthost} al weg als {leaves_as}; noem met --as een ander adres",
        "{id}: leaves as {leaves_as} at {smarthost} already; name another address with --as",
    ),
    "sender.headers": (
        "afzender|smarthost|gaat weg als|sinds",
        "sender|smarthost|leaves as|since",
    ),
    "sender.none": (
        "er zijn geen regels; relay queue cure maakt ze voor mail die om zijn afzender is geweigerd",
        "there are no rules; relay queue cure makes them for mail that was refused for its sender",
    ),
    "sender.gone": ("(staat niet meer in relay.toml)", "(no longer in relay.toml)"),
    "sender.removed": (
        "mail van {sender} via {smarthost} gaat weer weg als die afzender zelf",
        "mail from {sender} through {smarthost} leaves as that sender itself again",
    ),
    "sender.unknown": (
        "er is geen regel voor {sender}; zie relay sender list",
        "there is no rule for {sender}; see relay sender list",
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
    "why.rule": (
        "regel voor {sender}, zie relay sender list",
        "rule for {sender}, see relay sender list",
    ),
    "why.not-allowed": (
        "- niet in allowed_senders: dit account mag zo waarschijnlijk niet sturen, dan wordt de mail vastgehouden; zet policy op rewrite of force",
        "- not in allowed_senders: this account probably may not send so, and then the mail is held; set policy to rewrite or force",
    ),
    "why.limits": ("limieten van de client", "limits of the client"),
    "why.sandbox": (
        "sandbox: vastgehouden, er wordt niets verzonden",
        "sandbox: held, nothing is sent",
    ),
    "why.direct": (
        "modus direct: het programma wacht hoogstens {seconds} s op het antwoord van de smarthost zelf; duurt het langer, dan staat het bericht in de wachtrij",
        "mode direct: the program waits up to {seconds} s for the smarthost's own answer; if that takes longer the message is queued",
    ),
    "why.trial": (
        "proef (mode = hold): wacht op relay queue release",
        "trial (mode = hold): waits for relay queue release",
    ),
}
