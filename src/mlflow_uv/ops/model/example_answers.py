"""Asks a model its own example in the environment that trained it, and tells what would spoil the comparison later."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, ModelUnusable
from ...command.report import Finding, Severity
from ...command.wording import Wording, option
from ...core.model.answer_paths import AnswerPath, without
from ...core.model.answer_wording import SHOWN, ignoring_fix, listed
from ...core.model.answers import TOLERANCE, differences, not_json
from ...core.model.columns import is_about_integers_with_gaps
from ...core.model.error_hints import category_fix, missing_library, missing_module, untrusted_fix, variables_in
from ...core.model.ignored_answers import everything_ignored, unmatched_paths
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...tools.project.files import Project
from ...tools.toolbox import Tools
from .example_checks import floats_fix
from .training import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleQuestion:
    """What a model's folder is asked; `given` says that somebody else than the model brought the requests."""

    model: Path
    requests: tuple[Any, ...]
    given: bool
    ignored: tuple[AnswerPath, ...] = ()
    handed: ServeVariables = NO_VARIABLES


def answers_of(job: Job, question: ExampleQuestion, tools: Tools) -> tuple[list[Any], tuple[Finding, ...]]:
    """
    What the environment that trained a model answers; asked twice, because a fickle model cannot be tested.

    Raises ModelUnusable, and BadInput where the requests are somebody else's.
    """
    words = {"model": str(question.model), "requests": question.requests, "given": question.given, "again": True}
    try:
        said = tools.mlflow.ask_model(job.python, job.store, "answer", words, question.handed)
    except BadInput as error:
        raise BadInput(
            what="the model does not answer `input-example`",
            why=error.why,
            fix="make it match the model's signature",
        ) from error
    except ModelUnusable as error:
        error.fix = _fix(error, job.project, question, tools) or error.fix
        raise
    manifest = job.project.folder / "pyproject.toml"
    doubts = (
        *_fickle(question, said["answers"], said["again"]),
        *_leaking(question, said["answers"]),
        *_keeping(question),
        *_beyond_json(said["answers"]),
        *unmatched_paths(question.ignored, said["answers"]),
        *everything_ignored(question.ignored, said["answers"]),
    )
    return said["answers"], tuple(replace(finding, path=manifest) for finding in doubts)


def compared_answers(job: Job, requests: list[Any], question: ExampleQuestion, tools: Tools) -> Mapping[str, Any]:
    """What the model answers to other requests, without what is not compared. Raises as `answers_of`."""
    words = {"model": str(question.model), "requests": requests}
    said = tools.mlflow.ask_model(job.python, job.store, "answer", words, question.handed)
    return {"answers": [without(answer, question.ignored) for answer in said["answers"]]}


def _fickle(question: ExampleQuestion, first: Sequence[Any], second: Sequence[Any]) -> Iterator[Finding]:
    pairs = [[without(answer, question.ignored) for answer in answers] for answers in (first, second)]
    found = [
        difference
        for one, other in zip(*pairs, strict=True)
        for difference in differences(one, other, tolerance=TOLERANCE)
    ]
    if found:
        yield Finding(
            rule="answers-fickle",
            what="the model answers its own input example differently each time",
            why=question.handed.masked(listed(found)),
            fix=ignoring_fix(found) or "seed the random numbers in its predict",
        )


def _leaking(question: ExampleQuestion, answers: Sequence[Any]) -> Iterator[Finding]:
    for name in question.handed.found_in_answers(answers):
        yield Finding(
            rule="answers-hold-secret",
            what=f"the model returns the value of {name}",
            why="its answers are recorded in the model, and any client could read the value",
            fix="keep it out of what predict returns, errors included",
        )


def _keeping(question: ExampleQuestion) -> Iterator[Finding]:
    for name, file in question.handed.found_in_files(question.model):
        yield Finding(
            rule="model-holds-secret",
            what=f"the model contains the value of {name} in its file `{file.relative_to(question.model)}`",
            why="it is in the store already, and would be in every image",
            fix="read it in predict and keep it out of what is pickled, and change the secret",
        )


def _beyond_json(answers: Sequence[Any]) -> Iterator[Finding]:
    places = [place for answer in answers for place in not_json(answer)]
    if places:
        more = f"; and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        yield Finding(
            rule="answers-not-json",
            severity=Severity.WARNING,
            what="the model answers with NaN or infinity, which JSON does not have",
            why=f"{'; '.join(places[:SHOWN])}{more}; clients in other languages than Python reject the whole response",
            fix="return None, or a number, in its place",
        )


def _fix(error: ModelUnusable, project: Project, question: ExampleQuestion, tools: Tools) -> str:
    """What helps a model that cannot be loaded or asked, by the words of what it died of; else nothing."""
    if is_about_integers_with_gaps(error.why):
        return floats_fix(list(question.requests))
    text = "\n".join((*error.output, error.why))
    caller = tools.host.variables
    withheld = (
        name for name in variables_in(text, error.why) if caller.get(name) and name not in question.handed.names
    )
    if name := next(withheld, ""):
        return Wording(option("serve-env", name), ", since the model needs that variable where it answers")
    if module := missing_module(text):
        return _module_fix(module, project)
    if library := missing_library(text):
        return f"install the system's package that holds {library}, on this machine and in the base image"
    return untrusted_fix(text) or category_fix(error.why)


def _module_fix(module: str, project: Project) -> str:
    """A module of the project travels with the model only if that is asked; one of a package is locked."""
    for place in (project.folder, project.folder / "src", project.root):
        for file in (place / f"{module}.py", place / module):
            if file.exists():
                shown = os.path.relpath(file, project.folder)
                return f'log_model(..., code_paths=["{shown}"]), or make the project a package: `{module}` stays here'
    return f"uv add the package that brings `{module}`; if the lock has it in a group or extra, name that to be served"
