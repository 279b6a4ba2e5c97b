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
        "gebruikersnaam|server|smarthosts|login|werkt tot|toestemming|ververst|gebruikt in 24 uur|gepauzeerd",
        "user name|server|smarthosts|login|works until|consent|refreshed|used in 24 hours|paused",
    ),
    "account.password": ("wachtwoord", "password"),
    "account.unknown": ("onbekend", "unknown"),
    "account.until.password": (
        "daarna standaard geen wachtwoorden meer",
        "no passwords by default after that",
    ),
    "account.consent.needed": ("nodig", "needed"),
    "account.consent.given": ("gegeven", "given"),
    "account.consent.not-needed": ("niet nodig", "not needed"),
    "account.consent.unknown": ("onbekend", "unknown"),
    "account.consent-first": (
        "{username}: niemand heeft nog toestemming gegeven; doe: relay account login {name}",
        "{username}: nobody has consented yet; run: relay account login {name}",
    ),
    "account.used.messages": ("{amount} berichten", "{amount} messages"),
    "account.used.recipients": ("{amount} ontvangers", "{amount} recipients"),
    "account.paused-until": ("sinds {since}, tot {until}", "since {since}, until {until}"),
    "account.until-resumed": ("relay account resume", "relay account resume"),
    "account.by-hand": (
        "met de hand gepauzeerd; verder met: relay account resume {name}",
        "paused by hand; go on with: relay account resume {name}",
    ),
    "account.paused": (
        "{username} op {host} is gepauzeerd; de mail wacht tot relay account resume",
        "{username} at {host} is paused; its mail waits for relay account resume",
    ),
    "account.test.accepted": (
        "{username} kan inloggen op {host} ({address}, {mechanism})",
        "{username} can log in at {host} ({address}, {mechanism})",
    ),
    "account.test.failed": (
        "{username} kan niet inloggen op {host} ({phase}): {reason}",
        "{username} cannot log in at {host} ({phase}): {reason}",
    ),
    "account.test.paused": (
        "niet geprobeerd: {username} op {host} is gepauzeerd; los eerst de reden op, dan: relay account resume {name}",
        "not tried: {username} at {host} is paused; cure its reason first, then: relay account resume {name}",
    ),
    "account.test.paused-until": (
        "niet geprobeerd: {username} op {host} is gepauzeerd tot {until}; een verkeerde login te veel blokkeert het account. Is de reden opgelost: relay account resume {name}",
        "not tried: {username} at {host} is paused until {until}; one wrong login too many locks the account. Once its reason is cured: relay account resume {name}",
    ),
    "account.resumed": (
        "{username} op {host} wordt weer geprobeerd",
        "{username} at {host} is tried again",
    ),
    "account.unchanged": (
        "{username} op {host} was niet gepauzeerd",
        "{username} at {host} was not paused",
    ),
    "login.unknown": (
        "er is geen smarthost of account {name}; zie relay account list",
        "there is no smarthost or account {name}; see relay account list",
    ),
    "login.password": (
        '{name} logt niet in met OAuth2; zet auth = "oauth2" bij de smarthost in relay.toml',
        '{name} does not log in with OAuth2; set auth = "oauth2" at the smarthost in relay.toml',
    ),
    "login.reload": (
        "de draaiende relay kent {name} nog niet met OAuth2; voer eerst uit: relay reload",
        "the running relay does not know {name} with OAuth2 yet; run first: relay reload",
    ),
    "login.proving": (
        "een token voor {username} wordt opgehaald; een browser is niet nodig",
        "fetching a token for {username}; no browser is needed",
    ),
    "login.browser": (
        "Meld u in de browser aan als {username} en geef toestemming. Opent er geen browser, open dan op deze computer:\n\n{address}\n\nStaat uw browser op een andere computer: stop met Ctrl-C en gebruik --paste.",
        "Sign in as {username} in the browser and consent. If no browser opens, open on this machine:\n\n{address}\n\nIf your browser is on another machine: stop with Ctrl-C and use --paste.",
    ),
    "login.wait": (
        "Open dit adres op deze computer, meld u aan als {username} en geef toestemming:\n\n{address}\n\nVanaf een andere computer: leg daar eerst een tunnel met ssh -L {port}:127.0.0.1:{port} naar deze computer.",
        "Open this address on this machine, sign in as {username} and consent:\n\n{address}\n\nFrom another machine: first make a tunnel there with ssh -L {port}:127.0.0.1:{port} to this machine.",
    ),
    "login.paste": (
        "Open dit adres op een computer met een browser, meld u aan als {username} en geef toestemming:\n\n{address}\n\nDaarna toont de browser een fout op {back}: dat hoort zo. Kopieer het hele adres uit de adresbalk, plak het hier en druk op Enter:",
        "Open this address on a machine with a browser, sign in as {username} and consent:\n\n{address}\n\nThen the browser shows an error at {back}: that is as it should be. Copy the whole address from the address bar, paste it here and press Enter:",
    ),
    "login.paste-again": (
        "dit is niet het adres van na de toestemming; het begint met {back} en bevat code=. Plak het opnieuw:",
        "this is not the address from after the consent; it begins with {back} and has code= in it. Paste it again:",
    ),
    "login.device": (
        "Open {address} op een willekeurig apparaat, typ de code {code}, meld u aan als {username} en geef toestemming. Dit venster wacht.",
        "Open {address} on any device, type the code {code}, sign in as {username} and consent. This window waits.",
    ),
    "login.stopped": (
        "gestopt; er is niets bewaard of veranderd",
        "stopped; nothing was stored or changed",
    ),
    "login.other": (
        "let op: {account} gaf toestemming, en de relay logt in als {username}; dat werkt alleen als {account} in het postvak van {username} mag (gedeeld postvak), en meld u anders opnieuw aan",
        "note: {account} consented, and the relay logs in as {username}; that works only if {account} may use the mailbox of {username} (a shared mailbox), else sign in again",
    ),
    "login.stored": (
        "de toestemming voor {username} is bewaard; probeer: relay account test {name}",
        "the consent for {username} is stored; try: relay account test {name}",
    ),
    "login.until": ("werkt tot {until}: {reason}", "works until {until}: {reason}"),
    "login.no-end": ("werkt tot: {reason}", "works until: {reason}"),
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
    "check.pass": ("alles in orde", "all good"),
    "check.warn": ("in orde, met waarschuwingen", "good, with warnings"),
    "check.fail": ("er zijn problemen", "there are problems"),
    "check.unknown": ("niet alles kon worden nagegaan", "not everything could be checked"),
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
    "check.configuration": ("configuratie", "configuration"),
    "check.configuration.good": (
        "{path} is in orde, elk geheim is te lezen",
        "{path} is good, every secret can be read",
    ),
    "check.configuration.sandbox": (
        "er is geen relay.toml: sandbox, er wordt niets verzonden",
        "there is no relay.toml: sandbox, nothing is sent",
    ),
    "check.service-user": ("gebruiker van de dienst", "the service's user"),
    "check.service-user.good": (
        "als {user} is alles te openen: configuratie, geheimen, certificaten, spool ({count})",
        "as {user} everything can be opened: configuration, secrets, certificates, spool ({count})",
    ),
    "check.service-user.nobody": (
        "nagegaan als {user}: de map van de spool is er nog niet|relay check --user NAAM, als de dienst als een andere gebruiker draait",
        "checked as {user}: the spool's directory is not there yet|relay check --user NAME, if the service runs as another user",
    ),
    "check.service-user.other": (
        "de map van de spool is van {user}, en {current} kan niet nagaan wat die kan openen|sudo relay check",
        "the spool's directory belongs to {user}, and {current} cannot tell what that user can open|sudo relay check",
    ),
    "check.service-user.silent": (
        "als {user} was er niets na te gaan|su -s /bin/sh {user} -c 'relay check'",
        "as {user} nothing could be checked|su -s /bin/sh {user} -c 'relay check'",
    ),
    "check.service-user.environment": (
        "{key} ({path}) heeft alleen de dienst zelf; zijn log meldt het als het ontbreekt",
        "{key} ({path}) is the service's alone; its log tells if it is missing",
    ),
    "check.service-user.secret": (
        "{user} kan {path} niet lezen ({key})|chown {user} {path} && chmod 600 {path}",
        "{user} cannot read {path} ({key})|chown {user} {path} && chmod 600 {path}",
    ),
    "check.service-user.file": (
        "{user} kan {path} niet lezen|chgrp {group} {path} && chmod g+r {path}",
        "{user} cannot read {path}|chgrp {group} {path} && chmod g+r {path}",
    ),
    "check.service-user.certificate": (
        "{user} kan {path} niet lezen ({key})|chgrp {group} {path} && chmod g+r {path}",
        "{user} cannot read {path} ({key})|chgrp {group} {path} && chmod g+r {path}",
    ),
    "check.service-user.shut": (
        "{user} mag niet in de map {path} ({key})|chgrp {group} {path} && chmod g+x {path}",
        "{user} may not enter the directory {path} ({key})|chgrp {group} {path} && chmod g+x {path}",
    ),
    "check.service-user.directory": (
        "{user} kan niet schrijven in {path} ({key})|chown {user} {path}",
        "{user} cannot write in {path} ({key})|chown {user} {path}",
    ),
    "check.service-user.spool": (
        "{user} kan {path} niet lezen en schrijven|chown {user} {path}",
        "{user} cannot read and write {path}|chown {user} {path}",
    ),
    "check.service-user.unusable": (
        "{key} werkt niet als {user}: {reason}",
        "{key} does not work as {user}: {reason}",
    ),
    "check.service-user.unknown-name": (
        "er is geen gebruiker {user}; kies met --user een naam uit: getent passwd",
        "there is no user {user}; choose a name for --user from: getent passwd",
    ),
    "check.service-user.not-root": (
        "{current} kan niets nagaan als {user}; voer relay check uit als root",
        "{current} cannot check anything as {user}; run relay check as root",
    ),
    "check.accounts": ("OAuth2-accounts", "OAuth2 accounts"),
    "check.accounts.not-told": (
        "niet na te gaan: {reason}|relay account list",
        "cannot be told: {reason}|relay account list",
    ),
    "check.account": ("account {username} op {host}", "account {username} at {host}"),
    "check.account.no-answer": (
        "de relay draait en is niet te bevragen",
        "the relay runs and cannot be asked",
    ),
    "check.account.vault": (
        "de tokens zijn niet te gebruiken: {reason}",
        "its tokens cannot be used: {reason}",
    ),
    "check.account.consent": (
        "niemand heeft toestemming gegeven, of die is vervallen|relay account login {name}",
        "nobody has consented, or the consent has ended|relay account login {name}",
    ),
    "check.account.password": (
        "logt in met een wachtwoord; standaard neemt de server dat vanaf {day} niet meer aan|registreer een app, zie OAuth2 in relay/README.md|zet [smarthost.oauth2] in relay.toml bij {name}|relay account login {name}",
        "logs in with a password; by default the server takes none from {day} on|register an app, see OAuth2 in relay/README.md|put [smarthost.oauth2] in relay.toml at {name}|relay account login {name}",
    ),
    "check.account.ends-certificate": (
        "werkt tot {day}: {why}|maak een nieuw certificaat, zet het bij de app-registratie en in het bestand van certificate",
        "works until {day}: {why}|make a new certificate, add it to the app registration and to the file of certificate",
    ),
    "check.account.ends-secret": (
        "werkt tot {day}: {why}|maak een nieuw geheim bij de app-registratie, en zet het en secret_expires in relay.toml",
        "works until {day}: {why}|make a new secret at the app registration, and set it and secret_expires in relay.toml",
    ),
    "check.account.ends-google-testing": (
        "werkt tot {day}: {why}|publiceer de app: Google Cloud Console, Google Auth Platform, Audience, Publish app|relay account login {name}",
        "works until {day}: {why}|publish the app: Google Cloud Console, Google Auth Platform, Audience, Publish app|relay account login {name}",
    ),
    "check.account.ends-microsoft-idle": (
        "werkt tot {day}: {why}|relay account test {name}",
        "works until {day}: {why}|relay account test {name}",
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
    "check.smarthost.paused": (
        "niet geprobeerd: {username} is gepauzeerd na een geweigerde login, tot {until}",
        "not tried: {username} is paused after a refused login, until {until}",
    ),
    "check.smarthost.resume": (
        "relay account resume {name}, of probeer het toch: relay check --online --force",
        "relay account resume {name}, or try all the same: relay check --online --force",
    ),
    "check.smarthost.not-told": (
        "de login is niet na te gaan: {reason}",
        "the login cannot be checked: {reason}",
    ),
    "check.quota": ("limiet van {username}", "limit of {username}"),
    "check.quota.messages": (
        "{used} van {most} berichten in 24 uur gebruikt, nog {left}",
        "{used} of {most} messages in 24 hours used, {left} left",
    ),
    "check.quota.recipients": (
        "{used} van {most} ontvangers in 24 uur gebruikt, nog {left}",
        "{used} of {most} recipients in 24 hours used, {left} left",
    ),
    "check.clock": ("klok", "clock"),
    "check.clock.good": (
        "scheelt {seconds} s met die van {host}",
        "{seconds} s from that of {host}",
    ),
    "check.clock.behind": (
        "loopt {seconds} s achter op die van {host}: certificaten, tokens en DKIM kunnen falen|zet tijdsynchronisatie aan: timedatectl set-ntp true",
        "{seconds} s behind that of {host}: certificates, tokens and DKIM may fail|switch on time synchronisation: timedatectl set-ntp true",
    ),
    "check.clock.ahead": (
        "loopt {seconds} s voor op die van {host}: certificaten, tokens en DKIM kunnen falen|zet tijdsynchronisatie aan: timedatectl set-ntp true",
        "{seconds} s ahead of that of {host}: certificates, tokens and DKIM may fail|switch on time synchronisation: timedatectl set-ntp true",
    ),
    "check.clock.not-told": (
        "niet na te gaan: geen begroeting noemt een datum",
        "cannot be checked: no greeting names a date",
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
