"""What an alarm says, in Dutch and in English: one line that tells what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from presets.reply import sanitise
from relay.config.fault import Language
from relay.monitor.alarms import Notice, Stage

_LONGEST = 1000

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "account-paused": (
        "het account {username} op {host} is gepauzeerd en zijn mail wacht: {reason}. Los de reden op, daarna: relay account resume {username}",
        "the account {username} at {host} is paused and its mail waits: {reason}. Cure the reason, then: relay account resume {username}",
    ),
    "smarthost-fails": (
        "smarthost {smarthost} werkt niet en zijn mail wacht: {reason}. Zie: relay status",
        "smarthost {smarthost} does not work and its mail waits: {reason}. See: relay status",
    ),
    "quota-reached": (
        "smarthost {smarthost} neemt niets meer aan: het daglimiet is op; de mail wacht tot er weer ruimte is",
        "smarthost {smarthost} takes nothing more: the limit of a day is used up; the mail waits until there is room",
    ),
    "quota-nearly-used": (
        "{username} op {host} heeft {used} van {most} gebruikt in 24 uur ({limit}); wat meer komt wacht",
        "{username} at {host} has used {used} of {most} in 24 hours ({limit}); what exceeds waits",
    ),
    "queue-old": (
        "het oudste bericht wacht al langer dan {minutes} minuten; zie: relay queue list",
        "the oldest message has waited for more than {minutes} minutes; see: relay queue list",
    ),
    "disk-low": (
        "er is nog {free_megabytes} MB vrij, minder dan de reserve van {reserve_megabytes} MB: nieuwe mail wordt uitgesteld; maak ruimte op de schijf van de spool",
        "{free_megabytes} MB is free, below the reserve of {reserve_megabytes} MB: new mail is put off; make room on the spool's disk",
    ),
    "disk-full": (
        "de schijf van de spool is vol en er wordt geen mail aangenomen: {reason}; maak ruimte",
        "the spool's disk is full and no mail is taken: {reason}; make room",
    ),
    "spool-failing": (
        "de spool werkt niet en er wordt geen mail aangenomen: {reason}; bekijk de schijf",
        "the spool does not work and no mail is taken: {reason}; look at the disk",
    ),
    "spool-damaged": (
        "een beschadigde spool is vervangen en bewaard als {path}; bekijk of er mail in bleef, en verwijder hem dan",
        "a damaged spool was replaced and is kept as {path}; see whether mail stayed in it, then delete it",
    ),
    "dkim-key": (
        "mail van {domain} wacht omdat zij niet te ondertekenen is: {reason}",
        "mail of {domain} waits because it cannot be signed: {reason}",
    ),
    "nodes-differ": (
        "niet alle nodes werken met dezelfde relay.toml: {nodes} heeft een andere dan de node die het langst draait; maak de bestanden gelijk en doe op elk: relay reload",
        "not all nodes work by the same relay.toml: {nodes} has another than the node that has run the longest; make the files equal, and on each run: relay reload",
    ),
    "certificate-ends": (
        "het certificaat {path} ({key}) eindigt op {day}, over {days} dagen; vervang het en doe dan: relay reload",
        "the certificate {path} ({key}) ends on {day}, in {days} days; replace it, then: relay reload",
    ),
    "certificate-ended": (
        "het certificaat {path} ({key}) is verlopen op {day}; vervang het en doe dan: relay reload",
        "the certificate {path} ({key}) ended on {day}; replace it, then: relay reload",
    ),
    "token-ends": (
        "de toegang van {username} op {host} eindigt op {day}: {reason}. Vernieuw die voor dan: relay account login {smarthost}",
        "the access of {username} at {host} ends on {day}: {reason}. Renew it before: relay account login {smarthost}",
    ),
    "refused-device": (
        "{address} wilde mail versturen en staat niet op de lijst ({count} keer). Is dit apparaat van u: relay client allow {address}",
        "{address} wanted to send mail and is not listed ({count} times). If this device is yours: relay client allow {address}",
    ),
    "refused-internet": (
        "{count} adressen van buiten wilden mail versturen en zijn geweigerd; het laatste was {address}. Hoort de relay vanaf internet bereikbaar te zijn?",
        "{count} addresses from outside wanted to send mail and were refused; the last was {address}. Should the relay be reachable from the internet?",
    ),
    "client-silent": (
        "{client} heeft sinds {day} niets meer gestuurd, al {days} dagen; kijk of het programma of apparaat nog werkt",
        "{client} has sent nothing since {day}, for {days} days; see whether the program or device still works",
    ),
    "lifetime": (
        "mail is over haar levensduur en wordt vastgehouden: {reason}. Zie: relay queue list --state held",
        "mail is past its lifetime and held: {reason}. See: relay queue list --state held",
    ),
    "outcome-not-recorded": (
        "de uitkomst van een bezorgpoging is niet vastgelegd; een bericht kan dubbel aankomen: {reason}",
        "the outcome of an attempt was not recorded; a message may arrive twice: {reason}",
    ),
    "dsn-undeliverable": (
        "een bericht van niet-bezorging kon zelf niet bezorgd worden: {reason}",
        "a report of failed delivery could not be delivered itself: {reason}",
    ),
    "token-vault": (
        "de tokens van {subject} zijn niet te lezen of te bewaren: {reason}",
        "the tokens of {subject} cannot be read or kept: {reason}",
    ),
    "log-alert": ("{subject}: {reason}", "{subject}: {reason}"),
}

_STAGES: Final[Mapping[Stage, tuple[str, str]]] = {
    Stage.RAISED: ("ALARM: {text}", "ALARM: {text}"),
    Stage.REMINDER: ("NOG STEEDS, sinds {since}: {text}", "STILL, since {since}: {text}"),
    Stage.CLEARED: ("VOORBIJ: {text}", "CLEARED: {text}"),
    Stage.SUPPRESSED: (
        "nog {count} alarmen onderdrukt; zie: relay status",
        "{count} more alarms suppressed; see: relay status",
    ),
    Stage.TEST: (
        "dit is een test van de alarmen; er is niets aan de hand",
        "this is a test of the alarms; nothing is wrong",
    ),
}


class _Blanks(dict[str, str]):
    """A value that an older or newer version did not give leaves a dash, and no error."""

    def __missing__(self, key: str) -> str:
        return "-"


def notice_text(notice: Notice, language: Language) -> str:
    """The notice in one line, printable whatever a server or file put into its values."""
    index = 0 if language == "nl" else 1
    pair = KINDS.get(notice.kind, KINDS["log-alert"])
    values = _Blanks({"subject": notice.subject, **notice.values})
    text = pair[index].format_map(values)
    since = notice.since.astimezone().strftime("%Y-%m-%d %H:%M")
    whole = _STAGES[notice.stage][index].format(text=text, since=since, count=notice.count)
    return sanitise(whole, _LONGEST)


def subject_line(notice: Notice, language: Language, hostname: str) -> str:
    """The subject of an alarm's mail: whose relay, and how its text begins."""
    return f"[{hostname}] {notice_text(notice, language)}"[:150]
