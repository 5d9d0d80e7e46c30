"""What changed between two lists of distributions, in words for people?"""

from collections.abc import Callable, Iterable

from ..export.requirements import LocalRequirement, Pin, difference, parse_requirements

_SHOWN = 12
_HASHED = {(False, True): "hashes are missing", (True, False): "hashes are not wanted"}


def pins_of_requirements(text: str) -> tuple[Pin, ...]:
    """The pins of a requirements file, its wheels and options among them. Raises ValueError for what is not exact."""
    found = parse_requirements(text)
    options = (Pin(name=option, exact=option, marker="") for option in found.options)
    return (*found.pins, *map(_wheel, found.local), *options)


def described(before: str, after: str, pins_of: Callable[[str], tuple[Pin, ...]], *, names: tuple[str, str]) -> str:
    """What has to change for `before` to become `after`: a change for each distribution, else the lines that differ."""
    if before.removeprefix("\ufeff") == after:
        return _invisible(before, after)
    try:
        found = changes(pins_of(before), pins_of(after))
    except ValueError:
        found = ()
    if not found:
        found = tuple(difference(before, after, names=names).splitlines()) or (_invisible(before, after),)
        return "\n".join((*found[: _SHOWN + 2], *_rest(found, _SHOWN + 2)))
    return "; ".join((*found[:_SHOWN], *_rest(found, _SHOWN)))


def changes(before: Iterable[Pin], after: Iterable[Pin]) -> tuple[str, ...]:
    """Each difference between two lists as a few words, by name; hashes that one of them has not at all are one."""
    old, new = _by_name(before), _by_name(after)
    hashed = tuple(any(pin.hashes for pins in side.values() for pin in pins) for side in (old, new))
    found = [_HASHED[hashed]] if hashed in _HASHED else []
    for name in sorted(old.keys() | new.keys()):
        found += _changes_of(name, old.get(name, ()), new.get(name, ()), hashes=all(hashed))
    return tuple(found)


def first_difference(before: str, after: str) -> int:
    """The 1-based line of `before` that is the first to differ; its last where it only ends too soon."""
    ours, theirs = before.splitlines(keepends=True), after.splitlines(keepends=True)
    same = next((at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), None)
    at = min(len(ours), len(theirs)) if same is None else same
    return max(1, min(at + 1, len(ours)))


def _invisible(before: str, after: str) -> str:
    """What differs between two texts whose lines look the same."""
    if before.removeprefix("\ufeff") == after:
        return "it begins with a byte-order mark"
    if "\r" in before and "\r" not in after:
        return "its lines end with CRLF, and are written with LF"
    return "its last line does not end" if before == after.rstrip("\n") else "the ends of its lines differ"


def _changes_of(name: str, old: tuple[Pin, ...], new: tuple[Pin, ...], *, hashes: bool) -> list[str]:
    versions = [", ".join(dict.fromkeys(_version(pin) for pin in pins)) for pins in (old, new)]
    if not old or not new:
        sign, version = ("+", versions[1]) if new else ("−", "")  # noqa: RUF001  # a minus sign
        return [f"{sign} {name} {version}".rstrip()]
    if versions[0] != versions[1]:
        return [f"{name} {versions[0]} → {versions[1]}"]
    found = []
    if _markers(old) != _markers(new):
        found.append(f"marker of {name} changed")
    if hashes and {pin.hashes for pin in old} != {pin.hashes for pin in new}:
        found.append(f"hashes of {name} changed")
    return found


def _by_name(pins: Iterable[Pin]) -> dict[str, tuple[Pin, ...]]:
    found: dict[str, tuple[Pin, ...]] = {}
    for pin in sorted(pins, key=lambda pin: (pin.name, pin.exact, pin.marker)):
        found[pin.name] = (*found.get(pin.name, ()), pin)
    return found


def _markers(pins: tuple[Pin, ...]) -> list[tuple[str, str]]:
    return [(pin.exact, pin.marker) for pin in pins]


def _version(pin: Pin) -> str:
    """What is exact about it: the version with its extras, or the address."""
    return pin.exact.removeprefix(pin.name).removeprefix("==").lstrip(" ")


def _wheel(local: LocalRequirement) -> Pin:
    """A wheel beside the file by its name and version (PEP 427); any other path by itself."""
    file = local.path.rpartition("/")[2]
    name, _, rest = file.removesuffix(".whl").partition("-")
    if not file.endswith(".whl") or not rest:
        return Pin(name=local.path, exact=local.path, marker=local.marker, hashes=local.hashes)
    version = rest.partition("-")[0]
    normal = name.replace("_", "-").lower()
    return Pin(name=normal, exact=f"{normal}=={version}", marker=local.marker, hashes=local.hashes)


def _rest(found: tuple[str, ...], shown: int) -> tuple[str, ...]:
    return (f"and {len(found) - shown} more",) if len(found) > shown else ()
