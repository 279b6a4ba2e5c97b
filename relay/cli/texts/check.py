"""What `relay check` says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
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
    "check.service-user.public": (
        "{user} kan {path} niet lezen; er staan geen geheimen in|chmod a+rX {path}",
        "{user} cannot read {path}; it holds no secrets|chmod a+rX {path}",
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
    "check.certificate": ("certificaat ({key})", "certificate ({key})"),
    "check.certificate.good": ("{path} geldt tot {day}", "{path} is valid until {day}"),
    "check.certificate.ends": (
        "{path} loopt op {day} af, over {days} dagen|vervang het; een van relay listener certificate maakt u met dat commando opnieuw|relay reload",
        "{path} ends on {day}, in {days} days|replace it; one of relay listener certificate is made anew by that command|relay reload",
    ),
    "check.certificate.ended": (
        "{path} is op {day} afgelopen|vervang het; een van relay listener certificate maakt u met dat commando opnieuw|relay reload",
        "{path} ended on {day}|replace it; one of relay listener certificate is made anew by that command|relay reload",
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
    "check.spool.no-server": (
        "{path} is niet te gebruiken: {reason}|start PostgreSQL, of verbeter [spool] url en password",
        "{path} cannot be used: {reason}|start PostgreSQL, or correct [spool] url and password",
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
