"""Facts that belong to no single provider, and server names that old settings still hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from presets.facts import Fact, Sourced
from presets.sections import Sources, read_basis
from presets.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class OldHosts(Sourced):
    """Server names of the past, and the id of the preset that answers for each."""

    presets: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """`facts` by topic; `suggested_relay_defaults` is a proposal, not a sourced fact."""

    facts: Mapping[str, tuple[Fact, ...]]
    old_hosts: OldHosts
    suggested_relay_defaults: Mapping[str, int | str]


def read_topics(data: Mapping[str, Any], file: str, sources: Sources) -> Topics:
    """The topics of the file. Raises PresetError."""
    facts: dict[str, tuple[Fact, ...]] = {}
    with Table(data, file) as top:
        for opened in top.tables("topic"):
            with opened as table:
                name, text = table.text("name"), table.text("fact")
                fact = Fact(value=text, **read_basis(table, sources))
                facts[name] = (*facts.get(name, ()), fact)
        return Topics(
            facts=MappingProxyType(facts),
            old_hosts=_old_hosts(top.table("old_hosts"), sources),
            suggested_relay_defaults=_defaults(top.table("suggested_relay_defaults")),
        )


def _old_hosts(opened: Table, sources: Sources) -> OldHosts:
    with opened as table, table.table("names") as hosts:
        presets = {host: hosts.text(host) for host in hosts.names()}
        return OldHosts(presets=MappingProxyType(presets), **read_basis(table, sources))


def _defaults(opened: Table) -> Mapping[str, int | str]:
    with opened as table:
        return MappingProxyType(
            {
                key: table.text(key) if table.holds_text(key) else table.integer(key)
                for key in table.names()
            }
        )
