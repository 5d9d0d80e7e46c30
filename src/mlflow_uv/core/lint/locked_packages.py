"""
Reads names and versions from a uv.lock without parsing it.

uv writes each package as `[[package]]`, `name` and `version` on three lines. Parsing the TOML of a large lock takes
longer than a hook may take.
"""

from .rule import LockedPackages

_PACKAGE = "\n[[package]]\n"


def locked_packages(text: str, *, folder: str) -> LockedPackages:
    """The packages of a lock; a text of another form has none."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    head, *packages = text.split(_PACKAGE)
    versions: dict[str, tuple[str, ...]] = {}
    for package in packages:
        first, _, rest = package.partition("\n")
        name = _value(first, "name")
        if name:
            version = _value(rest.partition("\n")[0], "version")
            versions[name] = (*versions.get(name, ()), *((version,) if version else ()))
    ranges = (_value(line, "requires-python") for line in head.split("\n"))
    return LockedPackages(folder=folder, versions=versions, requires_python=next(filter(None, ranges), ""))


def _value(line: str, key: str) -> str:
    start = f'{key} = "'
    return line[len(start) : -1] if line.startswith(start) and line.endswith('"') else ""
