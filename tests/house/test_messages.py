"""Messages are written so that every surface can phrase them."""

import ast
import re
import shlex
from collections.abc import Iterator

import pytest

from mlflow_uv.command.step import fields_of
from mlflow_uv.command.wording import CommandLine, step_call, worded
from mlflow_uv.steps.catalog import all_steps
from mlflow_uv.surfaces.cli import _parsed, given_in
from tests.house.files import ROOT, ours, shown

NAMES = "|".join(step.name for step in all_steps())
INPUTS = "|".join(
    sorted({field.kebab for step in all_steps() for field in fields_of(step.inputs)}, key=len, reverse=True)
)
# What makes the command line of a step.
CALLS = {"step_call", "checkout_call"}
# `local` is typed on a machine on purpose; these make the parts.
MAKERS = {"local", "option", *CALLS, "extended"}


def texts(node: ast.AST) -> Iterator[str]:
    """The literal texts below, without those that are parts already; of an f-string with its fields left out."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def fixes(tree: ast.AST) -> Iterator[ast.AST]:
    """What is given as a fix, by its argument or its variable, and the lines of advice."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in {"fix", "advice"}:
            yield node.value
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            if names & {"fix", "mend", "advice", "FIXES", "DATABASE_FIXES", "_MENDS"}:
                yield node.value


def test_no_fix_is_in_the_words_of_one_surface() -> None:
    """
    A flag means nothing in a workflow, a key nothing on a command line, and our program may not be installed.
    """
    spoken = re.compile(rf"mlflow-uv ({NAMES})\b|(?<!\S)`?--(no-)?({INPUTS})\b|`?\b({INPUTS}): [a-z]+`?")
    other = re.compile(r"^(uv|git|…) ")  # the flags of a program that is named there

    found = [
        f"{shown(path)}: {text}"
        for path in ours(r"src/mlflow_uv/.*\.py")
        if not re.search(r"/(payloads|serving|installing|ray_serve)/", shown(path))
        for fix in fixes(ast.parse((ROOT / path).read_text()))
        for text in texts(fix)
        if spoken.search(text) and not other.search(text)
    ]

    assert [] == found


def step_calls() -> Iterator[tuple[str, str]]:
    """Every step that a message names literally, as its place and its text; inputs that vary are NAME."""
    for path in ours(r"src/mlflow_uv/.*\.py"):
        source = (ROOT / path).read_text()
        if not any(name in source for name in CALLS):  # parsing all takes seconds in each process of the tests
            continue
        for node in ast.walk(ast.parse(source)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            literal = node.args and isinstance(node.args[0], ast.Constant) and all(word.arg for word in node.keywords)
            if literal and node.func.id in CALLS:
                values = {str(word.arg): _value(word.value) for word in node.keywords}
                yield f"{shown(path)}:{node.lineno}", step_call(str(_value(node.args[0])), **values)


def _value(node: ast.expr) -> str | bool:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str | bool) else "NAME"


@pytest.mark.parametrize(("place", "call"), [pytest.param(*pair, id=pair[0]) for pair in step_calls()])
def test_a_step_to_run_is_a_command_that_keeps_the_project(place: str, call: str) -> None:
    """
    With the project folder that was given, the parser accepts the printed command, and reads that folder from it.
    """
    command = shlex.split(worded(call, CommandLine(project="my wine")))

    namespace = _parsed(command[1:])

    assert "my wine" == given_in(namespace)["project"], place
