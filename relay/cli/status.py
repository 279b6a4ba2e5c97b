"""`relay status` and `relay reload`: the running relay as a whole."""

from __future__ import annotations

from typing import Any

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import local_time, print_json, print_table, reply_text
from relay.cli.session import EXIT_PROBLEMS, Session, open_session, stop, talk


def status(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Tell whether all is well, as a monitoring plug-in does: exit 0 good, 1 problems, 3 unknown.

    Example: relay status
    """
    session = open_session(config, lang, as_json)
    found = _status(session)
    problems = found["problems"]
    if as_json:
        print_json(found)
    else:
        print(_first_line(session, found))
        _print_details(session, found)
    if problems:
        raise typer.Exit(EXIT_PROBLEMS)


def reload(
    config: ConfigOption = None, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Make the running relay read its configuration again; a bad one changes nothing.

    Example: relay reload
    """
    from relay.cli.ask import ask

    session = open_session(config, lang, as_json)
    answer = ask(session, "reload", lambda desk: desk.reload())
    if answer["faults"]:
        stop(*(each[session.language] for each in answer["faults"]))
    if as_json:
        print_json(answer)
    if not answer["applied"]:
        talk(session.text("reload.sandbox" if answer["running"] else "status.not-running"))
        raise typer.Exit(EXIT_PROBLEMS)
    if not as_json:
        print(session.text("reload.applied"))
    for key in answer["needs_restart"]:
        talk(session.text("reload.restart", key=key))


def _status(session: Session) -> dict[str, Any]:
    """The desk's status; a spool that cannot be used or asked is a problem in itself."""
    import asyncio

    from relay.cli.ask import NoAnswer, NoSpool, consult, unchecked
    from relay.cli.serve import why_no_spool
    from relay.control.client import ApiError, Silent
    from relay.control.health import not_running, spool_failing
    from relay.spool.errors import SpoolError

    async def work(desk: Any) -> dict[str, Any]:
        found: dict[str, Any] = await desk.status()
        return found

    try:
        return asyncio.run(consult(session, work))
    except NoSpool:
        return not_running(session.config)
    except (SpoolError, OSError) as error:
        return spool_failing(session.config, why_no_spool(session, error))
    except (NoAnswer, Silent, ApiError) as error:
        unchecked(session, "status", error)


def _first_line(session: Session, found: dict[str, Any]) -> str:
    """`OK - ...` or `PROBLEM - ...`, then performance data as monitoring programs read it."""
    warnings = "; ".join(_warning(session, each) for each in found["warnings"])
    if found["problems"]:
        words = "; ".join(_problem(session, each) for each in found["problems"])
        line = f"PROBLEM - {words}"
    else:
        key = "status.sandbox" if found["sandbox"] else "status.good"
        line = f"OK - {session.text(key, queued=found['queued'], held=found['held'])}"
    if warnings:
        line += "; " + session.text("status.warnings", words=warnings)
    return line.replace("|", "/") + _performance(found)


def _performance(found: dict[str, Any]) -> str:
    """`label=value[unit];warn;crit;min`, as the Monitoring Plugins guidelines have it."""
    if "queued" not in found:
        return ""
    values = [
        f"queued={found['queued']};;;0",
        f"held={found['held']};;;0",
        f"oldest={found['oldest_queued_seconds']}s;3600;;0",
    ]
    if found["free_bytes"] is not None:
        values.append(f"free={found['free_bytes']}B;{found['reserve_bytes']}:;;0")
    return " | " + " ".join(values)


def _problem(session: Session, problem: dict[str, Any]) -> str:
    values = {**problem, "reply": reply_text(problem.get("reply")) or problem.get("cause")}
    if "oldest_queued_seconds" in problem:
        values["minutes"] = problem["oldest_queued_seconds"] // 60
    return session.text(f"status.{problem['id']}", **values)


def _warning(session: Session, warning: dict[str, Any]) -> str:
    values = {**warning, "until": local_time(warning.get("blocked_until"))}
    if "limit" in warning:
        values["what"] = session.text(f"status.{warning['limit']}")
    return session.text(f"status.{warning['id']}", **values)


def _print_accounts(session: Session, accounts: list[dict[str, Any]]) -> None:
    """What each account has used and may use; nothing where no limit is known or in sight."""

    def limit(found: dict[str, Any]) -> str:
        most = "-" if found["limit_now"] is None else str(found["limit_now"])
        return session.text("status.learned", limit=most) if found["learned"] else most

    rows = [
        [
            each["username"] or each["smarthosts"][0],
            f"{each['messages']['used']} / {limit(each['messages'])}",
            f"{each['recipients']['used']} / {limit(each['recipients'])}",
            limit(each["messages_per_minute"]),
            limit(each["max_connections"]),
            local_time(each["empty_at"]),
        ]
        for each in accounts
    ]
    if rows:
        print_table(session.text("status.accounts").split("|"), rows)


def _print_nodes(session: Session, nodes: list[dict[str, Any]]) -> None:
    """The processes that share the spool; nothing where there is one alone."""

    def state(node: dict[str, Any]) -> str:
        slug = "gone" if node["gone"] else "differs" if node["differs"] else "same"
        return session.text(f"status.node-{slug}")

    if nodes:
        print_table(
            session.text("status.nodes").split("|"),
            (
                [
                    f"{each['host']} ({each['pid']})",
                    each["version"],
                    state(each),
                    each["leases"],
                    each["connections"],
                    each["messages_per_minute"],
                    local_time(each["seen_at"]),
                ]
                for each in nodes
            ),
        )


def _print_details(session: Session, found: dict[str, Any]) -> None:
    if found.get("smarthosts"):
        print_table(
            session.text("status.headers").split("|"),
            (
                [
                    each["name"],
                    each["queued"],
                    each["blocked_by"],
                    local_time(each["blocked_until"]),
                    reply_text(each["reply"]) or each["cause"],
                ]
                for each in found["smarthosts"]
            ),
        )
    _print_accounts(session, found.get("accounts", []))
    _print_nodes(session, found.get("nodes", []))
    if found.get("learning_until"):
        print(session.text("client.window", until=local_time(found["learning_until"])))
