"""Says where Python keeps the bytecode of what it imports; importing MLflow without any takes three times as long."""

from collections.abc import Mapping
from pathlib import Path

from ...command.host import Host
from ...payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class BytecodeOptions:
    """Options of an interpreter, and the variables by which the interpreters that it starts do the same."""

    flags: tuple[str, ...] = ()
    variables: Mapping[str, str]


def cached_bytecode(host: Host) -> BytecodeOptions:
    """Keep bytecode in our cache, outside of the environment, which may be the user's own or compared later."""
    folder = host.cache / "bytecode"
    return BytecodeOptions(flags=("-X", f"pycache_prefix={folder}"), variables={"PYTHONPYCACHEPREFIX": str(folder)})


def bytecode_of(python: Path, host: Host) -> BytecodeOptions:
    """Keep bytecode in our cache for an environment in it, else in the environment, which is removed with it."""
    return cached_bytecode(host) if python.is_relative_to(host.cache) else BytecodeOptions(variables={})
