"""Renders a pylock.toml (PEP 751) reproducibly: the same lock gives the same bytes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.size_limits import LOCK_LIMIT
from ..security.toml_documents import parse_toml
from ..security.url_credentials import plain_url, without_user
from .portability import LocalWheel
from .requirements import Pin, canonical_marker

CREATED_BY = "mlflow-uv"
# PEP 751's own order, of the file and of its tables together.
_ORDER = (
    "lock-version", "environments", "requires-python", "extras", "dependency-groups", "default-groups", "created-by",
    "packages", "name", "version", "marker", "dependencies", "vcs", "directory", "archive", "index", "sdist", "wheels",
    "type", "url", "path", "requested-revision", "commit-id", "subdirectory", "upload-time", "size", "hashes",
)  # fmt: skip
_RANK = {key: at for at, key in enumerate(_ORDER)}


@lazy_dataclass
class PathReplacements:
    """
    Replacements for paths of this machine.

    `wheels` maps the names of local packages to the wheel to list instead, or to None to leave a package out.
    `folders` maps the URLs of flat index folders to their paths relative to the pylock.toml.
    """

    wheels: Mapping[str, LocalWheel | None] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)


def render_pylock(raw: str, replacements: PathReplacements) -> str:
    """
    Normalise uv's output: no comments, sorted packages and files, no credentials, no paths of this machine.

    Raises ValueError for a local package without a replacement.
    """
    table = parse_toml(raw.encode(), limit=LOCK_LIMIT)
    packages = [
        package for entry in table.get("packages", []) if (package := _package(entry, replacements)) is not None
    ]
    head = {**table, "created-by": CREATED_BY, "packages": []}
    if packages:
        del head["packages"]  # an array of tables has no key of its own
    lines = [f"{key} = {_value(value)}" for key, value in _sorted(head)]
    for package in sorted(packages, key=lambda package: (package["name"], package.get("version", ""), _value(package))):
        lines += ["", "[[packages]]", *(f"{key} = {_value(value, key=key)}" for key, value in _sorted(package))]
    return "\n".join((*lines, ""))


def pins_of_pylock(text: str) -> tuple[Pin, ...]:
    """The packages of a pylock.toml as pins, for comparison. Raises ValueError for any other content."""
    try:
        return tuple(_pin(package) for package in parse_toml(text.encode(), limit=LOCK_LIMIT)["packages"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a pylock.toml: {error}") from error


def _package(raw: Mapping[str, Any], replacements: PathReplacements) -> dict[str, Any] | None:
    package = dict(raw)
    if "marker" in package:
        package["marker"] = canonical_marker(package["marker"])
    if "directory" in package or "path" in package.get("archive", {}):
        return _local(package, replacements)
    if "index" in package:
        package["index"] = plain_url(package["index"])
        if package["index"] in replacements.folders:
            del package["index"]
    for key in ("sdist", "archive", "vcs"):
        if key in package:
            package[key] = _file(package[key], replacements)
    if "wheels" in package:
        package["wheels"] = sorted((_file(wheel, replacements) for wheel in package["wheels"]), key=_value)
    return package


def _local(package: Mapping[str, Any], replacements: PathReplacements) -> dict[str, Any] | None:
    name = package["name"]
    if name not in replacements.wheels:
        raise ValueError(f"`{name}` is a path")
    wheel = replacements.wheels[name]
    if wheel is None:
        return None
    kept = {key: value for key, value in package.items() if key in ("name", "marker", "requires-python")}
    return {
        **kept,
        "version": wheel.version,
        "archive": {"path": wheel.relative_path, "hashes": {"sha256": wheel.sha256}},
    }


def _file(raw: Mapping[str, Any], replacements: PathReplacements) -> dict[str, Any]:
    file = dict(raw)
    if "url" in file:
        # PEP 751 has a key for the subdirectory, and pip refuses it together with the fragment.
        file["url"], _, fragment = without_user(file["url"]).partition("#")
        if fragment.startswith("subdirectory="):
            file.setdefault("subdirectory", unquote(fragment.removeprefix("subdirectory=")))
    for folder, path in replacements.folders.items():
        if file.get("url", "").startswith(f"{folder}/"):
            file["path"] = f"{path}/{unquote(file.pop('url')[len(folder) + 1 :])}"
    return file


def _pin(package: Mapping[str, Any]) -> Pin:
    name, version = package["name"], package.get("version")
    files = (package.get("sdist", {}), package.get("archive", {}), *package.get("wheels", ()))
    hashes = {f"{kind}:{value}" for file in files for kind, value in file.get("hashes", {}).items()}
    direct = {key: package[key] for key in ("vcs", "directory") if key in package}
    exact = f"{name} @ {_value(direct)}" if direct else f"{name}=={version}"
    return Pin(name=name, exact=exact, marker=str(package.get("marker", "")), hashes=tuple(sorted(hashes)))


def _sorted(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return iter(sorted(table.items(), key=lambda item: (_RANK.get(item[0], len(_ORDER)), item[0])))


def _value(value: Any, *, key: str = "") -> str:
    """A TOML value on one line, except the wheels of a package, which are on one line each."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case datetime():
            return value.replace(microsecond=0).isoformat().replace("+00:00", "Z")
        case Mapping():
            inner = ", ".join(f"{name} = {_value(inner_value)}" for name, inner_value in _sorted(value))
            return f"{{ {inner} }}" if inner else "{}"
        case list() if key == "wheels":
            return "".join(("[\n", *(f"    {_value(item)},\n" for item in value), "]"))
        case list():
            return f"[{', '.join(map(_value, value))}]"
    return str(value)
