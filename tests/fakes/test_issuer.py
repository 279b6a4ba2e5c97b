"""The fake issuer by itself, with plain https requests; the libraries come in tests/relay."""

import base64
import hashlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from fakes.issuer import Issuer

VERIFIER = "v" * 43
SCOPE = "https://outlook.office.com/SMTP.Send offline_access openid"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[Issuer]:
    with Issuer(clock) as running:
        yield running


def ask(issuer: Issuer, url: str, **form: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a POST with this form, or of a GET without one."""
    context = ssl.create_default_context(cafile=str(issuer.ca_file))
    data = urlencode(form).encode() if form else None
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, data, timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            body = error.read()
            return error.code, json.loads(body) if body.startswith(b"{") else {}


def token(issuer: Issuer, **form: str) -> tuple[int, dict[str, Any]]:
    url = f"{issuer.authority('bakery')}/oauth2/v2.0/token"
    return ask(issuer, url, client_id=issuer.client_id, **form)


def code_of(issuer: Issuer, base: str, **more: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    query = {
        "client_id": issuer.client_id,
        "redirect_uri": "http://127.0.0.1:1",
        "scope": SCOPE,
        "state": "s1",
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        **more,
    }
    back = parse_qs(urlsplit(issuer.approve(f"{base}?{urlencode(query)}")).query)
    assert back["state"] == ["s1"]
    return back["code"][0]


def microsoft_code(issuer: Issuer) -> str:
    return code_of(issuer, f"{issuer.authority('bakery')}/oauth2/v2.0/authorize")


def exchange(issuer: Issuer, code: str, verifier: str = VERIFIER) -> tuple[int, dict[str, Any]]:
    return token(
        issuer,
        grant_type="authorization_code",
        code=code,
        redirect_uri="http://127.0.0.1:1",
        code_verifier=verifier,
    )


def test_discovery_names_its_own_pages(issuer: Issuer) -> None:
    url = f"{issuer.authority('bakery')}/v2.0/.well-known/openid-configuration"
    status, body = ask(issuer, url)
    assert status == 200
    assert body["token_endpoint"] == f"{issuer.url}/bakery/oauth2/v2.0/token"
    assert body["issuer"] == f"{issuer.url}/bakery/v2.0"


def test_a_code_is_good_once_and_its_token_for_an_hour(issuer: Issuer, clock: Clock) -> None:
    code = microsoft_code(issuer)
    status, body = exchange(issuer, code)
    assert (status, body["expires_in"]) == (200, 3600)
    assert body["refresh_token"]
    assert issuer.user_of(body["access_token"]) == issuer.username
    assert exchange(issuer, code)[1]["error_codes"] == [70008]
    clock.tick(seconds=3600)
    assert issuer.user_of(body["access_token"]) is None


def test_a_wrong_verifier_is_refused(issuer: Issuer) -> None:
    assert exchange(issuer, microsoft_code(issuer), "w" * 43)[1]["error_codes"] == [501481]


def test_refresh_rotates_and_the_old_token_still_works(issuer: Issuer) -> None:
    old = issuer.new_grant()
    first = token(issuer, grant_type="refresh_token", refresh_token=old)[1]
    assert first["refresh_token"] != old
    assert token(issuer, grant_type="refresh_token", refresh_token=old)[0] == 200


def test_a_single_use_refresh_token_dies_with_its_use(issuer: Issuer) -> None:
    issuer.single_use = True
    old = issuer.new_grant()
    assert token(issuer, grant_type="refresh_token", refresh_token=old)[0] == 200
    status, body = token(issuer, grant_type="refresh_token", refresh_token=old)
    assert (status, body["error_codes"]) == (400, [70008])


def test_without_rotation_the_token_stays(issuer: Issuer) -> None:
    issuer.rotate = False
    old = issuer.new_grant()
    assert token(issuer, grant_type="refresh_token", refresh_token=old)[1]["refresh_token"] == old


def test_revoking_names_the_reason_and_ends_access(issuer: Issuer) -> None:
    old = issuer.new_grant()
    access = token(issuer, grant_type="refresh_token", refresh_token=old)[1]["access_token"]
    issuer.revoke()
    body = token(issuer, grant_type="refresh_token", refresh_token=old)[1]
    assert (body["error"], body["suberror"], body["error_codes"]) == (
        "invalid_grant",
        "bad_token",
        [50173],
    )
    assert body["error_description"].startswith("AADSTS50173: ")
    assert issuer.user_of(access) is None


def test_an_app_logs_in_with_its_secret_only(issuer: Issuer) -> None:
    form = {"grant_type": "client_credentials", "scope": "https://outlook.office365.com/.default"}
    status, body = token(issuer, client_secret=issuer.client_secret, **form)
    assert status == 200
    assert "refresh_token" not in body
    assert token(issuer, client_secret="wrong", **form)[1]["error_codes"] == [7000215]
    assert token(issuer, **form)[1]["error_codes"] == [7000218]
    assert token(issuer, client_assertion="x", **form)[1]["error_codes"] == [700027]


def test_the_device_flow_waits_for_the_code(issuer: Issuer, clock: Clock) -> None:
    url = f"{issuer.authority('bakery')}/oauth2/v2.0/devicecode"
    shown = ask(issuer, url, client_id=issuer.client_id, scope=SCOPE)[1]
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": shown["device_code"],
    }
    assert token(issuer, **form)[1]["error"] == "authorization_pending"
    issuer.slow_down()
    assert token(issuer, **form)[1]["error"] == "slow_down"
    issuer.decline(shown["user_code"])
    assert token(issuer, **form)[1]["error"] == "authorization_declined"
    shown = ask(issuer, url, client_id=issuer.client_id, scope=SCOPE)[1]
    form["device_code"] = shown["device_code"]
    issuer.enter(shown["user_code"])
    assert token(issuer, **form)[1]["refresh_token"]
    shown = ask(issuer, url, client_id=issuer.client_id, scope=SCOPE)[1]
    clock.tick(seconds=900)
    assert token(issuer, **form | {"device_code": shown["device_code"]})[1]["error"] == (
        "expired_token"
    )


def test_google_knows_its_secret_and_keeps_its_refresh_token(issuer: Issuer) -> None:
    ends = issuer.google_endpoints
    code = code_of(issuer, ends.authorize, access_type="offline")
    form = {
        "client_id": issuer.client_id,
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "http://127.0.0.1:1",
        "code_verifier": VERIFIER,
    }
    assert ask(issuer, ends.token, **form)[1]["error"] == "invalid_client"
    body = ask(issuer, ends.token, client_secret=issuer.client_secret, **form)[1]
    again = {
        "client_id": issuer.client_id,
        "client_secret": issuer.client_secret,
        "grant_type": "refresh_token",
        "refresh_token": body["refresh_token"],
    }
    assert "refresh_token" not in ask(issuer, ends.token, **again)[1]
    issuer.revoke()
    assert ask(issuer, ends.token, **again)[1] == {
        "error": "invalid_grant",
        "error_description": "Token has been expired or revoked.",
    }


def test_cancel_sends_back_access_denied(issuer: Issuer) -> None:
    query = urlencode(
        {"client_id": issuer.client_id, "redirect_uri": "http://localhost:1", "state": "s"}
    )
    back = issuer.deny(f"{issuer.authority('bakery')}/oauth2/v2.0/authorize?{query}")
    assert parse_qs(urlsplit(back).query)["error"] == ["access_denied"]


def test_faults_come_once_each_and_in_order(issuer: Issuer) -> None:
    old = issuer.new_grant()
    issuer.throttle(7)
    issuer.fail(503)
    issuer.refuse(53003)
    form = {"grant_type": "refresh_token", "refresh_token": old}
    assert [token(issuer, **form)[0] for _ in range(4)] == [429, 503, 400, 200]
    assert [asked.grant_type for asked in issuer.requests] == ["refresh_token"] * 4


def test_a_stranger_is_not_trusted(issuer: Issuer) -> None:
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        urllib.request.urlopen(f"{issuer.url}/x/v2.0/.well-known/openid-configuration", timeout=5)


def test_it_stops_while_a_client_waits() -> None:
    with Issuer() as issuer:
        issuer.play("hang")
        url = f"{issuer.authority('bakery')}/oauth2/v2.0/token"
        context = ssl.create_default_context(cafile=str(issuer.ca_file))
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(url, b"client_id=x", timeout=0.2, context=context)
