"""What `relay status`, `relay client` and `relay dkim` say."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
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
    "status.good": ("{queued} wachtend, {held} vastgehouden", "{queued} queued, {held} held"),
    "status.sandbox": (
        "sandbox, er wordt niets verzonden; {queued} wachtend, {held} vastgehouden",
        "sandbox, nothing is sent; {queued} queued, {held} held",
    ),
    "status.headers": (
        "smarthost|wachtend|geblokkeerd|tot|reden",
        "smarthost|queued|blocked by|until|reason",
    ),
    "status.warnings": ("let op: {words}", "mind: {words}"),
    "status.quota-waiting": (
        "{smarthost} wacht tot {until} op zijn limiet; wat wacht gaat dan vanzelf weg",
        "{smarthost} waits for its limit until {until}; what waits then leaves by itself",
    ),
    "status.quota-nearly-used": (
        "{smarthost} heeft {used} van {most} {what} per 24 uur gebruikt; meer wacht tot er weer ruimte is",
        "{smarthost} has used {used} of {most} {what} in 24 hours; more waits until there is room",
    ),
    "status.messages": ("berichten", "messages"),
    "status.recipients": ("ontvangers", "recipients"),
    "status.accounts": (
        "account|berichten in 24 uur|ontvangers in 24 uur|per minuut|verbindingen|wachtrij leeg",
        "account|messages in 24 hours|recipients in 24 hours|a minute|connections|queue empty",
    ),
    "status.learned": ("{limit} (geleerd)", "{limit} (learned)"),
    "status.not-running": (
        "de relay draait niet; start relay serve",
        "the relay is not running; start relay serve",
    ),
    "status.spool-failing": (
        "de spool werkt niet: {detail}",
        "the spool does not work: {detail}",
    ),
    "status.disk-full": (
        "de schijf is vol ({detail}): er wordt geen mail aangenomen of bezorgd; maak ruimte vrij, dan gaat alles vanzelf verder",
        "the disk is full ({detail}): no mail is taken or delivered; free some space, and all goes on by itself",
    ),
    "status.spool-log": (
        "het log van de spool is {bytes} bytes: een ander programma leest de spool al lang en houdt hem vast; beëindig dat",
        "the spool's log has {bytes} bytes: another program has been reading the spool for long; end that",
    ),
    "status.spool-damaged": (
        "de spool was beschadigd en is hersteld; wat niet te lezen was staat in het log en de oude in {path}: bewaar of wis die",
        "the spool was damaged and was rebuilt; the log tells what could not be read, the old one is {path}: keep it elsewhere, or delete it",
    ),
    "status.account-paused": (
        "account {username} op {host} is gepauzeerd: {reply}; wat te doen staat in relay account list",
        "account {username} at {host} is paused: {reply}; relay account list says what to do",
    ),
    "status.smarthost-backing-off": (
        "smarthost {smarthost} werkt niet: {reply}",
        "smarthost {smarthost} is out of order: {reply}",
    ),
    "status.dkim-key": (
        "de DKIM-sleutel van {domain} is niet te gebruiken, dus mail van {domain} wacht; kijk met relay check",
        "the DKIM key of {domain} cannot be used, so mail of {domain} waits; look with relay check",
    ),
    "status.nodes-differ": (
        "niet alle nodes werken met dezelfde relay.toml: {names} wijkt af van de node die het langst draait; maak de bestanden gelijk en doe op elk: relay reload",
        "not all nodes work by the same relay.toml: {names} has another than the node that has run the longest; make the files equal, and on each run: relay reload",
    ),
    "status.nodes": (
        "node|versie|configuratie|leases|verbindingen|berichten per minuut|laatst gezien",
        "node|version|configuration|leases|connections|messages a minute|last seen",
    ),
    "status.node-same": ("gelijk", "same"),
    "status.node-differs": ("ANDERS", "OTHER"),
    "status.node-gone": ("weg", "gone"),
    "status.certificate-ends": (
        "het certificaat {path} ({key}) loopt op {day} af; vervang het, dan: relay reload",
        "the certificate {path} ({key}) ends on {day}; replace it, then: relay reload",
    ),
    "status.certificate-ended": (
        "het certificaat {path} ({key}) is op {day} afgelopen, dus programma's weigeren het; vervang het, dan: relay reload",
        "the certificate {path} ({key}) ended on {day}, so programs refuse it; replace it, then: relay reload",
    ),
    "status.queue-old": (
        "het oudste bericht wacht al {minutes} minuten; zie relay queue list",
        "the oldest message has waited {minutes} minutes; see relay queue list",
    ),
    "status.disk-low": (
        "nog {free_bytes} bytes schijfruimte, minder dan de reserve van {reserve_bytes}: nieuwe mail wordt geweigerd",
        "{free_bytes} bytes of disk left, below the reserve of {reserve_bytes}: new mail is refused",
    ),
    "dkim.no-domain": (
        "{domain} is geen domein van u; noem het deel achter de @, zoals mijnbakkerij.nl",
        "{domain} is no domain of yours; name the part behind the @, such as mijnbakkerij.nl",
    ),
    "dkim.exists": (
        "{file} bestaat al en blijft zoals het is; noem een andere selector (--selector) of een ander bestand (--out)",
        "{file} is there already and stays as it is; name another selector (--selector) or another file (--out)",
    ),
    "dkim.unwritable": (
        "{file} is niet te maken ({reason}); noem een andere plaats met --out, of voer dit uit als root",
        "{file} cannot be made ({reason}); name another place with --out, or run this as root",
    ),
    "dkim.made": (
        "De sleutel staat in {file}. Alleen de gebruiker van de relay mag hem lezen: geef hem het bestand (chown). Zet dit in relay.toml, en pas nadat het DNS-record te zien is: relay reload",
        "The key is in {file}. Only the relay's user may read it: give that user the file (chown). Put this into relay.toml and, once the DNS record can be seen: relay reload",
    ),
    "dkim.none": (
        "relay.toml heeft geen [[dkim]] voor {domain} (wel voor: {names}); maak een sleutel: relay dkim keygen {domain}",
        "relay.toml has no [[dkim]] for {domain} (it has: {names}); make a key: relay dkim keygen {domain}",
    ),
    "dkim.where": (
        "Plaats dit TXT-record bij wie het DNS van {domain} beheert (waar het domein is geregistreerd). Vraagt het formulier om een naam zonder het domein, vul dan {short} in, anders {name}. De waarde is een regel, zonder spaties aan het eind en zonder aanhalingstekens.",
        "Publish this TXT record where the DNS of {domain} is kept (where the domain is registered). Where the form asks for a name without the domain, enter {short}, else {name}. The value is one line, without blanks at its end and without quotes.",
    ),
    "dkim.strings": (
        "Neemt het formulier of de naamserver geen tekst van meer dan 255 tekens, gebruik dan deze delen (samen een record):",
        "Where the form or the name server takes no text of more than 255 characters, use these parts (together one record):",
    ),
    "dkim.then": (
        "Controleer het daarna: diagnose dkim {domain} --config relay.toml",
        "Check it then: diagnose dkim {domain} --config relay.toml",
    ),
}
