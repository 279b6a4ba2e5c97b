"""What `relay import` says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "import.place": (
        "{path} is niet te lezen: {reason}; noem een map of bestand dat er is",
        "{path} cannot be read: {reason}; name a folder or file that is there",
    ),
    "import.ask": ("Overnemen? [j/N]", "Take it over? [y/N]"),
    "import.not-written": (
        "er is niets geschreven; doe het met --write",
        "nothing is written; do it with --write",
    ),
    "import.headers": (
        "bestand|afzender|ontvangers|komt in de wachtrij als|opmerking",
        "file|sender|recipients|enters the queue as|remark",
    ),
    "import.held": ("vastgehouden", "held"),
    "import.queued": ("te verzenden", "to be sent"),
    "import.more": ("en nog {count}", "and {count} more"),
    "import.found": (
        "{count} berichten over te nemen, {left_out} niet",
        "{count} messages to take over, {left_out} not",
    ),
    "import.taken": (
        "{count} berichten overgenomen, {before} waren dat al; de bestanden zijn er nog; zie relay queue list",
        "{count} messages taken over, {before} had been already; the files are still there; see relay queue list",
    ),
    "import.declined": ("{file}: niet overgenomen: {reason}", "{file}: not taken over: {reason}"),
    "import.left-out": ("{file}: blijft staan: {reason}", "{file}: stays: {reason}"),
    "import.note-unreadable": (
        "niet te lezen ({reason}); geef deze gebruiker leesrecht",
        "cannot be read ({reason}); give this user the right to read it",
    ),
    "import.note-no-header": (
        "begint niet met een hele kop; dit is geen bericht",
        "does not begin with a whole header; this is no message",
    ),
    "import.note-no-sender": (
        "noemt geen afzender; noem hem met --from",
        "names no sender; name it with --from",
    ),
    "import.note-no-recipient": (
        "noemt geen ontvanger; noem hem met --to",
        "names no recipient; name it with --to",
    ),
    "import.note-address": (
        "{address} is geen adres; noem een beter met --from of --to",
        "{address} is no address; name a better one with --from or --to",
    ),
    "import.note-removed": ("{name} gaat niet mee", "{name} does not leave"),
    "import.note-no-envelope": (
        "heeft geen envelop naast zich; neem het over met relay import eml",
        "has no envelope beside it; take it over with relay import eml",
    ),
    "import.note-in-use": (
        "E-MailRelay is er nog mee bezig; stop dat eerst",
        "E-MailRelay is still at it; stop that first",
    ),
    "import.note-local": (
        "is voor een postbus op deze computer, en die heeft de relay niet",
        "is for a mailbox on this machine, and the relay has none",
    ),
    "import.note-local-recipient": (
        "niet voor {address}: een postbus op deze computer",
        "not for {address}: a mailbox on this machine",
    ),
    "import.note-format": (
        "heeft een onbekend formaat ({format})",
        "has an unknown format ({format})",
    ),
    "import.note-incomplete": (
        "is niet heel; het is nooit aangenomen",
        "is not whole; it was never accepted",
    ),
    "import.note-steering": (
        "{name}: {value} telt hier niet; maak er een [[route]] van",
        "{name}: {value} does not count here; make it a [[route]]",
    ),
    "import.understood": ("Overgenomen uit Postfix:", "Taken over from Postfix:"),
    "import.no-meaning": ("Zegt hier niets: {names}", "Of no meaning here: {names}"),
    "import.not-understood": ("Let op, of niet begrepen:", "To note, or not understood:"),
    "import.becomes": ("Dit wordt relay.toml:", "This becomes relay.toml:"),
    "import.secret": (
        "en een wachtwoord in {file}, alleen voor de eigenaar",
        "and a password in {file}, for its owner alone",
    ),
    "import.not-usable": (
        "zo kan de relay er niet mee werken, dus er wordt niets geschreven; bewaar de tekst hierboven, herstel dit, en kijk met relay check:",
        "the relay cannot work with this, so nothing is written; save the text above, mend this, and look with relay check:",
    ),
    "import.written": (
        "geschreven: {files}; kijk nu met relay check --online --config {path}",
        "written: {files}; now look with relay check --online --config {path}",
    ),
    "import.exists": (
        "{path} bestaat al en blijft zoals het is; noem met --config een ander bestand",
        "{path} is there already and stays as it is; name another file with --config",
    ),
    "import.unwritable": (
        "{path} is niet te schrijven: {reason}; noem met --config een andere plaats",
        "{path} cannot be written: {reason}; name another place with --config",
    ),
    "import.note-master": (
        "master.cf is niet te lezen ({reason}); maak zelf een [[listener]]",
        "master.cf cannot be read ({reason}); make a [[listener]] yourself",
    ),
    "import.note-override": (
        "master.cf, {service}: {option} geldt alleen voor die dienst en is niet overgenomen",
        "master.cf, {service}: {option} is for that service alone and is not taken over",
    ),
    "import.note-listener": (
        "master.cf, {value}: geen adres om op te luisteren; maak zelf een [[listener]]",
        "master.cf, {value}: no address to listen on; make a [[listener]] yourself",
    ),
    "import.note-no-mynetworks": (
        "mynetworks staat er niet; Postfix leidt het af van zijn netwerkkaarten: noem uw computers zelf in een [[client]]",
        "mynetworks is not set; Postfix derives it from its interfaces: list your machines in a [[client]] yourself",
    ),
    "import.note-network": (
        "mynetworks: {value} is niet overgenomen; noem de adressen zelf in een [[client]]",
        "mynetworks: {value} is not taken over; list the addresses in a [[client]] yourself",
    ),
    "import.note-open-network": (
        "mynetworks: {value} is een groot deel van internet en is niet overgenomen; is het echt van u, zet het dan in een [[client]] met open = true",
        "mynetworks: {value} is a large part of the internet and is not taken over; if it really is yours, put it into a [[client]] with open = true",
    ),
    "import.note-destination": (
        "{value} is geen server en poort; maak zelf een [[smarthost]]",
        "{value} is no server and port; make a [[smarthost]] yourself",
    ),
    "import.note-login": (
        "bij {key} staat geen naam:wachtwoord; maak zelf een [[smarthost]]",
        "at {key} there is no name:password; make a [[smarthost]] yourself",
    ),
    "import.note-mx": (
        "{host} staat zonder haken: Postfix zoekt er de MX van op, de relay verbindt met {host} zelf",
        "{host} stands without brackets: Postfix looks up its MX, the relay connects to {host} itself",
    ),
    "import.note-tls-none": (
        "Postfix verzendt zonder TLS; de relay eist STARTTLS buiten het eigen netwerk",
        "Postfix sends without TLS; the relay demands STARTTLS beyond the own network",
    ),
    "import.note-tls-verified": (
        "Postfix neemt TLS met elk certificaat; de relay eist een geldig certificaat, met een eigen CA in ca_file",
        "Postfix takes TLS with any certificate; the relay demands a valid one, of a private CA with ca_file",
    ),
    "import.note-rewriting": (
        "afzender {key} wordt bij Postfix {value}; daar heeft de relay geen regel voor: noem een heel adres",
        "sender {key} becomes {value} in Postfix; the relay has no rule for that: name a whole address",
    ),
    "import.note-recipients-too": (
        "{name} verandert bij Postfix ook ontvangers; hier alleen afzenders",
        "{name} changes recipients too in Postfix; here only senders",
    ),
    "import.note-table": (
        "{name}: {table} is niet te lezen ({reason}); lees als root, met de tekst naast de tabel",
        "{name}: {table} cannot be read ({reason}); read as root, with the text beside the table",
    ),
    "import.note-table-type": (
        "{name}: {table} is een soort tabel die alleen Postfix kan lezen; maak er zelf [[route]] of [[smarthost]] van",
        "{name}: {table} is a kind of table that only Postfix can read; make [[route]] or [[smarthost]] of it yourself",
    ),
    "import.note-table-stale": (
        "{name}: {table} is nieuwer dan wat postmap ervan maakte; dit is de tekst",
        "{name}: {table} is newer than what postmap made of it; this is the text",
    ),
    "import.note-mydestination": (
        "mydestination = {value}: mail voor postbussen op deze computer bezorgt de relay niet; geef die een route",
        "mydestination = {value}: the relay delivers no mail to mailboxes on this machine; give it a route",
    ),
    "import.note-parameter": (
        "niet begrepen: {name} = {value}",
        "not understood: {name} = {value}",
    ),
}
