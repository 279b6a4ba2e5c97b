"""The sections of a provider's file, each read into its part of the Preset."""

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Literal, TypedDict, get_args

from presets.facts import CONFIDENCES, Confidence, Fact, Source, Text
from presets.model import (
    Endpoint,
    FlowKind,
    KnownReply,
    Legacy,
    Limit,
    OAuth2,
    OAuthFlow,
    OtherInclude,
    SenderRule,
    Spf,
    Status,
    Tls,
)
from presets.table import Table

Sources = Mapping[str, Source]

OAUTH_FACTS = (
    "sasl",
    "authority",
    "issuer",
    "authorize_endpoint",
    "token_endpoint",
    "device_code_endpoint",
    "device_verification_uri",
    "admin_consent_endpoint",
    "scope",
    "registration",
    "app_verification",
    "server_prerequisite",
)
_STATES = ("active", "merged", "discontinued", "legacy", "unclear")
_UNIT = re.compile(r"(_bytes|_connections|_per_(10_)?[a-z]+s?)$")


class _Basis(TypedDict):
    sources: tuple[Source, ...]
    confidence: Confidence


def read_basis(table: Table, sources: Sources) -> _Basis:
    """Sources and confidence, which no fact goes without. Raises PresetError."""
    confidence = table.choice("confidence", CONFIDENCES)
    keys = table.texts("sources")
    if not keys:
        raise table.error("sources", "is missing: a fact without a source is no fact")
    for key in keys:
        if key not in sources:
            raise table.error("sources", f"{key!r} is not in sources.toml")
    return {"sources": tuple(sources[key] for key in keys), "confidence": confidence}


def read_text(table: Table, key: str) -> Text | None:
    if key not in table:
        return None
    return Text(table.text(key), table.text_or_none(f"{key}_nl"))


def read_fact(opened: Table, sources: Sources) -> Fact:
    with opened as table:
        if "see" in table:
            return Fact(value=None, see=table.text("see"), **read_basis(table, sources))
        value, note = table.text_or_none("value"), table.text_or_none("note")
        if value is None and note is None:
            raise table.error("value", "is missing, and there is no note either")
        return Fact(value=value, note=note, **read_basis(table, sources))


def read_fact_or_none(top: Table, key: str, sources: Sources) -> Fact | None:
    return read_fact(top.table(key), sources) if key in top else None


def read_day_or_none(top: Table, key: str, sources: Sources) -> Fact | None:
    """A fact whose value is a day, such as 2026-12-31. Raises PresetError."""
    fact = read_fact_or_none(top, key, sources)
    if fact is not None and not _is_day(fact.value):
        raise top.error(key, f"{fact.value!r} is no day: write it as 2026-12-31")
    return fact


def _is_day(value: str | None) -> bool:
    try:
        date.fromisoformat(value or "")
    except ValueError:
        return False
    return True


def read_status(opened: Table, sources: Sources) -> Status:
    with opened as table:
        state = table.text("state")
        if not state.startswith(_STATES):
            raise table.error("state", f"must begin with one of {', '.join(_STATES)}")
        if (state == "merged") != ("merged_into" in table):
            raise table.error("merged_into", "belongs to the state merged, and only to it")
        return Status(
            state=state,
            text=Text(table.text("value"), table.text("value_nl")),
            merged_into=table.text_or_none("merged_into"),
            merged_note=table.text_or_none("merged_note"),
            date=table.text_or_none("date"),
            **read_basis(table, sources),
        )


def read_endpoint(opened: Table, sources: Sources) -> Endpoint:
    with opened as table:
        port = table.integer("port")
        if not 0 < port < 65536:
            raise table.error("port", f"{port} is no port")
        return Endpoint(
            host=table.text("host"),
            port=port,
            tls=table.choice("tls", get_args(Tls)),
            auth=table.texts("auth"),
            username=table.text("username"),
            starttls_optional=table.flag("starttls_optional"),
            preferred=table.flag("preferred"),
            note=table.text_or_none("note"),
            **read_basis(table, sources),
        )


def read_sender_rule(opened: Table, sources: Sources) -> SenderRule:
    with opened as table:
        if "see" in table:
            see, basis = table.text("see"), read_basis(table, sources)
            return SenderRule(must_match_account=None, see=see, **basis)
        return SenderRule(
            must_match_account=_must_match(table),
            send_as=read_text(table, "send_as"),
            note=read_text(table, "note"),
            auth_header=table.text_or_none("auth_header"),
            **read_basis(table, sources),
        )


def _must_match(table: Table) -> bool | Literal["rewritten"] | None:
    key = "must_match_account"
    if key not in table:
        return None
    if table.holds_text(key):
        rewritten: Literal["rewritten"] = "rewritten"
        return table.choice(key, (rewritten,))
    return table.flag(key)


def read_limits(whole: Table, sources: Sources) -> Mapping[str, Limit]:
    limits: dict[str, Limit] = {}
    names: set[str] = set()
    for name in whole.names():
        with whole.table(name) as table:
            limit = _limit(name, table, sources)
        numbers = [*limit.also, *([name] if limit.value is not None else [])]
        for number in numbers:
            if not _UNIT.search(number):
                raise whole.error(f"{name}.{number}", "the name of a number ends in its unit")
            if number in names:
                raise whole.error(f"{name}.{number}", "is given twice")
            names.add(number)
        limits[name] = limit
    return MappingProxyType(limits)


def _limit(name: str, table: Table, sources: Sources) -> Limit:
    also: dict[str, int] = {}
    if "also" in table:
        with table.table("also") as numbers:
            also = {key: numbers.integer(key) for key in numbers.names()}
    value = table.integer("value") if "value" in table else None
    if any(number <= 0 for number in (*also.values(), *([] if value is None else [value]))):
        raise table.error("value", "must be above 0")
    note = table.text_or_none("note")
    if value is None and note is None:
        raise table.error("value", "is missing, and there is no note either")
    return Limit(
        name=name,
        value=value,
        also=MappingProxyType(also),
        note=note,
        reading=table.text_or_none("reading"),
        **read_basis(table, sources),
    )


def read_spf(opened: Table, sources: Sources) -> Spf:
    with opened as table:
        includes, networks = table.texts("includes"), table.texts("networks")
        needed = table.flag_or_none("needed")
        if needed is not None and (includes or networks):
            raise table.error("needed", "follows from includes and networks: leave it out")
        return Spf(
            needed=True if includes or networks else needed,
            includes=includes,
            networks=networks,
            own_domain=table.text("own_domain"),
            condition=read_text(table, "condition"),
            other_includes=tuple(_other_include(it) for it in table.tables("other_include")),
            own_address=table.flag("own_address"),
            seen_addresses=table.texts("seen_addresses"),
            note=table.text_or_none("note"),
            **read_basis(table, sources),
        )


def _other_include(opened: Table) -> OtherInclude:
    with opened as table:
        return OtherInclude(table.text("name"), Text(table.text("when"), table.text("when_nl")))


def read_oauth2(opened: Table, sources: Sources) -> OAuth2:
    with opened as table:
        return OAuth2(
            tenants=table.texts("tenants"),
            facts=MappingProxyType(
                {
                    name: read_fact(table.table(name), sources)
                    for name in OAUTH_FACTS
                    if name in table
                }
            ),
            flows=tuple(_flow(flow, sources) for flow in table.tables("flow")),
        )


def _flow(opened: Table, sources: Sources) -> OAuthFlow:
    with opened as table:
        return OAuthFlow(
            kind=table.choice("kind", get_args(FlowKind)),
            name=table.text("name"),
            scopes=table.texts("scopes"),
            scopes_note=table.text_or_none("scopes_note"),
            note=table.text_or_none("note"),
            **read_basis(table, sources),
        )


def read_known_reply(opened: Table, sources: Sources) -> KnownReply:
    with opened as table:
        return KnownReply(
            code=table.text("code"),
            text=table.text("text"),
            meaning=table.text("meaning"),
            action=table.text("action"),
            **read_basis(table, sources),
        )


def read_legacy(opened: Table, sources: Sources) -> Legacy:
    with opened as table:
        return Legacy(
            server=table.text("server"),
            ip=table.text_or_none("ip"),
            ports=table.integers("ports"),
            security=table.text_or_none("security"),
            note=table.text_or_none("note"),
            date=table.text("date"),
            **read_basis(table, sources),
        )
