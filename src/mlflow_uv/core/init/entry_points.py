"""Finds the entry point of an MLproject file that trains."""

import posixpath
from collections.abc import Iterable

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from ...command.errors import BadInput
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..deploy.yaml_documents import parsed_yaml, text_at, value_at
from ..lint.rule import is_test
from .run_commands import is_named_after_other_work, is_named_after_training

_MAIN = "main"
_CONFIGURATIONS = frozenset({".yaml", ".yml", ".json", ".toml"})


@lazy_dataclass
class TrainingEntryPoint:
    """
    An entry point that trains, empty if none is known, and what the user should know about the file.

    `parameters` are `NAME=VALUE` for those that it requires.
    """

    name: str = ""
    parameters: tuple[str, ...] = ()
    note: str = ""


def training_entry_point(mlproject: str, paths: Iterable[str] = ()) -> TrainingEntryPoint:
    """
    Return `main`, or the only entry point that is named after training, or the only one.

    Those that are named after serving, evaluation and the like do not count. It has a command, and a default for each
    of its parameters: nobody knows other values. A required parameter of the type `path` gets the only configuration
    among `paths`, the files of the project, that is named after training.
    """
    try:
        documents = parsed_yaml(mlproject.encode(errors="surrogateescape"), "MLproject").documents
    except BadInput as error:
        return TrainingEntryPoint(note=f"{error.what}: {error.why}")
    points = value_at(documents[0], ("entry_points",)) if documents else None
    named = {
        name: point
        for name, point in _entries(points)
        if text_at(point, "command") and not is_named_after_other_work(name)
    }
    likely = [_MAIN] if _MAIN in named else [name for name in named if is_named_after_training(name)] or list(named)
    if len(likely) != 1:
        names = ", ".join(f"`{name}`" for name in likely)
        note = f"MLproject has several entry points that may train: {names}; set `entry-point` to one of them"
        return TrainingEntryPoint(note=note if likely else "")
    (name,) = likely
    parameters = _entries(value_at(named[name], ("parameters",)))
    required = [(key, value) for key, value in parameters if not _has_default(value)]
    configurations = [path for path in paths if _configures_training(path)]
    if len(required) == 1 and len(configurations) == 1 and _is_path(required[0][1]):
        return TrainingEntryPoint(name=name, parameters=(f"{required[0][0]}={configurations[0]}",))
    if required:
        words = ", ".join(f"`{key}`" for key, _ in required)
        needs = f"the entry point `{name}` of MLproject requires {words}"
        return TrainingEntryPoint(note=f"{needs}: set `entry-point` and `parameters`")
    return TrainingEntryPoint(name=name)


def _entries(node: Node | None) -> list[tuple[str, Node]]:
    if not isinstance(node, MappingNode):
        return []
    return [(str(key.value), value) for key, value in node.value if isinstance(key, ScalarNode)]


def _has_default(parameter: Node) -> bool:
    return value_at(parameter, ("default",)) is not None


def _is_path(parameter: Node) -> bool:
    return "path" in (parameter.value if isinstance(parameter, ScalarNode) else "", text_at(parameter, "type"))


def _configures_training(path: str) -> bool:
    stem, suffix = posixpath.splitext(posixpath.basename(path))
    return suffix in _CONFIGURATIONS and is_named_after_training(stem) and not is_test(path)
