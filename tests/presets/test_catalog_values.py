"""What the catalog makes of the facts: confirmed or not, numbers, endpoints, SPF, seed values."""

import ipaddress
import json
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

from presets.catalog import Catalog, catalog
from presets.facts import Source
from presets.model import Preset

PRESETS = catalog()
ALL = list(PRESETS)
FOLDER = Path(__file__).parents[2] / "presets"


def source(address: str, kind: str) -> Source:
    return Source(key="X", address=address, date=None, title="x", kind=kind)


def test_there_are_63_presets_in_order_of_id() -> None:
    assert len(PRESETS) == len(ALL) == 63
    assert [preset.id for preset in ALL] == sorted(preset.id for preset in ALL)


@pytest.mark.parametrize(
    ("address", "kind", "openable"),
    [
        ("https://support.google.com/a/answer/166852", "page", True),
        ("http://docs.aws.amazon.com/ses/x.html", "page", True),
        ("github:thunderbird/autoconfig:ispdb/ziggo.nl.xml", "repo file", True),
        ("seed document: Compad Bakkerij", "seed", True),
        ("(from memory, not looked up)", "memory", False),
        ("public code public source code", "public source code", False),
        ("public code public source code", "mail headers", False),
        ("public source code: _spf.hostnet.nl; _spf.strato.com", "public source code", False),
    ],
)
def test_a_source_that_nobody_can_open_is_not_openable(
    address: str, kind: str, openable: bool
) -> None:
    assert source(address, kind).openable is openable


def test_which_of_the_138_sources_can_be_opened() -> None:
    closed = [it for it in PRESETS.sources.values() if not it.openable]
    assert len(PRESETS.sources) == 138
    kinds = {it.kind for it in closed}
    assert kinds == {"memory", "public source code", "mail headers"}
    assert len(closed) == 1 + 28 + 7


def test_high_confidence_without_a_source_to_open_is_not_confirmed() -> None:
    endpoint = PRESETS.get("transip").endpoint()
    assert endpoint is not None
    assert (endpoint.confidence, endpoint.confirmed) == ("high", False)


def test_low_confidence_is_not_confirmed_whatever_the_source() -> None:
    status = PRESETS.get("scarlet-nl").status
    assert status.sources[0].openable
    assert (status.confidence, status.confirmed) == ("low", False)


def test_one_source_to_open_is_enough() -> None:
    assert PRESETS.get("ziggo").status.source_keys == ("ISPDB_ZIGGO", "ZIGHDR")
    assert PRESETS.get("ziggo").status.confirmed


def test_every_fact_carries_the_dates_of_its_sources() -> None:
    endpoint = PRESETS.get("ziggo").endpoint(587)
    assert endpoint is not None
    assert endpoint.source_dates == ("2024-01-03",)
    shown = PRESETS.as_json(PRESETS.get("ziggo"))
    assert shown["endpoints"][0]["source_dates"] == ["2024-01-03"]
    assert shown["sources"]["ISPDB_ZIGGO"]["openable"] is True
    assert shown["sources"]["MEM"]["openable"] is False


SEED = [
    ("ziggo", "smtp.ziggo.nl", "212.54.42.9", 25),
    ("telfort", "smtp.telfort.nl", "213.75.63.9", 25),
    ("kpn", "mail.kpnmail.nl", "213.75.63.13", 25),
    ("planet", "mail.kpnmail.nl", "213.75.63.13", 25),
    ("scarlet-nl", "mail.scarlet.nl", "213.204.195.149", 25),
    ("upc", "smtp.upcmail.nl", "213.46.255.2", 25),
    ("tele2", "smtp.tele2.nl", "212.247.156.14", 25),
    ("versatel", "smtp.versatel.nl", "62.58.50.46", 25),
    ("zonnet", "smtp.versatel.nl", "62.58.50.46", 25),
    ("online-nl", "smtp.online.nl", "194.134.41.21", 25),
    ("microsoft365", "smtp.office365.com", None, 587),
    ("outlook-com", "smtp-mail.outlook.com", None, "25 / 587"),
    ("live", "smtp.live.com", None, 587),
    ("gmail", "smtp.gmail.com", None, 587),
    ("ordernow", "OrderNow mail server", "84.246.4.155", None),
]


@pytest.mark.parametrize(("id_", "server", "ip", "port"), SEED)
def test_the_seed_documents_values_are_kept(
    id_: str, server: str, ip: str | None, port: int | str | None
) -> None:
    legacy = PRESETS.get(id_).legacy
    assert legacy is not None
    assert (legacy.server, legacy.ip, legacy.port) == (server, ip, port)
    assert (legacy.date, legacy.confirmed) == ("2015-11-18", True)


def test_nothing_else_claims_to_be_of_the_seed_documents() -> None:
    assert {preset.id for preset in ALL if preset.legacy} == {row[0] for row in SEED}


@pytest.mark.parametrize(
    ("id_", "name", "value"),
    [
        ("microsoft365", "messages_per_minute", 30),
        ("microsoft365", "recipients_per_day", 10_000),
        ("microsoft365", "recipients_per_message", 500),
        ("microsoft365", "concurrent_connections", 3),
        ("microsoft365", "message_size_bytes", None),
        ("microsoft365", "attachment_size_bytes", 25_000_000),
        ("gmail", "messages_per_day", 500),
        ("gmail", "seed_2015_messages_per_day", 99),
        ("gmail", "recipients_per_message", 100),
        ("gmail", "message_size_bytes", 25_000_000),
        ("google-workspace", "messages_per_day", 2_000),
        ("google-workspace", "recipients_per_day", 10_000),
        ("google-workspace", "external_recipients_per_day", 3_000),
        ("google-smtp-relay", "messages_per_day", 10_000),
        ("azure-communication-email", "messages_per_hour", 100),
        ("proximus", "recipients_per_message", 10),
        ("ionos", "messages_per_hour", 500),
        ("ionos", "first_week_messages_per_hour", 50),
        ("infomaniak", "recipients_per_day", 500),
        ("fastmail", "messages_per_day", None),
        ("brevo", "messages_per_day", None),
        ("brevo", "free_plan_messages_per_day", 300),
        ("scaleway-tem", "message_size_bytes", 50_000_000),
        ("ziggo", "messages_per_day", None),
    ],
)
def test_limits_are_integers_with_the_unit_in_the_name(
    id_: str, name: str, value: int | None
) -> None:
    assert PRESETS.get(id_).limit(name) == value


def test_a_number_read_from_words_keeps_the_words() -> None:
    limit = PRESETS.get("icloud").limits["message_size_bytes"]
    assert limit.note == "20 MB"
    assert limit.reading is not None
    assert "1,000,000 bytes" in limit.reading


@pytest.mark.parametrize(
    ("id_", "port", "host", "tls"),
    [
        ("ziggo", None, "smtp.ziggo.nl", "starttls"),
        ("ziggo", 465, "smtp.ziggo.nl", "implicit"),
        ("kpn", None, "smtp.kpnmail.nl", "implicit"),
        ("kpn", 587, "smtp.kpnmail.nl", "starttls"),
        ("microsoft365", 25, "smtp.office365.com", "starttls"),
        ("gmx", 465, "mail.gmx.net", "implicit"),
        ("mailgun", None, "smtp.eu.mailgun.org", "starttls"),
        ("mailgun", 465, "smtp.mailgun.org", "implicit"),
        ("online-nl", None, "smtp.online.nl", "none"),
        ("m365-smtp-relay", None, "<domain-with-dashes>.mail.protection.outlook.com", "starttls"),
    ],
)
def test_the_endpoint_at_a_port(id_: str, port: int | None, host: str, tls: str) -> None:
    endpoint = PRESETS.get(id_).endpoint(port)
    assert endpoint is not None
    assert (endpoint.host, endpoint.tls) == (host, tls)
    assert port in (None, endpoint.port)


def test_there_is_no_endpoint_at_a_port_that_the_provider_lacks() -> None:
    assert PRESETS.get("icloud").endpoint(465) is None
    assert PRESETS.get("ordernow").endpoint() is None


@pytest.mark.parametrize(
    ("id_", "blanks"),
    [
        ("vimexx", ("NNNN",)),
        ("antagonist", ("own domain",)),
        ("ionos", ("country",)),
        ("m365-direct-send", ("domain-with-dashes",)),
        ("ziggo", ()),
    ],
)
def test_a_host_with_a_blank_names_what_to_fill_in(id_: str, blanks: tuple[str, ...]) -> None:
    endpoint = PRESETS.get(id_).endpoint()
    assert endpoint is not None
    assert endpoint.blanks == blanks


def test_starttls_that_is_only_offered_stays_apart() -> None:
    optional = {(it.id, end.port) for it in ALL for end in it.endpoints if end.starttls_optional}
    assert optional == {("m365-direct-send", 25), ("google-smtp-relay", 25)}


SPF_INCLUDES = {
    "brevo": ["spf.brevo.com"],
    "combell": ["spf.mailprotect.be"],
    "fastmail": ["spf.messagingengine.com"],
    "flowmailer": ["_spf.flowmailer.net"],
    "freedom": ["soverin.net"],
    "gmail": ["_spf.google.com"],
    "google-smtp-relay": ["_spf.google.com"],
    "google-workspace": ["_spf.google.com"],
    "hostnet": ["_spf.hostnet.nl"],
    "icloud": ["icloud.com"],
    "infomaniak": ["spf.infomaniak.ch"],
    "ionos": ["_spf-eu.ionos.com"],
    "m365-direct-send": ["spf.protection.outlook.com"],
    "m365-smtp-relay": ["spf.protection.outlook.com"],
    "mailersend": ["_spf.mailersend.net"],
    "mailgun": ["mailgun.org"],
    "mailjet": ["spf.mailjet.com"],
    "microsoft365": ["spf.protection.outlook.com"],
    "mijnhost": ["spf.mijn.host"],
    "one-com": ["_custspf.one.com"],
    "ovh": ["mx.ovh.com"],
    "strato": ["_spf.strato.com"],
    "transip": ["_spf.transip.email"],
    "zoho": ["zohomail.eu"],
}


def test_the_includes_of_an_own_domain() -> None:
    found = {it.id: list(it.spf.includes) for it in ALL if it.spf and it.spf.includes}
    assert found == SPF_INCLUDES


def test_an_include_stands_in_the_words_it_was_read_from() -> None:
    for preset in ALL:
        if preset.spf is not None:
            others = (other.name for other in preset.spf.other_includes)
            for include in (*preset.spf.includes, *others):
                assert include in preset.spf.own_domain, preset.id


def test_includes_for_special_cases_stay_apart_with_their_case() -> None:
    found = {
        it.id: {other.name: other.when.en for other in it.spf.other_includes}
        for it in ALL
        if it.spf and it.spf.other_includes
    }
    assert found == {
        "amazon-ses": {"amazonses.com": "only with a custom MAIL FROM"},
        "brevo": {"spf.sendinblue.com": "the older name"},
        "resend": {"amazonses.com": "on the send. subdomain"},
        "smtp2go": {"spf.smtp2go.com": "on old set-ups"},
    }


def test_conditions_of_includes() -> None:
    conditions = {it.id for it in ALL if it.spf and it.spf.condition}
    assert conditions == {"gmail", "icloud", "mailgun", "zoho"}


def test_whether_an_own_domain_needs_spf_for_the_provider() -> None:
    needed = {it.id: it.spf.needed for it in ALL if it.spf and it.spf.needed is not True}
    unknown = {
        "antagonist",
        "azure-communication-email",
        "kpn",
        "scaleway-tem",
        "ziggo",
        "ziggo-zakelijk",
    }
    assert {id_ for id_, it in needed.items() if it is None} == unknown
    superfluous = {"amazon-ses", "outlook-com", "postmark", "resend", "sendgrid", "smtp2go"}
    assert {id_ for id_, it in needed.items() if it is False} == superfluous


def test_ordernow_has_its_network() -> None:
    spf = PRESETS.get("ordernow").spf
    assert spf is not None
    assert spf.networks == ("84.246.4.155",)
    assert spf.confirmed


def test_seen_addresses_are_addresses_and_never_networks_to_publish() -> None:
    seen = {it.id: it.spf.seen_addresses for it in ALL if it.spf and it.spf.seen_addresses}
    assert set(seen) == {"ziggo", "kpn"}
    for preset in ALL:
        for address in preset.spf.seen_addresses if preset.spf else ():
            assert ipaddress.ip_address(address)
        for network in preset.spf.networks if preset.spf else ():
            assert ipaddress.ip_network(network)


def test_the_own_address_belongs_beside_the_include_where_mail_leaves_without_login() -> None:
    own = {it.id for it in ALL if it.spf and it.spf.own_address}
    assert own == {"m365-direct-send", "m365-smtp-relay"}


def test_a_sender_rule_of_another_preset_is_filled_in() -> None:
    rule, ziggo = PRESETS.get("upc").sender_rule, PRESETS.get("ziggo").sender_rule
    assert rule.see == "ziggo"
    assert (rule.must_match_account, rule.send_as) == (False, ziggo.send_as)
    assert rule.source_keys == ("ISPDB_ZIGGO",)
    port25, original = PRESETS.get("upc").port25, PRESETS.get("ziggo").port25
    assert port25 is not None
    assert original is not None
    assert (port25.value, port25.see) == (original.value, "ziggo")


def test_sender_rules() -> None:
    rules = {it.id: it.sender_rule.must_match_account for it in ALL}
    assert rules["gmail"] == rules["google-workspace"] == "rewritten"
    assert rules["microsoft365"] is True
    assert rules["ziggo"] is False
    assert rules["proximus"] is None
    assert rules["live"] is True


def test_oauth2_addresses_are_ready_for_use() -> None:
    oauth2 = PRESETS.get("microsoft365").oauth2
    assert oauth2 is not None
    token = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    assert oauth2.value("token_endpoint") == token
    assert oauth2.tenants == ("organizations", "common")
    assert [flow.kind for flow in oauth2.flows] == [
        "code",
        "device",
        "client-credentials",
        "shared-mailbox",
    ]
    assert oauth2.flows[2].scopes == ("https://outlook.office365.com/.default",)
    gmail = PRESETS.get("gmail").oauth2
    assert gmail is not None
    assert gmail.value("scope") == "https://mail.google.com/"
    assert gmail.value("device_code_endpoint") is None
    addresses = ("authorize_endpoint", "token_endpoint", "device_code_endpoint")
    for preset in ALL:
        for name in addresses if preset.oauth2 else ():
            value = preset.oauth2.value(name) if preset.oauth2 else None
            assert value is None or (value.startswith("https://") and " " not in value)


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.id)
def test_what_the_user_reads_is_there_in_dutch(preset: Preset) -> None:
    assert preset.advice("nl") != preset.advice("en")
    assert preset.advice("de") == preset.advice("en")
    rule = preset.sender_rule
    texts = [preset.status.text, rule.send_as, rule.note]
    assert all(text.nl for text in texts if text is not None)


def test_the_document_is_complete_and_ready_for_json() -> None:
    keys = {tuple(PRESETS.as_json(preset)) for preset in ALL}
    assert len(keys) == 1
    for preset in ALL:
        text = json.dumps(PRESETS.as_json(preset))
        assert json.loads(text)["id"] == preset.id


def test_the_day_that_passwords_end_is_known_where_the_provider_named_one() -> None:
    ends = {preset.id: preset.password_ends for preset in ALL if preset.password_ends}
    assert ends == {"microsoft365": date(2026, 12, 31), "outlook-com": date(2024, 9, 16)}


def test_an_id_reads_only_the_files_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    loads = tomllib.loads

    def counted(text: str) -> dict[str, object]:
        parsed.append(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    Catalog(FOLDER).resolve("upc")
    assert len(parsed) == 3  # the sources, upc, and ziggo, which upc refers to and became


def test_presets_imports_nothing_of_the_engine_or_of_third_parties() -> None:
    program = (
        "import sys; from presets.catalog import catalog; catalog().get('ziggo');"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    loaded = set(done.stdout.split())
    assert "presets" in loaded
    foreign = {name for name in loaded if name not in sys.stdlib_module_names}
    assert foreign <= {"presets", "__main__", "__mp_main__"}
