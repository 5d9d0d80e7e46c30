"""Reads what a model requires from its own files, and finds what does not install on a target."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ...command.errors import ModelUnusable, ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding, Severity, counted
from ...command.wording import Wording, option, step_call
from ...core.export.requirements import Requirements, parse_requirements
from ...core.image.installed_packages import PackageDifference, package_differences
from ...core.lock.closure import selected_roots
from ...core.lock.install_findings import InstallFindings
from ...core.lock.lockfile import NotALock, read_lockfile
from ...core.lock.markers import holds
from ...core.lock.package_names import canonicalize_name
from ...core.lock.placement import Uncovered, place
from ...core.lock.selection import Selection
from ...core.lock.targets import System, Target
from ...core.model import model_files
from ...core.security.documents import parse_json
from ...core.security.origins import is_plain_web_address
from ...core.security.size_limits import MANIFEST_LIMIT
from ...core.security.url_credentials import without_user
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import leads_out, read_manifest, table_of
from ...tools.toolbox import Tools
from ..image.environment import Needs, indexes_for

_NAME = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATH = lazy_pattern(r"(-e\s|--editable|file:|\.{0,2}/)")
_INDEX = lazy_pattern(r"(?:--(?:extra-)?index-url|-i)(?:=|\s)\s*(\S+)")
_CONSTRAINTS = lazy_pattern(r"(?:--constraint(?:=|\s)|-c)\s*(\S+)")
_WHEEL = lazy_pattern(rf"{re.escape(model_files.WHEELS)}/[\w.+!-]+\.whl")
_OLDEST_GLIBC = 17


@lazy_dataclass
class ModelRequirements:
    """
    The requirements of a model.

    `lines` are those of its list, `local` those that name a folder or file of one machine; `indexes` are URLs.
    `constraints` are versions in the model's constraints files. `locked` says whether the list is from a lock; else
    MLflow inferred it, or its author wrote it.
    """

    needs: Needs
    lines: tuple[str, ...]
    local: tuple[str, ...]
    indexes: tuple[str, ...]
    constraints: tuple[str, ...]

    @property
    def locked(self) -> bool:
        """Whether the list is complete and exact."""
        return self.needs.requirements is not None

    @property
    def loose(self) -> tuple[str, ...]:
        """The lines without an exact version."""
        return () if self.locked else tuple(line for line in self.lines if not re.search(r"==|@", line))


def model_requirements(needs: Needs) -> ModelRequirements:
    """Return the requirements of a model, from the list that its environment is made from."""
    text = re.sub(r"\\\r?\n", " ", needs.list.read_text(encoding="utf-8", errors="replace"))
    listed, _ = model_files.split_requirements(text)
    lines = [re.sub(r"(^|\s)#.*$|\s--hash=\S+", "", line).strip() for line in listed.splitlines()]
    # uv gets nothing but packages of a list that others wrote: `-r` and `-c` would name any file of this machine.
    options = [line for line in lines if line.startswith("-") and not re.match(r"-e\s|--editable", line)]
    kept = tuple(line for line in lines if line and line not in options)
    urls = [match[1] for line in options if (match := _INDEX.match(line))]
    file = needs.model / model_files.INDEXES
    declared = parse_json(file.read_text(encoding="utf-8")) if file.is_file() else []
    urls += [str(index.get("url", "")) for index in declared if isinstance(index, dict)]
    return ModelRequirements(
        needs=needs,
        lines=kept,
        local=tuple(line for line in kept if _PATH.match(line)),
        indexes=tuple(dict.fromkeys(map(without_user, urls))),
        constraints=tuple(
            constraint
            for line in options
            if (match := _CONSTRAINTS.match(line))
            for constraint in _constraints_in(needs.model / match[1], needs.model)
        ),
    )


def _constraints_in(file: Path, model: Path) -> Iterator[str]:
    """Yield the versions of packages in a constraints file; none of a file that is not in the model's folder."""
    if leads_out(file, model) or not file.is_file() or file.stat().st_size > MANIFEST_LIMIT:
        return
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  # few models have such a file

    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            requirement = Requirement(re.sub(r"(^|\s)#.*$", "", line).strip())
        except InvalidRequirement:
            continue
        if requirement.url is None and requirement.specifier:
            marker = f" ; {requirement.marker}" if requirement.marker else ""
            yield f"{canonicalize_name(requirement.name)}{requirement.specifier}{marker}"


def local_findings(required: ModelRequirements) -> Iterator[Finding]:
    """Yield an error for each requirement that is a folder or file of the machine that logged the model."""
    for line in required.local:
        yield Finding(
            rule="model-local-requirement",
            what=f"the model requires `{line}`",
            why="it is a folder or file of the machine that logged the model",
            fix=Wording("put the package into the project's lock, and ", step_call("log-model")),
        )


def inferred_findings(required: ModelRequirements) -> Iterator[Finding]:
    """Yield a notice for a list that is not from a lock."""
    if required.locked:
        return
    count = counted(len(required.lines), "requirement")
    loose = f", {len(required.loose)} of them without an exact version" if required.loose else ""
    yield Finding(
        rule="model-without-lock",
        severity=Severity.NOTICE,
        what=f"the model has no lock: it lists {count}{loose}",
        why="everything else is resolved anew by each installation, so its environment changes over time",
        fix=Wording("log it from a uv.lock: ", step_call("log-model")),
    )


def target_findings(required: ModelRequirements, target: Target, tools: Tools, list_: Path) -> tuple[Finding, ...]:
    """
    Return findings about packages that do not install on a target, or not from a wheel; none if all do.

    For a model without a lock uv resolves its list, and the pins are written to the file `list_` with their hashes.
    """
    needs, found = required.needs, list(_python_findings(required, target))
    if required.locked:
        list_.write_text(_locked_list(needs), encoding="utf-8")
        return (*found, *_locked_findings(required, target))
    source = list_.with_name("inferred.txt")
    kept = "".join(f"{line}\n" for line in required.lines if line not in required.local)
    if required.constraints:
        constraints = list_.with_name("constraints.txt")
        constraints.write_text("".join(f"{line}\n" for line in required.constraints), encoding="utf-8")
        kept = f"-c {constraints.name}\n{kept}"
    source.write_text(kept, encoding="utf-8")
    # An index with a name (`NAME=URL`) would get the credentials that the caller has for that name.
    urls = " ".join(filter(is_plain_web_address, required.indexes))
    indexes = {"UV_INDEX": urls} if urls else {}
    try:
        resolved = tools.uv.resolve(
            source,
            platform=uv_platform(target),
            version=f"3.{target.minor}",
            indexes={**indexes, **indexes_for(needs, tools)},
        )
    except ToolFailed as error:
        fix = Wording("pin versions with wheels for it in a project, `uv lock`, and ", step_call("log-model"))
        return (
            *found,
            Finding(
                rule="target-cannot-install",
                what=f"the requirements of the model do not install from wheels on {target}",
                why=error.why,
                fix=fix,
            ),
        )
    list_.write_text(resolved.hashed_text, encoding="utf-8")
    return tuple(found)


def _locked_list(needs: Needs) -> str:
    """
    The pins and wheels of a list with hashes, written anew: uv gets none of its options, which may name any file.

    Raises ModelUnusable.
    """
    try:
        listed = parse_requirements(needs.list.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelUnusable(what="the requirements of the model cannot be read", why=str(error)) from error
    wheels = (local.hashed_line for local in listed.local if _WHEEL.fullmatch(local.path))
    return listed.hashed_text + "".join(f"{line}\n" for line in wheels)


def _python_findings(required: ModelRequirements, target: Target) -> Iterator[Finding]:
    minor = f"3.{target.minor}"
    if minor != required.needs.minor:
        yield Finding(
            rule="target-other-python",
            what=f"{target} has Python {minor}, and the model was trained with {required.needs.python}",
            why="pickled code and pins of a model are those of one minor version",
            fix=option("target", str(target).replace(f"py{minor}", f"py{required.needs.minor}")),
        )


def _locked_findings(required: ModelRequirements, target: Target) -> tuple[Finding, ...]:
    model = required.needs.model
    file = model / model_files.LOCK
    try:
        data = file.read_bytes()
        lock = read_lockfile(data)
        selected = parse_json((model / model_files.SELECTION).read_text(encoding="utf-8"))
        selection = Selection(
            package=selected["package"], extras=tuple(selected["extras"]), groups=tuple(selected["groups"])
        )
        name = table_of(read_manifest(model / model_files.MANIFEST), "project").get("name")
        roots = selected_roots(lock, selection, name=None if name is None else str(name))
        placed = place(lock, roots, target)
    except (OSError, NotALock, ValueError, KeyError, TypeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        fix = step_call("log-model")
        return (Finding(rule="model-lock-unreadable", what="the lock in the model cannot be read", why=why, fix=fix),)
    findings = InstallFindings(path=PurePosixPath(model_files.LOCK), data=data, lock=lock, lock_command="uv lock")
    if isinstance(placed, Uncovered):
        return (findings.uncovered(placed),)
    # Local packages travel as wheels in the model.
    return (*findings.not_wheels(placed), *findings.other_origins(placed, reachable=()), *findings.local_builds(placed))


def uv_platform(target: Target) -> str:
    """The `--python-platform` of uv for a target; musl and macOS have one level there."""
    match target.system:
        case System.WINDOWS:
            return f"{'aarch64' if target.machine == 'arm64' else target.machine}-pc-windows-msvc"
        case System.MACOS:
            return f"{'aarch64' if target.machine == 'arm64' else target.machine}-apple-darwin"
        case System.LINUX if target.musl:
            return f"{target.machine}-unknown-linux-musl"
    level = (target.level or (2, _OLDEST_GLIBC))[1]
    return f"{target.machine}-manylinux_2_{max(_OLDEST_GLIBC, level)}"


def environment_differences(
    required: ModelRequirements, inventory: Mapping[str, Any], resolved: Requirements | None
) -> tuple[PackageDifference, ...]:
    """
    Return how the packages of an environment differ from those of the model.

    Without a lock only packages that its list names exactly have a required version.
    """
    environment = {str(name): str(value) for name, value in dict(inventory["marker_environment"]).items()}
    installed = tuple((str(name), str(version)) for name, version in inventory["installed"])
    pins: dict[str, str | None] = {}
    if required.needs.requirements is not None:
        applying = (pin for pin in required.needs.requirements.pins if holds(pin.marker, environment))
        pins = {pin.name: pin.version for pin in applying}
    else:
        pins = {pin.name: None for pin in (resolved.pins if resolved else ())}
        for line in required.lines:
            if line not in required.local and (match := _NAME.match(line)):
                exact = re.match(r"[^=<>!~;@]*===?\s*([^\s;,]+)\s*(;|$)", line)
                pins[canonicalize_name(match[0])] = exact[1] if exact else None
    pins |= {canonicalize_name(wheel.name): wheel.version for wheel in required.needs.wheels}
    return tuple(package_differences(pins, installed))
