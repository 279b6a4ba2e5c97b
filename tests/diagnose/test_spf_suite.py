"""The RFC 7208 conformance suite: every case, through the public function."""

import pytest
from fakes import spf_suite
from fakes.peers import skip_or_fail
from fakes.spf_suite import Case
from fakes.spf_zone import Zone

import diagnose.spf

FILE = spf_suite.find()
CASES = list(spf_suite.cases(FILE)) if FILE else []


def test_the_suite_is_here_and_whole(request: pytest.FixtureRequest) -> None:
    if FILE is None:
        reason = f"{spf_suite.FILE} is in neither ../shared/spf nor the directory SPF_SUITE"
        skip_or_fail(request.node, reason)
    assert len(CASES) == 203
    assert sum(case.explanation is not None for case in CASES) == 22
    assert sum(len(case.results) > 1 for case in CASES) == 6


@pytest.mark.parametrize("case", CASES, ids=[f"{case.scenario}: {case.name}" for case in CASES])
async def test_case_of_the_suite(case: Case) -> None:
    domain = case.mailfrom.rpartition("@")[2] or case.helo
    found = await diagnose.spf.check_host(
        case.host, domain, sender=case.mailfrom, helo=case.helo, resolver=Zone(case.zone)
    )
    trace = "\n".join(map(str, found.trace))
    assert found.result in case.results, trace
    if case.explanation is not None:
        wanted = None if case.explanation == "DEFAULT" else case.explanation
        assert found.explanation == wanted, trace
