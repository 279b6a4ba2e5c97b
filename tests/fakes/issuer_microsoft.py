"""Microsoft's pages of the fake issuer: discovery, authorize, token, devicecode (v2.0)."""

from __future__ import annotations

import base64
import json
import secrets
import time
from urllib.parse import urlencode

import jwt
from fakes.issuer_answer import Answer, aadsts
from fakes.issuer_book import CODE_SECONDS, DEVICE_SECONDS, Book, Code, Device

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"

Form = dict[str, str]


def discovery(base: str, tenant: str) -> Answer:
    """The tenant's openid-configuration."""
    root = f"{base}/{tenant}"
    return Answer(
        body={
            "issuer": f"{root}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token"],
        }
    )


def authorize(book: Book, query: Form, username: str | None) -> Answer:
    """The redirect back to the app; `username` None means that somebody pressed Cancel."""
    if query.get("client_id") != book.client_id:
        return aadsts(700016, book.clock())
    target = query.get("redirect_uri", "")
    if not target.startswith(("http://localhost", "http://127.0.0.1")):
        return aadsts(50011, book.clock())
    back = {"state": query.get("state", "")}
    if username is None:
        back |= {"error": "access_denied", "error_description": "AADSTS65004: User declined."}
    else:
        code = Code(
            username,
            tuple(query.get("scope", "").split()),
            target,
            query.get("code_challenge") if query.get("code_challenge_method") == "S256" else None,
            query.get("nonce"),
            book.after(CODE_SECONDS),
        )
        back["code"] = book.give_code(code)
    return Answer(302, headers={"Location": f"{target}?{urlencode(back)}"})


def devicecode(book: Book, base: str, form: Form) -> Answer:
    """The start of a device flow (RFC 8628 section 3.2)."""
    if form.get("client_id") != book.client_id:
        return aadsts(700016, book.clock())
    key, user_code = secrets.token_urlsafe(32), secrets.token_hex(4).upper()
    scopes = tuple(form.get("scope", "").split())
    book.devices[key] = Device(user_code, scopes, book.after(DEVICE_SECONDS))
    page = f"{base}/devicelogin"
    return Answer(
        body={
            "device_code": key,
            "user_code": user_code,
            "verification_uri": page,
            "expires_in": DEVICE_SECONDS,
            "interval": 5,
            "message": f"To sign in, open {page} and enter the code {user_code}.",
        }
    )


def token(book: Book, base: str, tenant: str, form: Form) -> Answer:
    """The token endpoint, all four grants."""
    if form.get("client_id") != book.client_id:
        return aadsts(700016, book.clock())
    if (refusal := _check_client(book, f"{base}/{tenant}/oauth2/v2.0/token", form)) is not None:
        return refusal
    match form.get("grant_type"):
        case "authorization_code":
            return _by_code(book, tenant, form)
        case "refresh_token":
            return _by_refresh(book, tenant, form)
        case "client_credentials":
            return _by_app(book, tenant, form)
        case grant if grant == _DEVICE:
            return _by_device(book, tenant, form)
    return aadsts(70000, book.clock())


def _check_client(book: Book, endpoint: str, form: Form) -> Answer | None:
    if "client_secret" in form:
        if form["client_secret"] != book.client_secret:
            return aadsts(7000215, book.clock())
        return None
    if "client_assertion" not in form:
        app_only = form.get("grant_type") == "client_credentials"
        return aadsts(7000218, book.clock()) if app_only else None
    assertion, known = form["client_assertion"], book.certificate
    try:
        head = jwt.get_unverified_header(assertion)
        jwt.decode(
            assertion,
            known.public_key,
            algorithms=["RS256", "PS256"],
            audience=endpoint,
            issuer=book.client_id,
            options={"require": ["exp", "aud", "iss", "sub", "jti"]},
        )
    except jwt.InvalidTokenError:
        return aadsts(700027, book.clock())
    right = form.get("client_assertion_type") == _ASSERTION
    known_print = head.get("x5t#S256") in (known.thumbprint, f"{known.thumbprint}=")
    return None if right and known_print else aadsts(700027, book.clock())


def _by_code(book: Book, tenant: str, form: Form) -> Answer:
    code = book.codes.pop(form.get("code", ""), None)
    if code is None or book.clock() >= code.expires_at:
        return aadsts(70008, book.clock())
    if code.redirect_uri != form.get("redirect_uri"):
        return aadsts(50011, book.clock())
    if not code.proves(form.get("code_verifier", "")):
        return aadsts(501481, book.clock())
    return _tokens(book, tenant, (code.username, code.scopes), code.nonce)


def _by_refresh(book: Book, tenant: str, form: Form) -> Answer:
    old = form.get("refresh_token", "")
    known = book.refresh.get(old)
    if known is None:
        return aadsts(70000, book.clock())
    if known.refused is not None:
        return aadsts(known.refused, book.clock())
    if book.rotate and book.single_use:
        known.refused = 70008
    return _tokens(book, tenant, (known.username, known.scopes), old=old)


def _by_app(book: Book, tenant: str, form: Form) -> Answer:
    if tenant in ("common", "organizations", "consumers"):
        return aadsts(50059, book.clock())
    scopes = tuple(form.get("scope", "").split())
    if not scopes or not all(scope.endswith("/.default") for scope in scopes):
        return aadsts(1002012, book.clock())
    return Answer(
        body={
            "token_type": "Bearer",
            "expires_in": book.lifetime_seconds,
            "ext_expires_in": book.lifetime_seconds,
            "access_token": book.give_access(book.username, scopes),
        }
    )


def _by_device(book: Book, tenant: str, form: Form) -> Answer:
    device = book.devices.get(form.get("device_code", ""))
    if device is None:
        return aadsts(70018, book.clock())
    if device.declined:
        return aadsts(70016, book.clock(), error="authorization_declined")
    if book.clock() >= device.expires_at:
        return aadsts(70019, book.clock())
    if device.username is None:
        return aadsts(70016, book.clock())
    del book.devices[form["device_code"]]
    return _tokens(book, tenant, (device.username, device.scopes))


def _tokens(
    book: Book,
    tenant: str,
    consent: tuple[str, tuple[str, ...]],
    nonce: str | None = None,
    old: str | None = None,
) -> Answer:
    username, scopes = consent
    body: dict[str, object] = {
        "token_type": "Bearer",
        "scope": " ".join(s for s in scopes if "://" in s),
        "expires_in": book.lifetime_seconds,
        "ext_expires_in": book.lifetime_seconds,
        "access_token": book.give_access(username, scopes),
    }
    if "offline_access" in scopes:
        keeps = old is not None and not book.rotate
        body["refresh_token"] = old if keeps else book.give_refresh(username, scopes)
    if "openid" in scopes:
        info = json.dumps({"uid": username, "utid": tenant}).encode()
        body["client_info"] = base64.urlsafe_b64encode(info).decode().rstrip("=")
        body["id_token"] = id_token(book, f"{tenant}/v2.0", username, nonce)
    return Answer(body=body)


def id_token(book: Book, issuer: str, username: str, nonce: str | None = None) -> str:
    """Who consented. Its times are the machine's: the libraries judge them by that clock."""
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": book.client_id,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "sub": username,
        "oid": username,
        "preferred_username": username,
        "email": username,
        **({"nonce": nonce} if nonce else {}),
    }
    return jwt.encode(claims, book.service_account.key, algorithm="RS256")
