"""Compares uv's settings with those that the lock was made with."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import product
from math import prod
from typing import Any

from packaging.version import InvalidVersion, Version

from ...command.lazy_pattern import lazy_pattern
from ..lock.lockfile import Lockfile
from ..lock.markers import holds, readable
from ..lock.package_names import canonicalize_name
from .causes import Cause, Difference, ManifestPlace
from .declared_requirements import ProjectManifest, Workspace, with_sources
from .equivalence import TooManyEnvironments, environments, python_range
from .requirement import (
    ManifestRequirement,
    RequirementScope,
    compare_requirements,
    parse_locked_requirement,
    parse_requirement,
)

_LISTS = (
    ("constraint-dependencies", "constraints", Cause.CONSTRAINT),
    ("override-dependencies", "overrides", Cause.OVERRIDE),
    ("build-constraint-dependencies", "build-constraints", Cause.BUILD_CONSTRAINT),
)
# Key in the settings, key in the lock, and the defaults, which uv does not write to the lock.
_MODES = (
    ("resolution", "resolution-mode", {"highest"}),
    ("prerelease", "prerelease-mode", {"if-necessary-or-explicit", "if-necessary"}),
    ("fork-strategy", "fork-strategy", {"requires-python"}),
)
_SPAN = lazy_pattern(r"(\d+)\s*(years?|months?|weeks?|days?|hours?|minutes?|seconds?)\s*,?\s*")
_DERIVED = 100_000  # sets of conflicts that are derived
_ZONES = timedelta(hours=14)  # a date without a time is a day in the local time zone


def list_differences(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    """Compare constraints, overrides, build constraints and exclusions, all from the root's manifest (as in uv)."""
    for setting, key, cause in _LISTS:
        path = ("tool", "uv", setting)
        texts, entries = workspace.root.list_at(*path), _list(lock.manifest.get(key))
        if not all(isinstance(text, str) for text in texts):
            continue  # a form that this comparison does not support
        now = [
            requirement
            for position, text in enumerate(texts)
            if (
                requirement := parse_requirement(
                    text, ManifestPlace(workspace.root.file, (*path, position)), workspace.root.folder
                )
            )
            is not None
        ]
        then = [
            parse_locked_requirement(entry, workspace.root.folder) for entry in entries if isinstance(entry, Mapping)
        ]
        yield from _requirement_differences(now, then, setting, cause, lock, workspace)
    yield from _excludes(lock, workspace.root)


def _requirement_differences(  # noqa: PLR0913, PLR0917  # what one list is
    now: list[ManifestRequirement],
    then: list[ManifestRequirement],
    setting: str,
    cause: Cause,
    lock: Lockfile,
    workspace: Workspace,
) -> Iterator[Difference]:
    for name in dict.fromkeys(requirement.name for requirement in (*now, *then)):
        mine, theirs = ([requirement for requirement in side if requirement.name == name] for side in (now, then))
        sourced = [
            sourced_requirement
            for requirement in mine
            for sourced_requirement in with_sources(requirement, RequirementScope(), workspace.root, workspace)
        ]
        if any(
            compare_requirements(candidate, theirs, RequirementScope(), python_range(lock.requires_python)) is None
            for candidate in (mine, sourced)
        ):
            continue
        before = " and ".join(f"`{requirement.text}`" for requirement in theirs)
        if mine:
            what = f"`{mine[0].text}` in {setting} is not what uv.lock was made from"
            why = f"the lock was made from {before}" if theirs else "the lock was made without it"
            yield Difference(cause=cause, place=mine[0].place, what=what, why=why)
        else:
            place = ManifestPlace(workspace.root.file, ("tool", "uv", setting))
            what = f"{before} was in {setting} when uv.lock was made"
            yield Difference(cause=cause, place=place, what=what, why="it was removed since")


def _excludes(lock: Lockfile, root: ProjectManifest) -> Iterator[Difference]:
    path = ("tool", "uv", "exclude-dependencies")
    now, then = root.list_at(*path), _list(lock.manifest.get("excludes"))
    if not all(isinstance(name, str) for name in (*now, *then)):
        return
    before = {canonicalize_name(name) for name in then}
    for position, name in enumerate(now):
        # uv ignores an exclusion that nothing requires.
        if canonicalize_name(name) not in before and canonicalize_name(name) in lock.by_name:
            what, why = f"`{name}` in exclude-dependencies is not in uv.lock", "the lock was made without it"
            yield Difference(cause=Cause.EXCLUDE, place=ManifestPlace(root.file, (*path, position)), what=what, why=why)
    for name in sorted(before - {canonicalize_name(name) for name in now}):
        what, why = f"`{name}` was in exclude-dependencies when uv.lock was made", "it was removed since"
        yield Difference(cause=Cause.EXCLUDE, place=ManifestPlace(root.file, path), what=what, why=why)


def option_differences(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    """Compare the options in the root's `[tool.uv]`, or in its uv.toml, which takes precedence."""
    yield from _modes(lock, workspace)
    yield from _exclude_newer(lock, workspace)
    yield from _platforms(lock, workspace)
    yield from _conflicts(lock, workspace)
    yield from _static_metadata(lock, workspace)


def _option(place: ManifestPlace, what: str, then: str) -> Difference:
    why = f"the lock was made with {then}" if then else "the lock was made without it"
    return Difference(cause=Cause.OPTION, place=place, what=f"{what} is not what uv.lock was made with", why=why)


def _setting(workspace: Workspace, *keys: str | int) -> ManifestPlace:
    return ManifestPlace(workspace.settings.file, (*workspace.options, *keys))


def _modes(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    for setting, key, defaults in _MODES:
        now, then = workspace.setting(setting), lock.options.get(key)
        if (now is not None and not isinstance(now, str)) or now == then:
            continue
        if (now is None or now in defaults) and (then is None or then in defaults):
            continue
        what = f'`{setting} = "{now}"`' if now else f"`{setting}`, which is not set,"
        yield _option(_setting(workspace, setting), what, f'`"{then}"`' if then else "")


def _exclude_newer(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    now, then = workspace.setting("exclude-newer"), lock.options
    before = then.get("exclude-newer-span") or then.get("exclude-newer")
    if not _same_moment(now, before):
        what = f"`exclude-newer = {_quoted(now)}`" if now is not None else "`exclude-newer`, which is not set,"
        yield _option(_setting(workspace, "exclude-newer"), what, f"`{before}`" if before else "")
    packages, locked = workspace.setting("exclude-newer-package"), then.get("exclude-newer-package", {})
    if not isinstance(packages or {}, Mapping) or not isinstance(locked, Mapping):
        return
    mine = {canonicalize_name(name): (name, value) for name, value in (packages or {}).items()}
    for name in sorted({*mine, *locked}):
        key, value = mine.get(name, (name, None))
        older = locked.get(name)
        if isinstance(older, Mapping):
            older = older.get("span") or older.get("timestamp")
        if value is False and older is None and before is None:
            continue  # an exception without a rule
        if not _same_moment(value, older):
            place = _setting(workspace, "exclude-newer-package", key)
            what = f"`exclude-newer-package` of `{name}`{'' if value is not None else ', which is not set,'}"
            yield _option(place, what, f"`{_quoted(older)}`" if older is not None else "")


def _same_moment(now: Any, then: Any) -> bool:
    if now is None or then is None or isinstance(now, bool) or isinstance(then, bool):
        return now is then or now == then
    mine, theirs = _moment(now), _moment(then)
    if mine is None or theirs is None:
        return True  # a form that only uv can read
    if isinstance(mine, datetime) and isinstance(theirs, datetime):
        day = isinstance(now, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", now.strip())
        return abs(mine + timedelta(days=1) - theirs) <= _ZONES if day else mine == theirs
    return mine == theirs


def _moment(value: Any) -> datetime | str | None:
    """A point in time, or a span in ISO 8601 form; None for anything else."""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value).strip()
    if re.fullmatch(r"P[0-9A-Z]+", text):
        return text
    if text and not _SPAN.sub("", text.removesuffix("ago").lower()).strip():
        return _span(text.lower())
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.fromisoformat("2000-01-01T00:00Z").tzinfo)


def _span(text: str) -> str:
    days, times = "", ""
    for number, unit in _SPAN.findall(text):
        letter = unit[0].upper()
        if unit.startswith(("hour", "minute", "second")):
            times += number + letter
        else:
            days += number + letter
    return f"P{days}{f'T{times}' if times else ''}"


def _platforms(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    for setting, then in (
        ("environments", lock.supported_markers),
        ("required-environments", lock.required_markers),
    ):
        value = workspace.root.get("tool", "uv", setting)
        now = [value] if isinstance(value, str) else workspace.root.list_at("tool", "uv", setting)
        if not all(isinstance(marker, str) and readable(marker) for marker in (*now, *then)):
            continue
        try:
            places = environments((*now, *then), python_range(lock.requires_python))
        except TooManyEnvironments:
            continue
        if any(_any_holds(now, place) != _any_holds(then, place) for place in places) or bool(now) != bool(then):
            place = ManifestPlace(workspace.root.file, ("tool", "uv", setting))
            yield _option(place, f"`{setting}`", ", ".join(f"`{marker}`" for marker in then))


def _any_holds(markers: Iterable[str], environment: Mapping[str, str]) -> bool:
    return any(holds(marker, environment) for marker in markers)


def _conflicts(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    """Compare `conflicts`. uv adds to each set those in which a group is replaced by a group that includes it."""
    then = {_conflict(items, "") for items in lock.conflicts}
    derived: set[frozenset[tuple[str, str, str]]] = set()
    for manifest in {project.file: project for project in (workspace.root, *workspace.members)}.values():
        including = _including(manifest)
        for position, listed in enumerate(manifest.list_at("tool", "uv", "conflicts")):
            mine = _conflict(listed, manifest.name)
            choices = [{item, *(("group", item[1], group) for group in including.get(item[2], ()))} for item in mine]
            if prod(map(len, choices)) > _DERIVED:
                return
            derived |= {frozenset(combination) for combination in product(*choices)}
            if mine not in then:
                yield _option(
                    ManifestPlace(manifest.file, ("tool", "uv", "conflicts", position)), "this set of conflicts", ""
                )
    if then - derived:
        place = ManifestPlace(workspace.root.file, ("tool", "uv", "conflicts"))
        items = sorted(name for items in then - derived for _, _, name in items)
        yield _option(place, "`conflicts`", f"one between {', '.join(f'`{item}`' for item in items)}")


def _conflict(listed: Any, owner: str) -> frozenset[tuple[str, str, str]]:
    items = set()
    for item in _list(listed):
        if isinstance(item, Mapping):
            package = canonicalize_name(str(item.get("package", owner)))
            kind = next((kind for kind in ("extra", "group") if kind in item), "project")
            items.add((kind, package, canonicalize_name(str(item.get(kind, "")))))
    return frozenset(items)


def _including(manifest: ProjectManifest) -> Mapping[str, set[str]]:
    """The groups that include each group, directly or indirectly."""
    direct: dict[str, set[str]] = {}
    for group, entries in manifest.table_at("dependency-groups").items():
        for entry in _list(entries):
            if isinstance(entry, Mapping) and isinstance(entry.get("include-group"), str):
                direct.setdefault(canonicalize_name(entry["include-group"]), set()).add(canonicalize_name(group))
    including: dict[str, set[str]] = {}
    for group in direct:
        waiting, reached = [group], set[str]()
        while waiting:
            more = direct.get(waiting.pop(), set()) - reached
            reached |= more
            waiting += more
        including[group] = reached
    return including


def _static_metadata(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    now, then = _list(workspace.setting("dependency-metadata")), _list(lock.manifest.get("dependency-metadata"))
    missing = [_metadata(table) for table in then]
    added: list[tuple[int, str]] = []
    for position, table in enumerate(now):
        if _metadata(table) in missing:
            missing.remove(_metadata(table))
        else:
            added.append((position, canonicalize_name(str(table.get("name"))) if isinstance(table, Mapping) else ""))
    # uv ignores additional metadata of a package that is not locked; metadata in the lock must still be declared.
    locked = {str(metadata[0]) for metadata in missing}
    for position, name in added:
        if name in lock.by_name or name in locked:
            place = _setting(workspace, "dependency-metadata", position)
            yield _option(place, f"`dependency-metadata` of `{name}`", "")
    removed = sorted(locked - {name for _, name in added})
    if removed:
        what = f"`dependency-metadata`, which no longer has `{removed[0]}`,"
        yield _option(_setting(workspace, "dependency-metadata"), what, "it")


def _metadata(table: Any) -> tuple[object, ...]:
    if not isinstance(table, Mapping):
        return ("",)
    needs = {_comparable(text) for text in _list(table.get("requires-dist"))}
    version: object = str(table.get("version", ""))
    with suppress(InvalidVersion):
        version = Version(str(version))
    extras = sorted(canonicalize_name(str(name)) for name in _list(table.get("provides-extra")))
    return (
        canonicalize_name(str(table.get("name", ""))),
        version,
        needs,
        str(table.get("requires-python", "")),
        extras,
    )


def _comparable(text: Any) -> tuple[object, ...]:
    requirement = parse_requirement(text, ManifestPlace("", ()), "")
    if requirement is None:
        return ("", str(text))
    return (
        requirement.name,
        requirement.extras,
        frozenset(requirement.specifier),
        requirement.marker,
        requirement.origin,
    )


def _quoted(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
