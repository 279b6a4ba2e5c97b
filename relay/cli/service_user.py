"""`relay check` as the service's user: that root can read a file says nothing about the service.

What the configuration names is tried in a child process with that user's ids.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from relay.cli.finding import Finding, make
from relay.cli.session import Session
from relay.cli.trials import trials, try_all
from relay.config.model import Config

_CHILD_SECONDS = 60
"""A key ring that asks somebody, or a share that hangs, ends with the child."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody on this machine."""

    name: str
    uid: int
    gid: int
    group: str
    home: str


def _told(session: Session, user: User, results: list[dict[str, Any]]) -> Iterator[Finding]:
    wrong = [each for each in results if each["case"] not in ("good", "environment")]
    for each in results:
        values = {**each, "user": user.name, "group": user.group}
        case = values.pop("case")
        reason = values.pop("reason") or {}
        values["reason"] = reason.get(session.language, "")
        if case == "environment":
            yield make(session, "service-user", "info", case, **values)
        elif case != "good":
            yield make(session, "service-user", "error", case, **values)
    if not wrong:
        count = len(trials(session.config))
        yield make(session, "service-user", "ok", "good", user=user.name, count=count)


if sys.platform == "win32":

    def user_findings(session: Session, named: str | None) -> Iterator[Finding]:
        """Windows has no ids to take on: nothing is looked at."""
        return iter(())

else:
    import grp
    import pwd
    import signal

    def user_findings(session: Session, named: str | None) -> Iterator[Finding]:
        """Whether the service's user can use all that the configuration names.

        The user is `named`, else who owns the spool's directory. Ends with exit 2 where `named` does
        not exist, or only root could become it.
        """
        current = _user(os.geteuid())
        user = _named(session, named) if named is not None else _owner(session.config)
        if user is None:
            yield make(session, "service-user", "info", "nobody", user=current.name)
            return
        if user.uid == current.uid:
            results: list[dict[str, Any]] | None = try_all(session.config)
        elif current.uid != 0:
            if named is not None:
                session.stop("check.service-user.not-root", user=user.name, current=current.name)
            values = {"user": user.name, "current": current.name}
            yield make(session, "service-user", "unknown", "other", **values)
            return
        else:
            results = _as_user(user, lambda: try_all(session.config))
        if results is None:
            yield make(session, "service-user", "unknown", "silent", user=user.name)
            return
        yield from _told(session, user, results)

    def _user(uid: int) -> User:
        try:
            return _found(pwd.getpwuid(uid))
        except KeyError:
            # A container may run as a number that no file knows.
            return User(str(uid), uid, os.getegid(), str(os.getegid()), "/")

    def _found(entry: pwd.struct_passwd) -> User:
        try:
            group = grp.getgrgid(entry.pw_gid).gr_name
        except KeyError:
            group = str(entry.pw_gid)
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid, group, entry.pw_dir)

    def _named(session: Session, name: str) -> User:
        try:
            return _found(pwd.getpwnam(name))
        except KeyError:
            session.stop("check.service-user.unknown-name", user=name)

    def _owner(config: Config) -> User | None:
        """Who owns the spool's directory; None where it is not there yet."""
        try:
            return (
                None if config.spool.path is None else _user(config.spool.path.parent.stat().st_uid)
            )
        except OSError:
            return None

    def _as_user(
        user: User, work: Callable[[], list[dict[str, Any]]]
    ) -> list[dict[str, Any]] | None:
        """What `work` gives in a child with this user's ids; None where the child failed."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            # This user may not even be let to our program's files: all of it is loaded by now.
            code = 1
            try:
                os.close(reading)
                _become(user)
                with os.fdopen(writing, "wb") as answer:
                    answer.write(json.dumps(work()).encode())
                code = 0
            finally:
                # Nothing of the parent's is flushed, closed or unwound a second time.
                os._exit(code)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            return None
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def _become(user: User) -> None:
        """This process belongs to `user` from now on, and ends within `_CHILD_SECONDS`."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_CHILD_SECONDS)
        os.setgroups(os.getgrouplist(user.name, user.gid) if not user.name.isdecimal() else [])
        os.setgid(user.gid)
        os.setuid(user.uid)
        os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)
        for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
            os.environ.pop(name, None)  # the key ring of whoever asks is not the service's
