"""Strict reading of one TOML table: what is not known is an error, never ignored."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

_KINDS = {str: "a string", int: "an integer", bool: "true or false", dict: "a table"}


class PresetError(ValueError):
    """A preset's file is wrong: names the file, the key and the fault."""

    def __init__(self, file: str, key: str, fault: str) -> None:
        super().__init__(f"{file}: {key}: {fault}" if key else f"{file}: {fault}")
        self.file = file
        self.key = key
        self.fault = fault


class Table:
    """A TOML table from which keys are taken; leaving the `with` block demands that none is left.

    Every method raises PresetError where the key is missing or of another type.
    """

    def __init__(self, data: Mapping[str, Any], file: str, path: str = "") -> None:
        self.file = file
        self.path = path
        self._left = dict(data)

    def __enter__(self) -> "Table":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None and self._left:
            raise self.error(next(iter(self._left)), "unknown key")

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def names(self) -> tuple[str, ...]:
        """The keys not taken yet, in the order of the file."""
        return tuple(self._left)

    def error(self, key: str, fault: str) -> PresetError:
        return PresetError(self.file, self._at(key), fault)

    def text(self, key: str) -> str:
        value = self._take(key, str)
        if not value.strip():
            raise self.error(key, "must not be empty")
        return value

    def holds_text(self, key: str) -> bool:
        """Whether the key holds a string, where other types are right as well."""
        return isinstance(self._left.get(key), str)

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if key in self else None

    def choice(self, key: str, choices: tuple[T, ...]) -> T:
        """The value, which must be one of `choices`."""
        value = self._take(key, str)
        for choice in choices:
            if choice == value:
                return choice
        known = ", ".join(str(choice) for choice in choices)
        raise self.error(key, f"{value!r} is none of {known}")

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty where the key is missing."""
        return self._list(key, str)

    def integer(self, key: str) -> int:
        return self._take(key, int)

    def integers(self, key: str) -> tuple[int, ...]:
        return self._list(key, int)

    def flag(self, key: str) -> bool:
        """True or false; false where the key is missing."""
        return self._take(key, bool) if key in self else False

    def flag_or_none(self, key: str) -> bool | None:
        return self._take(key, bool) if key in self else None

    def table(self, key: str) -> "Table":
        return Table(self._take(key, dict), self.file, self._at(key))

    def tables(self, key: str) -> Iterator["Table"]:
        """The tables of an array, numbered from 1 in errors."""
        for number, data in enumerate(self._list(key, dict), 1):
            yield Table(data, self.file, f"{self._at(key)}[{number}]")

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _take(self, key: str, kind: type[T]) -> T:
        if key not in self._left:
            raise self.error(key, "is missing")
        return self._checked(key, self._left.pop(key), kind)

    def _list(self, key: str, kind: type[T]) -> tuple[T, ...]:
        if key not in self._left:
            return ()
        values = self._left.pop(key)
        if not isinstance(values, list):
            raise self.error(key, "must be a list")
        return tuple(self._checked(key, value, kind) for value in values)

    def _checked(self, key: str, value: object, kind: type[T]) -> T:
        if type(value) is not kind:  # exact, since True is an instance of int
            raise self.error(key, f"must be {_KINDS[kind]}")
        return value
