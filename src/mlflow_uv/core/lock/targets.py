"""Parses serving targets: a platform and a Python, with their environment markers and wheel tags."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.step import Doc
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .lockfile import NotALock
from .markers import holds

ServingTargets = Annotated[
    tuple[str, ...],
    Doc(
        "Platforms and Python versions where the model is served, such as linux-aarch64-py3.12; defaults to"
        " those of the image."
    ),
]
GRAMMAR = "OS-MACHINE-pyX.Y, e.g. linux-x86_64-py3.11, linux-aarch64-musl1.2-py3.12, macos-arm64-py3.12"
# Debian 12's, the oldest among the official slim images. glibc is backward compatible.
GLIBC = (2, 36)
# uv's default for a macOS target when it runs on another platform.
MACOS = (13, 0)
OLDEST_MINOR, NEWEST_MINOR = 8, 15
# Stands for the newest patch release of a minor version; no marker compares with a patch as high as this.
NEWEST_PATCH = 99

_SHAPE = lazy_pattern(
    r"(?P<system>linux|macos|windows)(?P<level>[0-9]+(?:\.[0-9]+)?)?"
    r"-(?P<machine>x86_64|amd64|aarch64|arm64)"
    r"(?:-(?P<libc>glibc2|musl1)\.(?P<libc_minor>[0-9]{1,3}))?"
    r"-py3\.(?P<minor>[0-9]{1,2})(?:\.(?P<patch>[0-9]{1,3}))?"
)
# Minor version of glibc to the legacy manylinux tag (PEP 600); the first two do not exist for ARM.
_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
_WINDOWS = {"x86_64": "win_amd64", "arm64": "win_arm64"}


class System(Enum):
    """The operating systems that a target can have."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"


@lazy_dataclass
class Target:
    """
    A platform and a Python. `machine` is `aarch64` on Linux and `arm64` elsewhere; `patch` None is the newest.

    `level` is the version of glibc, of musl if `musl` is true, or of macOS; Windows has none.
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
        """The full version of the target's Python."""
        return f"3.{self.minor}.{NEWEST_PATCH if self.patch is None else self.patch}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The values of marker variables (PEP 508). As in uv, the kernel's version is unknown and set to 0."""
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
        """The tags of wheels that install on the target (PEP 425), each as `python-abi-platform`."""
        # `packaging` takes longer to import than this module and all that it needs.
        from packaging.tags import compatible_tags, cpython_tags  # noqa: PLC0415

        python, interpreter, platforms = (3, self.minor), f"cp3{self.minor}", tuple(self._platforms())
        return frozenset(
            (
                *map(str, cpython_tags(python, [interpreter], platforms)),
                *map(str, compatible_tags(python, interpreter, platforms)),
            )
        )

    @property
    def marker(self) -> str:
        """The target's platform as a marker for uv's `environments` and `required-environments`."""
        platform, machine = self.environment["sys_platform"], self.environment["platform_machine"]
        return f"sys_platform == '{platform}' and platform_machine == '{machine}'"

    def _platforms(self) -> Iterator[str]:
        match self.system, self.level:
            case System.WINDOWS, _:
                yield _WINDOWS[self.machine]
            case System.MACOS, level:
                from packaging.tags import mac_platforms  # noqa: PLC0415  # as above

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
    """Parse a target such as `linux-x86_64-py3.11` (see GRAMMAR). Raises BadInput with the grammar as its fix."""
    match = _SHAPE.fullmatch(text.strip().lower())
    if match is None:
        raise BadInput(what=f"{text!r} is not a target", why="a target is a platform and a Python", fix=GRAMMAR)
    system = System(match["system"])
    if (match["libc"] and system is not System.LINUX) or (match["level"] and system is not System.MACOS):
        raise BadInput(
            what=f"{text!r} is not a target", why="only Linux takes a libc, and only macOS a version", fix=GRAMMAR
        )
    if not OLDEST_MINOR <= int(match["minor"]) <= NEWEST_MINOR:
        why = f"supported are 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}"
        raise BadInput(what=f"{text!r} has an unsupported Python", why=why, fix=GRAMMAR)
    return Target(
        system=system,
        machine=machine_name(match["machine"], system),
        minor=int(match["minor"]),
        patch=None if match["patch"] is None else int(match["patch"]),
        level=_level(match, system),
        musl=match["libc"] == "musl1",
    )


def machine_name(machine: str, system: System) -> str:
    """The architecture's name on a system: `arm64` and `aarch64` are one, as are `amd64` and `x86_64`."""
    arm = "aarch64" if system is System.LINUX else "arm64"
    return arm if machine.lower() in ("aarch64", "arm64") else "x86_64"


def serving_target(machine: str, requires_python: str, *, pinned: str = "") -> Target:
    """
    Return the target of an image that is built on a machine of this architecture.

    Its Python is `pinned` (the content of `.python-version`, or the version that trains), else the oldest that
    `requires_python` allows. Raises NotALock, BadInput.
    """
    from .python_ranges import oldest_python  # noqa: PLC0415  # imports `packaging`

    minor, patch = _pinned(pinned) or oldest_python(requires_python)
    return Target(
        system=System.LINUX, machine=machine_name(machine, System.LINUX), minor=minor, patch=patch, level=GLIBC
    )


class Markers:
    """Evaluates markers on one target."""

    def __init__(self, target: Target) -> None:
        self._environment = target.environment

    def hold(self, marker: str, active: frozenset[str] = frozenset()) -> bool:
        """
        Whether a marker holds where these synthetic extras are active, such as `extra-4-wine-cpu`.

        uv encodes items of `conflicts` as such extras, of which several can be active at once; PEP 508 allows one.
        Raises NotALock.
        """
        if "extra" in marker:
            marker = _EXTRA.sub(lambda match: _TRUE if (match[2] in active) is (match[1] == "==") else _FALSE, marker)
        try:
            return holds(marker, self._environment)
        except ValueError as error:
            raise NotALock(f"the marker {marker!r} is malformed: {str(error).splitlines()[0]}") from error


_EXTRA = lazy_pattern(r"\bextra (==|!=) '([^']*)'")
_TRUE, _FALSE = "os_name != ''", "os_name == ''"


def _level(match: re.Match[str], system: System) -> tuple[int, int] | None:
    match system:
        case System.LINUX:
            return (int(match["libc"][-1]), int(match["libc_minor"])) if match["libc"] else GLIBC
        case System.MACOS:
            major, _, minor = (match["level"] or "{}.{}".format(*MACOS)).partition(".")
            return int(major), int(minor or 0)
        case System.WINDOWS:
            return None


def _pinned(text: str) -> tuple[int, int | None] | None:
    """The version on the first line of a `.python-version` that is not a comment; None unless it is a CPython."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    match = re.fullmatch(r"(?:(?:cpython|python)[-@]?)?3\.([0-9]{1,2})(?:\.[0-9]+)?", first, re.IGNORECASE)
    return (int(match[1]), None) if match else None
