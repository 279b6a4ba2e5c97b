"""The register of scenarios: each fault and abuse that the relay must stand, and what proves it."""

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NUMBERS = {"A": 34, "D": 21, "O": 22, "W": 12}
"""How many there are of each kind: listener, spool, outbound, and page, commands and secrets."""

REGISTER = tomllib.loads((TESTS / "scenarios.toml").read_text(encoding="utf-8"))
WAITING: dict[str, str] = REGISTER.pop("waiting")
"""Those that no test can prove yet, in whole or in part, each with its reason."""


def scenarios() -> list[str]:
    return [f"{kind}{at}" for kind, most in NUMBERS.items() for at in range(1, most + 1)]


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    """The names of the test functions in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = (node.name for node in ast.walk(tree) if isinstance(node, functions))
    return frozenset(name for name in names if name.startswith("test_"))


@pytest.mark.parametrize("scenario", scenarios())
def test_each_scenario_is_proved_or_waits_for_a_reason(scenario: str) -> None:
    proofs = REGISTER.get(scenario, [])
    assert proofs or len(WAITING.get(scenario, "")) > 20
    for proof in proofs:
        path, _, test = proof.partition("::")
        assert (ROOT / path).is_file(), proof
        name, _, case = test.partition("[")
        assert name in functions_of(ROOT / path), proof
        if name == "test_dialog":
            assert (TESTS / "dialogs" / f"{case.removesuffix(']')}.txt").is_file(), proof


def test_nothing_else_is_registered() -> None:
    assert [name for name in REGISTER if name not in scenarios()] == []
    # A part of a scenario that waits has a word more: "A5 UNKNOWN".
    parts = [re.match(r"[ADOW]\d+", name) for name in WAITING]
    assert [name for name, part in zip(WAITING, parts, strict=True) if part is None] == []
    assert all(part is not None and part[0] in scenarios() for part in parts)


def test_each_proof_is_named_once_in_a_scenario() -> None:
    assert [name for name, proofs in REGISTER.items() if len(proofs) != len(set(proofs))] == []
