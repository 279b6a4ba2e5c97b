"""The examiner's commands run in this process, and what they say taken apart."""

import json
from collections.abc import Callable
from typing import Any

import typer
from typer.testing import CliRunner

ENVELOPE = {"schema", "command", "target", "verdict", "findings", "seconds"}
FINDING = {"id", "severity", "title", "detail", "remedy", "evidence", "reference"}


class Examiner:
    """One command under test."""

    def __init__(self, command: Callable[..., None]) -> None:
        self._app = typer.Typer()
        self._app.command()(command)

    def run(self, *arguments: str) -> Any:
        """Typer's own result; the exception of a bug is raised."""
        result = CliRunner().invoke(self._app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def document(self, *arguments: str, code: int) -> dict[str, Any]:
        """The JSON document, whose exit code must be `code`."""
        result = self.run(*arguments, "--lang", "en", "--json")
        assert result.exit_code == code, (result.stdout, result.stderr)
        found: dict[str, Any] = json.loads(result.stdout)
        assert found.keys() >= ENVELOPE
        assert found["schema"] == "diagnose/1"
        assert all(set(each) == FINDING for each in found["findings"])
        return found


def findings(document: dict[str, Any]) -> dict[str, str]:
    """Severity by id."""
    return {each["id"]: each["severity"] for each in document["findings"]}


def the_finding(document: dict[str, Any], id_: str) -> dict[str, Any]:
    """The only finding of that id."""
    (found,) = [each for each in document["findings"] if each["id"] == id_]
    return dict(found)
