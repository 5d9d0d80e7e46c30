"""Keeps git from starting programs and from the network, by settings of a call. Imports little, for hooks."""

from collections.abc import Iterable, Mapping

# Settings with fixed names that start a program or let a folder name one. The command line takes precedence over every
# file. `safe.bareRepository` keeps git from using a folder of the tree as a repository.
GUARD = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "protocol.ext.allow": "never",
}
# Git must not use the network: objects that a partial clone lacks count as missing.
NO_NETWORK = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
NETWORK = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}

# Without a refresh, `diff` does not write the index, which a running hook may have locked.
_SETTINGS = {"core.quotePath": "off", "diff.autoRefreshIndex": "false", "log.showSignature": "false"} | GUARD
FLAGS = ("--no-pager", *(word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")))


def as_variables(settings: Iterable[tuple[str, str]], *, beside: Mapping[str, str]) -> dict[str, str]:
    """Settings as `GIT_CONFIG_*` variables, which child processes inherit, numbered after those in `beside`."""
    first = int(count) if (count := beside.get("GIT_CONFIG_COUNT", "")).isdecimal() else 0
    variables: dict[str, str] = {}
    number = first
    for number, (key, value) in enumerate(settings, start=first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables | {"GIT_CONFIG_COUNT": str(number + 1)} if variables else {}
