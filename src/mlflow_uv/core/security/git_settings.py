"""Overrides settings of an untrusted repository that would make git start a program."""

import re
from collections.abc import Iterable, Iterator, Mapping

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass

# Scopes of the user: /etc/gitconfig, ~/.gitconfig, variables and flags of the call. Others belong to the repository.
_TRUSTED = frozenset({"system", "global", "command"})
_FILTER = lazy_pattern(r"filter\.(.+)\.(clean|smudge|process|required)", re.DOTALL)
# What `git lfs install --local` writes, which actions/checkout runs; these values only start the user's git-lfs.
_LFS = frozenset({
    "git-lfs clean -- %f", "git-lfs filter-process", "git-lfs filter-process --skip", "git-lfs smudge -- %f",
    "git-lfs smudge --skip -- %f",
})  # fmt: skip
# What a fetch into a temporary repository needs: the address of the origin, and the header with a token.
_ORIGIN = lazy_pattern(r"remote\.origin\.url|url\..+\.insteadof|http\.(.+\.)?extraheader", re.DOTALL)


@lazy_dataclass
class Setting:
    """A line of `git config --show-scope --list`; git writes the first and last part of the key in lower case."""

    scope: str
    key: str
    value: str

    @property
    def trusted(self) -> bool:
        """Whether the user set it, and not the repository."""
        return self.scope in _TRUSTED


def settings_in(listed: str) -> tuple[Setting, ...]:
    """Parse the output of `git config --null --show-scope --list`; the last setting of a key applies."""
    parts = listed.split("\0")
    return tuple(_settings(parts))


def _settings(parts: list[str]) -> Iterator[Setting]:
    for scope, line in zip(parts[::2], parts[1::2], strict=False):
        key, _, value = line.partition("\n")
        yield Setting(scope=scope, key=key, value=value)


def filter_overrides(settings: Iterable[Setting]) -> dict[str, str]:
    """
    Return settings that disable every filter with a program from the repository: the user's own setting, or empty.

    Files with a disabled filter are compared unfiltered: they may seem changed, but never unchanged by mistake. Git LFS
    stays enabled, unless the repository sets `lfs.extension.*`, which names programs that git-lfs starts.
    """
    all_settings = tuple(settings)
    lfs = not any(not setting.trusted and setting.key.startswith("lfs.extension.") for setting in all_settings)

    def harmless(setting: Setting) -> bool:
        if setting.trusted:
            return lfs or "git-lfs" not in setting.value
        return lfs and setting.value in _LFS

    users_own = {setting.key: setting.value for setting in all_settings if setting.trusted and harmless(setting)}
    parts: dict[str, dict[str, None]] = {}
    disabled: dict[str, None] = {}
    for setting in all_settings:
        match = _FILTER.fullmatch(setting.key)
        if match is not None and match[2] != "required":
            parts.setdefault(match[1], {})[setting.key] = None
            if not harmless(setting) and setting.value != users_own.get(setting.key):
                disabled[match[1]] = None
    return {
        key: value for name in disabled for key, value in _disabled_filter(name, tuple(parts[name]), users_own).items()
    }


def _disabled_filter(name: str, keys: tuple[str, ...], users_own: Mapping[str, str]) -> dict[str, str]:
    """The user's own programs for a filter, else empty; a filter without all programs is not required."""
    required = f"filter.{name}.required"
    whole = all(key in users_own for key in keys)
    return {required: users_own.get(required, "false") if whole else "false"} | {
        key: users_own.get(key, "") for key in keys
    }


def origin_settings(settings: Iterable[Setting]) -> tuple[tuple[str, str], ...]:
    """The repository's own settings of its origin, in order; the user's settings apply everywhere anyway."""
    return tuple(
        (setting.key, setting.value) for setting in settings if not setting.trusted and _ORIGIN.fullmatch(setting.key)
    )
