"""What `relay account` says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
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
}
