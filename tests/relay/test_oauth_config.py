"""`[smarthost.oauth2]`: what the preset fills in, and each fault it can have."""

from datetime import date
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.issuer_keys import AppCertificate, ServiceAccount

from relay.config.fault import ConfigError, Fault
from relay.config.load import load
from relay.config.model import AuthMethod, Issuer, OAuth2, Smarthost

ENVIRON = {"PW": "geheim", "HOME": "/nonexistent"}
HEAD = '[[smarthost]]\nname = "m365"\n'
M365 = 'preset = "microsoft365"\nusername = "info@bakkerij.nl"\n'
GMAIL = 'preset = "gmail"\nusername = "info@gmail.com"\n'
ID = 'client_id = "app"\n'
SECRET = 'client_secret = { env = "PW" }\n'


def smarthost(path: Path, keys: str, oauth2: str | None) -> tuple[Smarthost, list[Fault]]:
    file = path / "relay.toml"
    table = "" if oauth2 is None else f"[smarthost.oauth2]\n{oauth2}"
    file.write_text(f"{HEAD}{keys}\n{table}", encoding="utf-8")
    config = load(file, ENVIRON)
    return config.smarthost("m365"), list(config.warnings)


def resolved(path: Path, keys: str, oauth2: str) -> OAuth2:
    found = smarthost(path, keys, oauth2)[0].oauth2
    assert found is not None
    return found


def faults(path: Path, keys: str, oauth2: str | None) -> dict[str, Fault]:
    with pytest.raises(ConfigError) as caught:
        smarthost(path, keys, oauth2)
    return {fault.key.removeprefix("smarthost[0]."): fault for fault in caught.value.faults}


def file(path: Path, name: str, text: str) -> str:
    target = path / name
    target.write_text(text)
    target.chmod(0o600)
    return f'{{ file = "{target}" }}\n'


def test_microsofts_preset_fills_in_everything_but_the_app(tmp_path: Path) -> None:
    host, warnings = smarthost(tmp_path, M365, ID)
    assert host.auth is AuthMethod.OAUTH2
    assert host.account == ("smtp.office365.com", "info@bakkerij.nl")
    assert host.oauth2 == OAuth2(
        flow="code",
        issuer=Issuer.MICROSOFT,
        authority="https://login.microsoftonline.com/organizations",
        authorize_endpoint=host.oauth2.authorize_endpoint if host.oauth2 else None,
        token_endpoint=host.oauth2.token_endpoint if host.oauth2 else None,
        scopes=("https://outlook.office.com/SMTP.Send", "offline_access"),
        client_id="app",
    )
    assert warnings == []


def test_outlook_com_is_for_consumers(tmp_path: Path) -> None:
    keys = 'preset = "outlook-com"\nusername = "bakker@outlook.com"\n'
    assert resolved(tmp_path, keys, ID).authority == "https://login.microsoftonline.com/consumers"


def test_googles_preset_fills_in_its_endpoints(tmp_path: Path) -> None:
    oauth2 = resolved(tmp_path, GMAIL, ID + SECRET)
    assert oauth2.issuer is Issuer.GOOGLE
    assert oauth2.authorize_endpoint == "https://accounts.google.com/o/oauth2/auth"
    assert oauth2.token_endpoint == "https://oauth2.googleapis.com/token"
    assert oauth2.scopes == ("https://mail.google.com/",)
    assert oauth2.authority is None


@pytest.mark.parametrize(
    ("keys", "authority"),
    [
        ('tenant = "bakkerij.nl"\n', "https://login.microsoftonline.com/bakkerij.nl"),
        ('authority = "https://login.microsoftonline.us"\ntenant = "t"\n',
         "https://login.microsoftonline.us/t"),
        ('authority = "https://login.microsoftonline.us/"\n',
         "https://login.microsoftonline.us/organizations"),
        ('authority = "https://login.microsoftonline.us/{tenant}"\ntenant = "t"\n',
         "https://login.microsoftonline.us/t"),
        ('authority = "https://login.microsoftonline.us/bakkerij.nl/"\n',
         "https://login.microsoftonline.us/bakkerij.nl"),
    ],
)  # fmt: skip
def test_the_authority_has_its_tenant(tmp_path: Path, keys: str, authority: str) -> None:
    assert resolved(tmp_path, M365, ID + keys).authority == authority


def test_an_app_with_a_certificate_and_with_a_secret(tmp_path: Path) -> None:
    pem = file(tmp_path, "relay.pem", AppCertificate.make().pem)
    app = f'flow = "client-credentials"\ntenant = "t"\n{ID}'
    oauth2 = resolved(tmp_path, M365, f"{app}certificate = {pem}")
    assert oauth2.scopes == ("https://outlook.office365.com/.default",)
    assert oauth2.certificate is not None
    dated = resolved(tmp_path, M365, f"{app}{SECRET}secret_expires = 2027-05-31")
    assert dated.secret_expires == date(2027, 5, 31)
    text = resolved(tmp_path, M365, f'{app}{SECRET}secret_expires = "2027-05-31"')
    assert text.secret_expires == date(2027, 5, 31)


def test_a_service_account_needs_no_client_id(tmp_path: Path) -> None:
    key = file(tmp_path, "key.json", ServiceAccount.make().key_file("https://x.example/token"))
    keys = 'preset = "google-workspace"\nusername = "info@bakkerij.nl"\n'
    oauth2 = resolved(tmp_path, keys, f'flow = "service-account"\nclient_secret = {key}')
    assert oauth2.token_endpoint == "https://oauth2.googleapis.com/token"


CASES = [
    (M365, "", "client_id", "app registration at Microsoft", "app-registratie bij Microsoft"),
    (GMAIL, ID, "client_secret", "Google gives each app a secret", "Google geeft elke app"),
    (GMAIL, f'flow = "device"\n{ID}{SECRET}', "flow", "cannot be had for mail", "kan bij Google"),
    (GMAIL, f'flow = "client-credentials"\ntenant = "t"\n{ID}{SECRET}', "flow", "cannot be had",
     "kan bij Google niet"),
    (M365, f'flow = "service-account"\n{SECRET}', "flow", "cannot be had", "kan bij Microsoft"),
    (M365, f'flow = "client-credentials"\n{ID}{SECRET}', "tenant", "is missing", "ontbreekt"),
    (M365, f'flow = "client-credentials"\ntenant = "common"\n{ID}{SECRET}', "tenant",
     "not possible here", "kan hier niet"),
    (M365, f'flow = "client-credentials"\ntenant = "t"\n{ID}', "client_secret",
     "client_secret or certificate", "client_secret of certificate"),
    ('preset = "google-workspace"\nusername = "a@b.nl"\n',
     f'flow = "service-account"\n{SECRET}', "client_secret", "no key file", "geen sleutelbestand"),
    ('preset = "google-workspace"\nusername = "a@b.nl"\n', 'flow = "service-account"\n',
     "client_secret", "JSON key file", "JSON-sleutelbestand"),
    ('host = "mail.example.net"\nusername = "a@b.nl"\n', ID, "authority", "is not known",
     "is niet bekend"),
    ('host = "mail.example.net"\nusername = "a@b.nl"\n',
     f'token_endpoint = "https://x.example/t"\n{ID}{SECRET}', "authorize_endpoint", "is missing",
     "ontbreekt"),
    ('preset = "microsoft365"\n', ID, "username", "is missing", "ontbreekt"),
    (M365, f'authority = "http://x.example"\n{ID}', "authority", "https://", "https://"),
    (M365, f'secret_expires = "31-05-2027"\n{ID}', "secret_expires", "2027-05-31", "2027-05-31"),
    (M365, f'flow = "password"\n{ID}', "flow", "one of", "een van"),
    (M365, f'ca_file = "none.pem"\n{ID}', "ca_file", "does not exist", "bestaat niet"),
    (M365, f'certificate = {{ env = "PW" }}\n{ID}', "certificate", "no key with its certificate",
     "geen sleutel met certificaat"),
    (M365, f'certificate = {{ env = "NONE" }}\n{ID}', "certificate", "is not set", "bestaat niet"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "oauth2", "key", "en", "nl"), CASES)
def test_each_fault_is_found_and_located(
    tmp_path: Path, keys: str, oauth2: str, key: str, en: str, nl: str
) -> None:
    found = faults(tmp_path, keys, oauth2)
    name = key if key == "username" else f"oauth2.{key}"
    assert list(found) == [name], {each: fault.text("en") for each, fault in found.items()}
    assert en in found[name].text("en")
    assert nl in found[name].text("nl")


def test_a_key_that_is_not_the_certificates(tmp_path: Path) -> None:
    one, other = AppCertificate.make().pem, AppCertificate.make().pem
    mixed = (
        one.partition("-----BEGIN CERT")[0]
        + "-----BEGIN CERT"
        + other.partition("-----BEGIN CERT")[2]
    )
    pem = file(tmp_path, "mixed.pem", mixed)
    found = faults(tmp_path, M365, f"{ID}certificate = {pem}")
    assert "does not belong" in found["oauth2.certificate"].text("en")
    trustme = Authority(tmp_path).issue("relay.example")
    elliptic = file(tmp_path, "ec.pem", trustme.key.read_text() + trustme.chain.read_text())
    found = faults(tmp_path, M365, f"{ID}certificate = {elliptic}")
    assert "no RSA key" in found["oauth2.certificate"].text("en")


@pytest.mark.parametrize(
    ("keys", "oauth2", "key"),
    [
        (f'{M365}auth = "password"\npassword = {{ env = "PW" }}', ID, "oauth2"),
        (f'{M365}password = {{ env = "PW" }}', ID, "password"),
        (M365, f"{ID}secret_expires = 2027-01-01", "oauth2.secret_expires"),
    ],
)
def test_what_has_no_effect_is_warned_about(
    tmp_path: Path, keys: str, oauth2: str, key: str
) -> None:
    warnings = smarthost(tmp_path, keys, oauth2)[1]
    assert f"smarthost[0].{key}" in [warning.key for warning in warnings]


def test_a_secret_beside_a_certificate_has_no_effect(tmp_path: Path) -> None:
    pem = file(tmp_path, "relay.pem", AppCertificate.make().pem)
    warnings = smarthost(tmp_path, M365, f"{ID}{SECRET}certificate = {pem}")[1]
    assert [each.key for each in warnings] == ["smarthost[0].oauth2.client_secret"]


def test_no_secret_stands_in_a_fault(tmp_path: Path) -> None:
    key = AppCertificate.make().pem.partition("-----BEGIN CERT")[0]
    pem = file(tmp_path, "relay.pem", key)
    found = faults(tmp_path, M365, f"{ID}certificate = {pem}")
    assert key[40:80] not in found["oauth2.certificate"].text("en")
