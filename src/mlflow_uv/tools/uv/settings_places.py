"""Names the settings files of uv outside of any checkout. Imports little, for hooks."""

import os
from collections.abc import Iterator, Mapping

MACHINE = "/etc"


def users_folder(variables: Mapping[str, str]) -> str:
    """The folder with the user's configuration."""
    return variables.get("XDG_CONFIG_HOME") or os.path.join(variables.get("HOME") or "/", ".config")


def users_file(variables: Mapping[str, str]) -> str:
    """The user's settings of uv, which may not exist."""
    return os.path.join(users_folder(variables), "uv", "uv.toml")


def machine_files(variables: Mapping[str, str], machine: str = MACHINE) -> Iterator[str]:
    """The places of the machine's settings of uv, of which the first that exists applies."""
    folders = variables.get("XDG_CONFIG_DIRS") or os.path.join(machine, "xdg")
    yield from (os.path.join(folder, "uv", "uv.toml") for folder in folders.split(":") if folder)
    yield os.path.join(machine, "uv", "uv.toml")
