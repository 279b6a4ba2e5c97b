"""What `relay setup` says. `setup.ask.NAME` is the question|what it is about."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "setup.welcome": (
        "Dit maakt {path}. Enter neemt het antwoord tussen [ ], < gaat een vraag terug, Ctrl-C stopt; wat u antwoordde blijft dan bewaard, behalve wachtwoorden.",
        "This makes {path}. Enter takes the answer between [ ], < goes back one question, Ctrl-C stops; your answers are kept then, but for passwords.",
    ),
    "setup.resumed": (
        "Een eerdere keer bent u hier gestopt. Deze antwoorden staan er nog (opnieuw beginnen: relay setup --restart):",
        "You stopped here before. These answers are still there (to begin anew: relay setup --restart):",
    ),
    "setup.ask.language": (
        "Nederlands of Engels?|de taal van dit gesprek, van antwoorden aan programma's, van de pagina",
        "Dutch or English?|the language of this conversation, of replies to programs, of the page",
    ),
    "setup.ask.address": (
        "Met welk e-mailadres gaan uw facturen weg?|zoals info@mijnbakkerij.nl; het domein erachter wijst de provider aan",
        "Which mail address do your invoices leave from?|such as info@mijnbakkerij.nl; the domain behind it points to the provider",
    ),
    "setup.ask.provider": (
        "Via welke provider gaat uw mail weg?|een naam zoals ziggo, kpn, microsoft365, of een mailserver; alle: diagnose presets list; staat hij er niet bij: other",
        "Which provider shall take your mail?|a name such as ziggo, kpn, microsoft365, or a mail server; all: diagnose presets list; if yours is not there: other",
    ),
    "setup.ask.host": (
        "Hoe heet de uitgaande mailserver (SMTP)?|uw provider noemt hem, vaak op zijn pagina over e-mail instellen{known}",
        "What is the outgoing mail server (SMTP) called?|your provider names it, often on its page about setting up mail{known}",
    ),
    "setup.ask.port": (
        "Welke poort?|587 met STARTTLS, of 465",
        "Which port?|587 with STARTTLS, or 465",
    ),
    "setup.ask.tls": (
        "Hoe is de verbinding beveiligd?|het certificaat van de server wordt altijd gecontroleerd",
        "How is the connection secured?|the server's certificate is always verified",
    ),
    "setup.ask.auth": (
        "Hoe logt u daar in?|wat de server aanneemt",
        "How do you log in there?|what the server takes",
    ),
    "setup.ask.username": (
        "Met welke gebruikersnaam?|meestal het hele e-mailadres{known}",
        "With which user name?|mostly the whole mail address{known}",
    ),
    "setup.ask.password": (
        "Het wachtwoord daarbij?|u ziet niet wat u typt; het komt alleen in een bestand dat anderen niet kunnen lezen",
        "The password for it?|you do not see what you type; it goes only into a file that others cannot read",
    ),
    "setup.ask.flow": (
        "Hoe komt de relay aan toestemming (OAuth2)?|met een browser is het eenvoudigst",
        "How does the relay get its consent (OAuth2)?|a browser is the simplest",
    ),
    "setup.ask.client_id": (
        "Welk client-id heeft uw app-registratie?|hoe u er een maakt staat in relay/README.md, bij Accounts with OAuth2",
        "Which client id has your app registration?|how to make one stands in relay/README.md, at Accounts with OAuth2",
    ),
    "setup.ask.tenant": (
        "Welke tenant (directory-id of domein)?|het staat bij uw app-registratie; organizations werkt voor apps van meer tenants",
        "Which tenant (directory id or domain)?|it is shown at your app registration; organizations works for apps of several tenants",
    ),
    "setup.ask.client_secret": (
        "Het geheim van de app?|u ziet niet wat u typt",
        "The app's secret?|you do not see what you type",
    ),
    "setup.ask.key_file": (
        "Waar staat het sleutelbestand (JSON) van het serviceaccount?|het wordt gekopieerd naar een bestand dat anderen niet kunnen lezen",
        "Where is the key file (JSON) of the service account?|it is copied into a file that others cannot read",
    ),
    "setup.ask.sender": (
        "Wat als een programma een andere afzender gebruikt?|zoals een scanner die als scanner@kantoor stuurt{known}",
        "What if a program uses another sender?|such as a scanner that sends as scanner@office{known}",
    ),
    "setup.ask.machines": (
        "Vanaf welke computers wordt gestuurd?|here: alleen deze. learn: ik zoek ze straks, terwijl u ze iets laat sturen. Of noem ze: 192.168.1.20, boekhouding=192.168.1.64/26",
        "Which machines send?|here: this one alone. learn: I find them later, while you let them send something. Or name them: 192.168.1.20, accounting=192.168.1.64/26",
    ),
    "setup.ask.any_login": (
        "Staat een van die programma's op een gebruikersnaam en wachtwoord?|zoals AccountView; met ja mag het alles invullen, het wordt niet bewaard",
        "Does one of those programs insist on a user name and password?|such as AccountView; with yes it may give anything, nothing is kept of it",
    ),
    "setup.ask.listen": (
        "Waar luistert de relay?|adres:poort; 0.0.0.0 is elke netwerkkaart; apparaten die geen poort kennen willen 25{known}",
        "Where does the relay listen?|address:port; 0.0.0.0 is each network card; devices that know no port want 25{known}",
    ),
    "setup.ask.postmaster": (
        "Wie krijgt wat de relay aan niemand anders kwijt kan?|een adres dat iemand leest",
        "Who gets what the relay can tell nobody else?|an address that somebody reads",
    ),
    "setup.ask.ordernow": (
        "Gebruikt u OrderNow (bestelsysteem)?|dat verstuurt ook mail van {domain}, en hoort dan in uw SPF-record",
        "Do you use OrderNow (order system)?|it sends mail of {domain} too, and then belongs in your SPF record",
    ),
    "setup.ask.test_to": (
        "Waar mag een testbericht heen?|een adres dat u nu kunt lezen, liefst bij een andere provider; none: nergens",
        "Where may a test message go?|an address that you can read now, best at another provider; none: nowhere",
    ),
    "setup.choice.yes": ("ja", "yes"),
    "setup.choice.no": ("nee", "no"),
    "setup.choice.nl": ("Nederlands", "Dutch (Nederlands)"),
    "setup.choice.en": ("Engels (English)", "English"),
    "setup.choice.starttls": (
        "STARTTLS, gewoonlijk poort 587",
        "STARTTLS, usually port 587",
    ),
    "setup.choice.implicit": (
        "TLS vanaf het begin (SSL), gewoonlijk poort 465",
        "TLS from the start (SSL), usually port 465",
    ),
    "setup.choice.tls-none": (
        "geen, alleen binnen het kantoor",
        "none, inside the office only",
    ),
    "setup.choice.password": ("wachtwoord", "password"),
    "setup.choice.oauth2": (
        "OAuth2: een keer toestemming in de browser, geen wachtwoord",
        "OAuth2: consent once in the browser, no password",
    ),
    "setup.choice.auth-none": (
        "niet; de provider herkent ons adres",
        "not at all; the provider knows our address",
    ),
    "setup.choice.code": ("in de browser", "in the browser"),
    "setup.choice.device": (
        "met een code op een ander apparaat",
        "with a code on another device",
    ),
    "setup.choice.client-credentials": (
        "als app, zonder persoon; de beheerder geeft toestemming",
        "as an app, without a person; the administrator consents",
    ),
    "setup.choice.service-account": (
        "als serviceaccount van Google Workspace",
        "as a service account of Google Workspace",
    ),
    "setup.choice.keep": ("laat hem staan", "leave it"),
    "setup.choice.rewrite": (
        "vervang hem als het account hem niet mag gebruiken; antwoorden gaan naar de oude",
        "replace it where the account may not use it; replies go to the old one",
    ),
    "setup.choice.force": (
        "vervang elke afzender; antwoorden gaan naar de oude",
        "replace every sender; replies go to the old one",
    ),
    "setup.found.mail-domain": (
        "{domain} is van {name}: {host} poort {port}.",
        "{domain} belongs to {name}: {host} port {port}.",
    ),
    "setup.found.mx": (
        "Mail voor {domain} komt binnen bij {evidence} (MX). Dat is {name}: {host} poort {port}. Wie mail ontvangt, verstuurt hem meestal ook.",
        "Mail for {domain} arrives at {evidence} (MX). That is {name}: {host} port {port}. Who receives mail mostly sends it too.",
    ),
    "setup.found.srv": (
        "{domain} maakt zelf zijn server bekend ({evidence}): {host} poort {port}.",
        "{domain} publishes its server itself ({evidence}): {host} port {port}.",
    ),
    "setup.found.nothing": (
        "Aan {domain} is niet te zien welke provider het is: {reason}",
        "{domain} does not tell which provider it is: {reason}",
    ),
    "setup.provider": ("{name}. {advice}", "{name}. {advice}"),
    "setup.provider.ends": (
        "Let op: wachtwoorden werken hier standaard tot {day}.",
        "Mind: passwords work here until {day} by default.",
    ),
    "setup.known.username": (
        "; hier: {username}",
        "; here: {username}",
    ),
    "setup.known.host": ("; hier: {host}", "; here: {host}"),
    "setup.known.here": (
        "; dit kantoornetwerk kent deze computer als {address}",
        "; the office network knows this machine as {address}",
    ),
    "setup.known.rule": ("; {rule}", "; {rule}"),
    "setup.summary": ("Dit wordt het:", "This is what it will be:"),
    "setup.summary.proposed": (
        "genomen omdat er geen optie voor was: {names}",
        "taken because no option said otherwise: {names}",
    ),
    "setup.hidden": ("(verborgen)", "(hidden)"),
    "setup.confirm": (
        "Enter: proberen. Of typ de naam van een antwoord om het te wijzigen.",
        "Enter: try it. Or type the name of an answer to change it.",
    ),
    "setup.not-a-name": (
        "{name!r} is geen van de antwoorden; kies uit {names}",
        "{name!r} is none of the answers; choose from {names}",
    ),
    "setup.trying": (
        "Proberen: verbinding, TLS, inlog ...",
        "Trying: connection, TLS, login ...",
    ),
    "setup.failed": (
        "Zo kan er nog geen mail weg. Enter: {next}. Of typ de naam van een antwoord om het te wijzigen, of anyway om het zo op te slaan.",
        "Mail cannot leave like this yet. Enter: {next}. Or type the name of an answer to change it, or anyway to keep it like this.",
    ),
    "setup.failed.password": ("een ander wachtwoord", "another password"),
    "setup.failed.again": ("nog eens proberen", "try again"),
    "setup.not-written": (
        "Niets geschreven: {path} is zoals het was.",
        "Nothing written: {path} is as it was.",
    ),
    "setup.untested": (
        "op verzoek niet geprobeerd; later: relay check --online",
        "not tried, as you wish; later: relay check --online",
    ),
    "setup.consent": ("toestemming {username}", "consent {username}"),
    "setup.consent.good": ("gegeven", "given"),
    "setup.consent.later": (
        "geeft iemand in een browser; tot dan wacht de mail|relay account login {name}|relay check --online",
        "somebody gives it in a browser; until then mail waits|relay account login {name}|relay check --online",
    ),
    "setup.consent.lost": (
        "is niet bewaard: {reason}|relay account login {name}",
        "was not kept: {reason}|relay account login {name}",
    ),
    "setup.test": ("testbericht aan {to}", "test message to {to}"),
    "setup.test.delivered": (
        "aangenomen door {smarthost}: {reply}",
        "taken by {smarthost}: {reply}",
    ),
    "setup.test.refused": ("geweigerd: {reply}", "refused: {reply}"),
    "setup.test.waits": (
        "nog niet aangenomen: {reply}",
        "not taken yet: {reply}",
    ),
    "setup.written": ("{path} is geschreven.", "{path} is written."),
    "setup.replaced": (
        "Het vorige staat nu in {kept}; terug: mv {kept} {path}",
        "The one before is now {kept}; to go back: mv {kept} {path}",
    ),
    "setup.reloaded": (
        "De relay die draait werkt er nu mee.",
        "The relay that runs works with it now.",
    ),
    "setup.restart": (
        "Start de relay opnieuw, want dit gaat pas dan in: {keys}",
        "Start the relay anew, since this takes effect only then: {keys}",
    ),
    "setup.not-reloaded": (
        "De relay die draait heeft het nog niet: {reason}; doe relay reload",
        "The relay that runs does not have it yet: {reason}; run relay reload",
    ),
    "setup.learn.starting": (
        "De relay start, alleen voor dit zoeken ...",
        "The relay starts, for this search only ...",
    ),
    "setup.learn.no-start": (
        "De relay start niet, dus er is niets te zoeken: {reason}",
        "The relay does not start, so nothing can be found: {reason}",
    ),
    "setup.learn.open": (
        "Laat nu elk programma en apparaat iets sturen, naar server {address}, poort {port}, zonder beveiliging. Mail van onbekende apparaten wordt vastgehouden (nog {minutes} minuten).",
        "Now let each program and device send something, to server {address}, port {port}, without security. Mail of unknown devices is held (for {minutes} more minutes).",
    ),
    "setup.learn.press": (
        "Enter als ze alle gestuurd hebben: ",
        "Enter when all have sent: ",
    ),
    "setup.learn.nobody": (
        "Er heeft niemand iets gestuurd. Enter: nog eens kijken; stop: klaar. ",
        "Nobody sent anything. Enter: look again; stop: done. ",
    ),
    "setup.learn.device": (
        "{address}, {count} berichten, afzender {sender}. Mag die sturen? Naam voor het apparaat, of no [{name}] ",
        "{address}, {count} messages, sender {sender}. May it send? A name for the device, or no [{name}] ",
    ),
    "setup.learn.found": (
        "{address}: {count} berichten, afzender {sender}; toelaten: relay client allow {address}",
        "{address}: {count} messages, sender {sender}; to let it in: relay client allow {address}",
    ),
    "setup.learn.none": (
        "Geen onbekend apparaat heeft gestuurd; later: relay client learn",
        "No unknown device has sent; later: relay client learn",
    ),
    "setup.learn.trouble": (
        "Het zoeken stopte: {reason}; ga verder met relay client learn",
        "The search ended: {reason}; go on with relay client learn",
    ),
    "setup.records": (
        "Wat de wereld over {domain} weet (DNS):",
        "What the world knows about {domain} (DNS):",
    ),
    "setup.records.own": (
        "{domain} is van de provider: die zorgt zelf voor SPF en DMARC.",
        "{domain} is the provider's, who takes care of SPF and DMARC.",
    ),
    "setup.records.none": (
        "{check} is niet nagegaan: {reason}; later: diagnose {command}",
        "{check} was not checked: {reason}; later: diagnose {command}",
    ),
    "setup.publish": (
        "Laat uw DNS-beheerder dit publiceren (TXT):",
        "Have your DNS administrator publish this (TXT):",
    ),
    "setup.next": (
        "Verder: relay check, dan relay serve (of als dienst, zie README.md). In uw programma's: server {address}, poort {port}, geen beveiliging.",
        "From here: relay check, then relay serve (or as a service, see README.md). In your programs: server {address}, port {port}, no security.",
    ),
    "setup.stopped": (
        "Gestopt; {path} is zoals het was. Verder waar u was: {command}",
        "Stopped; {path} is as it was. To go on where you were: {command}",
    ),
    "setup.stopped-after": (
        "Gestopt; {path} is geschreven en heel. Apparaten zoeken kan later: relay client learn",
        "Stopped; {path} is written and whole. Devices can be found later: relay client learn",
    ),
    "setup.no-terminal": (
        "relay setup stelt vragen, en hier is geen terminal; geef elk antwoord als optie, met --unattended",
        "relay setup asks questions, and there is no terminal here; give each answer as an option, with --unattended",
    ),
    "setup.missing": (
        "{option} ontbreekt: {question}",
        "{option} is missing: {question}",
    ),
    "setup.bad-option": ("{option}: {reason}", "{option}: {reason}"),
    "setup.exists": (
        "{path} bestaat al. Met --replace komt er een nieuw, en blijft het oude met de datum erachter bewaard",
        "{path} is there already. With --replace a new one is made, and the old one is kept with the date behind it",
    ),
    "setup.replace": (
        "{path} bestaat al. Een nieuw maken? Het oude blijft bewaard, met de datum erachter. [no] ",
        "{path} is there already. Make a new one? The old one is kept, with the date behind it. [no] ",
    ),
    "setup.busy": (
        "een ander relay setup (proces {pid}) is met {path} bezig; maak dat eerst af, of stop het",
        "another relay setup (process {pid}) is at work on {path}; finish that first, or stop it",
    ),
    "setup.unwritable": (
        "{path} is niet te schrijven: {reason}; doe sudo relay setup, of noem een andere plaats met --config",
        "{path} cannot be written: {reason}; run sudo relay setup, or name another place with --config",
    ),
    "setup.empty-secret": ("er is niets getypt", "nothing was typed"),
    "setup.bad-secret": (
        "dat is geen tekst van een regel; typ het opnieuw",
        "that is no text of one line; type it again",
    ),
}
