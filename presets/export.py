"""A preset as a document for JSON: complete, with the sources that its facts name."""

from collections.abc import Iterable, Mapping
from typing import Any

from presets.facts import Fact, Source, Sourced, Text
from presets.model import Endpoint, Legacy, Limit, OAuth2, OAuthFlow, Preset, SenderRule, Spf

Document = dict[str, Any]


def preset_document(preset: Preset) -> Document:
    """All of the preset. Every fact carries `sources`, `confidence` and `confirmed`.

    The keys stay the same from version to version; what is not known is null or empty.
    """
    status = preset.status
    return {
        "id": preset.id,
        "name": preset.name,
        "aliases": list(preset.aliases),
        "country": preset.country,
        "kind": preset.kind,
        "mail_domains": list(preset.mail_domains),
        "offer_as_preset": preset.offer_as_preset,
        "offer_reason": preset.offer_reason,
        **_text("advice", preset.advice_text),
        "gaps": list(preset.gaps),
        "status": {
            "state": status.state,
            **_text("value", status.text),
            "merged_into": status.merged_into,
            "merged_note": status.merged_note,
            "date": status.date,
            **_basis(status),
        },
        "endpoints": [_endpoint(endpoint) for endpoint in preset.endpoints],
        "sender_rule": _sender_rule(preset.sender_rule),
        "limits": {name: _limit(limit) for name, limit in preset.limits.items()},
        "oauth2": _oauth2(preset.oauth2),
        "app_password": _fact(preset.app_password),
        "password_end": _fact(preset.password_end),
        "spf": _spf(preset.spf),
        "dkim": _fact(preset.dkim),
        "port25": _fact(preset.port25),
        "errors": [
            {
                "code": reply.code,
                "text": reply.text,
                "meaning": reply.meaning,
                "action": reply.action,
                **_basis(reply),
            }
            for reply in preset.errors
        ],
        "legacy": _legacy(preset.legacy),
        "sources": {source.key: source_document(source) for source in _named(preset)},
    }


def source_document(source: Source) -> Document:
    """A source, and whether somebody else can open it."""
    return {
        "address": source.address,
        "date": source.date,
        "title": source.title,
        "kind": source.kind,
        "openable": source.openable,
    }


def _named(preset: Preset) -> Iterable[Source]:
    """The sources that the facts of a preset name, each once, in the order of the facts."""
    oauth2 = preset.oauth2
    facts: Iterable[Sourced | None] = (
        preset.status,
        *preset.endpoints,
        preset.sender_rule,
        *preset.limits.values(),
        *((*oauth2.facts.values(), *oauth2.flows) if oauth2 else ()),
        preset.app_password,
        preset.password_end,
        preset.spf,
        preset.dkim,
        preset.port25,
        *preset.errors,
        preset.legacy,
    )
    return dict.fromkeys(source for fact in facts if fact for source in fact.sources)


def _basis(fact: Sourced) -> Document:
    return {
        "confidence": fact.confidence,
        "confirmed": fact.confirmed,
        "sources": list(fact.source_keys),
        "source_dates": list(fact.source_dates),
    }


def _text(key: str, text: Text | None) -> Mapping[str, str | None]:
    return {key: text.en if text else None, f"{key}_nl": text.nl if text else None}


def _fact(fact: Fact | None) -> Document | None:
    if fact is None:
        return None
    return {"value": fact.value, "note": fact.note, "see": fact.see, **_basis(fact)}


def _endpoint(endpoint: Endpoint) -> Document:
    return {
        "host": endpoint.host,
        "blanks": list(endpoint.blanks),
        "port": endpoint.port,
        "tls": endpoint.tls,
        "starttls_optional": endpoint.starttls_optional,
        "auth": list(endpoint.auth),
        "username": endpoint.username,
        "preferred": endpoint.preferred,
        "note": endpoint.note,
        **_basis(endpoint),
    }


def _sender_rule(rule: SenderRule) -> Document:
    return {
        "must_match_account": rule.must_match_account,
        **_text("send_as", rule.send_as),
        **_text("note", rule.note),
        "auth_header": rule.auth_header,
        "see": rule.see,
        **_basis(rule),
    }


def _limit(limit: Limit) -> Document:
    return {
        "value": limit.value,
        "also": dict(limit.also),
        "note": limit.note,
        "reading": limit.reading,
        **_basis(limit),
    }


def _spf(spf: Spf | None) -> Document | None:
    if spf is None:
        return None
    return {
        "needed": spf.needed,
        "includes": list(spf.includes),
        **_text("condition", spf.condition),
        "other_includes": [
            {"name": other.name, **_text("when", other.when)} for other in spf.other_includes
        ],
        "networks": list(spf.networks),
        "own_address": spf.own_address,
        "seen_addresses": list(spf.seen_addresses),
        "own_domain": spf.own_domain,
        "note": spf.note,
        **_basis(spf),
    }


def _oauth2(oauth2: OAuth2 | None) -> Document | None:
    if oauth2 is None:
        return None
    facts = {name: _fact(fact) for name, fact in oauth2.facts.items()}
    flows = [_flow(flow) for flow in oauth2.flows]
    return {"tenants": list(oauth2.tenants), **facts, "flows": flows}


def _flow(flow: OAuthFlow) -> Document:
    return {
        "kind": flow.kind,
        "name": flow.name,
        "scopes": list(flow.scopes),
        "scopes_note": flow.scopes_note,
        "note": flow.note,
        **_basis(flow),
    }


def _legacy(legacy: Legacy | None) -> Document | None:
    if legacy is None:
        return None
    return {
        "server": legacy.server,
        "ip": legacy.ip,
        "port": legacy.port,
        "ports": list(legacy.ports),
        "security": legacy.security,
        "note": legacy.note,
        "date": legacy.date,
        **_basis(legacy),
    }
