"""Every fact of the research file against what the catalog gives out as JSON.

The research file lies beside the repository. Where it is missing, the digest in `data/facts.tsv`
that was made from it stands in, so that the comparison never falls away. Run as a program, this
file writes the digest anew: from the research file, or from the catalog where that is missing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from presets.catalog import catalog

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "providers.json"
DIGEST = Path(__file__).parent / "data" / "facts.tsv"

Row = tuple[str, str, str, str, str]
Document = dict[str, Any]


def digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def row(owner: str, path: str, fact: Document, value: object) -> Row:
    return owner, path, fact["confidence"], ",".join(fact["sources"]), digest(value)


def without(fact: Document, *keys: str) -> Document:
    """The fact's own keys, without those that are empty and those that `row` takes."""
    return {
        key: value
        for key, value in fact.items()
        if key not in ("confidence", "sources", *keys) and value is not None
    }


# What the research file says.


def reference_rows(reference: Document) -> Iterator[Row]:
    for key, source in reference["sources"].items():
        yield "(sources)", key, "", "", digest(source)
    for topic, facts in [*reference["topics"].items(), *general_topics(reference)]:
        for fact in facts:
            yield row("(topics)", topic, fact, fact["fact"])
    old = reference["legacy_host_to_provider"]["other_names"]
    yield row("(topics)", "old_hosts", old, old["map"])
    defaults = reference["general"]["suggested_relay_defaults"]
    yield "(topics)", "suggested_relay_defaults", "", "", digest(defaults)
    for host, ids in reference["legacy_host_to_provider"]["from_seeds"].items():
        yield "(seed hosts)", host, "", "", digest(sorted(ids))
    for provider in reference["providers"]:
        yield from provider_rows(provider)


def general_topics(reference: Document) -> Iterator[tuple[str, list[Document]]]:
    for topic, facts in reference["general"].items():
        if isinstance(facts, list):
            yield topic, facts


PLAIN_KEYS = (
    "id",
    "name",
    "aliases",
    "country",
    "kind",
    "mail_domains",
    "offer_as_preset",
    "offer_reason",
    "advice",
    "gaps",
)


def provider_rows(provider: Document) -> Iterator[Row]:
    id_ = provider["id"]
    yield id_, "plain", "", "", digest({key: provider[key] for key in PLAIN_KEYS})
    yield row(id_, "status", provider["status"], without(provider["status"]))
    for endpoint in provider["smtp"]:
        yield row(id_, "endpoint", endpoint, without(endpoint))
    if provider["seed"]:
        yield row(id_, "legacy", provider["seed"], without(provider["seed"], "legacy"))
    for error in provider["errors"]:
        yield row(id_, "error", error, without(error))
    for limit in provider["limits"].values():
        yield row(id_, "limit", limit, limit["value"])
    for key in ("sender_rule", "app_password", "spf", "dkim", "port25"):
        fact = provider[key]
        if fact:
            value = fact["value"]
            yield row(id_, key, fact, without(value) if isinstance(value, dict) else value)
    yield from provider_oauth_rows(id_, provider["oauth2"] or {})


def provider_oauth_rows(id_: str, oauth2: Document) -> Iterator[Row]:
    for key, fact in oauth2.items():
        if key == "flows":
            for flow in fact:
                yield row(id_, "oauth2.flow", flow, without(flow))
        elif fact is not None:
            yield row(id_, f"oauth2.{key}", fact, fact["value"])


# The same from the catalog: each value in the words of the research file.


def catalog_rows() -> Iterator[Row]:
    presets = catalog()
    for key, source in presets.sources.items():
        value = {
            "address": source.address,
            "date": source.date,
            "title": source.title,
            "kind": source.kind,
        }
        yield "(sources)", key, "", "", digest(value)
    for topic, facts in presets.topics.items():
        for fact in facts:
            basis = {"confidence": fact.confidence, "sources": fact.source_keys}
            yield row("(topics)", topic, basis, fact.value)
    old = presets.old_hosts
    basis = {"confidence": old.confidence, "sources": old.source_keys}
    yield row("(topics)", "old_hosts", basis, dict(old.presets))
    defaults = dict(presets.suggested_relay_defaults)
    yield "(topics)", "suggested_relay_defaults", "", "", digest(defaults)
    servers: dict[str, list[str]] = {}
    for preset in presets:
        document = json.loads(json.dumps(presets.as_json(preset)))
        yield from document_rows(document)
        if document["legacy"]:
            servers.setdefault(document["legacy"]["server"], []).append(preset.id)
    for host, ids in servers.items():
        yield "(seed hosts)", host, "", "", digest(sorted(ids))


def said(fact: Document) -> object:
    """The source's own words: the note, unless the value is all there is."""
    return fact["value"] if fact["note"] is None else fact["note"]


def document_rows(document: Document) -> Iterator[Row]:
    id_ = document["id"]
    yield id_, "plain", "", "", digest({key: document[key] for key in PLAIN_KEYS})
    status = document["status"]
    value = {key: status[key] for key in ("state", "value", "merged_into", "date")}
    value["merged_into"] = status["merged_note"] or status["merged_into"]
    yield row(id_, "status", status, without(value))
    for endpoint in document["endpoints"]:
        yield row(id_, "endpoint", endpoint, endpoint_value(endpoint))
    legacy = document["legacy"]
    if legacy:
        yield row(id_, "legacy", legacy, legacy_value(legacy))
    for error in document["errors"]:
        value = {key: error[key] for key in ("code", "text", "meaning", "action")}
        yield row(id_, "error", error, value)
    for limit in document["limits"].values():
        yield row(id_, "limit", limit, said(limit))
    yield row(id_, "sender_rule", document["sender_rule"], rule_value(document["sender_rule"]))
    for key in ("app_password", "dkim", "port25"):
        fact = document[key]
        if fact:
            yield row(id_, key, fact, {"see": fact["see"]} if fact["see"] else said(fact))
    spf = document["spf"]
    if spf:
        value = {key: spf[key] or None for key in ("own_domain", "seen_addresses", "note")}
        yield row(id_, "spf", spf, without(value))
    yield from document_oauth_rows(id_, document["oauth2"] or {})


def document_oauth_rows(id_: str, oauth2: Document) -> Iterator[Row]:
    for key, fact in oauth2.items():
        if key == "flows":
            for flow in fact:
                yield row(id_, "oauth2.flow", flow, flow_value(flow))
        elif key != "tenants":
            yield row(id_, f"oauth2.{key}", fact, said(fact))


def endpoint_value(endpoint: Document) -> Document:
    security = {"implicit": "tls"}.get(endpoint["tls"], endpoint["tls"])
    value = {key: endpoint[key] for key in ("host", "port", "auth", "username", "note")}
    value["security"] = "starttls-optional" if endpoint["starttls_optional"] else security
    value["preferred"] = endpoint["preferred"] or None
    return without(value)


def legacy_value(legacy: Document) -> Document:
    value = {key: legacy[key] for key in ("server", "ip", "port", "security")}
    return without({**value, "notes": legacy["note"], "source_date": legacy["date"]})


def rule_value(rule: Document) -> Document:
    if rule["see"]:
        return {"see": rule["see"]}
    keys = ("must_match_account", "send_as", "note", "auth_header")
    return without({key: rule[key] for key in keys})


def flow_value(flow: Document) -> Document:
    scopes = flow["scopes_note"] or " ".join(flow["scopes"]) or None
    return without({"flow": flow["name"], "scopes": scopes, "note": flow["note"]})


# The comparison.


def load_reference() -> Document:
    document: Document = json.loads(REFERENCE.read_text(encoding="utf-8"))
    return document


def load_digest() -> list[Row]:
    rows = []
    for line in DIGEST.read_text(encoding="utf-8").splitlines()[1:]:
        owner, path, confidence, sources, value = line.split("\t")
        rows.append((owner, path, confidence, sources, value))
    return rows


def write_digest() -> None:
    head = ("provider", "fact", "confidence", "sources", "value_sha256")
    rows = [head, *(reference_rows(load_reference()) if REFERENCE.exists() else catalog_rows())]
    DIGEST.write_text("".join("\t".join(it) + "\n" for it in rows), encoding="utf-8")


def expected_rows() -> list[Row]:
    return list(reference_rows(load_reference())) if REFERENCE.exists() else load_digest()


def test_every_fact_with_its_confidence_and_sources_is_in_the_catalog() -> None:
    expected, found = Counter(expected_rows()), Counter(catalog_rows())
    assert sorted(expected - found) == []
    assert sorted(found - expected) == []


def test_the_digest_is_that_of_the_reference() -> None:
    rows = load_digest()
    assert len({owner for owner, *_ in rows if not owner.startswith("(")}) == len(catalog())
    if REFERENCE.exists():
        assert rows == list(reference_rows(load_reference()))


@pytest.mark.parametrize(("confidence", "count"), [("high", 246), ("medium", 159), ("low", 135)])
def test_the_catalog_holds_as_many_facts_as_the_research_counted(
    confidence: str, count: int
) -> None:
    # The research counted neither its general hosting advice nor its list of old servers.
    outside = ("dutch_directadmin_hosting", "old_hosts")
    assert sum(it[2] == confidence and it[1] not in outside for it in catalog_rows()) == count


if __name__ == "__main__":
    write_digest()
