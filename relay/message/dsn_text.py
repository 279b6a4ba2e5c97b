"""What a delivery status report says to a person, in Dutch and English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from enum import StrEnum

from presets.reply import sanitise
from relay.config.model import Language
from relay.message import headers
from relay.message.dsn_request import DsnRecipient, DsnRequest


class DsnKind(StrEnum):
    """Which report it is; the value stands in the mark by which we know our own."""

    FAILURE = "failure"
    DELAY = "delay"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class _Labels:
    sender_name: str
    from_server: str
    subject: str
    arrived: str
    answered: str
    meaning: str
    steps: str
    headers_below: str
    message_below: str


@dataclass(frozen=True, slots=True)
class _Story:
    subject: str
    opening: str
    closing: str = ""


_LABELS: Mapping[Language, _Labels] = {
    "nl": _Labels(
        sender_name="Mailrelay",
        from_server="Dit bericht komt van de mailserver {host}.",
        subject="Onderwerp",
        arrived="Ontvangen",
        answered="{host} antwoordde:",
        meaning="Wat dit betekent:",
        steps="Wat u kunt doen:",
        headers_below="De kopregels van uw bericht staan in de bijlage.",
        message_below="Uw bericht staat in de bijlage.",
    ),
    "en": _Labels(
        sender_name="Mail relay",
        from_server="This message comes from the mail server {host}.",
        subject="Subject",
        arrived="Received",
        answered="{host} replied:",
        meaning="What this means:",
        steps="What you can do:",
        headers_below="The headers of your message are attached.",
        message_below="Your message is attached.",
    ),
}
_STORIES: Mapping[tuple[DsnKind, Language], _Story] = {
    (DsnKind.FAILURE, "nl"): _Story(
        subject="Uw bericht is niet bezorgd",
        opening="Uw bericht is NIET bezorgd aan:",
        closing="De server probeert het niet opnieuw. Stuur het bericht na herstel nog eens.",
    ),
    (DsnKind.FAILURE, "en"): _Story(
        subject="Your message was not delivered",
        opening="Your message was NOT delivered to:",
        closing="The server will not try again. Once the cause is cured, send the message anew.",
    ),
    (DsnKind.DELAY, "nl"): _Story(
        subject="Uw bericht wacht nog op bezorging",
        opening="Uw bericht is nog niet bezorgd aan:",
        closing="U hoeft het bericht niet opnieuw te sturen: de server blijft het proberen{until}.",
    ),
    (DsnKind.DELAY, "en"): _Story(
        subject="Your message is still waiting to be delivered",
        opening="Your message has not been delivered yet to:",
        closing="There is no need to send it again: the server keeps trying{until}.",
    ),
    (DsnKind.RELAYED, "nl"): _Story(
        subject="Uw bericht is doorgegeven",
        opening="Uw bericht is doorgegeven aan de volgende mailserver, voor:",
        closing="Die server meldt een geslaagde bezorging niet; een mislukte wel.",
    ),
    (DsnKind.RELAYED, "en"): _Story(
        subject="Your message was passed on",
        opening="Your message was passed on to the next mail server, for:",
        closing="That server does not report a successful delivery; it does report a failed one.",
    ),
}
_UNTIL: Mapping[Language, str] = {"nl": " tot {time}", "en": " until {time}"}
_TIME = "%Y-%m-%d %H:%M %Z"


def sender_name(language: Language) -> str:
    """The display name that the report comes from, ASCII."""
    return _LABELS[language].sender_name


def subject(request: DsnRequest, kind: DsnKind) -> str:
    """The report's subject; it names the recipient when there is one only."""
    text = _STORIES[kind, request.language].subject
    if len(request.recipients) == 1:
        text += f": {request.recipients[0].address}"
    return sanitise(text, 250)


def explanation(request: DsnRequest, kind: DsnKind, *, whole_message: bool) -> str:
    """The text part: what happened to whom, why, and what to do; lines end in CRLF.

    Times are shown in the zone that they were given in. Each foreign text is one printable
    line, so that none can pass for a line of ours.
    """
    labels, story = _LABELS[request.language], _STORIES[kind, request.language]
    until = ""
    if request.will_retry_until is not None:
        until = _UNTIL[request.language].format(time=request.will_retry_until.strftime(_TIME))
    lines = [labels.from_server.format(host=sanitise(request.reporting_mta)), ""]
    about = _decoded_subject(request.original_header)
    if about:
        lines.append(f"{labels.subject}: {about}")
    lines += [f"{labels.arrived}: {request.arrived_at.strftime(_TIME)}", "", story.opening, ""]
    for recipient in request.recipients:
        lines += [*_about(recipient, labels), ""]
    lines.append(story.closing.format(until=until))
    lines.append(labels.message_below if whole_message else labels.headers_below)
    return "\r\n".join(lines) + "\r\n"


def _about(recipient: DsnRecipient, labels: _Labels) -> list[str]:
    lines = [f"  {sanitise(recipient.address)}"]
    if recipient.reply is not None:
        host = sanitise(recipient.remote_mta or "")
        if host:
            lines.append("    " + labels.answered.format(host=host))
        lines.append(f"    {sanitise(str(recipient.reply))}")
    if recipient.meaning:
        lines.append(f"    {labels.meaning} {sanitise(recipient.meaning)}")
    if recipient.steps:
        lines.append(f"    {labels.steps}")
        lines += [f"    - {sanitise(step)}" for step in recipient.steps]
    return lines


def _decoded_subject(header: bytes) -> str:
    """The original's Subject, so that its sender knows which invoice this is about."""
    field = headers.first(header, b"Subject")
    raw = sanitise(field.value if field else b"", 500)
    try:
        # Own header text shows as it is; only its encoded words (RFC 2047) are opened.
        text = str(make_header(decode_header(raw)))
    except (ValueError, LookupError, MessageError):
        text = raw
    return sanitise(text, 200)
