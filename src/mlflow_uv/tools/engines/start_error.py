"""Finds the cause in what an engine says of a container that it cannot start."""

from ...command.errors import ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ..system.process import Completed

# Of another container, and of a program, as Docker and Podman say it.
_PORT_TAKEN = lazy_pattern(r"port is already allocated|address already in use")
_OTHER_PORT = "another `port` in the settings of the target, [tool.mlflow-uv.deploy.NAME], or end what listens there"


def start_error(name: str, done: Completed) -> ToolFailed:
    """The error of a container that cannot be started; one whose port is taken has the setting as its fix."""
    why = engine_reason(done)
    if not is_port_taken(done):
        return ToolFailed(what=f"`{name}` cannot be started", why=why)
    return ToolFailed(what=f"`{name}` cannot be started, because its port is taken", why=why, fix=_OTHER_PORT)


def is_port_taken(done: Completed) -> bool:
    """Whether an engine says that another container, or a program, has the port."""
    return _PORT_TAKEN.search(done.stderr) is not None


def engine_reason(done: Completed) -> str:
    """The error of an engine: its first one, after which Docker says that the command failed, or names its help."""
    lines = (line.strip().removeprefix("docker: ") for line in done.stderr.splitlines())
    return next((line for line in lines if line.startswith("Error")), done.last_line)
