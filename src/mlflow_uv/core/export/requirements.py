"""Parses requirements files of exact pins into a normal form, and compares them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.markers import holds, normal_form
from ..lock.package_names import canonicalize_name
from ..release.digests import sha256

# Normalised versions (PEP 440); `packaging` parses any other.
_VERSION = r"(?:\d+!)?\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?(?:\+[a-z0-9]+(?:\.[a-z0-9]+)*)?"
_NAME = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_PINNED = lazy_pattern(rf"{_NAME}(\[[A-Za-z0-9._, -]*\])?\s*==\s*({_VERSION})(?:\s*;\s*(.+))?")
# Markers that need no parsing: in the form of `packaging` except for the quotes, without aliases and parentheses.
_ATOM = (
    r"(?:os_name|sys_platform|platform_(?:machine|system|python_implementation)|implementation_name|python_full_version)"
    r""" (?:==|!=|<|<=|>|>=) (?:'[A-Za-z0-9._-]+'|"[A-Za-z0-9._-]+")"""
)
_FLAT = lazy_pattern(rf"{_ATOM}(?: and {_ATOM})*|{_ATOM}(?: or {_ATOM})+")
_HASH = lazy_pattern(r"\s--hash[= ](\S+)")
_LOCAL = lazy_pattern(r"(?:-e\s+|--editable[= ])?((?:file:|\.{1,2}(?:/|$|(?=\s))|/|[^\s;@]+/)[^;]*?)(?:\s*;\s*(.+))?")
_DIRECT = lazy_pattern(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*@\s*(\S+)(?:\s+;\s*(.+))?")


@lazy_dataclass
class LocalRequirement:
    """A requirement that is a folder or file of the checkout."""

    path: str
    marker: str
    hashes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The line of a requirements file."""
        return f"{self.path} ; {self.marker}" if self.marker else self.path

    @property
    def hashed_line(self) -> str:
        """The same with pip's `--hash` options."""
        return _hashed(self.line, self.hashes)


@lazy_dataclass
class Pin:
    """A pinned distribution: `name==version` or `name @ url` in `exact`, its marker, and the hashes of its files."""

    name: str
    exact: str
    marker: str
    hashes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The requirement (PEP 508) in normal form."""
        return f"{self.exact} ; {self.marker}" if self.marker else self.exact

    @property
    def hashed_line(self) -> str:
        """The same with pip's `--hash` options."""
        return _hashed(self.line, self.hashes)

    @property
    def version(self) -> str | None:
        """The version, None for a direct URL."""
        return self.exact.partition("==")[2].removeprefix("=") or None


@lazy_dataclass
class Requirements:
    """A parsed export: sorted pins, local packages, and the options among them."""

    pins: tuple[Pin, ...]
    local: tuple[LocalRequirement, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The normalised export: one sorted pin per line, with PEP 503 names and canonical markers."""
        return "".join(f"{pin.line}\n" for pin in self.pins)

    @property
    def hashed_text(self) -> str:
        """The normalised export with the hashes of the lock (pip's `--require-hashes`)."""
        return "".join(f"{pin.hashed_line}\n" for pin in self.pins)

    def resolved_in(self, environment: Mapping[str, str]) -> "Requirements":
        """Keep what applies in one environment (PEP 508 marker variables), without markers."""
        pins: dict[str, Pin] = {}
        for pin in self.pins:
            if holds(pin.marker, environment):
                _add(pins, replace(pin, marker=""))
        local = {
            requirement.path: replace(requirement, marker="")
            for requirement in self.local
            if holds(requirement.marker, environment)
        }
        return replace(self, pins=tuple(pins.values()), local=tuple(local.values()))

    @property
    def hashed(self) -> bool:
        """Whether every pin has a hash."""
        return all(pin.hashes for pin in self.pins)

    @property
    def digest(self) -> str:
        """SHA-256 of the normalised export, in hex: the digest of the record's link `requirements`."""
        return sha256(self.text.encode())


def parse_requirements(text: str) -> Requirements:
    """
    Parse a requirements file of exact pins.

    Raises ValueError with the line for anything that is not a pin, a direct URL, a local path or an option.
    """
    pins: dict[str, Pin] = {}
    local: list[LocalRequirement] = []
    options: list[str] = []
    for line in _logical_lines(text):
        hashes = tuple(sorted(_HASH.findall(line)))
        body = _HASH.sub("", line).strip()
        if not body.startswith("-e ") and not body.startswith("--editable") and body.startswith("-"):
            if re.match(r"-r|--requirement[ =]", body):
                raise ValueError(f"{body!r} is not a pin: it includes another file")
            options.append(body)
        elif match := _DIRECT.fullmatch(body):
            name, extras, url, marker = match.groups()
            exact = f"{canonicalize_name(name)}{_extras((extras or '')[1:-1].split(','))} @ {url}"
            _add(pins, _pin(exact, canonicalize_name(name), marker, hashes))
        elif match := _LOCAL.fullmatch(body):
            local.append(
                LocalRequirement(path=match[1].strip(), marker=canonical_marker(match[2] or ""), hashes=hashes)
            )
        else:
            _add(pins, _exact(body, hashes))
    ordered = tuple(sorted(pins.values(), key=lambda pin: (pin.name, pin.exact, pin.marker)))
    return Requirements(pins=ordered, local=tuple(local), options=tuple(options))


def _hashed(line: str, hashes: tuple[str, ...]) -> str:
    return " \\\n    ".join((line, *(f"--hash={value}" for value in hashes)))


def _logical_lines(text: str) -> list[str]:
    joined = re.sub(r"\\\r?\n", " ", text)
    uncommented = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in uncommented if line]


def _exact(body: str, hashes: tuple[str, ...]) -> Pin:
    if match := _PINNED.fullmatch(body):
        name, extras, version, marker = match.groups()
        name = canonicalize_name(name)
        return _pin(f"{name}{_extras((extras or '')[1:-1].split(','))}=={version}", name, marker, hashes)
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  # no hook meets it often

    try:
        requirement = Requirement(body)
    except InvalidRequirement as error:
        raise ValueError(f"{body!r} is not a requirement") from error
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator not in ("==", "===") or specifiers[0].version.endswith(".*"):
        raise ValueError(f"{body!r} is not an exact pin")
    name = canonicalize_name(requirement.name)
    exact = f"{name}{_extras(requirement.extras)}{specifiers[0]}"
    return _pin(exact, name, str(requirement.marker or ""), hashes)


def _extras(names: Iterable[str]) -> str:
    extras = sorted({canonicalize_name(name) for name in map(str.strip, names) if name})
    return f"[{','.join(extras)}]" if extras else ""


def _add(pins: dict[str, Pin], pin: Pin) -> None:
    """Add a pin; a duplicate is merged, with the hashes of both lines."""
    before = pins.get(pin.line, pin)
    pins[pin.line] = replace(pin, hashes=tuple(sorted({*before.hashes, *pin.hashes})))


def _pin(exact: str, name: str, marker: str | None, hashes: tuple[str, ...]) -> Pin:
    return Pin(name=name, exact=exact, marker=canonical_marker(marker or ""), hashes=hashes)


@cache
def canonical_marker(text: str) -> str:
    """A marker in the form of `packaging`; empty for none."""
    return text.replace("'", '"') if _FLAT.fullmatch(text) else normal_form(text)


def difference(expected: str, actual: str, *, names: tuple[str, str]) -> str:
    """A unified diff without context lines; `names` are those of both texts."""
    import difflib  # noqa: PLC0415  # only where they differ

    lines = difflib.unified_diff(expected.splitlines(), actual.splitlines(), *names, lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith("@@"))
