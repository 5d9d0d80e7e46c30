"""Compares the packages and the metrics of two models, as tables."""

import math
import re
from collections.abc import Iterable, Mapping

from ...command.report import Table, TableKind
from ..export.requirements import parse_requirements
from ..lock.package_names import canonicalize_name
from ..promotion.gates import restore_infinity
from .model_files import split_requirements, wheel_of

NOTHING = "-"
Packages = Mapping[str, str]


def packages_of(text: str) -> Packages:
    """
    Return the packages in a model's requirements.txt with their versions.

    Lists written by mlflow-uv are parsed as exact pins and wheels; for any other list, the rest of the line is used.
    """
    export_lines, wheels = split_requirements(text)
    versions: dict[str, list[str]] = {}
    try:
        for pin in parse_requirements(export_lines).pins:
            exact = pin.line.removeprefix(pin.name).strip()
            versions.setdefault(pin.name, []).append(exact.removeprefix("==").strip())
    except ValueError:
        for line in filter(None, (line.partition("#")[0].strip() for line in export_lines.splitlines())):
            name, rest = _name(line)
            versions.setdefault(name, []).append(rest)
    for file, marker in wheels:
        wheel = wheel_of(file, "", marker)
        exact = f"{wheel.version} (wheel)"
        versions.setdefault(canonicalize_name(wheel.name), []).append(f"{exact} ; {marker}" if marker else exact)
    return {name: ", ".join(exact) for name, exact in versions.items()}


def package_changes(candidate: Packages, champion: Packages) -> Table:
    """The packages that were added, removed or changed; without rows where the lists are equal."""
    rows = tuple(
        (name, candidate.get(name, NOTHING), champion.get(name, NOTHING), _verb(name, candidate, champion))
        for name in sorted({*candidate, *champion})
        if candidate.get(name) != champion.get(name)
    )
    return Table(title="packages that differ", columns=("package", "candidate", "champion", "change"), rows=rows)


def signature_table(changes: Iterable[tuple[str, str]]) -> Table:
    """The changes of a signature, each as its effect and a text; without rows if there are none."""
    return Table(
        title="signature", columns=("change", "effect"), rows=tuple((text, effect) for effect, text in changes)
    )


def metric_table(candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Table:
    """Every metric of either model, side by side; `champion` is None where there is none."""
    candidate = {name: restore_infinity(value) for name, value in candidate.items()}
    if champion is None:
        rows = tuple((name, f"{candidate[name]:.6g}") for name in sorted(candidate))
        return Table(title="metrics", columns=("metric", "candidate"), rows=rows)
    champion = {name: restore_infinity(value) for name, value in champion.items()}
    return Table(
        title="metrics",
        columns=("metric", "candidate", "champion", "difference"),
        rows=tuple(
            (name, *_side_by_side(candidate.get(name), champion.get(name))) for name in sorted({*candidate, *champion})
        ),
        kind=TableKind.CHANGES,
    )


def difference_text(difference: float, digits: str = ".6g") -> str:
    """A difference with its sign, and an arrow that shows the direction; `0` if there is none."""
    return f"{'↑' if difference > 0 else '↓'} {difference:+{digits}}" if difference else "0"


def _side_by_side(candidate: float | None, champion: float | None) -> tuple[str, str, str]:
    mine, theirs = (NOTHING if value is None else f"{value:.6g}" for value in (candidate, champion))
    if candidate is None or champion is None or not math.isfinite(candidate - champion):
        return mine, theirs, NOTHING
    return mine, theirs, difference_text(candidate - champion)


def _verb(name: str, candidate: Packages, champion: Packages) -> str:
    if name not in champion:
        return "added"
    return "changed" if name in candidate else "removed"


def _name(line: str) -> tuple[str, str]:
    """Split a requirement of another tool into the package's name and the rest."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    if match is None:
        return line, ""
    return canonicalize_name(match[0]), line[match.end() :].strip() or "any"
