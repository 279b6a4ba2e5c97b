"""Who may use the page: no other site, no other name, and where it is set, who has the password."""

import http.client
import json
from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import Office, office
from fakes.certificates import Authority
from playwright.sync_api import Browser, expect


def status(it: Office, method: str, path: str, headers: dict[str, str], body: str = "") -> int:
    connection = http.client.HTTPConnection(it.relay.host, it.relay.web_port, timeout=10)
    connection.request(method, path, body or None, headers)
    found = connection.getresponse().status
    connection.close()
    return found


def test_a_page_of_another_site_can_do_nothing(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf, chromium: Browser
) -> None:
    with office(tmp_path, authority) as it, office(tmp_path_of(tmp_path), authority) as other:
        reader = reader_of(it.relay).open("accounts")
        expect(reader.main.get_by_role("button", name="Pause")).to_be_visible()
        # The same browser, its cookie included, on a page of another origin.
        attacker = reader.page.context.new_page()
        attacker.goto(f"http://{other.relay.host}:{other.relay.web_port}/static/icon.svg")
        for how in ("cors", "no-cors"):
            told = attacker.evaluate(
                """async ([url, how]) => {
                    try {
                        const answer = await fetch(url, {method: "POST", mode: how,
                            credentials: "include", headers: {"Content-Type": "text/plain"},
                            body: '{"name": "isp"}'});
                        return answer.type === "opaque" ? 0 : answer.status;
                    } catch { return 0; }
                }""",
                [f"{reader.base}/api/v1/accounts/pause", how],
            )
            assert told in (0, 403)
        read = attacker.evaluate(
            """async (url) => { try { return await (await fetch(url,
                {credentials: "include"})).text(); } catch { return null; } }""",
            f"{reader.base}/api/v1/session",
        )
        assert read is None
        reader.open("accounts")
        expect(reader.main.get_by_role("button", name="Pause")).to_be_visible()
        assert it.relay.log_events("paused") == []


def tmp_path_of(directory: Path) -> Path:
    elsewhere = directory / "elders"
    elsewhere.mkdir()
    return elsewhere


FOREIGN = (
    ({"Host": "evil.example"}, 421),
    ({"Host": "127.0.0.1.nip.io"}, 421),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
)


def test_a_foreign_name_or_origin_is_refused(quiet_office: Office) -> None:
    body = json.dumps({"name": "isp"})
    it = quiet_office
    for headers, expected in FOREIGN:
        for path in ("/", "/api/v1/session", "/api/v1/today", "/api/v1/events"):
            assert status(it, "GET", path, headers) == expected, (headers, path)
        changing = {**headers, "Content-Type": "application/json"}
        assert status(it, "POST", "/api/v1/accounts/pause", changing, body) == expected


def test_a_password_is_asked_where_one_is_set(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf, artefacts: Path
) -> None:
    from relay.web.password import hash_password

    secret = tmp_path / "page.hash"
    secret.touch(0o600)
    secret.write_text(f"{hash_password('zuurdesem')}\n")
    web = f'password_hash = {{ file = "{secret}" }}'
    with office(tmp_path, authority, web=web) as it:
        reader = reader_of(it.relay)
        reader.expected = ["401", "403"]
        reader.page.goto(f"{reader.base}/#/messages")
        password = reader.main.get_by_label("Password")
        expect(password).to_be_visible()
        reader.shot(artefacts / "login.png")
        reader.has_no_barriers()
        password.fill("verkeerd")
        reader.press("Log in")
        expect(reader.main.get_by_role("alert")).not_to_be_empty()
        password.fill("zuurdesem")
        reader.press("Log in")
        expect(reader.main.get_by_role("heading", level=1)).to_have_text("Messages")
        cookies = reader.page.context.cookies()
        assert [(each["httpOnly"], each["sameSite"]) for each in cookies] == [(True, "Strict")]
        reader.press("Log out")
        expect(reader.main.get_by_label("Password")).to_be_visible()
        assert reader.page.evaluate("fetch('/api/v1/today').then((a) => a.status)") == 401
