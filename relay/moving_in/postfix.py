"""A Postfix configuration, read as the parts of a `relay.toml`.

Every parameter that main.cf sets ends in one of three lists: taken over, of no meaning here, or
not understood. Nothing is left out without a word.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relay.config.model import TlsMode
from relay.config.server import neighbourhood
from relay.moving_in.letter import Note
from relay.moving_in.postfix_access import Access, read_access
from relay.moving_in.postfix_file import Parameters, Service, read_main, read_master
from relay.moving_in.postfix_route import Hop, Routing, SenderRoute

_TAKEN = """
    relayhost smtp_fallback_relay smtp_sasl_auth_enable smtp_sasl_password_maps mynetworks
    sender_dependent_relayhost_maps smtp_sender_dependent_authentication smtp_generic_maps
    sender_canonical_maps canonical_maps myhostname mydomain myorigin inet_interfaces
    inet_protocols message_size_limit maximal_queue_lifetime smtpd_recipient_limit always_bcc
    smtp_tls_security_level smtp_use_tls smtp_enforce_tls smtp_tls_wrappermode smtp_tls_CAfile
    smtp_tls_cert_file smtp_tls_key_file smtpd_tls_cert_file smtpd_tls_key_file
    smtpd_tls_security_level smtpd_use_tls smtpd_sasl_auth_enable
    smtp_destination_concurrency_limit smtp_destination_recipient_limit
    smtp_destination_rate_delay
"""
_NO_MEANING = """
    alias_database alias_maps append_at_myorigin append_dot_mydomain biff bounce_queue_lifetime
    broken_sasl_auth_clients command_directory compatibility_level daemon_directory
    data_directory debug_peer_level debug_peer_list debugger_command delay_warning_time
    disable_vrfy_command enable_long_queue_ids html_directory inet_protocols local_recipient_maps
    local_transport mail_owner mail_spool_directory mailbox_command mailbox_size_limit
    mailq_path manpage_directory maillog_file meta_directory minimal_backoff_time
    maximal_backoff_time mynetworks_style newaliases_path owner_request_special queue_directory
    queue_run_delay readme_directory recipient_delimiter sample_directory sendmail_path setgid_group
    shlib_directory smtp_sasl_mechanism_filter smtp_sasl_security_options smtp_sasl_type
    smtp_sasl_tls_security_options smtp_tls_CApath smtp_tls_loglevel smtp_tls_mandatory_protocols
    smtp_tls_note_starttls_offer smtp_tls_protocols smtp_tls_session_cache_database
    smtpd_banner smtpd_helo_required smtpd_sasl_authenticated_header smtpd_sasl_local_domain
    smtpd_sasl_path smtpd_sasl_security_options smtpd_sasl_type smtpd_tls_CApath
    smtpd_tls_auth_only smtpd_tls_loglevel smtpd_tls_received_header
    smtpd_tls_session_cache_database smtp_use_tls tls_random_source unknown_local_recipient_reject_code
"""
TAKEN = frozenset(_TAKEN.split())
NO_MEANING = frozenset(_NO_MEANING.split())
# What these say is this relay's own rule: only listed machines may send, to anybody.
_OUR_RULE = re.compile(r"smtpd_(?:relay|recipient|client|sender|helo|data)_restrictions")
_OUR_WORDS = {
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "defer_unauth_destination",
    "reject_unauth_destination",
    "reject",
    "permit",
}
_DAYS = re.compile(r"([1-9]\d*)([smhdw]?)")
_SECRET = re.compile(r"pass|sasl|secret|maps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What was understood; `taken` names the parameters it comes from, with their values."""

    hostname: str | None
    lifetime: str | None
    access: Access
    listener_pair: tuple[str, str] | None
    max_message_bytes: int | None
    any_login: bool
    hops: tuple[Hop, ...]
    routes: tuple[SenderRoute, ...]
    everybody: str | None
    bcc: str | None
    tls: TlsMode
    ca_file: str | None
    client_pair: tuple[str, str] | None
    limits: Mapping[str, int] = field(default_factory=dict)
    taken: tuple[tuple[str, str], ...] = ()
    no_meaning: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def read_postfix(directory: Path) -> Office:
    """All of it. Raises OSError: main.cf cannot be read."""
    raw = read_main((directory / "main.cf").read_text(encoding="utf-8", errors="replace"))
    parameters = Parameters(raw, _defaults(raw, directory))
    try:
        services = read_master((directory / "master.cf").read_text("utf-8", "replace"))
    except OSError as error:
        services, trouble = [], [Note("master", {"reason": error.strerror or error})]
    else:
        trouble = []
    return _office(parameters, services, trouble)


def _defaults(raw: Mapping[str, str], directory: Path) -> dict[str, str]:
    name = raw.get("myhostname") or socket.gethostname()
    return {
        "myhostname": name,
        "mydomain": name.partition(".")[2] or "localdomain",
        "myorigin": "$myhostname",
        "config_directory": str(directory),
        "mail_name": "Postfix",
    }


def _office(parameters: Parameters, services: list[Service], trouble: list[Note]) -> Office:
    access = read_access(parameters, services)
    routing = Routing(parameters)
    hops, routes = routing.default(), tuple(routing.routes())
    used = [*hops, *(hop for route in routes for hop in route.hops)]
    tls, tls_notes = _tls(parameters, used)
    notes = [*trouble, *access.notes, *routing.notes, *tls_notes, *_mx_notes(used)]
    notes += _unknown(parameters)
    size = parameters.value("message_size_limit")
    return Office(
        hostname=parameters.value("myhostname") if "myhostname" in parameters else None,
        lifetime=_duration(parameters.value("maximal_queue_lifetime")),
        access=access,
        listener_pair=_pair(parameters, "smtpd"),
        max_message_bytes=int(size) if size.isdecimal() and int(size) else None,
        any_login=parameters.on("smtpd_sasl_auth_enable"),
        hops=hops,
        routes=routes,
        everybody=routing.everybody,
        bcc=parameters.value("always_bcc") or None,
        tls=tls,
        ca_file=parameters.value("smtp_tls_CAfile") or None,
        client_pair=_pair(parameters, "smtp"),
        limits=_limits(parameters),
        taken=tuple(
            (name, _shown(name, parameters.value(name))) for name in parameters.raw if name in TAKEN
        ),
        no_meaning=tuple(name for name in parameters.raw if name in NO_MEANING - TAKEN),
        notes=_once(notes),
    )


def _tls(parameters: Parameters, hops: list[Hop]) -> tuple[TlsMode, list[Note]]:
    level = parameters.value("smtp_tls_security_level")
    if not level and parameters.on("smtp_enforce_tls"):
        level = "encrypt"
    if not level and parameters.on("smtp_use_tls"):
        level = "may"
    if parameters.on("smtp_tls_wrappermode"):
        return TlsMode.IMPLICIT, []
    if level in ("", "none"):
        if all(
            neighbourhood(hop.destination.host) != "public" and hop.login is None for hop in hops
        ):
            return TlsMode.NONE, []
        return TlsMode.STARTTLS, [Note("tls-none")]
    return TlsMode.STARTTLS, [Note("tls-verified")] if level in ("may", "encrypt") else []


def _mx_notes(hops: list[Hop]) -> Iterator[Note]:
    for hop in hops:
        if hop.destination.looks_up_mx:
            yield Note("mx", {"host": hop.destination.host})


def _pair(parameters: Parameters, side: str) -> tuple[str, str] | None:
    """Certificate and key, where Postfix uses them."""
    level = parameters.value("smtpd_tls_security_level")
    if side == "smtpd" and level not in ("may", "encrypt") and not parameters.on("smtpd_use_tls"):
        return None
    certificate = parameters.value(f"{side}_tls_cert_file")
    if not certificate or certificate == "none":
        return None
    return certificate, parameters.value(f"{side}_tls_key_file") or certificate


def _limits(parameters: Parameters) -> dict[str, int]:
    found = {}
    for name, key in (
        ("smtp_destination_concurrency_limit", "max_connections"),
        ("smtp_destination_recipient_limit", "max_recipients"),
    ):
        value = parameters.value(name)
        if value.isdecimal() and int(value):
            found[key] = int(value)
    delay = re.fullmatch(r"([1-9]\d*)(s|m)?", parameters.value("smtp_destination_rate_delay"))
    if delay is not None:
        # One message, then a wait of so long, each over one connection.
        seconds = int(delay[1]) * (60 if delay[2] == "m" else 1)
        found |= {"messages_per_minute": max(1, 60 // seconds), "max_connections": 1}
    return found


def _duration(text: str) -> str | None:
    found = _DAYS.fullmatch(text)
    if found is None:
        return None
    number, unit = int(found[1]), found[2] or "d"
    return f"{number * 7}d" if unit == "w" else f"{number}{unit}"


def _unknown(parameters: Parameters) -> Iterator[Note]:
    used = {name for each in TAKEN & parameters.raw.keys() for name in parameters.names(each)}
    for name in parameters.raw:
        value = parameters.value(name)
        if name in TAKEN or name in NO_MEANING or name in used or not value:
            continue
        if _OUR_RULE.fullmatch(name) and set(parameters.words(name)) <= _OUR_WORDS:
            continue
        if name == "mydestination":
            if {word.rpartition(".")[2] for word in parameters.words(name)} <= {"localhost"}:
                continue
            yield Note("mydestination", {"value": value})
            continue
        yield Note("parameter", {"name": name, "value": _shown(name, value)})


def _shown(name: str, value: str) -> str:
    """A table written out in its parameter may hold passwords."""
    if _SECRET.search(name) and re.search(r"[{]|static:|inline:", value):
        return value.partition(":")[0] + ":.."
    return value


def _once(notes: list[Note]) -> tuple[Note, ...]:
    found = {(note.slug, tuple(map(str, note.values.values()))): note for note in notes}
    return tuple(found.values())
