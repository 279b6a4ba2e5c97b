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
    "spool.too-new-by": (
        "de spool {path} is gemaakt door office-mail-relay {made_by}, dit is {own}; installeer {made_by} of nieuwer, of ga terug naar de kopie van voor de upgrade, als die er is: relay spool restore {path}.v{known}",
        "the spool {path} was made by office-mail-relay {made_by}, this is {own}; install {made_by} or later, or go back to the copy of before the upgrade, where there is one: relay spool restore {path}.v{known}",
    ),
    "spool.no-room": (
        "voor hij verandert wordt een kopie van de spool {path} bewaard; daarvoor is {needed} MB nodig en {free} MB vrij: maak ruimte en start opnieuw",
        "before it changes a copy of the spool {path} is kept; that needs {needed} MB and {free} MB is free: make room and start again",
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
    "spool.no-file": (
        "de spool staat in PostgreSQL ({url}); maak en controleer kopieën daar, met pg_basebackup of pg_dump",
        "the spool is in PostgreSQL ({url}); make and check copies there, with pg_basebackup or pg_dump",
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
    "spool.moved": (
        "overgezet en teruggelezen: {messages} berichten, waarvan {unfinished} wachten, voor {recipients} ontvangers, {bytes} bytes; {tokens} tokens",
        "moved and read back: {messages} messages, of which {unfinished} wait, for {recipients} recipients, {bytes} bytes; {tokens} tokens",
    ),
    "spool.move-resumed": (
        "een eerdere run had alles al overgezet; alleen de oude spool moest nog opzij",
        "an earlier run had carried everything; only the old spool was still to be put aside",
    ),
    "spool.move-kept": (
        "de oude spool is bewaard als {path}; wis hem als de relay met de nieuwe werkt",
        "the old spool is kept as {path}; delete it once the relay works with the new one",
    ),
    "spool.move-next": (
        'zet nu in relay.toml [spool] url = "{url}" en start de relay',
        'now set [spool] url = "{url}" in relay.toml and start the relay',
    ),
    "spool.move-target": (
        "{url} is niet te gebruiken: {reason}; er is niets veranderd",
        "{url} cannot be used: {reason}; nothing was changed",
    ),
    "spool.move-same": (
        "{url} is de spool die nu in gebruik is; noem bij --to een andere",
        "{url} is the spool in use now; name another at --to",
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
    "spool.ephemeral": (
        "de spool in {path} verdwijnt met deze container, en daarmee aangenomen mail; koppel daar een volume (docker run -v relay-spool:{path}), of start met --ephemeral-spool als dat mag",
        "the spool in {path} goes with this container, and accepted mail with it; mount a volume there (docker run -v relay-spool:{path}), or start with --ephemeral-spool where that may be",
    ),
    "serve.log-file": (
        "{path} is niet te schrijven: {reason}; noem bij --log-file een bestand in een map waar de dienst mag schrijven",
        "{path} cannot be written: {reason}; name a file at --log-file in a directory where the service may write",
    ),
    "service.no-config": (
        "er is nog geen relay.toml om een dienst van te maken; maak hem met relay setup, of noem hem met --config",
        "there is no relay.toml to make a service of yet; make it with relay setup, or name it with --config",
    ),
    "service.no-user": (
        "{user} is geen naam van een gebruiker; noem er een uit: getent passwd",
        "{user} is no name of a user; give one of: getent passwd",
    ),
    "service.spool-elsewhere": (
        "de spool staat in {path}, buiten /var/lib, en kan dus niet van een gebruiker zijn die systemd verzint; noem met --user van wie die map is, of zet de spool in /var/lib/relay",
        "the spool is in {path}, outside /var/lib, so no user that systemd makes up can own it; name that directory's owner with --user, or put the spool into /var/lib/relay",
    ),
    "service.odd-path": (
        "{reason}: die naam past niet in een unit van systemd; hernoem het bestand",
        "{reason}: that name does not fit into a unit of systemd; rename the file",
    ),
    "service.no-program": (
        "let op: {path} bestaat niet; noem de relay met --program",
        "mind: {path} does not exist; name the relay with --program",
    ),
    "service.hidden": (
        "let op: de dienst kan niet bij {path}, want persoonlijke mappen en /tmp zijn voor hem dicht; installeer de relay bijvoorbeeld in /opt/relay, met relay.toml in /etc/relay",
        "mind: the service cannot reach {path}, since home directories and /tmp are shut to it; install the relay in /opt/relay, say, with relay.toml in /etc/relay",
    ),
    "service.unreadable": (
        "let op: {path} moet leesbaar zijn voor de gebruiker van de dienst (er staan geen geheimen in); doe: chmod a+rX {paths}",
        "mind: the service's user must be able to read {path} (it holds no secrets); run: chmod a+rX {paths}",
    ),
    "listener.made": (
        "{path} is gemaakt: sleutel en certificaat voor {names}, geldig tot {day}. Alleen de gebruiker van de relay mag het lezen (chown); relay check waarschuwt voor het afloopt, en dan doet u dit nog eens",
        "{path} is made: key and certificate for {names}, valid until {day}. Only the relay's user may read it (chown); relay check warns before it ends, and then you do this once more",
    ),
    "listener.table": (
        "Maak er in relay.toml dit van en herstart de relay; wie geen TLS wil kan blijven sturen. Vraagt een programma dan ook om een wachtwoord (AccountView), zet bij zijn [[client]] any_login = true, en vul in dat programma een willekeurig wachtwoord in:",
        "Make it read so in relay.toml and restart the relay; who wants no TLS sends as before. Where a program asks for a password too (AccountView), set any_login = true at its [[client]], and enter any password in that program:",
    ),
    "listener.reload": (
        'Een listener gebruikt het al; neem het nieuwe in gebruik: relay reload (herstart de dienst als systemd het bestand laadt of de listener tls = "implicit" heeft)',
        'A listener uses it already; take the new one into use: relay reload (restart the service where systemd loads the file, or where the listener has tls = "implicit")',
    ),
    "listener.trust": (
        "Laat elke Windows-werkplek de uitgever vertrouwen, een keer, als beheerder:|  1. kopieer {path} naar de werkplek|  2. dubbelklik erop en vergelijk bij Details de vingerafdruk: {thumbprint}|  3. kies Certificaat installeren, Lokale computer, Alle certificaten in het onderstaande archief opslaan, Vertrouwde basiscertificeringsinstanties|     of in een opdrachtprompt: certutil -addstore Root relay-ca.crt|     of voor een heel domein: Groepsbeleid, Computerconfiguratie, Windows-instellingen, Beveiligingsinstellingen, Beleid voor openbare sleutels|  4. vul in het programma als server precies een van de namen of adressen van hierboven in",
        "Let each Windows workstation trust the issuer, once, as administrator:|  1. copy {path} to the workstation|  2. double-click it and compare the thumbprint under Details: {thumbprint}|  3. choose Install Certificate, Local Machine, Place all certificates in the following store, Trusted Root Certification Authorities|     or at a command prompt: certutil -addstore Root relay-ca.crt|     or for a whole domain: Group Policy, Computer Configuration, Windows Settings, Security Settings, Public Key Policies|  4. in the program, give as server exactly one of the names or addresses above",
    ),
    "listener.same": (
        "De uitgever is dezelfde gebleven: op de werkplekken hoeft niets",
        "The issuer is the same: nothing is to be done at the workstations",
    ),
    "listener.keep": (
        "relay-ca.key in {path} is alleen nodig om dit nog eens te doen: bewaar een kopie elders, en geef hem aan niemand",
        "relay-ca.key in {path} is needed only to do this once more: keep a copy elsewhere, and give it to nobody",
    ),
    "listener.not-covered": (
        "de uitgever in {path} mag niet instaan voor {name}; noem een naam waarvoor hij gemaakt is, of begin opnieuw met --new-authority (dan moet elke werkplek hem opnieuw vertrouwen)",
        "the issuer in {path} may not vouch for {name}; give a name that it was made for, or begin anew with --new-authority (then each workstation has to trust it once more)",
    ),
    "listener.no-key": (
        "de uitgever in {path} is niet te gebruiken ({reason}): zet relay-ca.key terug die bij relay-ca.crt hoort, of begin opnieuw met --new-authority",
        "the issuer in {path} cannot be used ({reason}): put the relay-ca.key back that belongs to relay-ca.crt, or begin anew with --new-authority",
    ),
    "listener.no-address": (
        "{reason}; geef bij --ip een adres, zoals 192.168.1.10",
        "{reason}; give an address at --ip, such as 192.168.1.10",
    ),
    "listener.unwritable": (
        "{path} is niet te gebruiken: {reason}; noem een andere map bij --out, of voer dit uit als root",
        "{path} cannot be used: {reason}; name another directory at --out, or run this as root",
    ),
}
