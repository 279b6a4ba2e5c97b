"""The page's files: offline, without inline code, and vendored ones as their maker left them."""

import hashlib
import re
import tomllib
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "relay" / "web" / "static"
VENDOR = STATIC / "vendor"
OWN = [path for path in STATIC.rglob("*.*") if VENDOR not in path.parents]


def test_vendored_files_are_those_of_the_manifest() -> None:
    manifests = list(VENDOR.rglob("VENDOR.toml"))
    assert manifests
    for manifest in manifests:
        said = tomllib.loads(manifest.read_text())
        assert said["name"]
        assert said["version"]
        assert said["licence"]
        there = {path.name for path in manifest.parent.iterdir() if path != manifest}
        assert there == set(said["sha256"])
        assert any(name.startswith("LICEN") for name in there)
        for name, expected in said["sha256"].items():
            content = (manifest.parent / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == expected, name


def test_no_other_host_is_named() -> None:
    namespaces = ("http://www.w3.org/",)  # names, that nobody fetches
    for path in OWN:
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*", path.read_text()):
            if "://" in address:
                assert address.startswith((*namespaces, "http://127.0.0.1")), f"{path}: {address}"


def test_nothing_is_built_from_markup_or_run_from_text() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        r"|\bon[a-z]+=\"|\bstyle=\"|<script>|javascript:"
    )
    for path in OWN:
        found = forbidden.search(path.read_text())
        assert found is None, f"{path}: {found}"


def test_modules_are_small() -> None:
    for path in OWN:
        if path.suffix == ".js":
            assert len(path.read_text().splitlines()) <= 250, path
