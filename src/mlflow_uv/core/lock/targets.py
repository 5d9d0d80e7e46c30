"""Where is the model served? A platform and a Python, as markers and tags see them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags, mac_platforms

from ...command.errors import BadInput
from ...command.wording import option
from .lockfile import NotALock

GRAMMAR = "OS-MACHINE-pyX.Y, e.g. linux-x86_64-py3.11, linux-aarch64-musl1.2-py3.12, macos-arm64-py3.12"
# Debian 12's: the oldest under the official slim images. What runs there runs on a newer one.
GLIBC = (2, 36)
# What uv takes for a Mac that it does not run on.
MACOS = (13, 0)
# An image of Python 3.11 has its newest patch; markers ask for no patch as high as this.
NEWEST_PATCH = 99
OLDEST_MINOR, NEWEST_MINOR = 8, 15

_SHAPE = re.compile(
    r"(?P<system>linux|macos|windows)(?P<level>[0-9]+(?:\.[0-9]+)?)?"
    r"-(?P<machine>x86_64|amd64|aarch64|arm64)"
    r"(?:-(?P<libc>glibc2|musl1)\.(?P<libc_minor>[0-9]{1,3}))?"
    r"-py3\.(?P<minor>[0-9]{1,2})(?:\.(?P<patch>[0-9]{1,3}))?"
)
# The glibc of manylinux under its older names; the first two were never meant for ARM.
_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
_WINDOWS = {"x86_64": "win_amd64", "arm64": "win_arm64"}


class System(Enum):
    """The operating systems that are known as targets."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """
    A platform and a Python. `machine` is `aarch64` on Linux and `arm64` elsewhere; `patch` None is the newest.

    `level` is the version of glibc or, where `musl` says so, of musl; on macOS it is the system's. Windows has none.
    """

    system: System
    machine: str
    minor: int
    patch: int | None = None
    level: tuple[int, int] | None = None
    musl: bool = False

    def __str__(self) -> str:
        system, libc = self.system.value, ""
        if self.musl and self.level is not None:
            libc = "-musl{}.{}".format(*self.level)
        elif self.system is System.LINUX and self.level not in (None, GLIBC):
            libc = "-glibc{}.{}".format(*self.level or ())
        elif self.system is System.MACOS and self.level not in (None, MACOS):
            system += "{}.{}".format(*self.level or ())
        patch = "" if self.patch is None else f".{self.patch}"
        return f"{system}-{self.machine}{libc}-py3.{self.minor}{patch}"

    @property
    def python(self) -> str:
        """The full version of its Python."""
        return f"3.{self.minor}.{NEWEST_PATCH if self.patch is None else self.patch}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What markers ask (PEP 508). Nobody knows its kernel: as for uv, it is older than any that a marker names."""
        os_name, sys_platform, platform_system = {
            System.LINUX: ("posix", "linux", "Linux"),
            System.MACOS: ("posix", "darwin", "Darwin"),
            System.WINDOWS: ("nt", "win32", "Windows"),
        }[self.system]
        windows = self.system is System.WINDOWS
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": os_name,
            "platform_machine": {"x86_64": "AMD64", "arm64": "ARM64"}[self.machine] if windows else self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "0",
            "platform_system": platform_system,
            "platform_version": "0",
            "python_full_version": self.python,
            "python_version": f"3.{self.minor}",
            "sys_platform": sys_platform,
            "extra": "",
        }

    @property
    def tags(self) -> frozenset[str]:
        """The tags of wheels that install there (PEP 425), each as `python-abi-platform`."""
        python, interpreter, platforms = (3, self.minor), f"cp3{self.minor}", tuple(self._platforms())
        return frozenset(
            (
                *map(str, cpython_tags(python, [interpreter], platforms)),
                *map(str, compatible_tags(python, interpreter, platforms)),
            )
        )

    @property
    def marker(self) -> str:
        """The marker by which `environments` and `required-environments` of uv name its platform."""
        asked = self.environment
        return f"sys_platform == '{asked['sys_platform']}' and platform_machine == '{asked['platform_machine']}'"

    def _platforms(self) -> Iterator[str]:
        match self.system, self.level:
            case System.WINDOWS, _:
                yield _WINDOWS[self.machine]
            case System.MACOS, level:
                yield from mac_platforms(level or MACOS, self.machine)
            case System.LINUX, (major, newest) if self.musl:
                yield from (f"musllinux_{major}_{minor}_{self.machine}" for minor in range(newest, -1, -1))
                yield f"linux_{self.machine}"
            case System.LINUX, level:
                for minor in range((level or GLIBC)[1], _OLDEST_GLIBC[self.machine] - 1, -1):
                    yield f"manylinux_2_{minor}_{self.machine}"
                    if minor in _LEGACY:
                        yield f"{_LEGACY[minor]}_{self.machine}"
                yield f"linux_{self.machine}"


def parse_target(text: str) -> Target:
    """Read the name of a target. Raises BadInput, which shows how one is written."""
    found = _SHAPE.fullmatch(text.strip().lower())
    if found is None:
        raise BadInput(what=f"{text!r} is not a target", why="a platform and a Python are asked for", fix=GRAMMAR)
    system = System(found["system"])
    if (found["libc"] and system is not System.LINUX) or (found["level"] and system is not System.MACOS):
        raise BadInput(
            what=f"{text!r} is not a target", why="only Linux has a libc and only macOS a level", fix=GRAMMAR
        )
    if not OLDEST_MINOR <= int(found["minor"]) <= NEWEST_MINOR:
        why = f"known are 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}"
        raise BadInput(what=f"{text!r} has an unknown Python", why=why, fix=GRAMMAR)
    return Target(
        system=system,
        machine=machine_name(found["machine"], system),
        minor=int(found["minor"]),
        patch=None if found["patch"] is None else int(found["patch"]),
        level=_level(found, system),
        musl=found["libc"] == "musl1",
    )


def machine_name(machine: str, system: System) -> str:
    """A machine as its system calls it: the two names of each architecture mean the same."""
    arm = "aarch64" if system is System.LINUX else "arm64"
    return arm if machine.lower() in ("aarch64", "arm64") else "x86_64"


def serving_target(machine: str, requires_python: str, *, pinned: str = "") -> Target:
    """
    Where the image of this project is served that is built on such a machine.

    Its Python is the pinned one: of `.python-version`, or that of this machine which trains; else the oldest allowed.
    """
    minor, patch = _pinned(pinned) or _oldest(requires_python)
    return Target(
        system=System.LINUX, machine=machine_name(machine, System.LINUX), minor=minor, patch=patch, level=GLIBC
    )


def allows_several(requires_python: str) -> bool:
    """Whether a lock leaves open which minor version of Python it is installed with. Raises NotALock."""
    allowed = allowed_pythons(requires_python)
    minors = range(OLDEST_MINOR, NEWEST_MINOR + 1)
    return sum(allowed.contains(f"3.{minor}.{NEWEST_PATCH}") for minor in minors) > 1


def allowed_pythons(requires_python: str) -> SpecifierSet:
    """What a lock's `requires-python` allows. Raises NotALock."""
    try:
        return SpecifierSet(requires_python)
    except InvalidSpecifier as error:
        raise NotALock(f"its `requires-python` is malformed: {error}") from error


class Markers:
    """Whether markers hold on one target. Each is parsed once, however often it is asked: locks repeat themselves."""

    def __init__(self, target: Target) -> None:
        self._environment = dict(target.environment)
        self._known: dict[str, bool] = {"": True}

    def hold(self, marker: str, active: frozenset[str] = frozenset()) -> bool:
        """
        Whether it holds where these `extra`s are active, e.g. `extra-4-wine-cpu` or `group-4-wine-train`.

        uv writes what its `conflicts` set apart as such extras, and asks for several at once, which PEP 508 cannot.
        Raises NotALock.
        """
        if "extra" in marker:
            marker = _EXTRA.sub(lambda asked: _TRUE if (asked[2] in active) is (asked[1] == "==") else _FALSE, marker)
        if marker not in self._known:
            try:
                self._known[marker] = Marker(marker).evaluate(self._environment)
            except InvalidMarker as error:
                raise NotALock(f"the marker {marker!r} is malformed: {str(error).splitlines()[0]}") from error
        return self._known[marker]


_EXTRA = re.compile(r"\bextra (==|!=) '([^']*)'")
_TRUE, _FALSE = "os_name != ''", "os_name == ''"


def _level(found: re.Match[str], system: System) -> tuple[int, int] | None:
    match system:
        case System.LINUX:
            return (int(found["libc"][-1]), int(found["libc_minor"])) if found["libc"] else GLIBC
        case System.MACOS:
            major, _, minor = (found["level"] or "{}.{}".format(*MACOS)).partition(".")
            return int(major), int(minor or 0)
        case System.WINDOWS:
            return None


def _pinned(text: str) -> tuple[int, int | None] | None:
    """What the first line of a `.python-version` that is not a comment says, if it is one CPython."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    found = re.fullmatch(r"(?:(?:cpython|python)[-@]?)?3\.([0-9]{1,2})(?:\.[0-9]+)?", first, re.IGNORECASE)
    return (int(found[1]), None) if found else None


def _oldest(requires_python: str) -> tuple[int, int | None]:
    """The oldest minor version that is allowed, by its newest patch; else by the one patch that is allowed."""
    allowed = allowed_pythons(requires_python)
    minors = range(OLDEST_MINOR, NEWEST_MINOR + 1)
    for minor in minors:
        if allowed.contains(f"3.{minor}.{NEWEST_PATCH}"):
            return minor, None
    for minor in minors:
        for patch in range(NEWEST_PATCH, -1, -1):
            if allowed.contains(f"3.{minor}.{patch}"):
                return minor, patch
    raise BadInput(
        what="no Python that is known satisfies the lock's `requires-python`",
        why=f"it is {requires_python!r}, known are 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}",
        fix=option("targets", "TARGET"),
    )
