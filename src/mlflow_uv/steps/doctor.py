"""Describes what the program finds on its host, in one block to paste into a bug report."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from .. import __version__
from ..command.errors import StepError
from ..command.inputs import Builds, StoreInputs, UvInputs
from ..command.report import Report
from ..command.step import Doc, Step
from ..core.security.control_characters import visible
from ..core.security.masking import mask, secrets_in
from ..ops.lock.freshness import examine, restricted
from ..tools.project.files import read_project
from ..tools.toolbox import Tools


@dataclass(frozen=True, kw_only=True)
class Inputs(StoreInputs, UvInputs):
    """Inputs of doctor: the project, the store and uv."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Outputs of doctor."""

    seen: Annotated[str, Doc("Text of the report, one fact per line.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """Collect every fact; one that is not available is reported as such, and never fails the step."""
    lines = [f"{name + ':':<22} {visible(_described(value))}" for name, value in _facts(inputs, tools)]
    text = mask("\n".join(lines), secrets_in(tools.host.variables)) + "\n"
    return Report(outputs=Outputs(seen=text), summary="one block to paste into a bug report", result=text)


def _facts(inputs: Inputs, tools: Tools) -> Iterator[tuple[str, object]]:
    around = tools.host
    yield "mlflow-uv", __version__
    yield "python", f"{platform.python_version()} ({around.python})"
    yield "platform", platform.platform()
    yield "git", lambda: tools.git.version() or "not found"
    yield "private folders", f"{around.cache}, {around.state}"
    yield "project", lambda: read_project(inputs.project).name
    yield "lock", lambda: _lock(inputs, restricted(tools, Builds.AUTO))
    yield "uv", lambda: _uv(inputs, tools)
    yield "ignored variables", lambda: ", ".join(tools.uv.set_aside(respect_env=False)) or "none"
    yield "engine", tools.engines.described
    yield "tracking store", lambda: tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded).shown
    yield "CI", "GitHub Actions" if around.ci else "none"


def _uv(inputs: Inputs, tools: Tools) -> str:
    program = tools.uv.program(read_project(inputs.project))
    return f"{tools.uv.version(program)} ({program})"


def _described(fact: object) -> str:
    try:
        return str(fact() if callable(fact) else fact)
    except StepError as error:
        return f"not available: {error}"


def _lock(inputs: Inputs, tools: Tools) -> str:
    return examine(read_project(inputs.project), tools, respect_env=False, offline=True).state.value


STEP = Step(
    name="doctor",
    summary="Report versions, paths and settings as seen by mlflow-uv, in one block for a bug report.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
