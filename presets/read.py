"""One provider's TOML file to its Preset, checked key by key."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from presets.facts import Source, Text
from presets.model import Preset
from presets.sections import (
    Sources,
    read_day_or_none,
    read_endpoint,
    read_fact_or_none,
    read_known_reply,
    read_legacy,
    read_limits,
    read_oauth2,
    read_sender_rule,
    read_spf,
    read_status,
)
from presets.table import Table

_KINDS = ("isp", "hosting", "cloud", "transactional", "application")


def read_sources(data: Mapping[str, Any], file: str) -> Sources:
    """The sources by key. Raises PresetError."""
    found: dict[str, Source] = {}
    whole = Table(data, file)
    for key in whole.names():
        with whole.table(key) as table:
            found[key] = Source(
                key=key,
                address=table.text("address"),
                date=table.text_or_none("date"),
                title=table.text("title"),
                kind=table.text("kind"),
            )
    return MappingProxyType(found)


def read_preset(id_: str, data: Mapping[str, Any], file: str, sources: Sources) -> Preset:
    """The preset of a file; `see` in it is not yet followed. Raises PresetError."""
    with Table(data, file) as top:
        endpoints = tuple(read_endpoint(table, sources) for table in top.tables("endpoint"))
        if sum(endpoint.preferred for endpoint in endpoints) > 1:
            raise top.error("endpoint", "more than one is preferred")
        return Preset(
            id=id_,
            name=top.text("name"),
            aliases=top.texts("aliases"),
            country=top.text("country"),
            kind=top.choice("kind", _KINDS),
            mail_domains=top.texts("mail_domains"),
            offer_as_preset=top.flag("offer_as_preset"),
            offer_reason=top.text("offer_reason"),
            advice_text=Text(top.text("advice"), top.text("advice_nl")),
            gaps=top.texts("gaps"),
            status=read_status(top.table("status"), sources),
            endpoints=endpoints,
            sender_rule=read_sender_rule(top.table("sender_rule"), sources),
            limits=read_limits(top.table("limits"), sources) if "limits" in top else {},
            spf=read_spf(top.table("spf"), sources) if "spf" in top else None,
            dkim=read_fact_or_none(top, "dkim", sources),
            port25=read_fact_or_none(top, "port25", sources),
            app_password=read_fact_or_none(top, "app_password", sources),
            password_end=read_day_or_none(top, "password_end", sources),
            oauth2=read_oauth2(top.table("oauth2"), sources) if "oauth2" in top else None,
            errors=tuple(read_known_reply(table, sources) for table in top.tables("error")),
            legacy=read_legacy(top.table("legacy"), sources) if "legacy" in top else None,
        )
