"""Every reply that the listener gives, in Dutch and English.

ASCII, code and enhanced code first, then what to do. Codes: RFC 5321 section 4.2, RFC 3463, RFC
4954, RFC 3207, RFC 1870.
"""

from functools import cache
from typing import Literal, NamedTuple

Language = Literal["nl", "en"]


class Wording(NamedTuple):
    """A reply without its details."""

    code: int
    enhanced: str | None
    nl: str
    en: str


REPLIES: dict[str, Wording] = {
    # Connection
    "greeting": Wording(220, None, "{hostname} ESMTP klaar", "{hostname} ESMTP ready"),
    "greeting-sandbox": Wording(
        220,
        None,
        "{hostname} ESMTP SANDBOX, er wordt niets verzonden",
        "{hostname} ESMTP SANDBOX, nothing is sent",
    ),
    "not-listed": Wording(
        554,
        "5.7.1",
        "{address} staat niet op de lijst; relay client allow {address}",
        "{address} is not listed; relay client allow {address}",
    ),
    "no-longer-listed": Wording(
        421,
        "4.7.0",
        "{address} staat niet meer op de lijst; relay client allow {address}",
        "{address} is no longer listed; relay client allow {address}",
    ),
    "too-many-connections": Wording(
        421,
        "4.7.0",
        "{address} heeft te veel verbindingen tegelijk open",
        "{address} has too many connections open",
    ),
    "overload": Wording(
        421, "4.3.2", "te druk, probeer het zo weer", "too busy, try again in a moment"
    ),
    "stopping": Wording(
        421, "4.3.2", "de relay stopt, probeer het zo weer", "the relay is stopping, try again soon"
    ),
    "too-many-errors": Wording(
        421, "4.7.0", "te veel fouten, verbinding gesloten", "too many errors, closing"
    ),
    "not-smtp": Wording(
        421,
        "4.7.0",
        "dit is een SMTP-poort, geen web- of TLS-poort",
        "this port speaks SMTP, not HTTP or TLS",
    ),
    # Behind a load balancer
    "no-proxy-header": Wording(
        421,
        "4.7.0",
        "{address} moet beginnen met een PROXY-header; zie listener.proxy_protocol",
        "{address} must begin with a PROXY header; see listener.proxy_protocol",
    ),
    "proxy-unknown": Wording(
        554,
        "5.7.1",
        "{address} zegt niet van wie deze verbinding is (PROXY UNKNOWN)",
        "{address} does not say whose connection this is (PROXY UNKNOWN)",
    ),
    "timeout": Wording(421, "4.4.2", "te lang gewacht", "waited too long"),
    "too-slow": Wording(421, "4.4.2", "het bericht komt te langzaam binnen", "too slow"),
    "bye": Wording(221, "2.0.0", "tot ziens", "bye"),
    # Greeting, TLS, login
    "hello-first": Wording(503, "5.5.1", "stuur eerst EHLO of HELO", "send EHLO or HELO first"),
    "hello-name": Wording(
        501, "5.5.4", "noem uw computernaam: EHLO naam", "give your computer's name: EHLO name"
    ),
    "ready-tls": Wording(220, "2.0.0", "begin met TLS", "ready to start TLS"),
    "no-tls": Wording(
        502, "5.5.1", "hier is geen STARTTLS ingesteld", "STARTTLS is not configured here"
    ),
    "tls-active": Wording(503, "5.5.1", "TLS is al actief", "TLS is active already"),
    "tls-required": Wording(530, "5.7.0", "stuur eerst STARTTLS", "send a STARTTLS command first"),
    "no-auth": Wording(
        502,
        "5.5.1",
        "inloggen is hier niet nodig; zet het uit, of any_login aan voor dit apparaat",
        "no login is needed here; switch it off, or any_login on for this device",
    ),
    "auth-ok": Wording(235, "2.7.0", "ingelogd", "logged in"),
    "auth-done": Wording(503, "5.5.1", "al ingelogd", "logged in already"),
    "auth-mechanism": Wording(
        504, "5.5.4", "gebruik AUTH PLAIN of AUTH LOGIN", "use AUTH PLAIN or AUTH LOGIN"
    ),
    "auth-cancelled": Wording(501, "5.7.0", "inloggen afgebroken", "login cancelled"),
    "auth-base64": Wording(501, "5.5.2", "geen geldige base64", "not valid base64"),
    # Commands
    "ok": Wording(250, "2.0.0", "goed", "ok"),
    "verify": Wording(
        252, "2.5.0", "niet te controleren; stuur het maar", "cannot verify; just send it"
    ),
    "help": Wording(214, "2.0.0", "zie de handleiding van relay", "see the manual of relay"),
    "unknown-command": Wording(500, "5.5.1", "onbekende opdracht", "unknown command"),
    "not-implemented": Wording(502, "5.5.1", "wordt niet ondersteund", "not supported"),
    "line-too-long": Wording(500, "5.5.2", "de opdracht is te lang", "the command is too long"),
    "no-argument": Wording(
        501, "5.5.4", "deze opdracht heeft geen argument", "this command takes no argument"
    ),
    # MAIL and RCPT
    "sender-ok": Wording(250, "2.1.0", "afzender goed", "sender ok"),
    "recipient-ok": Wording(250, "2.1.5", "ontvanger goed", "recipient ok"),
    "mail-first": Wording(503, "5.5.1", "stuur eerst MAIL", "send MAIL first"),
    "rcpt-first": Wording(503, "5.5.1", "stuur eerst RCPT", "send RCPT first"),
    "nested-mail": Wording(503, "5.5.1", "MAIL is al gegeven", "MAIL was given already"),
    "no-valid-recipient": Wording(554, "5.5.1", "geen geldige ontvanger", "no valid recipients"),
    "sender-syntax": Wording(
        501,
        "5.1.7",
        "het afzenderadres klopt niet; schrijf MAIL FROM:<naam@domein>",
        "bad sender address; write MAIL FROM:<name@domain>",
    ),
    "recipient-syntax": Wording(
        501,
        "5.1.3",
        "het ontvangeradres klopt niet; schrijf RCPT TO:<naam@domein>",
        "bad recipient address; write RCPT TO:<name@domain>",
    ),
    "unknown-parameter": Wording(
        555, "5.5.4", "onbekende parameter {detail}", "unknown parameter {detail}"
    ),
    "parameter-value": Wording(
        501, "5.5.4", "de waarde van {detail} klopt niet", "bad value for {detail}"
    ),
    "utf8-address": Wording(
        553,
        "5.6.7",
        "een adres met letters buiten ASCII vraagt om SMTPUTF8",
        "an address with non-ASCII letters needs SMTPUTF8",
    ),
    "too-many-recipients": Wording(
        452,
        "4.5.3",
        "hoogstens {limit} ontvangers; stuur de rest in een volgend bericht",
        "at most {limit} recipients; send the rest in another message",
    ),
    "rate": Wording(
        450,
        "4.7.1",
        "{address} stuurt meer dan {limit} berichten per minuut",
        "{address} sends more than {limit} messages a minute",
    ),
    "too-big": Wording(
        552,
        "5.3.4",
        "het bericht is groter dan {limit} bytes",
        "the message is larger than {limit} bytes",
    ),
    "disk-full": Wording(
        452,
        "4.3.1",
        "te weinig schijfruimte op de relay; maak ruimte vrij",
        "too little disk space on the relay; free some",
    ),
    "busy": Wording(
        452, "4.3.2", "de schijf is te druk, probeer het zo weer", "the disk is too busy, try again"
    ),
    # DATA
    "go-ahead": Wording(
        354, None, "stuur het bericht, sluit af met <CRLF>.<CRLF>", "end with <CRLF>.<CRLF>"
    ),
    "accepted": Wording(250, "2.0.0", "{id} aangenomen", "{id} accepted"),
    "accepted-sandbox": Wording(
        250,
        "2.0.0",
        "{id} aangenomen; SANDBOX, er wordt niets verzonden",
        "{id} accepted; SANDBOX, nothing is sent",
    ),
    "accepted-learning": Wording(
        250,
        "2.0.0",
        "{id} vastgehouden tot {address} is toegelaten; relay client allow {address}",
        "{id} held until {address} is allowed; relay client allow {address}",
    ),
    # Direct mode; a refusal is the smarthost's own
    "accepted-direct": Wording(
        250, "2.0.0", "{id} aangenomen door {host}: {words}", "{id} accepted by {host}: {words}"
    ),
    "accepted-partly": Wording(
        250,
        "2.0.0",
        "{id} verzonden, maar geweigerd voor {addresses}; relay queue show {id}",
        "{id} sent, but refused for {addresses}; relay queue show {id}",
    ),
    "accepted-held": Wording(
        250,
        "2.0.0",
        "{id} vastgehouden, niet verzonden: {meaning} relay queue show {id}",
        "{id} held, not sent: {meaning} relay queue show {id}",
    ),
    "accepted-queued": Wording(
        250,
        "2.0.0",
        "{id} in de wachtrij; relay queue show {id}",
        "{id} queued; relay queue show {id}",
    ),
    "header-too-big": Wording(
        552, "5.3.4", "de kop van het bericht is te groot", "the message header is too large"
    ),
    "loop": Wording(
        554,
        "5.4.6",
        "het bericht loopt rond: {hops} keer doorgegeven",
        "mail loop: passed on {hops} times",
    ),
    "internal": Wording(
        451,
        "4.3.0",
        "storing in de relay, niets is verloren; meld {reference}",
        "trouble in the relay, nothing is lost; report {reference}",
    ),
}


def reply(slug: str, language: Language, **details: object) -> bytes:
    """The reply line with its CRLF; what a client wrote must not be among `details` unchecked."""
    return _line(slug, language, **details) if details else _plain(slug, language)


@cache
def _plain(slug: str, language: Language) -> bytes:
    return _line(slug, language)


def _line(slug: str, language: Language, **details: object) -> bytes:
    wording = REPLIES[slug]
    text = (wording.nl if language == "nl" else wording.en).format(**details)
    head = f"{wording.code} {wording.enhanced} " if wording.enhanced else f"{wording.code} "
    return (head + text).encode("ascii", "replace") + b"\r\n"
