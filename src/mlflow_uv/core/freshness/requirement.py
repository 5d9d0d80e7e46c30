"""What is wanted? A requirement as a manifest writes it and as the lock recorded it, in one form."""

import os.path
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from .causes import ManifestPlace
from .equivalence import TooManyEnvironments, environments, holds, readable, same_range


class RequirementScope(NamedTuple):
    """Who wants it: the project itself (both empty), one of its extras, or one of its groups."""

    kind: str = ""
    name: str = ""


class Origin(NamedTuple):
    """Where it comes from: `index`, `git`, `url`, `path` (a file or folder) or, where nobody can tell, `unknown`."""

    kind: str
    address: str = ""
    detail: str = ""

    def agrees(self, other: "Origin") -> bool:
        """Whether both may be the same; what nobody can tell may be anything."""
        if "unknown" in (self.kind, other.kind):
            return True
        if (self.kind, self.address) != (other.kind, other.address):
            return False
        return self.detail == other.detail or (self.kind == "path" and "" in (self.detail, other.detail))

    @property
    def said(self) -> str:
        """For a person."""
        match self.kind:
            case "index":
                return f"the index `{self.address}`" if self.address else "no index of its own"
            case "git":
                ref, _, below = self.detail.partition("#")
                return f"git `{self.address}`" + "".join(f" ({part})" for part in (ref, below) if part)
            case "path":
                return f"`{self.address}`{f' ({self.detail})' if self.detail else ''}"
        return f"`{self.address}`"


ANYWHERE = Origin("index")
EDITABLE, COPIED = "editable", "copied"  # how a folder is installed, where that is said
UNKNOWN = Origin("unknown")


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestRequirement:
    """
    One requirement. `text` is how it was written, `unless` the markers under which another entry stands for it.

    `via` is where a group includes the one that it stands in, `extra` the extra that the lock recorded it for. An
    `opaque` one could not be read: it equals any other of its name.
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
        """Every marker that has a say."""
        return tuple(filter(None, (self.marker, *self.unless)))


class Aspect(NamedTuple):
    """What differs between two ways of wanting one name."""

    source: bool
    rest: bool


def normal(name: str) -> str:
    """A name of a package, extra or group as uv writes it (PEP 503)."""
    return str(canonicalize_name(name))


def differs(
    now: Iterable[ManifestRequirement],
    then: Iterable[ManifestRequirement],
    scope: RequirementScope,
    python: SpecifierSet,
) -> Aspect | None:
    """What differs between what is wanted of one name and what was; None where both mean the same everywhere."""
    now, then = tuple(now), tuple(then)
    if any(one.opaque for one in (*now, *then)):
        return None
    extra = scope.name if scope.kind == "extra" else ""
    source = rest = False
    try:
        places = environments({marker for one in (*now, *then) for marker in one.markers}, python)
    except TooManyEnvironments:
        return None  # as what cannot be read
    for environment in places:
        mine, theirs = (_active(side, environment, extra) for side in (now, then))
        ranged = _ranged(mine) and _ranged(theirs)
        other_extras = bool(mine) != bool(theirs) or _extras(mine) != _extras(theirs)
        rest = rest or other_extras or (ranged and not same_range(_range(mine), _range(theirs)))
        if mine and theirs and not _agree(mine, theirs):
            source = True
    return Aspect(source, rest) if source or rest else None


def _active(
    side: tuple[ManifestRequirement, ...], environment: tuple[tuple[str, str], ...], extra: str
) -> tuple[ManifestRequirement, ...]:
    return tuple(
        one
        for one in side
        if (not one.marker or holds(one.marker, environment, extra))
        and not any(holds(marker, environment, extra) for marker in one.unless)
    )


def _extras(side: tuple[ManifestRequirement, ...]) -> frozenset[str]:
    return frozenset(extra for one in side for extra in one.extras)


def _ranged(side: tuple[ManifestRequirement, ...]) -> bool:
    """Only what comes from an index keeps its version range in the lock."""
    return all(one.origin.kind == "index" for one in side)


def _range(side: tuple[ManifestRequirement, ...]) -> SpecifierSet:
    found = SpecifierSet()
    for one in side:
        found &= one.specifier
    return found


def _agree(mine: tuple[ManifestRequirement, ...], theirs: tuple[ManifestRequirement, ...]) -> bool:
    return all(any(one.origin.agrees(other.origin) for other in theirs) for one in mine) and all(
        any(one.origin.agrees(other.origin) for other in mine) for one in theirs
    )


def written(text: Any, place: ManifestPlace, folder: str) -> ManifestRequirement | None:
    """A requirement of a manifest in that folder, without its sources; None where not even a name can be read."""
    if not isinstance(text, str):
        return None
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", text)
        return ManifestRequirement(name=normal(found[1]), text=text, place=place, opaque=True) if found else None
    return ManifestRequirement(
        name=normal(parsed.name),
        text=text,
        place=place,
        extras=frozenset(map(normal, parsed.extras)),
        specifier=parsed.specifier,
        marker=str(parsed.marker or ""),
        origin=direct(parsed.url, folder) if parsed.url else ANYWHERE,
    )


def direct(url: str, folder: str) -> Origin:
    """The origin that a direct reference names (`name @ url`)."""
    parts = urlsplit(url)
    fragment = dict(parse_qsl(parts.fragment))
    if parts.scheme.startswith("git+"):
        path, _, ref = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "")
        repository = parts._replace(scheme=parts.scheme.removeprefix("git+"), path=path, fragment="").geturl()
        return git(repository, {"rev": ref}, fragment.get("subdirectory", ""))
    if "$" in url:
        return UNKNOWN  # variables are uv's to expand
    if parts.scheme == "file":
        return Origin("path", place_of(parts.path, folder))
    return Origin("url", web(url), fragment.get("subdirectory", ""))


def git(repository: str, reference: Mapping[str, str], subdirectory: str) -> Origin:
    """A git origin; a commit, tag or branch is looked for under `rev`, `tag` and `branch`."""
    ref = next((f"{kind}={reference[kind]}" for kind in ("rev", "tag", "branch") if reference.get(kind)), "")
    return Origin("git", web(repository), f"{ref}#{subdirectory}")


def web(url: str) -> str:
    """An address without credentials, query, fragment and trailing slash."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="", path=parts.path.rstrip("/")).geturl()


def place_of(path: str, folder: str) -> str:
    """A path as seen from the folder of the lock."""
    return os.path.normpath(os.path.join(folder, path)).replace(os.sep, "/")  # noqa: PTH118  # pure, no disk


_KNOWN = frozenset(
    {"name", "extras", "marker", "specifier", "index", "git", "url", "path", "directory", "editable", "virtual"}
    | {"conflict", "subdirectory"}
)


def recorded(entry: Mapping[str, Any], root: str) -> ManifestRequirement:
    """A requirement as `requires-dist` and its like in the lock have it; what is new to us is opaque."""
    name = normal(str(entry.get("name", "")))
    place = ManifestPlace("uv.lock", ())
    texts = {key: value for key, value in entry.items() if isinstance(value, str)}
    specifier, marker = texts.get("specifier", ""), texts.get("marker", "")
    listed = entry.get("extras", [])
    extras = [normal(str(one)) for one in listed] if isinstance(listed, list) else []
    found = re.search(r"""extra == ['"]([^'"]+)['"]""", marker)
    extra = normal(found[1]) if found else ""
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
        return git(texts["git"], query, query.get("subdirectory", ""))
    if "url" in texts:
        fragment = dict(parse_qsl(urlsplit(texts["url"]).fragment))
        return Origin("url", web(texts["url"]), texts.get("subdirectory", fragment.get("subdirectory", "")))
    for kind in ("path", "directory", "editable", "virtual"):
        if kind in texts:
            return Origin(
                "path", place_of(texts[kind], root), {"editable": EDITABLE, "directory": COPIED}.get(kind, "")
            )
    return Origin("index", address_of(texts["index"], root) if "index" in texts else "")


def address_of(index: str, folder: str) -> str:
    """An index by its address; a folder as the lock's folder sees it, whether written as a path or as a file URL."""
    parts = urlsplit(index)
    if parts.scheme == "file":
        return place_of(parts.path, folder)
    return web(index) if parts.scheme and "://" in index else place_of(index, folder)
