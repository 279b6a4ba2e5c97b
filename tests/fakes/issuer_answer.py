"""What the fake issuer sends back: answers, its two families of errors, and faults to play."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

# AADSTS code: (error, suberror, description), as Microsoft documents them.
_AADSTS: dict[int, tuple[str, str | None, str]] = {
    50011: ("invalid_request", None, "The redirect URI specified in the request does not match."),
    50053: ("invalid_grant", None, "You've tried to sign in too many times with an incorrect"
            " user ID or password."),
    50057: ("invalid_grant", None, "The user account is disabled."),
    50059: ("invalid_request", None, "No tenant-identifying information found in either the"
            " request or implied by any provided credentials."),
    50076: ("invalid_grant", "basic_action", "Due to a configuration change made by your"
            " administrator, or because you moved to a new location, you must use multi-factor"
            " authentication to access '00000002-0000-0ff1-ce00-000000000000'."),
    50105: ("invalid_grant", None, "Your administrator has configured the application to block"
            " users unless they are specifically granted ('assigned') access to the application."),
    50173: ("invalid_grant", "bad_token", "The provided grant has expired due to it being revoked,"
            " a fresh auth token is needed. The user might have changed or reset their password."),
    53003: ("invalid_grant", "message_only", "Access has been blocked by Conditional Access"
            " policies. The access policy does not allow token issuance."),
    530033: ("invalid_grant", "message_only", "Access has been blocked by Conditional Access"
             " policies: device code flow is not allowed."),
    65001: ("invalid_grant", "consent_required", "The user or administrator has not consented to"
            " use the application. Send an interactive authorization request for this user and"
            " resource."),
    70000: ("invalid_grant", None, "Provided grant is invalid or malformed."),
    70008: ("invalid_grant", "bad_token", "The provided authorization code or refresh token has"
            " expired due to inactivity. Send a new interactive authorization request for this"
            " user and resource."),
    70011: ("invalid_scope", None, "The provided request must include a 'scope' input parameter."),
    70016: ("authorization_pending", None, "OAuth 2.0 device flow error. Authorization is"
            " pending. Continue polling."),
    70018: ("bad_verification_code", None, "Invalid verification code."),
    70019: ("expired_token", None, "Verification code expired. Have the user retry the sign-in."),
    70044: ("invalid_grant", "bad_token", "The session has expired or is invalid due to sign-in"
            " frequency checks by conditional access."),
    700016: ("unauthorized_client", None, "Application with identifier was not found in the"
             " directory."),
    700027: ("invalid_client", None, "The certificate with identifier used to sign the client"
             " assertion is not registered on application."),
    700082: ("invalid_grant", "bad_token", "The refresh token has expired due to inactivity. The"
             " token was inactive for 90.00:00:00."),
    7000215: ("invalid_client", None, "Invalid client secret provided. Ensure the secret being"
              " sent in the request is the client secret value, not the client secret ID."),
    7000218: ("invalid_client", None, "The request body must contain the following parameter:"
              " 'client_assertion' or 'client_secret'."),
    7000222: ("invalid_client", None, "The provided client secret keys for app are expired. Visit"
              " the Azure portal to create new keys for your app."),
    90002: ("invalid_request", None, "Tenant not found."),
    90033: ("temporarily_unavailable", None, "A transient error has occurred. Please try again."),
    90094: ("invalid_grant", "consent_required", "Admin consent is required for the permissions"
            " requested by this application."),
    501481: ("invalid_grant", None, "The Code_Verifier does not match the code_challenge supplied"
             " in the authorization request."),
    1002012: ("invalid_scope", None, "The provided value for scope is not valid. Client credential"
              " flows must have a scope value with /.default suffixed to the resource identifier."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; a mapping becomes JSON."""

    status: int = 200
    body: Mapping[str, object] | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        """The body on the wire."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted answer in place of the real one. `at` names the page it is for."""

    kind: Literal["answer", "endless", "hang", "drop"] = "answer"
    answer: Answer = Answer()
    at: Literal["token", "device", "discovery"] = "token"


def aadsts(code: int, now: datetime, **more: object) -> Answer:
    """An error of Microsoft's, with its trace ids."""
    error, suberror, text = _AADSTS[code]
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    stamp = f"{now:%Y-%m-%d %H:%M:%S}Z"
    body = {
        "error": error,
        "error_description": f"AADSTS{code}: {text} Trace ID: {trace}"
        f" Correlation ID: {correlation} Timestamp: {stamp}",
        "error_codes": [code],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={code}",
        **({"suberror": suberror} if suberror else {}),
        **more,
    }
    return Answer(401 if error == "invalid_client" else 400, body)


def google_error(error: str, description: str | None = None) -> Answer:
    """An error of Google's: two words, no codes."""
    body = {"error": error, **({"error_description": description} if description else {})}
    return Answer(401 if error in ("invalid_client", "unauthorized_client") else 400, body)


def google_revoked() -> Answer:
    """What Google says of a refresh token that is gone, whatever the reason."""
    return google_error("invalid_grant", "Token has been expired or revoked.")
