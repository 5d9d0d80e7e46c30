"""What differs between two models: which packages, and which metrics?"""

import math
import re
from collections.abc import Mapping

from ...command.report import Table
from ..export.requirements import canonicalize_name, parse_requirements
from ..promotion.gates import as_measured
from .model_files import own_lines, wheel_of

NOTHING = "-"
Packages = Mapping[str, str]


def packages_of(text: str) -> Packages:
    """
    What a model's requirements.txt names, each package with what it says of its version.

    A list of ours is exact and names its wheels; of any other the lines are taken as they are.
    """
    said, wheels = own_lines(text)
    found: dict[str, list[str]] = {}
    try:
        for pin in parse_requirements(said).pins:
            exact = pin.line.removeprefix(pin.name).strip()
            found.setdefault(pin.name, []).append(exact.removeprefix("==").strip())
    except ValueError:
        for line in filter(None, (line.partition("#")[0].strip() for line in said.splitlines())):
            name, rest = _name(line)
            found.setdefault(name, []).append(rest)
    for file, marker in wheels:
        wheel = wheel_of(file, "", marker)
        exact = f"{wheel.version} (wheel)"
        found.setdefault(canonicalize_name(wheel.name), []).append(f"{exact} ; {marker}" if marker else exact)
    return {name: ", ".join(exact) for name, exact in found.items()}


def package_changes(candidate: Packages, champion: Packages) -> Table:
    """Only what was added, removed or changed; no row where the lists say the same."""
    rows = tuple(
        (name, candidate.get(name, NOTHING), champion.get(name, NOTHING), _verb(name, candidate, champion))
        for name in sorted({*candidate, *champion})
        if candidate.get(name) != champion.get(name)
    )
    return Table(title="packages that differ", columns=("package", "candidate", "champion", "change"), rows=rows)


def metric_table(candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Table:
    """Every metric that either has, side by side; `champion` is None where there is none."""
    candidate = {name: as_measured(value) for name, value in candidate.items()}
    if champion is None:
        rows = tuple((name, f"{candidate[name]:.6g}") for name in sorted(candidate))
        return Table(title="metrics", columns=("metric", "candidate"), rows=rows)
    champion = {name: as_measured(value) for name, value in champion.items()}
    return Table(
        title="metrics",
        columns=("metric", "candidate", "champion", "difference"),
        rows=tuple(
            (name, *_side_by_side(candidate.get(name), champion.get(name))) for name in sorted({*candidate, *champion})
        ),
    )


def _side_by_side(candidate: float | None, champion: float | None) -> tuple[str, str, str]:
    mine, theirs = (NOTHING if value is None else f"{value:.6g}" for value in (candidate, champion))
    if candidate is None or champion is None or not math.isfinite(candidate - champion):
        return mine, theirs, NOTHING
    return mine, theirs, "0" if candidate == champion else f"{candidate - champion:+.6g}"


def _verb(name: str, candidate: Packages, champion: Packages) -> str:
    if name not in champion:
        return "added"
    return "changed" if name in candidate else "removed"


def _name(line: str) -> tuple[str, str]:
    """A line of a list that is not ours: the name it begins with, and the rest."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    if found is None:
        return line, ""
    return canonicalize_name(found[0]), line[found.end() :].strip() or "any"
