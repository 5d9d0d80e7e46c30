"""Parses requirements from manifests and from uv.lock into one form, and compares them."""

import os.path
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.markers import holds, readable
from ..lock.package_names import canonicalize_name
from .causes import ManifestPlace
from .equivalence import TooManyEnvironments, environments, same_range


class RequirementScope(NamedTuple):
    """What a requirement belongs to: the project (both empty), an `extra` or a `group`, by name."""

    kind: str = ""
    name: str = ""


class Origin(NamedTuple):
    """
    Where a requirement comes from.

    `kind` is `index`, `git`, `url`, `path` (a file or folder) or, where it cannot be determined, `unknown`.
    """

    kind: str
    address: str = ""
    detail: str = ""

    def agrees(self, other: "Origin") -> bool:
        """Whether both may be the same origin; `unknown` agrees with any."""
        if "unknown" in (self.kind, other.kind):
            return True
        if (self.kind, self.address) != (other.kind, other.address):
            return False
        return self.detail == other.detail or (self.kind == "path" and "" in (self.detail, other.detail))

    @property
    def description(self) -> str:
        """The origin in messages."""
        match self.kind:
            case "index":
                return f"the index `{self.address}`" if self.address else "the default indexes"
            case "git":
                ref, _, below = self.detail.partition("#")
                return f"git `{self.address}`" + "".join(f" ({part})" for part in (ref, below) if part)
            case "path":
                return f"`{self.address}`{f' ({self.detail})' if self.detail else ''}"
        return f"`{self.address}`"


ANYWHERE = Origin("index")
EDITABLE, COPIED = "editable", "copied"  # how a folder is installed, where specified
UNKNOWN = Origin("unknown")


@lazy_dataclass
class ManifestRequirement:
    """
    One requirement, with `text` as it was written. Where one of the markers in `unless` holds, another entry applies.

    `via` is the place where a group includes the group that declares it, `extra` the extra that the lock recorded it
    for. An `opaque` requirement could not be parsed and equals any other with its name.
    """

    name: str
    text: str
    place: ManifestPlace
    extras: frozenset[str] = frozenset()
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    marker: str = ""
    unless: tuple[str, ...] = ()
    origin: Origin = ANYWHERE
    via: ManifestPlace | None = None
    extra: str = ""
    opaque: bool = False

    @property
    def markers(self) -> tuple[str, ...]:
        """Every marker that decides whether it applies."""
        return tuple(filter(None, (self.marker, *self.unless)))


class Aspect(NamedTuple):
    """What differs between two sets of requirements of one package: the source, or the rest."""

    source: bool
    rest: bool


def compare_requirements(
    now: Iterable[ManifestRequirement],
    then: Iterable[ManifestRequirement],
    scope: RequirementScope,
    python: SpecifierSet,
) -> Aspect | None:
    """
    Compare the current and the recorded requirements of one package; None where both are equivalent everywhere.

    Requirements that cannot be compared count as equivalent: uv itself decides then.
    """
    now, then = tuple(now), tuple(then)
    if any(requirement.opaque for requirement in (*now, *then)):
        return None
    extra = scope.name if scope.kind == "extra" else ""
    source = rest = False
    try:
        places = environments({marker for requirement in (*now, *then) for marker in requirement.markers}, python)
    except TooManyEnvironments:
        return None  # as for opaque requirements
    for environment in places:
        mine, theirs = (_active(side, environment, extra) for side in (now, then))
        ranged = _ranged(mine) and _ranged(theirs)
        other_extras = bool(mine) != bool(theirs) or _extras(mine) != _extras(theirs)
        rest = rest or other_extras or (ranged and not same_range(_range(mine), _range(theirs)))
        if mine and theirs and not _agree(mine, theirs):
            source = True
    return Aspect(source, rest) if source or rest else None


def _active(
    side: tuple[ManifestRequirement, ...], environment: Mapping[str, str], extra: str
) -> tuple[ManifestRequirement, ...]:
    return tuple(
        requirement
        for requirement in side
        if holds(requirement.marker, environment, extra)
        and not any(holds(marker, environment, extra) for marker in requirement.unless)
    )


def _extras(side: tuple[ManifestRequirement, ...]) -> frozenset[str]:
    return frozenset(extra for requirement in side for extra in requirement.extras)


def _ranged(side: tuple[ManifestRequirement, ...]) -> bool:
    """Whether all come from an index: only these keep their version range in the lock."""
    return all(requirement.origin.kind == "index" for requirement in side)


def _range(side: tuple[ManifestRequirement, ...]) -> SpecifierSet:
    combined = SpecifierSet()
    for requirement in side:
        combined &= requirement.specifier
    return combined


def _agree(mine: tuple[ManifestRequirement, ...], theirs: tuple[ManifestRequirement, ...]) -> bool:
    return all(any(requirement.origin.agrees(other.origin) for other in theirs) for requirement in mine) and all(
        any(requirement.origin.agrees(other.origin) for other in mine) for requirement in theirs
    )


def parse_requirement(text: Any, place: ManifestPlace, folder: str) -> ManifestRequirement | None:
    """
    Parse a requirement (PEP 508) of a manifest in a folder, without its sources.

    Text that is invalid gives an opaque requirement, and None where it has no name.
    """
    if not isinstance(text, str):
        return None
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", text)
        return (
            ManifestRequirement(name=canonicalize_name(match[1]), text=text, place=place, opaque=True)
            if match
            else None
        )
    return ManifestRequirement(
        name=canonicalize_name(parsed.name),
        text=text,
        place=place,
        extras=frozenset(map(canonicalize_name, parsed.extras)),
        specifier=parsed.specifier,
        marker=str(parsed.marker or ""),
        origin=direct_origin(parsed.url, folder) if parsed.url else ANYWHERE,
    )


def direct_origin(url: str, folder: str) -> Origin:
    """The origin of a direct reference (`name @ url`)."""
    parts = urlsplit(url)
    fragment = dict(parse_qsl(parts.fragment))
    if parts.scheme.startswith("git+"):
        path, _, ref = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "")
        repository = parts._replace(scheme=parts.scheme.removeprefix("git+"), path=path, fragment="").geturl()
        return git_origin(repository, {"rev": ref}, fragment.get("subdirectory", ""))
    if "$" in url:
        return UNKNOWN  # only uv expands variables
    if parts.scheme == "file":
        return Origin("path", place_of(parts.path, folder))
    return Origin("url", normalized_url(url), fragment.get("subdirectory", ""))


def git_origin(repository: str, reference: Mapping[str, str], subdirectory: str) -> Origin:
    """The origin of a git repository; `reference` may have a commit, tag or branch as `rev`, `tag` or `branch`."""
    ref = next((f"{kind}={reference[kind]}" for kind in ("rev", "tag", "branch") if reference.get(kind)), "")
    return Origin("git", normalized_url(repository), f"{ref}#{subdirectory}")


def normalized_url(url: str) -> str:
    """A URL without credentials, query, fragment and trailing slash."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="", path=parts.path.rstrip("/")).geturl()


def place_of(path: str, folder: str) -> str:
    """A path relative to `folder`, normalised, with forward slashes."""
    return os.path.normpath(os.path.join(folder, path)).replace(os.sep, "/")  # noqa: PTH118  # pure, no disk


_KNOWN = frozenset(
    {"name", "extras", "marker", "specifier", "index", "git", "url", "path", "directory", "editable", "virtual"}
    | {"conflict", "subdirectory"}
)


def parse_locked_requirement(entry: Mapping[str, Any], root: str) -> ManifestRequirement:
    """Parse an entry of `requires-dist` or a similar list of the lock; one with an unknown key is opaque."""
    name = canonicalize_name(str(entry.get("name", "")))
    place = ManifestPlace("uv.lock", ())
    texts = {key: value for key, value in entry.items() if isinstance(value, str)}
    specifier, marker = texts.get("specifier", ""), texts.get("marker", "")
    listed = entry.get("extras", [])
    extras = [canonicalize_name(str(extra_name)) for extra_name in listed] if isinstance(listed, list) else []
    match = re.search(r"""extra == ['"]([^'"]+)['"]""", marker)
    extra = canonicalize_name(match[1]) if match else ""
    written_as = "".join((name, f"[{','.join(extras)}]" if extras else "", specifier, f" ; {marker}" if marker else ""))
    try:
        if not readable(marker) or entry.keys() - _KNOWN:
            raise InvalidSpecifier
        versions = SpecifierSet("" if specifier == "*" else specifier)
    except InvalidSpecifier:
        return ManifestRequirement(name=name, text=written_as, place=place, extra=extra, opaque=True)
    return ManifestRequirement(
        name=name,
        text=written_as,
        place=place,
        extras=frozenset(extras),
        specifier=versions,
        marker=marker,
        extra=extra,
        origin=_recorded_origin(texts, root),
    )


def _recorded_origin(texts: Mapping[str, str], root: str) -> Origin:
    if "git" in texts:
        parts = urlsplit(texts["git"])
        query = dict(parse_qsl(parts.query))
        return git_origin(texts["git"], query, query.get("subdirectory", ""))
    if "url" in texts:
        fragment = dict(parse_qsl(urlsplit(texts["url"]).fragment))
        return Origin("url", normalized_url(texts["url"]), texts.get("subdirectory", fragment.get("subdirectory", "")))
    for kind in ("path", "directory", "editable", "virtual"):
        if kind in texts:
            return Origin(
                "path", place_of(texts[kind], root), {"editable": EDITABLE, "directory": COPIED}.get(kind, "")
            )
    return Origin("index", address_of(texts["index"], root) if "index" in texts else "")


def address_of(index: str, folder: str) -> str:
    """The normalised address of an index: a URL, or a path relative to `folder`, also where it is a file URL."""
    parts = urlsplit(index)
    if parts.scheme == "file":
        return place_of(parts.path, folder)
    return normalized_url(index) if parts.scheme and "://" in index else place_of(index, folder)
