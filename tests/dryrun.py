"""Asks uv which packages it would install on another platform, and states this program's answer in the same form."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.lock.closure import selected_roots
from mlflow_uv.core.lock.installable import InstallMethod
from mlflow_uv.core.lock.lockfile import Lockfile, NotALock, Package, SourceKind
from mlflow_uv.core.lock.placement import Uncovered, place
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.targets import parse_target

# What a target is called here, and there.
PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_36",
    "linux-aarch64": "aarch64-manylinux_2_36",
    "macos-arm64": "aarch64-apple-darwin",
    "windows-x86_64": "x86_64-pc-windows-msvc",
}
MORE_PLATFORMS = {
    "linux-x86_64-glibc2.17": "x86_64-manylinux2014",
    "linux-aarch64-glibc2.28": "aarch64-manylinux_2_28",
    "linux-x86_64-musl1.2": "x86_64-unknown-linux-musl",
    "linux-aarch64-musl1.2": "aarch64-unknown-linux-musl",
    "macos-x86_64": "x86_64-apple-darwin",
    "windows-arm64": "aarch64-pc-windows-msvc",
}
_SAYS = (
    (r"can't be installed because", "cannot install"),
    (r"incompatible with the project's Python requirement", "not the project's"),
    (r"not compatible with the locked Python requirement", "not covered"),
    (r"not compatible with the lockfile's supported environments", "not covered"),
    (
        r"are incompatible with the conflicts|conflicting (?:extras|groups)|incompatible with the declared conflicts",
        "bad",
    ),
    (
        r"Missing workspace member|is not defined in|not found in|does not have a member|Could not find root package",
        "bad",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Python:
    """An interpreter of this machine, and its full version."""

    path: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    `installs` these, `cannot install` one of these, is `not covered` by the lock, or a `bad` selection.

    `not the project's` is a Python that pyproject.toml refuses: uv then does not look at the lock, and we look at
    nothing else. They say the same unless the lock is stale.
    """

    kind: str
    packages: frozenset[tuple[str, str]] = frozenset()
    words: str = ""

    def agrees(self, other: "Outcome") -> bool:
        """Whether the other says the same; of what cannot be installed uv names but the first."""
        if self.kind == "not the project's":
            return other.kind == "not covered"
        if self.kind != other.kind:
            return False
        return self.packages == other.packages if self.kind == "installs" else self.packages <= other.packages


def pythons() -> tuple[Python, ...]:
    """The CPythons of this machine that uv can use, the newest of each minor version, newest first."""
    listed = subprocess.run(
        ["uv", "python", "list", "--only-installed", "--offline", "--output-format", "json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    # Who installs several puts them side by side, and not all of them on PATH.
    beside = Path(sys.base_prefix).parent.glob("*/bin/python3")
    found: dict[tuple[int, ...], Python] = {}
    for path in (*(one["path"] for one in json.loads(listed.stdout)), *map(str, beside)):
        python = _asked(path)
        if python is not None:
            minor = _numbers(python)[:2]
            found[minor] = max(found.get(minor, python), python, key=_numbers)
    return tuple(found[minor] for minor in sorted(found, reverse=True) if minor >= (3, 9))


def _numbers(python: Python) -> tuple[int, ...]:
    return tuple(map(int, python.version.split(".")))


def _asked(path: str) -> Python | None:
    """The interpreter behind a path: a shim may lead to another one in another folder."""
    asked = (
        "import sys; i = sys.implementation; print(i.name, *sys.version_info[:4], sys.flags.isolated, sys.executable)"
    )
    done = subprocess.run([path, "-I", "-c", asked], capture_output=True, text=True, check=False)
    found = re.fullmatch(r"cpython (\d+) (\d+) (\d+) final 1 (.+)\n", done.stdout)
    return Python(version=".".join(found.groups()[:3]), path=found[4]) if found else None


def flags_of(selection: Selection, *, name: str | None) -> tuple[str, ...]:
    """The selection as a user of uv says it; `name` is the project's, None for a virtual root."""
    package = selection.package or name
    words = ["--package", package] if package else []
    for extra in selection.extras:
        words += ["--extra", extra]
    for group in selection.groups:
        words += ["--group", group]
    return tuple(words)


def uv_outcome(folder: Path, selection: Selection, *, name: str | None, platform: str, python: Python) -> Outcome:
    """What uv would install into an empty environment, from the lock alone."""
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder / "none")}
    argv = (
        "uv", "sync", "--frozen", "--dry-run", "--offline", "--no-default-groups",
        *flags_of(selection, name=name), "--python-platform", platform, "--python", python.path,
    )  # fmt: skip
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        found = re.findall(r"^ \+ (\S+?)(?:==(\S+))?(?: @ (\S+)| \(from (\S+)\))?$", done.stderr, re.MULTILINE)
        packages = ((name, _at(url or file) if url or file else version) for name, version, url, file in found)
        return Outcome(kind="installs", packages=frozenset(packages))
    words = re.sub(r"\s+", " ", done.stderr[done.stderr.find("error:") :])
    kind = next((kind for pattern, kind in _SAYS if re.search(pattern, words)), "unknown")
    named = re.search(r"Distribution `([^`=@ ]+)(?:==(\S+))? @ ", words) if kind == "cannot install" else None
    barred = frozenset({(named[1], named[2] or "")}) if named else frozenset[tuple[str, str]]()
    return Outcome(kind=kind, packages=barred, words=words[:200])


def ours(lock: Lockfile, selection: Selection, *, name: str | None, target: str) -> Outcome:
    """What we say of the same."""
    try:
        found = place(lock, selected_roots(lock, selection, name=name), parse_target(target))
    except (BadInput, NotALock) as error:
        return Outcome(kind="bad", words=str(error))
    if isinstance(found, Uncovered):
        return Outcome(kind="not covered", words=found.allowed)
    barred = [one.package for one in found if one.verdict is InstallMethod.IMPOSSIBLE]
    if barred:
        return Outcome(kind="cannot install", packages=frozenset((one.name, one.version or "") for one in barred))
    return Outcome(kind="installs", packages=frozenset((one.package.name, _told(one.package)) for one in found))


def _told(package: Package) -> str:
    """What tells a package from others of its name: the version, the commit or the address; a folder is a folder."""
    match package.source.kind:
        case SourceKind.REGISTRY:
            return str(package.version)
        case SourceKind.GIT:
            return package.source.address.rpartition("#")[2]
        case SourceKind.URL:
            return package.source.address
        case _:
            return "file"


def _at(url: str) -> str:
    """The same of an address as uv writes it."""
    if url.startswith("file:"):
        return "file"
    return re.split("[@#]", url.removeprefix("git+").partition("://")[2])[1] if url.startswith("git+") else url
