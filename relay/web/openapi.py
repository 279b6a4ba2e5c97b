"""The API's description, OpenAPI 3.1, made of one table of operations and the shapes.

    python -m relay.web.openapi > relay/web/openapi.json

A test holds table, routes, real answers and that file against each other.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from relay import __version__
from relay.web.gate import SESSION_PATH
from relay.web.request import PREFIX
from relay.web.shapes import asked, base, mail, office, service

_REF = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `answer` is a shape, or the media type of what is no document."""

    summary: str
    answer: type[BaseModel] | tuple[type[BaseModel], ...] | str
    asks: type[BaseModel] | None = None
    query: tuple[str, ...] = ()

    def shapes(self) -> list[type[BaseModel]]:
        """The shapes that an answer may have."""
        if isinstance(self.answer, str):
            return []
        return list(self.answer) if isinstance(self.answer, tuple) else [self.answer]


_LANG = ("lang",)
_SOUGHT = ("q", "recipient", "sender", "client", "state", "before", "limit")

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/session"): Operation("who is looking", service.Session),
    ("POST", "/session"): Operation("log in", service.Session, asked.PasswordAsked),
    ("DELETE", "/session"): Operation("log out", service.Session),
    ("GET", "/events"): Operation(
        "what changes: events queue, device, account, health", "text/event-stream"
    ),
    ("GET", "/openapi.json"): Operation("this description", "application/json"),
    ("GET", "/queue"): Operation(
        "messages that are not finished, the oldest first",
        mail.QueueList,
        query=("state", "limit", "client"),
    ),
    ("POST", "/queue/actions"): Operation("act on messages", mail.QueueAct, asked.ActAsked),
    ("GET", "/queue/ids"): Operation("the ids of all that is not finished", mail.QueueIds),
    ("GET", "/queue/{id}"): Operation(
        "one message's whole life", (mail.QueueShow, mail.QueueUnknown), query=_LANG
    ),
    ("GET", "/queue/{id}/message"): Operation("the message as it waits", "message/rfc822"),
    ("POST", "/queue/{id}/cure"): Operation(
        "adopt the sender rule that cures a message",
        (mail.QueueCure, mail.QueueUnknown),
        asked.CureAsked,
    ),
    ("GET", "/senders"): Operation("adopted sender rules", mail.SenderList),
    ("POST", "/senders/remove"): Operation(
        "take sender rules back", mail.SenderRemove, asked.SenderAsked
    ),
    ("GET", "/clients"): Operation("who may send", office.ClientList),
    ("POST", "/clients"): Operation("let one address in", office.ClientAllow, asked.AllowAsked),
    ("GET", "/clients/refused"): Operation("who was turned away", office.ClientRefused),
    ("POST", "/clients/learn"): Operation(
        "open or end the learning window", office.ClientLearn, asked.LearnAsked
    ),
    ("DELETE", "/clients/{address}"): Operation("take an adoption back", office.ClientRemove),
    ("GET", "/accounts"): Operation("the accounts", office.AccountList, query=_LANG),
    ("POST", "/accounts/grant"): Operation(
        "keep what a consent gave", office.AccountGrant, asked.GrantAsked
    ),
    ("POST", "/accounts/pause"): Operation("log in no more", office.AccountPause, asked.NameAsked),
    ("POST", "/accounts/resume"): Operation("try again", office.AccountResume, asked.NameAsked),
    ("POST", "/accounts/test"): Operation(
        "log in once", office.AccountTest, asked.TestAsked, _LANG
    ),
    ("POST", "/accounts/consent"): Operation("begin a consent", office.Consent, asked.ConsentAsked),
    ("GET", "/accounts/consent/{name}"): Operation("how a consent stands", office.Consent),
    ("POST", "/accounts/consent/{name}"): Operation(
        "give the address that the browser ended at", office.Consent, asked.RedirectAsked
    ),
    ("DELETE", "/accounts/consent/{name}"): Operation("give a consent up", office.Consent),
    ("GET", "/why"): Operation(
        "what would become of one mail", service.Why, query=("address", "sender", "recipient")
    ),
    ("GET", "/status"): Operation("whether all is well", service.Status),
    ("POST", "/reload"): Operation(
        "read the configuration again", service.Reload, asked.NothingAsked
    ),
    ("GET", "/inbox"): Operation("messages to be read", mail.Inbox, query=("limit",)),
    ("GET", "/inbox/{id}"): Operation("one message, taken apart", mail.InboxShow),
    ("GET", "/inbox/{id}/html"): Operation("its HTML, for a sandboxed frame", "text/html"),
    ("GET", "/inbox/{id}/attachment/{index}"): Operation(
        "one attachment", "application/octet-stream"
    ),
    ("GET", "/today"): Operation("how the relay fares", service.Today),
    ("GET", "/messages"): Operation(
        "search messages, finished ones too, the newest first", mail.Messages, query=_SOUGHT
    ),
    ("GET", "/devices"): Operation("what each device sent", office.Devices),
    ("POST", "/alarms/test"): Operation(
        "tell on each path that this is a test", service.AlarmTest, asked.NothingAsked
    ),
    ("POST", "/diagnose"): Operation("examine", service.Diagnosis, asked.DiagnoseAsked),
    ("GET", "/diagnose/report"): Operation(
        "the last report as a file", "text/html", query=("format",)
    ),
    ("POST", "/test-message"): Operation(
        "send a test message", mail.TestMessage, asked.TestMessageAsked
    ),
    ("GET", "/settings"): Operation("each setting with its origin", service.Settings),
    ("POST", "/settings/check"): Operation(
        "what would become of a text as relay.toml", service.SettingsCheck, asked.SettingsAsked
    ),
}


def described() -> dict[str, Any]:
    """The whole description."""
    models: set[type[BaseModel]] = {base.Error}
    for operation in OPERATIONS.values():
        models |= {*operation.shapes(), *([operation.asks] if operation.asks else [])}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "office-mail-relay",
            "version": __version__,
            "description": "Page and commands speak to the relay by this. Commands send the "
            "control token; the page its session's cookie, and with every change the header "
            "X-CSRF-Token with what GET /session tells.",
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}, {"cookie": [], "csrf": []}],
        "paths": paths,
        "components": {
            "schemas": _without_titles(schemas["$defs"]),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "relay_session"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            },
        },
    }


def _without_titles(value: Any) -> Any:
    """Without the names that pydantic makes of keys: they say the same again."""
    if isinstance(value, list):
        return [_without_titles(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_titles(each)
        for key, each in value.items()
        if key != "title" or not isinstance(each, str)
    }


def _operation(method: str, path: str, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": f"{method.lower()} {path}",
        "summary": operation.summary,
        "responses": {
            "200": {"description": operation.summary, "content": _content(operation)},
            "default": {
                "description": "nothing was done, and why",
                "content": {"application/json": {"schema": _ref(base.Error)}},
            },
        },
    }
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [(name, "path") for name in in_path] + [
        (name, "query") for name in operation.query
    ]
    if parameters:
        found["parameters"] = [
            {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
            for name, place in parameters
        ]
    if operation.asks is not None:
        body = {"application/json": {"schema": _ref(operation.asks)}}
        found["requestBody"] = {
            "required": operation.asks is not asked.NothingAsked,
            "content": body,
        }
    if PREFIX + path == SESSION_PATH and method != "DELETE":
        found["security"] = []
    return found


def _content(operation: Operation) -> dict[str, Any]:
    if isinstance(operation.answer, str):
        return {operation.answer: {}}
    refs = [_ref(each) for each in operation.shapes()]
    return {"application/json": {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


if __name__ == "__main__":
    json.dump(described(), sys.stdout, indent=1)
    sys.stdout.write("\n")
