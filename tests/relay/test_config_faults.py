"""Each fault that a configuration can have: found, located, said in both languages, all at once."""

from pathlib import Path

import pytest
from fakes.certificates import Authority

from relay.config.fault import ConfigError, Fault
from relay.config.load import load

SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "mail.example.net"\n'
ENVIRON = {"PW": "geheim", "HOME": "/nonexistent"}


def faults(path: Path, text: str) -> list[Fault]:
    file = path / "relay.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, ENVIRON)
    return list(caught.value.faults)


def only(path: Path, text: str) -> Fault:
    found = faults(path, text)
    assert len(found) == 1, [fault.text("en") for fault in found]
    return found[0]


# text before a good smarthost, or behind it where it begins with "+": line, key, word (en), word (nl)
CASES = [
    ('language = "fr"', 1, "language", "'nl' or 'en'", "'nl' of 'en'"),
    ("language = 1", 1, "language", "one of", "een van"),
    ('hostnam = "a.nl"', 1, "hostnam", "hostname?", "hostname?"),
    ("[smarthst]", 1, "smarthst", "smarthost?", "smarthost?"),
    ('hostname = "café.nl"', 1, "hostname", "xn--caf-dma.nl", "xn--caf-dma.nl"),
    ('hostname = "a b"', 1, "hostname", "no name", "geen naam"),
    ('postmaster = "bakker"', 1, "postmaster", "no mail address", "geen mailadres"),
    ('postmaster = "b@é.nl"', 1, "postmaster", "outside ASCII", "andere tekens"),
    ("spool = 1", 1, "spool", "[spool]", "[spool]"),
    ('[spool]\nurl = "spool.db"', 2, "spool.url", "sqlite:///", "sqlite:///"),
    ('[spool]\nurl = "sqlite://host/x"', 2, "spool.url", "sqlite:///", "sqlite:///"),
    ('[spool]\nurl = "sqlite://["', 2, "spool.url", "sqlite:///", "sqlite:///"),
    ('[spool]\nurl = "postgresql://h/db?password=x"', 2, "spool.url", "holds the", "staat in url"),
    ('[spool]\nurl = "postgresql://u:pw@h/db"', 2, "spool.url", "holds the passw", "staat in url"),
    ('[spool]\nlifetime = "5 days"', 2, "spool.lifetime", "no duration", "geen duur"),
    ('[spool]\nlifetime = "0d"', 2, "spool.lifetime", "no time", "is niets"),
    ('[spool]\nlifetime = "9999999d"', 2, "spool.lifetime", "ten years", "tien jaar"),
    ("[spool]\nlifetime = 5", 2, "spool.lifetime", '"4h"', '"4h"'),
    ('[spool]\nstatistics = "30d"', 2, "spool.statistics", 'at least "31d"', 'minstens "31d"'),
    ('[spool]\nstatistics = "743h"', 2, "spool.statistics", "too short", "te kort"),
    ('[spool]\nstatistics = "400"', 2, "spool.statistics", "no duration", "geen duur"),
    ('[spool]\nrefused = "23h"', 2, "spool.refused", 'at least "1d"', 'minstens "1d"'),
    ('[spool]\nrefused = "99999d"', 2, "spool.refused", "ten years", "tien jaar"),
    ("[spool]\nreserve_bytes = -1", 2, "spool.reserve_bytes", "at least 0", "minstens 0"),
    ("[spool]\nkeep_subjects = 1", 2, "spool.keep_subjects", "true or false", "true of false"),
    ("[spool]\nreserve_bytes = 1.0", 2, "spool.reserve_bytes", "whole number", "geheel getal"),
    ("[listener]", 1, "listener", "[[listener]]", "[[listener]]"),
    ("listener = [1]", 1, "listener[0]", "table", "tabel"),
    ('[[listener]]\naddress = "127.0.0.1"', 2, "listener[0].address", "host:port", "host:poort"),
    ('[[listener]]\naddress = "::1:25"', 2, "listener[0].address", '"[::1]:25"', '"[::1]:25"'),
    ('[[listener]]\naddress = "[::]:65536"', 2, "listener[0].address", "host:port", "host:poort"),
    ('[[listener]]\naddress = "1.2.3:25"', 2, "listener[0].address", "all four", "alle vier"),
    (
        "[[listener]]\nmax_connections = 0",
        2,
        "listener[0].max_connections",
        "least 1",
        "minstens 1",
    ),
    ('[[listener]]\ntls = "implicit"', 1, "listener[0].certificate", "is missing", "ontbreekt"),
    ('[[listener]]\nmin_tls = "1.1"', 2, "listener[0].min_tls", "'1.2' or '1.3'", "'1.2' of '1.3'"),
    ('[[listener]]\nkey = "k.pem"', 2, "listener[0].key", "needs certificate", "heeft ook"),
    (
        '[[listener]]\nproxy_protocol = ["8.0.0.0/23"]',
        2,
        "listener[0].proxy_protocol",
        "load balancers only",
        "alleen de load balancers",
    ),
    (
        '[[listener]]\nproxy_protocol = ["10.0.0.0/8", "::ffff:0:0/96"]',
        2,
        "listener[0].proxy_protocol",
        "0.0.0.0/0",
        "0.0.0.0/0",
    ),
    (
        '[[listener]]\naddress = "[::]:25"\n[[listener]]\naddress = "[::]:25"',
        4,
        "listener[1].address",
        "stands there already",
        "staat er al",
    ),
    ('[[client]]\nnetworks = ["010.0.0.1"]', 2, "client[0].networks[0]", "'10.0.0.1'", "voorloop"),
    ('[[client]]\nnetworks = ["10.1"]', 2, "client[0].networks[0]", "all four", "alle vier"),
    (
        '[[client]]\nnetworks = ["10.0.0.256"]',
        2,
        "client[0].networks[0]",
        "at most 255",
        "hoogstens",
    ),
    (
        '[[client]]\nnetworks = [\n"10.0.0.5/24"]',
        3,
        "client[0].networks[0]",
        "'10.0.0.0/24'",
        "binnen",
    ),
    (
        '[[client]]\nnetworks = ["fe80::1%eth0"]',
        2,
        "client[0].networks[0]",
        "interface",
        "interface",
    ),
    ('[[client]]\nnetworks = ["kassa"]', 2, "client[0].networks[0]", "no address", "geen adres"),
    (
        '[[client]]\nnetworks = ["8.0.0.0/23"]',
        2,
        "client[0].networks",
        "open = true",
        "open = true",
    ),
    ('[[client]]\nnetworks = ["2a02::/55"]', 2, "client[0].networks", "/56", "/56"),
    ('[[client]]\nnetworks = ["0.0.0.0/0"]', 2, "client[0].networks", "open = true", "open = true"),
    ('[[client]]\nnetworks = ["::ffff:0:0/96"]', 2, "client[0].networks", "0.0.0.0/0", "0.0.0.0/0"),
    ('[[client]]\nnetworks = ["192.168.0.0/15"]', 2, "client[0].networks", "open", "open"),
    ('[[client]]\nnetworks = "10.0.0.1"', 2, "client[0].networks", "list", "lijst"),
    ('[[client]]\nname = " a"', 2, "client[0].name", "no name", "geen naam"),
    (
        '[[client]]\nname = "a"\nnetworks = ["10.0.0.1"]\n[[client]]\nnetworks = ["::ffff:10.0.0.1"]',
        5,
        "client[1].networks",
        "client a",
        "client a",
    ),
    ('[[client]]\nname = "a"\n[[client]]\nname = "a"', 4, "client[1].name", "already", "al een"),
    ('[sender]\npolicy = "rewrite"', 1, "sender.address", "is missing", "ontbreekt"),
    (
        '[[client]]\nsender = { policy = "force" }',
        2,
        "client[0].sender.address",
        "missing",
        "ontbreekt",
    ),
    ('[sender]\nbcc = ["a@b.nl", "x"]', 2, "sender.bcc[1]", "no mail address", "geen mailadres"),
    (
        '[delivery]\nmode = "fast"',
        2,
        "delivery.mode",
        "'queue', 'direct' or",
        "'queue', 'direct' of",
    ),
    ('[web]\naddress = "0.0.0.0:8025"', 2, "web.address", "password_hash", "password_hash"),
    ('[web]\naddress = "192.168.1.2:8025"', 2, "web.address", "password_hash", "password_hash"),
    ("[[route]]", 1, "route[0].smarthost", "is missing", "ontbreekt"),
    ("[[route]]\nsmarthost = []", 2, "route[0].smarthost", "empty", "leeg"),
    ('[[route]]\nsmarthost = ["x"]', 2, "route[0].smarthost", "no [[smarthost]]", "geen [[smart"),
    (
        '[[route]]\nclient = "x"\nsmarthost = ["isp"]',
        2,
        "route[0].client",
        "no [[client]]",
        "geen [[c",
    ),
    (
        '[[route]]\nsender = "@a.nl"\nsmarthost = ["isp"]',
        2,
        "route[0].sender",
        '"*@a.nl"',
        '"*@a.nl"',
    ),
    (
        '[[route]]\nsender = { polcy = "keep" }\nsmarthost = ["isp"]',
        2,
        "route[0].sender.polcy",
        "policy",
        "policy",
    ),
    ('[[dkim]]\ndomain = "a.nl"\nselector = "s"', 1, "dkim[0].key", "is missing", "ontbreekt"),
    ("[[alarm]]\nsyslog = false", 1, "alarm[0]", "names no way", "noemt geen weg"),
    (
        '[[alarm]]\nsyslog = true\nsmarthost = "x"',
        3,
        "alarm[0].smarthost",
        "no [[smart",
        "geen [[smart",
    ),
    (
        '[[alarm]]\nwebhook = "hooks.example.net/x"',
        2,
        "alarm[0].webhook",
        "https://",
        "https://",
    ),
    (
        '[[alarm]]\nwebhook = "https://jan:geheim@example.net/x"',
        2,
        "alarm[0].webhook",
        "no name and password",
        "geen naam en wachtwoord",
    ),
    (
        '[[alarm]]\nwebhook = "http://hooks.example.net/x"',
        2,
        "alarm[0].webhook",
        "use https://",
        "gebruik https://",
    ),
    ("+port = 65536", 4, "smarthost[0].port", "at most 65535", "hoogstens 65535"),
    ('+port = "587"', 4, "smarthost[0].port", "without quotes", "zonder aanhalingstekens"),
    ("+port = true", 4, "smarthost[0].port", "whole number", "geheel getal"),
    ('+tls = "ssl"', 4, "smarthost[0].tls", "'starttls'", "'starttls'"),
    ('+tls = "none"', 4, "smarthost[0].tls", "inside the office", "binnen het kantoor"),
    ('+username = "x"', 1, "smarthost[0].password", "is missing", "ontbreekt"),
    ('+password = { env = "PW" }', 1, "smarthost[0].username", "is missing", "ontbreekt"),
    ('+allowed_senders = ["b.nl"]', 4, "smarthost[0].allowed_senders[0]", '"*@b.nl"', '"*@b.nl"'),
    ('+ca_file = "ca.pem"', 4, "smarthost[0].ca_file", "does not exist", "bestaat niet"),
    (
        '+client_certificate = "c"',
        4,
        "smarthost[0].client_certificate",
        "not exist",
        "bestaat niet",
    ),
    (
        '+client_key = "c"',
        4,
        "smarthost[0].client_key",
        "needs client_cert",
        "heeft ook client_cert",
    ),
    (
        "+[[smarthost]]\nname = 'isp'\nhost = 'a.nl'",
        5,
        "smarthost[1].name",
        "already",
        "al een keer",
    ),
    ("+[[smarthost]]\nhost = 'a.nl'", 4, "smarthost[1].name", "is missing", "ontbreekt"),
    ("+[[smarthost]]\nname = 'b'", 4, "smarthost[1].host", "is missing", "ontbreekt"),
    ("+[[smarthost]]\nname = 'b'\nhost = 'a:25'", 6, "smarthost[1].host", "port = 25", "port = 25"),
    (
        "+[[smarthost]]\nname = 'b'\nhost = 'web<NN>.nl'",
        6,
        "smarthost[1].host",
        "fill in",
        "vul <NN>",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "en", "nl"), CASES)
def test_a_fault_is_located_and_explained(
    tmp_path: Path, text: str, line: int, key: str, en: str, nl: str
) -> None:
    whole = SMARTHOST + text[1:] if text.startswith("+") else f"{text}\n{SMARTHOST}"
    fault = only(tmp_path, whole)
    assert (fault.line, fault.key) == (line, key)
    assert en in fault.en
    assert nl in fault.nl
    assert fault.text("nl") == f"relay.toml:{line}: {key}: {fault.nl}"


@pytest.mark.parametrize(
    ("text", "line", "en", "nl"),
    [
        ("a 1", 1, "followed by =", "hoort ="),
        ("\na = 1\na = 2", 3, "already", "staat er al"),
        ("[a]\n[a]", 2, "already", "staat er al"),
        ("a = \nb = 1", 1, "cannot be read", "niet te lezen"),
        ("a = nl", 1, "put text in quotes", "aanhalingstekens"),
        ('a = "x\nb = 1', 1, "close the quotes", "sluit de aanhalingstekens"),
        ("a = [1,\n2", 2, "missing", "ontbreekt"),
        ('f = "C:\\secret"', 1, "double each", "verdubbel"),
        ('f = "C:\\users"', 1, "double each", "verdubbel"),
        ("a = 1 b = 2", 1, "follows the value", "achter de waarde"),
        ("a = " + "[" * 100_000, None, "not valid TOML", "geen geldige TOML"),
    ],
)
def test_broken_toml_is_located(tmp_path: Path, text: str, line: int, en: str, nl: str) -> None:
    fault = only(tmp_path, text)
    assert fault.line == line
    assert en in fault.en
    assert nl in fault.nl


def test_all_faults_are_reported_in_one_run_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """hostnam = "x"
[[client]]
name = "kassa"
networks = ["10.1", "8.0.0.0/8"]
[[client]]
name = "kassa"
[[smarthost]]
name = "isp"
tls = "none"
host = "a.nl"
port = "x"
password = "geheim"
[[smarthost]]
preset = "zigo"
[[route]]
smarthost = ["isp", "iso"]
[web]
address = "[::]:80"
"""
    assert [(fault.line, fault.key) for fault in faults(tmp_path, text)] == [
        (1, "hostnam"),
        (4, "client[0].networks[0]"),
        (4, "client[0].networks"),
        (6, "client[1].name"),
        (9, "smarthost[0].tls"),
        (11, "smarthost[0].port"),
        (12, "smarthost[0].password"),
        (13, "smarthost[1].name"),
        (14, "smarthost[1].preset"),
        (16, "route[0].smarthost"),
        (18, "web.address"),
    ]


def test_a_faulty_key_causes_no_second_fault(tmp_path: Path) -> None:
    text = '[[listener]]\naddress = "x"\n[[listener]]\n' + SMARTHOST
    assert only(tmp_path, text).key == "listener[0].address"
    assert only(tmp_path, '[[smarthost]]\nname = "a"\nhost = 5\n').key == "smarthost[0].host"


def test_a_literal_password_is_refused_and_shown_nowhere(tmp_path: Path) -> None:
    fault = only(tmp_path, SMARTHOST + 'username = "x"\npassword = "hunter2"\n')
    assert fault.key == "smarthost[0].password"
    assert "{ file = " in fault.en
    assert "hunter2" not in fault.text("nl") + fault.text("en")


@pytest.mark.parametrize(
    "value", ['{ file = "x", env = "y" }', "{}", '{ fil = "x" }', '{ file = "" }', "{ env = 5 }"]
)
def test_a_reference_to_a_secret_has_one_form(tmp_path: Path, value: str) -> None:
    fault = only(tmp_path, f'{SMARTHOST}username = "x"\npassword = {value}\n')
    assert fault.key == "smarthost[0].password"


def test_a_configuration_without_a_smarthost_says_so(tmp_path: Path) -> None:
    fault = only(tmp_path, 'language = "nl"\n')
    assert fault.text("nl").startswith("relay.toml: smarthost: ontbreekt")


def test_a_missing_file_and_a_directory_are_faults(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.toml", "bestaat niet"), (tmp_path, "map")):
        with pytest.raises(ConfigError) as caught:
            load(path, ENVIRON)
        (fault,) = caught.value.faults
        assert str(path) in fault.text("nl")
        assert reason in fault.nl


def test_a_file_that_is_not_utf8_is_a_fault_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_bytes(b'# a\n# caf\xe9\nlanguage = "nl"\n')
    with pytest.raises(ConfigError) as caught:
        load(file, ENVIRON)
    assert caught.value.faults[0].line == 2


def test_a_key_cannot_send_control_codes_to_the_terminal(tmp_path: Path) -> None:
    fault = only(tmp_path, f'"\\u001b[2J" = 1\n{SMARTHOST}')
    assert fault.text("en").isprintable()


def test_certificates_that_cannot_be_used_are_faults(tmp_path: Path, authority: Authority) -> None:
    one, other = authority.issue(), authority.issue()
    (tmp_path / "empty.pem").touch()
    listener = '[[listener]]\ntls = "starttls"\ncertificate = "{}"\nkey = "{}"\n' + SMARTHOST

    fault = only(tmp_path, listener.format(one.chain, other.key))
    assert (fault.key, fault.line) == ("listener[0].certificate", 3)
    assert "does not belong" in fault.en
    assert "no certificate" in only(tmp_path, listener.format("empty.pem", one.key)).en
    assert "no certificates" in only(tmp_path, SMARTHOST + 'ca_file = "empty.pem"\n').en


def test_a_key_behind_a_passphrase_is_refused_without_asking_for_it(
    tmp_path: Path, authority: Authority
) -> None:
    from cryptography.hazmat.primitives import serialization

    pair = authority.issue()
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    text = f'[[listener]]\ntls = "starttls"\ncertificate = "{pair.chain}"\nkey = "{locked}"\n'
    assert "passphrase" in only(tmp_path, text + SMARTHOST).en
