"""Decides which of a repository's own settings git obeys when we call it: none that names a program."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# Settings by fixed names that start a program, or let a folder name one; what we set on the command line goes before
# every file. `safe.bareRepository` keeps git from taking a folder of the tree for a repository of its own.
GUARD = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "protocol.ext.allow": "never",
}
# Nothing we ask is worth a call to another machine: objects that a partial clone lacks are missing.
NO_NETWORK = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
NETWORK = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}

# The user's own: /etc/gitconfig, ~/.gitconfig, and variables and flags of the call. The others lie with the repository.
_TRUSTED = frozenset({"system", "global", "command"})
_FILTER = re.compile(r"filter\.(.+)\.(clean|smudge|process|required)", re.DOTALL)
# What `git lfs install --local` writes, as actions/checkout calls it: whoever wrote it, it names the user's git-lfs.
_LFS = frozenset({
    "git-lfs clean -- %f", "git-lfs filter-process", "git-lfs filter-process --skip", "git-lfs smudge -- %f",
    "git-lfs smudge --skip -- %f",
})  # fmt: skip
# What a fetch in a folder of ours needs to know of the repository: where its origin is, and the header of a token.
_ORIGIN = re.compile(r"remote\.origin\.url|url\..+\.insteadof|http\.(.+\.)?extraheader", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One line of `git config --show-scope --list`; of its key git writes the first and last part in lower case."""

    scope: str
    key: str
    value: str

    @property
    def trusted(self) -> bool:
        """Whether the user wrote it, and not whoever made the repository."""
        return self.scope in _TRUSTED


def settings_in(listed: str) -> tuple[Setting, ...]:
    """What `git config --null --show-scope --list` printed; the last of a key is the one that holds."""
    parts = listed.split("\0")
    return tuple(_settings(parts))


def _settings(parts: list[str]) -> Iterator[Setting]:
    for scope, line in zip(parts[::2], parts[1::2], strict=False):
        key, _, value = line.partition("\n")
        yield Setting(scope=scope, key=key, value=value)


def filter_overrides(settings: Iterable[Setting]) -> dict[str, str]:
    """
    What undoes every filter that the repository names a program for, by key: the user's own setting, or none.

    A file under a filter that is undone is compared as it lies there, and so may differ, but is never taken for the
    same. Git LFS stays, unless the repository extends it: `lfs.extension.*` names programs that git-lfs starts.
    """
    every = tuple(settings)
    lfs = not any(not setting.trusted and setting.key.startswith("lfs.extension.") for setting in every)

    def harmless(setting: Setting) -> bool:
        if setting.trusted:
            return lfs or "git-lfs" not in setting.value
        return lfs and setting.value in _LFS

    mine = {setting.key: setting.value for setting in every if setting.trusted and harmless(setting)}
    parts: dict[str, dict[str, None]] = {}
    undone: dict[str, None] = {}
    for setting in every:
        match = _FILTER.fullmatch(setting.key)
        if match is not None and match[2] != "required":
            parts.setdefault(match[1], {})[setting.key] = None
            if not harmless(setting) and setting.value != mine.get(setting.key):
                undone[match[1]] = None
    return {key: value for name in undone for key, value in _undone(name, tuple(parts[name]), mine).items()}


def _undone(name: str, keys: tuple[str, ...], mine: Mapping[str, str]) -> dict[str, str]:
    """The user's own programs for a filter, none for the others; one that lacks a program cannot be required."""
    required = f"filter.{name}.required"
    whole = all(key in mine for key in keys)
    return {required: mine.get(required, "false") if whole else "false"} | {key: mine.get(key, "") for key in keys}


def origin_settings(settings: Iterable[Setting]) -> tuple[tuple[str, str], ...]:
    """What the repository itself says of its origin, in its order; the user's own settings hold everywhere anyway."""
    return tuple((one.key, one.value) for one in settings if not one.trusted and _ORIGIN.fullmatch(one.key))


def as_variables(settings: Iterable[tuple[str, str]], *, beside: Mapping[str, str]) -> dict[str, str]:
    """Settings as variables that git and every git below it obey, after those that `beside` holds already."""
    first = int(count) if (count := beside.get("GIT_CONFIG_COUNT", "")).isdecimal() else 0
    variables: dict[str, str] = {}
    number = first
    for number, (key, value) in enumerate(settings, start=first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables | {"GIT_CONFIG_COUNT": str(number + 1)} if variables else {}
