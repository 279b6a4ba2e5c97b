"""`relay check --online`: it logs in at each smarthost, and sends nothing."""

from pathlib import Path
from typing import Any

from fakes.certificates import Authority
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost


def smarthost_findings(directory: Path, authority: Authority, password: str) -> Any:
    behaviour = Behaviour(
        tls="starttls",
        context=authority.issue().server_context(),
        users={"bakker": "geheim"},
    )
    with Smarthost(behaviour) as smarthost:
        relay = RelayProcess(directory)
        relay.add_smarthost(smarthost.port, authority.ca_file, password=password)
        relay.write_config()
        done = relay.run("check", "--online", "--json")
        assert not smarthost.received
    assert password not in done.out + done.err
    findings = [each for each in done.json["findings"] if each["id"].startswith("smarthost")]
    return done, findings


def test_a_good_login(tmp_path: Path, authority: Authority) -> None:
    done, findings = smarthost_findings(tmp_path, authority, "geheim")
    assert [each["severity"] for each in findings] == ["ok", "ok"], findings
    assert findings[1]["evidence"]["days_left"] > 21
    assert (done.code, done.json["verdict"]) == (0, "pass")


def test_a_wrong_password_says_what_to_do(tmp_path: Path, authority: Authority) -> None:
    done, (finding, certificate) = smarthost_findings(tmp_path, authority, "verkeerd")
    assert (certificate["id"], certificate["severity"]) == ("smarthost-certificate", "ok")
    assert (done.code, finding["severity"]) == (1, "error")
    assert finding["evidence"]["phase"] == "auth"
    assert finding["remedy"]


def test_a_certificate_of_nobody(
    tmp_path: Path, authority: Authority, unknown_authority: Authority
) -> None:
    behaviour = Behaviour(tls="starttls", context=unknown_authority.issue().server_context())
    with Smarthost(behaviour) as smarthost:
        relay = RelayProcess(tmp_path)
        relay.add_smarthost(smarthost.port, authority.ca_file)
        relay.write_config()
        done = relay.run("check", "--online", "--json")
    assert done.code == 1
    found = next(each for each in done.json["findings"] if each["id"] == "smarthost")
    assert found["evidence"]["cause"] == "certificate-not-trusted"
