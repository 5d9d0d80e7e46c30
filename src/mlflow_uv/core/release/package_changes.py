"""Describes the differences between two lists of pinned packages."""

from collections.abc import Callable, Iterable

from ..export.requirements import LocalRequirement, Pin, difference, parse_requirements
from ..lock.package_names import canonicalize_name

_SHOWN = 12
_HASHED = {(False, True): "hashes are missing", (True, False): "hashes are not wanted"}


def pins_of_requirements(text: str) -> tuple[Pin, ...]:
    """The pins of a requirements file, including wheels and options. Raises ValueError for one that is not exact."""
    requirements = parse_requirements(text)
    options = (Pin(name=option, exact=option, marker="") for option in requirements.options)
    return (*requirements.pins, *map(_wheel, requirements.local), *options)


def describe_changes(
    before: str, after: str, pins_of: Callable[[str], tuple[Pin, ...]], *, names: tuple[str, str]
) -> str:
    """
    Describe what has to change for `before` to become `after`, by package; by line where packages do not differ.

    `names` are those of both texts in a unified diff.
    """
    if before.removeprefix("\ufeff") == after:
        return _invisible(before, after)
    try:
        lines = changes(pins_of(before), pins_of(after))
    except ValueError:
        lines = ()
    if not lines:
        lines = tuple(difference(before, after, names=names).splitlines()) or (_invisible(before, after),)
        return "\n".join((*lines[: _SHOWN + 2], *_rest(lines, _SHOWN + 2)))
    return "; ".join((*lines[:_SHOWN], *_rest(lines, _SHOWN)))


def changes(before: Iterable[Pin], after: Iterable[Pin]) -> tuple[str, ...]:
    """Describe each difference between two lists, sorted by name; hashes missing on one side are one difference."""
    old, new = _by_name(before), _by_name(after)
    hashed = tuple(any(pin.hashes for pins in side.values() for pin in pins) for side in (old, new))
    differences = [_HASHED[hashed]] if hashed in _HASHED else []
    for name in sorted(old.keys() | new.keys()):
        differences += _changes_of(name, old.get(name, ()), new.get(name, ()), hashes=all(hashed))
    return tuple(differences)


def first_difference(before: str, after: str) -> int:
    """The 1-based first line of `before` that differs from `after`; its last line where only lines are missing."""
    ours, theirs = before.splitlines(keepends=True), after.splitlines(keepends=True)
    same = next(
        (
            index
            for index, (our_line, their_line) in enumerate(zip(ours, theirs, strict=False))
            if our_line != their_line
        ),
        None,
    )
    index = min(len(ours), len(theirs)) if same is None else same
    return max(1, min(index + 1, len(ours)))


def _invisible(before: str, after: str) -> str:
    """The difference between two texts whose lines are equal: byte-order mark or line ends."""
    if before.removeprefix("\ufeff") == after:
        return "it begins with a byte-order mark"
    if "\r" in before and "\r" not in after:
        return "its lines end with CRLF, and are written with LF"
    return "its last line has no line end" if before == after.rstrip("\n") else "the ends of its lines differ"


def _changes_of(name: str, old: tuple[Pin, ...], new: tuple[Pin, ...], *, hashes: bool) -> list[str]:
    versions = [", ".join(dict.fromkeys(_version(pin) for pin in pins)) for pins in (old, new)]
    if not old or not new:
        sign, version = ("+", versions[1]) if new else ("−", "")  # noqa: RUF001  # a minus sign
        return [f"{sign} {name} {version}".rstrip()]
    if versions[0] != versions[1]:
        return [f"{name} {versions[0]} → {versions[1]}"]
    differences = []
    if _markers(old) != _markers(new):
        differences.append(f"marker of {name} changed")
    if hashes and {pin.hashes for pin in old} != {pin.hashes for pin in new}:
        differences.append(f"hashes of {name} changed")
    return differences


def _by_name(pins: Iterable[Pin]) -> dict[str, tuple[Pin, ...]]:
    by_name: dict[str, tuple[Pin, ...]] = {}
    for pin in sorted(pins, key=lambda pin: (pin.name, pin.exact, pin.marker)):
        by_name[pin.name] = (*by_name.get(pin.name, ()), pin)
    return by_name


def _markers(pins: tuple[Pin, ...]) -> list[tuple[str, str]]:
    return [(pin.exact, pin.marker) for pin in pins]


def _version(pin: Pin) -> str:
    """The version with its extras, or the URL."""
    return pin.exact.removeprefix(pin.name).removeprefix("==").lstrip(" ")


def _wheel(local: LocalRequirement) -> Pin:
    """A local wheel as a pin of its name and version (PEP 427); any other path as a pin of itself."""
    file = local.path.rpartition("/")[2]
    name, _, rest = file.removesuffix(".whl").partition("-")
    if not file.endswith(".whl") or not rest:
        return Pin(name=local.path, exact=local.path, marker=local.marker, hashes=local.hashes)
    version = rest.partition("-")[0]
    normal = canonicalize_name(name)
    return Pin(name=normal, exact=f"{normal}=={version}", marker=local.marker, hashes=local.hashes)


def _rest(lines: tuple[str, ...], shown: int) -> tuple[str, ...]:
    return (f"and {len(lines) - shown} more",) if len(lines) > shown else ()
