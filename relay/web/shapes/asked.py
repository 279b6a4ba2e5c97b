"""What requests hold."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from relay.web.shapes.base import Id, Open


class Asked(BaseModel):
    """Other keys are ignored."""


class ActAsked(Asked):
    action: Literal["retry", "hold", "release", "delete", "reroute"]
    ids: list[Id] | None = None
    all: bool = False
    to: str | None = Field(None, description="the smarthost, with reroute")


class CureAsked(Asked):
    as_: str | None = Field(None, alias="as")
    domain: bool = False


class SenderAsked(Asked):
    sender: str
    smarthost: str | None = None


class AllowAsked(Asked):
    address: str
    name: str | None = None


class LearnAsked(Asked):
    minutes: int


class NameAsked(Asked):
    name: str


class TestAsked(NameAsked):
    force: bool = False


class GrantAsked(NameAsked):
    grant: Open


class ConsentAsked(NameAsked):
    flow: str | None = None
    lang: Literal["nl", "en"] | None = None


class RedirectAsked(Asked):
    redirect: str


class PasswordAsked(Asked):
    password: str


class DiagnoseAsked(Asked):
    check: Literal["connect", "tls", "auth", "spf", "dkim", "dmarc", "report"]
    domain: str | None = None
    smarthost: str | None = None
    lang: Literal["nl", "en"] | None = None


class TestMessageAsked(Asked):
    to: str
    from_: str | None = Field(None, alias="from")
    lang: Literal["nl", "en"] | None = None


class SettingsAsked(Asked):
    text: str


class NothingAsked(Asked):
    pass
