r"""What every test may use: certificate authorities, peers of other makers, and their summary.

With `FUZZ=long` in the environment each property of a parser is tried with 20,000 examples
instead of a hundred (4,000 instead of 400 for the slow ones of TOML):

    FUZZ=long .venv/bin/python -m pytest --timeout=3600 tests/relay/test_path_properties.py \
        tests/relay/test_data_decoder.py tests/relay/test_smarthost_reply_parser.py \
        tests/relay/test_config_locate.py tests/relay/test_proxy_header.py \
        tests/diagnose/test_spf_record.py
"""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import peers
from fakes.canary import holds_any_canary
from fakes.certificates import Authority
from fakes.postgresql import PostgreSQL
from fakes.stores import PostgresStore, SqliteStore, Store


class Watch:
    """Sees every report of the run, those of other processes too: what was skipped for lack of a
    peer, and where a secret of a test (they begin with CANARY) was logged or printed."""

    def __init__(self) -> None:
        self._skipped = 0
        self._leaks: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and any(name == peers.SKIPPED for name, _ in report.user_properties):
            self._skipped += 1
        if any(holds_any_canary(text) for _, text in report.sections):
            self._leaks.append(f"{report.nodeid} ({report.when})")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._leaks and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in self._leaks:
            terminalreporter.write_line(
                f"a secret in what was logged or printed by {test}", red=True
            )
        terminalreporter.write_line(f"peer tests skipped: {self._skipped}")


def pytest_configure(config: pytest.Config) -> None:
    # A test's spool may well be in a container's own layer: whoever tests that takes it away.
    os.environ["RELAY_EPHEMERAL_SPOOL"] = "1"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores it, and so would the programs that the tests interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "needs(*peers): talks to programs of other makers")
    if not hasattr(config, "workerinput"):  # of xdist: one process among several
        config.pluginmanager.register(Watch())
    if os.environ.get("FUZZ") == "long":
        from hypothesis import settings

        settings.register_profile("long", max_examples=20_000, deadline=None, print_blob=True)
        settings.load_profile("long")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """What a hostile peer made a test log may hold lone surrogates, which no process can pass on."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        reason = peers.missing(marker.args)
        if reason is not None:
            peers.skip_or_fail(item, reason)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the tests' clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def unknown_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("unknown"), "unknown")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server for all tests of this process that need one; not to be stopped by any."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=peers.needs("postgres"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty spool of either kind, to be opened."""
    if request.param == "sqlite":
        yield SqliteStore(tmp_path / "spool.db")
        return
    yield from _postgres_store(request)


@pytest.fixture
def postgres_store(request: pytest.FixtureRequest) -> Iterator[PostgresStore]:
    """An empty spool in PostgreSQL, to be opened, by several nodes too."""
    yield from _postgres_store(request)


def _postgres_store(request: pytest.FixtureRequest) -> Iterator[PostgresStore]:
    server: PostgreSQL = request.getfixturevalue("postgresql")
    made = PostgresStore(server)
    yield made
    made.forget()
