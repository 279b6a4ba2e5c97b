"""What all documents of the API are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(description="opaque")]
Time = Annotated[str, Field(description="RFC 3339, in UTC", examples=["2026-11-21T12:00:00.000Z"])]
Day = Annotated[str, Field(description="RFC 3339 full-date")]
State = Literal["queued", "held", "delivered", "failed", "deleted"]
Open = dict[str, Any]


class Shape(BaseModel):
    """Every key is there, and no other."""

    model_config = ConfigDict(extra="forbid", strict=True, title=None)


class Answer(Shape):
    """A document."""

    schema_: Literal["relay/1"] = Field(alias="schema")


class Named(Answer):
    """A document that says what it answers."""

    command: str


class Texts(Shape):
    """One text for a reader, in both languages."""

    nl: str
    en: str


class Error(Answer):
    """Nothing was done, and why."""

    error: Texts


class Reply(Shape):
    """What a server said; `code` 0: what happened instead of a reply."""

    code: int
    enhanced: str | None
    text: str


class Explanation(Shape):
    """What a reply means, and what to do."""

    cause: str
    scope: str
    retry: Literal["later", "after-change", "never"]
    provider: str | None
    meaning: str
    steps: list[str]


class Fault(Shape):
    file: str
    line: int | None
    key: str | None
    nl: str
    en: str
