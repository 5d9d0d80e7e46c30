"""Creates the environments that convert a model and run the converted one, from this program's own lock."""

from pathlib import Path

from ...core.conversion.formats import ModelFormat
from ...core.export.requirements import Pin
from ...core.lock.own_group import group_pins
from ...core.release.digests import sha256
from ...tools.toolbox import Tools
from ..image.environment import Needs, indexes_for, read_inventory
from ..image.group_environment import group_environment, own_lock

_LIST = "mlflow-uv-conversion.txt"


def conversion_interpreter(
    needs: Needs, model_python: Path, wanted: ModelFormat, tools: Tools
) -> tuple[Path, tuple[str, ...]]:
    """
    Create an environment with the packages of a model and the converters of our lock that are not among them.

    `model_python` is the interpreter of the model's own environment. Return the interpreter, and the names of the
    installed packages that a converted model imports with MLflow. Raises ToolFailed.
    """
    inventory = read_inventory(tools.servers.inventory(model_python))
    installed = dict(inventory["installed"])
    provided = [name for name, others in wanted.alternatives.items() if not installed.keys().isdisjoint(others)]
    pins = group_pins(
        own_lock(tools),
        wanted.conversion_group,
        inventory["marker_environment"],
        without=[*installed, *provided],
    )
    lines = "".join(f"{pin.hashed_line if needs.hashed else pin.line}\n" for pin in pins)
    environment = tools.environments.serving(sha256(f"{needs.key(str(model_python))} {lines}".encode()))

    def make(folder: Path) -> None:
        # Beside the model's own list: its wheels are named relative to the folder.
        listed = needs.list.with_name(_LIST)
        listed.write_text(f"{needs.list.read_text(encoding='utf-8').rstrip()}\n{lines}", encoding="utf-8")
        with tools.console.group("environment of the converters"):
            tools.uv.install(
                listed,
                folder,
                python=str(model_python),
                hashed=needs.hashed,
                resolved=needs.requirements is not None,
                indexes=indexes_for(needs, tools),
                on_line=tools.console.foreign,
            )
        listed.unlink()

    environment.make_once(make)
    there = {pin.name for pin in pins} | set(installed)
    return environment.python, tuple(name for name in wanted.packages if name in there)


def runtime_interpreter(model_python: Path, wanted: ModelFormat, tools: Tools) -> tuple[Path, str]:
    """Create an environment with the runtime and numpy alone; return its interpreter and the version of the runtime."""
    environment = group_environment(wanted.runtime_group, model_python, tools)
    return environment.python, _version(environment.pins, wanted.runtime)


def _version(pins: tuple[Pin, ...], name: str) -> str:
    return next(str(pin.version) for pin in pins if pin.name == name)
