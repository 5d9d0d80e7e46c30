"""Creates an environment with one dependency group of this program's own lock, when a step needs it."""

from pathlib import Path

from ...core.export.requirements import Pin
from ...core.lock.lockfile import Lockfile, read_lockfile
from ...core.lock.own_group import group_pins
from ...core.release.digests import sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.toolbox import Tools
from .environment import read_inventory


@lazy_dataclass
class GroupEnvironment:
    """The interpreter of an environment, and the packages in it."""

    python: Path
    pins: tuple[Pin, ...]


def group_environment(group: str, python: Path, tools: Tools) -> GroupEnvironment:
    """
    Create an environment with a group of our lock, from wheels with the hashes of the lock, or find an earlier one.

    `python` is an interpreter of the Python that it gets. Raises ToolFailed.
    """
    inventory = read_inventory(tools.servers.inventory(python))
    pins = group_pins(own_lock(tools), group, inventory["marker_environment"])
    lines = "".join(f"{pin.hashed_line}\n" for pin in pins)
    environment = tools.environments.serving(sha256(f"{python} {lines}".encode()))

    def make(folder: Path) -> None:
        listed = folder.with_suffix(".txt")
        listed.write_text(lines, encoding="utf-8")
        with tools.console.group(f"environment of {group}"):
            tools.uv.install(
                listed,
                folder,
                python=str(python),
                hashed=True,
                resolved=True,
                indexes={},
                on_line=tools.console.foreign,
            )

    environment.make_once(make)
    return GroupEnvironment(python=environment.python, pins=pins)


def own_lock(tools: Tools) -> Lockfile:
    """Return the lock of this program."""
    return read_lockfile((tools.host.ours / "uv.lock").read_bytes())
