"""Finds the entry point of an MLproject file that trains."""

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from ...command.errors import BadInput
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..deploy.yaml_documents import parsed_yaml, text_at, value_at
from .training_scripts import is_named_after_other_work, is_named_after_training

_MAIN = "main"


@lazy_dataclass
class TrainingEntryPoint:
    """An entry point that trains, empty if none is known, and what the user should know about the file."""

    name: str = ""
    note: str = ""


def training_entry_point(mlproject: str) -> TrainingEntryPoint:
    """
    Return `main`, or the only entry point that is named after training, or the only one.

    Those that are named after serving, evaluation and the like do not count. It has a command, and a default for each
    of its parameters: nobody knows other values.
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
    required = [
        f"`{key}`" for key, value in _entries(value_at(named[name], ("parameters",))) if not _has_default(value)
    ]
    if required:
        needs = f"the entry point `{name}` of MLproject requires {', '.join(required)}"
        return TrainingEntryPoint(note=f"{needs}: set `entry-point` and `parameters`")
    return TrainingEntryPoint(name=name)


def _entries(node: Node | None) -> list[tuple[str, Node]]:
    if not isinstance(node, MappingNode):
        return []
    return [(str(key.value), value) for key, value in node.value if isinstance(key, ScalarNode)]


def _has_default(parameter: Node) -> bool:
    return value_at(parameter, ("default",)) is not None
