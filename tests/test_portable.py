"""Nothing that only Unix has is used without a guard: many office servers run Windows.

It cannot be run there by these tests. So the syntax tree of every module is walked: an import, a
name of a module or a method that Windows lacks must stand behind a test of the platform, after an
early return by one, or in a try that expects it to be missing. A module of ours that is for Unix
as a whole may use all of it within its functions, and is used elsewhere behind a guard only.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("presets", "relay", "diagnose")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


FOR_UNIX = frozenset({"relay.spool.sqlite.writer_process", "relay.spool.sqlite.writer_child"})
"""Where the spool is written by a process of its own: sockets are handed over to it."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNIX_MODULES = words(
    "fcntl pwd grp resource termios tty pty syslog spwd crypt posix nis readline curses uvloop"
)
UNIX_NAMES = {
    "os": words(
        "fork forkpty getuid geteuid getgid getegid getgroups setuid seteuid setgid setegid "
        "setgroups initgroups getgrouplist setresuid setresgid setreuid setregid getresuid getpgid "
        "setpgid setsid getsid killpg chown fchown lchown fchmod chroot chflags mkfifo mknod sync "
        "fdatasync fstatvfs statvfs pread pwrite preadv pwritev readv writev posix_fallocate "
        "posix_fadvise sendfile getloadavg nice getpriority setpriority sched_getaffinity "
        "sched_setaffinity sched_yield openpty ttyname tcgetpgrp tcsetpgrp uname wait wait3 wait4 "
        "waitid WIFEXITED WEXITSTATUS WIFSIGNALED WTERMSIG WNOHANG register_at_fork setns unshare "
        "memfd_create getrandom confstr sysconf pathconf pipe2 lockf posix_spawn O_DIRECTORY "
        "O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_SYNC O_DSYNC O_NOCTTY O_PATH O_DIRECT EX_USAGE EX_OK "
        "EX_CONFIG EX_SOFTWARE EX_TEMPFAIL"
    ),
    "signal": words(
        "SIGHUP SIGALRM SIGKILL SIGUSR1 SIGUSR2 SIGCHLD SIGPIPE SIGQUIT SIGCONT SIGSTOP SIGTSTP "
        "SIGTTIN SIGTTOU SIGWINCH SIGVTALRM SIGPROF SIGURG SIGXCPU alarm setitimer getitimer pause "
        "pthread_kill pthread_sigmask sigwait sigwaitinfo sigtimedwait siginterrupt sigpending"
    ),
    "socket": words(
        "AF_UNIX AF_NETLINK AF_PACKET AF_VSOCK SO_REUSEPORT SO_PEERCRED SCM_RIGHTS MSG_DONTWAIT "
        "MSG_NOSIGNAL CMSG_LEN send_fds recv_fds TCP_CORK TCP_DEFER_ACCEPT"
    ),
    "time": words("tzset clock_gettime clock_gettime_ns CLOCK_MONOTONIC CLOCK_BOOTTIME"),
    "asyncio": words("open_unix_connection start_unix_server"),
    "select": words("poll epoll kqueue"),
}
UNIX_METHODS = words(
    "add_signal_handler remove_signal_handler create_unix_server create_unix_connection"
)
UNIX_ARGUMENTS = frozenset({"preexec_fn", "pass_fds", "start_new_session"})
MISSING = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError"})


def is_platform_test(node: ast.AST) -> bool:
    """It asks what system this is, or whether there is such a thing."""
    return any(
        ast.unparse(each) in ("sys.platform", "os.name", "hasattr")
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute | ast.Name)
    )


def leaves(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)


def expects_it_missing(node: ast.Try) -> bool:
    names = (
        each.id
        for handler in node.handlers
        if handler.type is not None
        for each in ast.walk(handler.type)
        if isinstance(each, ast.Name)
    )
    return bool(MISSING & set(names))


def unguarded(tree: ast.AST, name: str = "") -> list[tuple[int, str]]:
    """Line and name of each thing of Unix alone that nothing guards in the module `name`."""
    if name in FOR_UNIX:
        tree = _OnlyImported().visit(tree)
        return list(_walk(tree, frozenset(), guarded=False))
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in FOR_UNIX
        for alias in node.names
    }
    return list(_walk(tree, frozenset(ours), guarded=False))


class _OnlyImported(ast.NodeTransformer):
    """Leaves what an import of the module runs."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        return None

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        return None


def _walk(node: ast.AST, ours: frozenset[str], guarded: bool) -> Iterator[tuple[int, str]]:
    if not guarded:
        yield from _named(node)
        if isinstance(node, ast.Name) and node.id in ours:
            yield node.lineno, node.id
    for name, value in ast.iter_fields(node):
        within = guarded or _guards(node, name)
        if isinstance(value, list):
            for each in value:
                if isinstance(each, ast.AST):
                    yield from _walk(each, ours, within)
                # What follows an early return by the platform is for the other one.
                if isinstance(each, ast.If) and is_platform_test(each.test) and leaves(each.body):
                    within = True
        elif isinstance(value, ast.AST):
            yield from _walk(value, ours, within)


def _guards(node: ast.AST, part: str) -> bool:
    if isinstance(node, ast.If | ast.IfExp | ast.While) and part in ("body", "orelse"):
        return is_platform_test(node.test)
    if isinstance(node, ast.BoolOp):
        return is_platform_test(node)
    return isinstance(node, ast.Try) and part == "body" and expects_it_missing(node)


def _named(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Import(names=names):
            found = [each.name for each in names if _top(each.name) in UNIX_MODULES]
        case ast.ImportFrom(module=str(module), level=0) if _top(module) in UNIX_MODULES:
            found = [module]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            lacking = UNIX_NAMES.get(module, frozenset())
            found = [f"{module}.{each.name}" for each in names if each.name in lacking]
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if name in UNIX_NAMES.get(
            owner, ()
        ):
            found = [f"{owner}.{name}"]
        case ast.Attribute(attr=name) if name in UNIX_METHODS:
            found = [f"..{name}"]
        case ast.keyword(arg=str(name), value=value) if name in UNIX_ARGUMENTS:
            found = [] if is_platform_test(value) else [f"{name}="]
        case _:
            found = []
    for name in found:
        yield getattr(node, "lineno", 0), name


def _top(module: str) -> str:
    return module.partition(".")[0]


def test_every_module_is_looked_at() -> None:
    assert len(MODULES) > 250
    assert ROOT / "relay" / "service.py" in MODULES


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_of_unix_alone_is_used_without_a_guard(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in MODULES
        if path.is_relative_to(ROOT / package)
        for line, name in unguarded(ast.parse(path.read_text(encoding="utf-8")), module(path))
    ]
    assert found == []


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_what_is_for_unix_as_a_whole_exists() -> None:
    assert {module(path) for path in MODULES} >= FOR_UNIX


def test_a_module_for_unix_is_used_behind_a_guard_and_can_be_imported_anywhere() -> None:
    imported = "from relay.spool.sqlite.writer_child import main\n"
    assert unguarded(ast.parse(f"{imported}main(3, path)")) == [(2, "main")]
    assert unguarded(ast.parse(f"{imported}if sys.platform != 'win32':\n    main(3, path)")) == []
    within = ast.parse("def main():\n    os.fork()")
    assert unguarded(within, "relay.spool.sqlite.writer_child") == []
    at_once = ast.parse("import fcntl")
    assert unguarded(at_once, "relay.spool.sqlite.writer_child") == [(1, "fcntl")]


PLANTED = {
    "import fcntl": "fcntl",
    "from pwd import getpwnam": "pwd",
    "from os import fork": "os.fork",
    "def f():\n    import resource": "resource",
    "import os\nx = os.geteuid() == 0": "os.geteuid",
    "import signal\nsignal.signal(signal.SIGHUP, f)": "signal.SIGHUP",
    "loop.add_signal_handler(1, f)": "..add_signal_handler",
    "get_loop().add_signal_handler(1, f)": "..add_signal_handler",
    "import socket\nsocket.socket(socket.AF_UNIX)": "socket.AF_UNIX",
    "if busy:\n    os.sync()": "os.sync",
    "try:\n    os.sync()\nexcept OSError:\n    pass": "os.sync",
    "run(words, preexec_fn=f)": "preexec_fn=",
    "run(words, start_new_session=True)": "start_new_session=",
    "def f():\n    if os.name == 'nt':\n        x = 1\n    os.sync()": "os.sync",
    "def f():\n    if os.name == 'nt':\n        return\ndef g():\n    os.sync()": "os.sync",
}
GUARDED = [
    "if sys.platform != 'win32':\n    import fcntl",
    "if sys.platform == 'win32':\n    x = 1\nelse:\n    import pwd",
    "try:\n    import uvloop\nexcept ImportError:\n    uvloop = None",
    "def f():\n    if os.name == 'nt':\n        return 1\n    return os.geteuid()",
    "x = os.geteuid() if hasattr(os, 'geteuid') else 0",
    "if os.name != 'nt' and os.geteuid() == 0:\n    pass",
    "run(words, start_new_session=sys.platform != 'win32')",
    "if not hasattr(socket, 'AF_UNIX'):\n    raise OSError\nsocket.socket(socket.AF_UNIX)",
]


@pytest.mark.parametrize("code", PLANTED)
def test_it_finds_what_is_planted(code: str) -> None:
    assert [name for _, name in unguarded(ast.parse(code))] == [PLANTED[code]]


@pytest.mark.parametrize("code", GUARDED)
def test_it_knows_a_guard(code: str) -> None:
    assert unguarded(ast.parse(code)) == []
