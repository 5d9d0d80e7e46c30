"""Renders an SBOM (CycloneDX 1.5) reproducibly: the same lock gives the same bytes."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from ..export.requirements import Pin, canonical_marker
from ..lock.markers import holds
from ..release.digests import canonical, sha256
from ..security.documents import parse_json
from ..security.url_credentials import plain_url, without_user

_TOOLS = [{"vendor": "mlflow-uv-action", "name": "mlflow-uv"}]
_MARKER = "uv:package:marker"


def render_sbom(raw: str, *, environment: Mapping[str, str] | None, licences: Mapping[tuple[str, str], str]) -> str:
    """
    Normalise uv's output: sorted, with references by name and version, without a timestamp and the version of uv.

    The serial number is a digest of the rest. With an `environment` (PEP 508 marker variables), only components that
    apply in it are kept. uv names no licences: those of `licences` are added by name and version. Raises ValueError for
    text that is not JSON.
    """
    table = parse_json(raw)
    metadata, components = table["metadata"], table.get("components", [])
    root = metadata.get("component")
    if environment is not None:
        components = [_without_marker(component) for component in components if _holds(component, environment)]
    for component in components:
        for property_ in component.get("properties", ()):
            if property_["name"] == _MARKER:
                property_["value"] = canonical_marker(property_["value"])
    renamed = _references([*([root] if root else []), *components])
    for component in components:
        for file in component.get("externalReferences", ()):
            file["url"] = without_user(file["url"])
        if "purl" in component:
            component["purl"] = _plain_purl(component["purl"])
        if licence := licences.get((component["name"], component.get("version", ""))):
            component["licenses"] = _choices(licence)
    del table["serialNumber"]
    metadata.pop("timestamp", None)
    metadata["tools"] = _TOOLS
    table["components"] = components
    table["dependencies"] = [
        {
            "ref": renamed[entry["ref"]],
            "dependsOn": [renamed[ref] for ref in entry.get("dependsOn", ()) if ref in renamed],
        }
        for entry in table.get("dependencies", ())
        if entry["ref"] in renamed
    ]
    table = _normal(table)
    return (
        json.dumps({**table, "serialNumber": serial_number(table)}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    )


def keep_components(raw: str, names: Collection[str]) -> str:
    """Keep only the components with these names. Raises ValueError for text that is not JSON."""
    table = parse_json(raw)
    table["components"] = [component for component in table.get("components", ()) if component["name"] in names]
    return json.dumps(table)


def pins_of_sbom(text: str) -> tuple[Pin, ...]:
    """The components of an SBOM as pins, for comparison. Raises ValueError for any other content."""
    try:
        table = parse_json(text)
        if table["bomFormat"] != "CycloneDX":
            raise ValueError(f"its format is {table['bomFormat']}")
        return tuple(_pin(component) for component in table.get("components", ()))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not CycloneDX: {error}") from error


def served_components(text: str, environments: Iterable[Mapping[str, str]]) -> tuple[str, tuple[str, ...]]:
    """
    Keep the components that are installed in one of the environments; return them and the others, as `name version`.

    An environment is a table of marker variables (PEP 508). Raises ValueError for any other content.
    """
    table = parse_json(text)
    try:
        components = tuple(table.get("components", ()))
        places = tuple(environments)
        kept = [each for each in components if any(_holds(each, environment) for environment in places)]
        others = {_name_and_version(each) for each in components} - {_name_and_version(each) for each in kept}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not CycloneDX: {error}") from error
    return json.dumps({**table, "components": kept}), tuple(sorted(others))


def packages_by_licence(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """
    The packages of an SBOM by the licences that it names, the most frequent first; an empty licence is an unknown one.

    A licence is an SPDX expression or id, or any name. Raises ValueError for any other content.
    """
    packages: dict[str, set[str]] = {}
    try:
        for component in parse_json(text).get("components", ()):
            licence = _licence(component.get("licenses", ()))
            packages.setdefault(licence, set()).add(_name_and_version(component))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not CycloneDX: {error}") from error
    ordered = sorted(packages.items(), key=lambda item: (not item[0], -len(item[1]), item[0]))
    return tuple((licence, tuple(sorted(names))) for licence, names in ordered)


def _name_and_version(component: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (component["name"], component.get("version", ""))))


def _choices(licence: str) -> list[dict[str, Any]]:
    """A licence as CycloneDX has it: an SPDX expression, or a name."""
    from ..model.licences import spdx_expression  # noqa: PLC0415  # a hook renders an SBOM without licences

    return [{"expression": licence} if spdx_expression(licence) == licence else {"license": {"name": licence}}]


def _licence(choices: Iterable[Mapping[str, Any]]) -> str:
    named = (choice.get("expression") or _named(choice.get("license", {})) for choice in choices)
    return ", ".join(sorted({str(name).strip() for name in named if name}))


def _named(licence: Mapping[str, Any]) -> object:
    return licence.get("id") or licence.get("name")


def _references(components: list[dict[str, Any]]) -> dict[str, str]:
    """Give every component a reference by name and version; return the new references by the old ones."""
    renamed: dict[str, str] = {}
    twins: dict[str, int] = {}
    for component in sorted(components, key=lambda component: canonical({**component, "bom-ref": ""})):
        name = f"{component['name']}@{component['version']}" if "version" in component else component["name"]
        twins[name] = twins.get(name, 0) + 1
        reference = name if twins[name] == 1 else f"{name}#{twins[name]}"
        renamed[component["bom-ref"]], component["bom-ref"] = reference, reference
    return renamed


def marker_of(component: Mapping[str, Any]) -> str:
    """The environment marker of a package (PEP 508), empty where it is installed everywhere."""
    return next(
        (str(property_["value"]) for property_ in component.get("properties", ()) if property_["name"] == _MARKER), ""
    )


def _holds(component: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    return holds(marker_of(component), environment)


def _without_marker(component: dict[str, Any]) -> dict[str, Any]:
    properties = [property_ for property_ in component.get("properties", ()) if property_["name"] != _MARKER]
    return {**component, "properties": properties}


def _pin(component: Mapping[str, Any]) -> Pin:
    files = component.get("externalReferences", ())
    hashes = {f"{file_hash['alg']}:{file_hash['content']}" for file in files for file_hash in file.get("hashes", ())}
    exact = f"{component['name']}=={component.get('version', '')}"
    return Pin(name=component["name"], exact=exact, marker=marker_of(component), hashes=tuple(sorted(hashes)))


def _plain_purl(purl: str) -> str:
    """A package URL without credentials in its qualifiers."""
    base, _, qualifiers = purl.partition("?")
    parts = []
    for part in qualifiers.split("&") if qualifiers else ():
        key, _, value = part.partition("=")
        parts.append(f"{key}={plain_url(unquote(value)) if key == 'repository_url' else without_user(value)}")
    return f"{base}?{'&'.join(parts)}" if parts else base


def _normal(value: Any) -> Any:
    """Sort lists, and drop empty values."""
    if isinstance(value, dict):
        return {key: normal for key, inner in value.items() if (normal := _normal(inner)) not in ([], {})}
    if isinstance(value, list):
        return sorted((_normal(inner) for inner in value), key=canonical)
    return value


def serial_number(table: Any) -> str:
    """A URN with a UUID made from the content (RFC 9562, version 8)."""
    digits = sha256(canonical(table))[:32]
    digits = f"{digits[:12]}8{digits[13:16]}8{digits[17:]}"
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
