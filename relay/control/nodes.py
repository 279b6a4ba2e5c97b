"""The nodes that share the spool, as `relay status` and the page tell them."""

from __future__ import annotations

from collections.abc import Collection

from relay.control.documents import Document, time_text
from relay.spool.protocol import Spool


async def node_documents(spool: Spool) -> list[Document]:
    """One for each node of the last day; none where the spool has one process only. May raise
    SpoolError. `differs`: another configuration than that of the node that has lived longest."""
    nodes = await spool.nodes.listed()
    living = [each for each in nodes if not each.gone]
    reference = living[0].configuration if living else None
    return [
        {
            "id": each.id,
            "host": each.host,
            "boot_id": each.boot_id,
            "pid": each.pid,
            "version": each.version,
            "configuration": each.configuration,
            "differs": not each.gone and each.configuration != reference,
            "here": each.id == spool.nodes.id,
            "gone": each.gone,
            "started_at": time_text(each.started_at),
            "seen_at": time_text(each.seen_at),
            "leases": each.claims,
            "connections": each.connections,
            "messages_per_minute": each.messages_per_minute,
        }
        for each in nodes
    ]


def node_problems(nodes: Collection[Document]) -> list[Document]:
    """Nodes that work by another configuration than the rest."""
    differing = [
        {"host": each["host"], "pid": each["pid"], "configuration": each["configuration"]}
        for each in nodes
        if each["differs"]
    ]
    names = ", ".join(f"{each['host']} ({each['pid']})" for each in differing)
    return [{"id": "nodes-differ", "names": names, "nodes": differing}] if differing else []
