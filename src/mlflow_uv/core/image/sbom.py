"""How does a software bill of materials (CycloneDX 1.5) look that is the same bytes everywhere?"""

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

from ..export.indexes import bare, without_user
from ..export.requirements import Pin, canonical_marker, holds
from ..release.digests import canonical, sha256
from ..security.documents import parse_json

_TOOLS = [{"vendor": "mlflow-uv-action", "name": "mlflow-uv"}]
_MARKER = "uv:package:marker"


def render_sbom(raw: str, *, environment: Mapping[str, str] | None) -> str:
    """
    What uv wrote, in one normal form: sorted, references by name and version, nothing of when and by which uv.

    The serial number is a digest of the rest. With an `environment` (PEP 508 marker variables), only what is installed
    there. Raises ValueError for what is not CycloneDX JSON.
    """
    table = parse_json(raw)
    metadata, components = table["metadata"], table.get("components", [])
    root = metadata.get("component")
    if environment is not None:
        components = [_unmarked(one) for one in components if _holds(one, environment)]
    for one in components:
        for said in one.get("properties", ()):
            if said["name"] == _MARKER:
                said["value"] = canonical_marker(said["value"])
    renamed = _references([*([root] if root else []), *components])
    for one in components:
        for file in one.get("externalReferences", ()):
            file["url"] = without_user(file["url"])
        if "purl" in one:
            one["purl"] = _bare_purl(one["purl"])
    del table["serialNumber"]
    metadata.pop("timestamp", None)
    metadata["tools"] = _TOOLS
    table["components"] = components
    table["dependencies"] = [
        {"ref": renamed[one["ref"]], "dependsOn": [renamed[ref] for ref in one.get("dependsOn", ()) if ref in renamed]}
        for one in table.get("dependencies", ())
        if one["ref"] in renamed
    ]
    table = _normal(table)
    return json.dumps({**table, "serialNumber": _serial(table)}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def installed_only(raw: str, names: Collection[str]) -> str:
    """What uv wrote, without the components that have another name. Raises ValueError for what is not JSON."""
    table = parse_json(raw)
    table["components"] = [one for one in table.get("components", ()) if one["name"] in names]
    return json.dumps(table)


def pins_of_sbom(text: str) -> tuple[Pin, ...]:
    """The components of a bill as pins, for a comparison. Raises ValueError for what is not one."""
    try:
        table = parse_json(text)
        if table["bomFormat"] != "CycloneDX":
            raise ValueError(f"it is of format {table['bomFormat']}")
        return tuple(_pin(component) for component in table.get("components", ()))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not CycloneDX: {error}") from error


def _references(components: list[dict[str, Any]]) -> dict[str, str]:
    """Give every component a reference that does not count; the old ones with the new."""
    renamed: dict[str, str] = {}
    twins: dict[str, int] = {}
    for one in sorted(components, key=lambda one: canonical({**one, "bom-ref": ""})):
        name = f"{one['name']}@{one['version']}" if "version" in one else one["name"]
        twins[name] = twins.get(name, 0) + 1
        reference = name if twins[name] == 1 else f"{name}#{twins[name]}"
        renamed[one["bom-ref"]], one["bom-ref"] = reference, reference
    return renamed


def _marker(component: Mapping[str, Any]) -> str:
    return next((str(one["value"]) for one in component.get("properties", ()) if one["name"] == _MARKER), "")


def _holds(component: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    return holds(_marker(component), environment)


def _unmarked(component: dict[str, Any]) -> dict[str, Any]:
    properties = [one for one in component.get("properties", ()) if one["name"] != _MARKER]
    return {**component, "properties": properties}


def _pin(component: Mapping[str, Any]) -> Pin:
    files = component.get("externalReferences", ())
    hashes = {f"{one['alg']}:{one['content']}" for file in files for one in file.get("hashes", ())}
    exact = f"{component['name']}=={component.get('version', '')}"
    return Pin(name=component["name"], exact=exact, marker=_marker(component), hashes=tuple(sorted(hashes)))


def _bare_purl(purl: str) -> str:
    """A package URL whose addresses carry no credentials."""
    base, _, qualifiers = purl.partition("?")
    said = []
    for part in qualifiers.split("&") if qualifiers else ():
        key, _, value = part.partition("=")
        said.append(f"{key}={bare(unquote(value)) if key == 'repository_url' else without_user(value)}")
    return f"{base}?{'&'.join(said)}" if said else base


def _normal(value: Any) -> Any:
    """Lists sorted, and what is empty gone."""
    if isinstance(value, dict):
        return {key: normal for key, one in value.items() if (normal := _normal(one)) not in ([], {})}
    if isinstance(value, list):
        return sorted((_normal(one) for one in value), key=canonical)
    return value


def _serial(table: Any) -> str:
    """A URN whose UUID is made from the content (RFC 9562, version 8)."""
    digits = sha256(canonical(table))[:32]
    digits = f"{digits[:12]}8{digits[13:16]}8{digits[17:]}"
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
