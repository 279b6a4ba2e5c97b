"""How the relay fares in one sentence: what is wrong, the weightiest first, in both languages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from relay.control.documents import Document
from relay.delivery.trouble import BY_OPERATOR

ENDS_SOON = timedelta(days=14)
"""How long before a login stops working people hear of it."""

_LEVELS: Final = ("ok", "warning", "alarm")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How grave, which page shows more (None: no page does), and the words in Dutch and English."""

    level: str
    page: str | None
    nl: str
    en: str


# In order of weight: what explains the most about mail that does not leave comes first.
_KINDS: Final[dict[str, _Kind]] = {
    "not-running": _Kind("alarm", None, "de relay draait niet", "the relay is not running"),
    "spool-failing": _Kind(
        "alarm",
        None,
        "de opslag werkt niet, dus er wordt geen mail aangenomen: {detail}",
        "the spool does not work, so no mail is taken: {detail}",
    ),
    "disk-full": _Kind(
        "alarm",
        None,
        "de schijf is vol, dus er wordt geen mail aangenomen; maak ruimte vrij",
        "the disk is full, so no mail is taken; free some space",
    ),
    "account-paused": _Kind(
        "alarm",
        "accounts",
        "de aanbieder weigert de aanmelding van {account}; de mail wacht tot u dat oplost",
        "the provider refuses the login of {account}; its mail waits until you solve that",
    ),
    "account-paused-by-operator": _Kind(
        "warning",
        "accounts",
        "{account} is met de hand gepauzeerd; de mail wacht tot u het hervat",
        "{account} was paused by hand; its mail waits until you resume it",
    ),
    "consent-needed": _Kind(
        "alarm",
        "accounts",
        "{account} heeft nog geen toestemming om te verzenden; geef die bij Accounts",
        "nobody has consented yet that {account} may send; do so at Accounts",
    ),
    "quota-waiting": _Kind(
        "warning",
        "accounts",
        "de limiet van {smarthost} is bereikt; wat wacht gaat vanzelf weg zodra er ruimte is",
        "the limit of {smarthost} is reached; what waits leaves by itself once there is room",
    ),
    "smarthost-backing-off": _Kind(
        "alarm",
        "accounts",
        "{smarthost} neemt nu geen mail aan; de relay blijft het proberen",
        "{smarthost} takes no mail at the moment; the relay keeps trying",
    ),
    "disk-low": _Kind(
        "alarm",
        None,
        "er is te weinig schijfruimte, dus nieuwe mail wordt geweigerd; maak ruimte vrij",
        "there is too little room on the disk, so new mail is refused; free some space",
    ),
    "dkim-key": _Kind(
        "alarm",
        "messages",
        "de DKIM-sleutel van {domain} is niet te gebruiken, dus mail van {domain} wacht",
        "the DKIM key of {domain} cannot be used, so mail of {domain} waits",
    ),
    "queue-old": _Kind(
        "alarm",
        "messages",
        "het oudste bericht wacht al {minutes} minuten",
        "the oldest message has waited {minutes} minutes",
    ),
    "nodes-differ": _Kind(
        "alarm",
        None,
        "niet alle nodes werken met dezelfde relay.toml: {names} wijkt af",
        "not all nodes work by the same relay.toml: {names} has another",
    ),
    "certificate-ended": _Kind(
        "alarm",
        None,
        "het certificaat {path} is op {day} afgelopen: programma's weigeren de verbinding",
        "the certificate {path} ended on {day}: programs refuse the connection",
    ),
    "certificate-ends": _Kind(
        "warning",
        None,
        "het certificaat {path} loopt op {day} af; vervang het voor die tijd",
        "the certificate {path} ends on {day}; replace it before",
    ),
    "login-ending": _Kind(
        "warning",
        "accounts",
        "{account} werkt nog maar tot {until}; vernieuw de aanmelding voor die tijd",
        "{account} works only until {until}; renew its login before",
    ),
    "password-ending": _Kind(
        "warning",
        "accounts",
        "de aanbieder van {account} neemt vanaf {until} geen wachtwoord meer aan",
        "the provider of {account} takes no password any more from {until}",
    ),
    "failed-today": _Kind(
        "warning",
        "messages",
        "vandaag niet te bezorgen, aan een of meer ontvangers: {count} van de berichten",
        "could not be delivered today, to one recipient or more: {count} of the messages",
    ),
    "held": _Kind(
        "warning",
        "messages",
        "vastgehouden tot iemand beslist: {count} van de berichten",
        "held until somebody decides: {count} of the messages",
    ),
    "spool-damaged": _Kind(
        "warning",
        None,
        "de opslag was beschadigd en is hersteld; bekijk het log, en bewaar of wis {path}",
        "the spool was damaged and was rebuilt; look at the log, and keep or delete {path}",
    ),
    "device-silent": _Kind(
        "warning",
        "devices",
        "{device} verzendt anders elke werkdag en is {days} dagen stil",
        "{device} usually sends each working day and has been silent for {days} days",
    ),
    "device-refused": _Kind(
        "warning",
        "devices",
        "{address} wilde de laatste 24 uur verzenden en is geweigerd, want onbekend",
        "{address} tried to send in the last 24 hours and was refused, as it is not listed",
    ),
    "quota-nearly-used": _Kind(
        "warning",
        "accounts",
        "{smarthost} heeft {used} van de {most} {what_nl} per 24 uur gebruikt",
        "{smarthost} has used {used} of the {most} {what_en} in 24 hours",
    ),
    "spool-log": _Kind(
        "warning",
        None,
        "een ander programma houdt de opslag vast, waardoor het log ervan groeit",
        "another program holds on to the spool, which makes its log grow",
    ),
}
_RANK = {slug: place for place, slug in enumerate(_KINDS)}
_WHAT = {"messages": "berichten", "recipients": "ontvangers"}


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts that a sentence names."""

    delivered: int
    failed: int
    waiting: int
    held: int
    sandbox: bool
    trial: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is not as it should be."""

    slug: str
    level: str
    page: str | None
    nl: str
    en: str

    def document(self) -> Document:
        return {
            "slug": self.slug,
            "level": self.level,
            "text": {"nl": self.nl, "en": self.en},
            "page": self.page,
        }


def cause(slug: str, **values: object) -> Cause:
    """The cause of that slug, with its words filled in."""
    kind = _KINDS[slug]
    # What a server or a device said may hold braces: only our own texts are templates.
    return Cause(slug, kind.level, kind.page, kind.nl.format(**values), kind.en.format(**values))


def of_status(status: Document) -> list[Cause]:
    """The problems and warnings of `relay status`."""
    waiting = {each["smarthost"] for each in status["warnings"] if each["id"] == "quota-waiting"}
    found = []
    for each in (*status["problems"], *status["warnings"]):
        slug, values = each["id"], dict(each)
        if slug == "account-paused":
            values["account"] = each["username"]
            slug += "-by-operator" if each["cause"] == BY_OPERATOR else ""
        elif slug == "queue-old":
            values["minutes"] = each["oldest_queued_seconds"] // 60
        elif slug == "quota-nearly-used":
            if each["smarthost"] in waiting:
                continue
            values |= {"what_nl": _WHAT[each["limit"]], "what_en": each["limit"]}
        found.append(cause(slug, **values))
    return found


def of_accounts(accounts: Iterable[Document], now: datetime) -> list[Cause]:
    """What is about to stop working, of the documents of `account list`."""
    found = []
    for each in accounts:
        if each["paused"]:
            continue  # which says more
        account, until = each["username"], each["works_until"]
        if each["consent"] == "needed":
            found.append(cause("consent-needed", account=account))
        elif until is not None and datetime.fromisoformat(until) < now + ENDS_SOON:
            found.append(cause("login-ending", account=account, until=_day(until)))
        deadline = each["deadline"]
        if deadline is not None and deadline < (now + ENDS_SOON).date().isoformat():
            found.append(cause("password-ending", account=account, until=deadline))
    return found


def of_devices(devices: Document, now: datetime) -> list[Cause]:
    """Who fell silent and who was refused, of the document of the devices."""
    since = now - timedelta(days=1)
    return [
        *(
            cause("device-silent", device=each["name"], days=each["silent_days"])
            for each in devices["devices"]
            if each["silent_alarm"]
        ),
        *(
            cause("device-refused", address=each["address"])
            for each in devices["refused"]
            if datetime.fromisoformat(each["last_at"]) > since
        ),
    ]


def of_figures(figures: Figures) -> list[Cause]:
    """What failed, and what waits for a person."""
    found = []
    if figures.failed:
        found.append(cause("failed-today", count=figures.failed))
    if figures.held and not figures.sandbox and not figures.trial:
        found.append(cause("held", count=figures.held))
    return found


def health_document(causes: Iterable[Cause], figures: Figures | None) -> Document:
    """The level of the gravest cause, and a sentence about the weightiest one."""
    ordered = sorted(causes, key=lambda each: _RANK[each.slug])
    level = max((_LEVELS.index(each.level) for each in ordered), default=0)
    nl, en = _sentence(ordered) if ordered else _good(figures)
    return {
        "level": _LEVELS[level],
        "text": {"nl": nl, "en": en},
        "causes": [each.document() for each in ordered],
    }


def _sentence(causes: Sequence[Cause]) -> tuple[str, str]:
    first, more = causes[0], len(causes) - 1
    nl, en = _capital(first.nl), _capital(first.en)
    if more == 1:
        return f"{nl} (en nog 1 ander punt).", f"{en} (and 1 other point)."
    if more:
        return f"{nl} (en nog {more} andere punten).", f"{en} (and {more} other points)."
    return f"{nl}.", f"{en}."


def _good(figures: Figures | None) -> tuple[str, str]:
    if figures is None:
        return "Alles is in orde.", "All is well."
    if figures.sandbox:
        return (
            f"Dit is de sandbox: er wordt niets verzonden, en er {_are(figures.held)} te bekijken.",
            f"This is the sandbox: nothing is sent, and {_messages(figures.held)} can be viewed.",
        )
    if figures.trial:
        return (
            f"Op proef: mail wordt vastgehouden tot u haar vrijgeeft, nu {_berichten(figures.held)}.",
            f"On trial: mail is held until you release it, {_messages(figures.held)} now.",
        )
    wait_nl = f"er {_wait_nl(figures.waiting)}" if figures.waiting else "er wacht niets"
    wait_en = f"{figures.waiting or 'nothing'} waiting"
    return (
        f"Alles is in orde: vandaag {_berichten(figures.delivered)} verzonden, {wait_nl}.",
        f"All is well: {_messages(figures.delivered)} sent today, {wait_en}.",
    )


def _berichten(number: int) -> str:
    return "1 bericht" if number == 1 else f"{number} berichten"


def _messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"


def _are(number: int) -> str:
    return f"{'is' if number == 1 else 'zijn'} {_berichten(number)}"


def _wait_nl(number: int) -> str:
    return "wacht er 1" if number == 1 else f"wachten er {number}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _day(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().date().isoformat()
