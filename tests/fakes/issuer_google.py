"""Google's pages of the fake issuer: the consent page and the token endpoint."""

from __future__ import annotations

from urllib.parse import urlencode

import jwt
from fakes.issuer_answer import Answer, google_error, google_revoked
from fakes.issuer_book import CODE_SECONDS, Book, Code
from fakes.issuer_microsoft import Form, id_token

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def authorize(book: Book, query: Form, username: str | None) -> Answer:
    """The redirect back to the app; Google takes loopback addresses on any port."""
    if query.get("client_id") != book.client_id:
        return google_error("invalid_client", "The OAuth client was not found.")
    target = query.get("redirect_uri", "")
    if not target.startswith(("http://127.0.0.1:", "http://localhost:")):
        return google_error("redirect_uri_mismatch")
    back = {"state": query.get("state", "")}
    if username is None:
        back["error"] = "access_denied"
    else:
        offline = query.get("access_type") == "offline"
        scopes = (*query.get("scope", "").split(), *(["offline"] if offline else []))
        challenge = query.get("code_challenge")
        good = challenge if query.get("code_challenge_method") == "S256" else None
        code = Code(username, scopes, target, good, None, book.after(CODE_SECONDS))
        back |= {"code": book.give_code(code), "scope": query.get("scope", "")}
    return Answer(302, headers={"Location": f"{target}?{urlencode(back)}"})


def token(book: Book, endpoint: str, form: Form) -> Answer:
    """The token endpoint: code, refresh token, and a service account's assertion."""
    if form.get("grant_type") == _JWT_BEARER:
        return _by_assertion(book, endpoint, form.get("assertion", ""))
    if form.get("client_id") != book.client_id:
        return google_error("invalid_client", "The OAuth client was not found.")
    if form.get("client_secret") != book.client_secret:
        return google_error("invalid_client", "The provided client secret is invalid.")
    match form.get("grant_type"):
        case "authorization_code":
            return _by_code(book, form)
        case "refresh_token":
            return _by_refresh(book, form.get("refresh_token", ""))
    return google_error("unsupported_grant_type", "Invalid grant_type.")


def _by_code(book: Book, form: Form) -> Answer:
    code = book.codes.pop(form.get("code", ""), None)
    if code is None or book.clock() >= code.expires_at:
        return google_error("invalid_grant", "Malformed auth code.")
    if code.redirect_uri != form.get("redirect_uri"):
        return google_error("redirect_uri_mismatch", "Bad Request")
    if not code.proves(form.get("code_verifier", "")):
        return google_error("invalid_grant", "Invalid code verifier.")
    scopes = tuple(scope for scope in code.scopes if scope != "offline")
    body = _access(book, code.username, scopes)
    if "offline" in code.scopes:
        body["refresh_token"] = book.give_refresh(code.username, scopes)
    if "openid" in scopes:
        body["id_token"] = id_token(book, "https://accounts.google.com", code.username)
    return Answer(body=body)


def _by_refresh(book: Book, refresh_token: str) -> Answer:
    # Google keeps one refresh token for good: nothing rotates here.
    known = book.refresh.get(refresh_token)
    if known is None or known.refused is not None:
        return google_revoked()
    return Answer(body=_access(book, known.username, known.scopes))


def _by_assertion(book: Book, endpoint: str, assertion: str) -> Answer:
    account = book.service_account
    try:
        claims = jwt.decode(
            assertion,
            account.public_key,
            algorithms=["RS256"],
            audience=endpoint,
            issuer=account.email,
            options={"require": ["exp", "iat", "aud", "iss"]},
        )
    except jwt.InvalidTokenError:
        return google_error("invalid_grant", "Invalid JWT Signature.")
    if claims.get("sub") in (None, account.email):
        return google_error("unauthorized_client", "Client is unauthorized to retrieve access"
                            " tokens using this method, or client not authorized for any of the"
                            " scopes requested.")  # fmt: skip
    return Answer(body=_access(book, claims["sub"], tuple(str(claims["scope"]).split())))


def _access(book: Book, username: str, scopes: tuple[str, ...]) -> dict[str, object]:
    return {
        "access_token": book.give_access(username, scopes),
        "expires_in": book.lifetime_seconds,
        "scope": " ".join(scopes),
        "token_type": "Bearer",
    }
