"""Records a model's answers to its requests in the training environment, and reports those that cannot be compared."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, ModelUnusable, ToolFailed
from ...command.inputs import TOLERANCE
from ...command.report import Finding, Severity
from ...command.wording import Wording, option
from ...core.model.answer_paths import AnswerPath, without_paths
from ...core.model.answer_wording import SHOWN, format_differences, ignoring_fix, repeatable_fix
from ...core.model.answers import differences, non_json_values
from ...core.model.columns import is_about_integers_with_gaps
from ...core.model.derived_requests import DerivedRequest
from ...core.model.error_hints import (
    answer_fix,
    category_fix,
    missing_library,
    missing_module,
    untrusted_fix,
    variables_in,
)
from ...core.model.ignored_answers import everything_ignored, unmatched_paths
from ...core.model.recorded_requests import RecordedRequest, compared_values
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import AnswerRequests, ModelAnswers
from ...tools.project.files import Project
from ...tools.toolbox import Tools
from .case_file import FileCase
from .example_checks import floats_fix
from .recorded_responses import record_cases, record_derived, record_streams
from .training import Job

# Seconds for all derived requests, and for one, in each of two passes; those that take longer are not recorded.
DERIVED_S, DERIVED_REQUEST_S = 20.0, 5.0


@lazy_dataclass
class RequestSet:
    """
    The requests for a model's folder; `given` says that they are not the model's own example.

    `cases` are the requests of a file, whose expected responses may differ by `tolerance`, `derived` those that are
    derived from the signature, `streams` the bodies for predict_stream.
    """

    model: Path
    requests: tuple[Any, ...]
    given: bool
    ignored: tuple[AnswerPath, ...] = ()
    serve_env: ServeVariables = NO_VARIABLES
    cases: tuple[FileCase, ...] = ()
    derived: tuple[DerivedRequest, ...] = ()
    streams: tuple[str, ...] = ()
    tolerance: float = TOLERANCE


@lazy_dataclass
class TrainingAnswers:
    """The answers to the example, the other requests with their responses, and findings about all of them."""

    answers: tuple[Any, ...]
    recorded: tuple[RecordedRequest, ...]
    findings: tuple[Finding, ...]


def answers_of(job: Job, request_set: RequestSet, tools: Tools) -> TrainingAnswers:
    """
    Return the answers of a model in its training environment; sends the requests twice to find unstable answers.

    Raises ModelUnusable, or BadInput if the requests are not the model's own.
    """
    ended: tuple[Finding, ...] = ()
    try:
        try:
            response = _ask(job, request_set)
        except ToolFailed as error:
            if not request_set.derived:
                raise
            ended = (_ended(error),)
            request_set = replace(request_set, derived=())
            response = _ask(job, request_set)
    except BadInput as error:
        raise BadInput(
            what="the model cannot predict `input-example`",
            why=error.why,
            fix="make it match the model's signature",
        ) from error
    except ModelUnusable as error:
        error.fix = _fix(error, job.project, request_set, tools) or error.fix
        raise
    first, second = response.bodies, response.bodies_again
    of_file, case_findings = record_cases(
        request_set.cases, (first.cases, second.cases), request_set.ignored, tolerance=request_set.tolerance
    )
    derived, left_out = record_derived(request_set.derived, (first.derived, second.derived), request_set.ignored)
    streams, stream_findings = record_streams(request_set.streams, (first.streams, second.streams), request_set.ignored)
    recorded = (*of_file, *streams, *derived)
    answers = [*response.answers, *compared_values((*of_file, *streams))]
    fickle = tuple(_fickle(request_set, response.answers, response.again))
    warnings = (
        *fickle,
        *stream_findings,
        *_leaking(request_set, [*answers, *((item.answer, item.reason) for item in recorded)]),
        *_keeping(request_set),
        *_beyond_json(answers),
        *unmatched_paths(request_set.ignored, answers),
        *everything_ignored(request_set.ignored, answers),
        *ended,
        *(() if fickle else left_out),
    )
    manifest = job.project.folder / "pyproject.toml"
    findings = (*(replace(finding, path=manifest) for finding in warnings), *case_findings)
    masked = (replace(finding, why=request_set.serve_env.masked(finding.why)) for finding in findings)
    return TrainingAnswers(answers=response.answers, recorded=recorded, findings=tuple(masked))


def _ask(job: Job, request_set: RequestSet) -> ModelAnswers:
    request = AnswerRequests(
        model=str(request_set.model),
        requests=request_set.requests,
        given=request_set.given,
        again=True,
        cases=tuple(case.body for case in request_set.cases),
        derived=tuple(request.body for request in request_set.derived),
        derived_types=tuple(request.content_type for request in request_set.derived),
        streams=request_set.streams,
        derived_s=DERIVED_S,
        request_s=DERIVED_REQUEST_S,
    )
    return job.client.answer(request, request_set.serve_env)


def _ended(error: ToolFailed) -> Finding:
    return Finding(
        rule="derived-ended-model",
        severity=Severity.WARNING,
        what="the model ended its process at a request that was derived from its signature; none of these is tested",
        why=error.why,
        fix="raise an exception in predict instead",
    )


def compared_answers(job: Job, requests: list[Any], request_set: RequestSet) -> list[Any]:
    """Return the answers to other requests, without the ignored paths. Raises the errors of `answers_of`."""
    request = AnswerRequests(model=str(request_set.model), requests=tuple(requests))
    response = job.client.answer(request, request_set.serve_env)
    return [without_paths(answer, request_set.ignored) for answer in response.answers]


def _fickle(request_set: RequestSet, first: Sequence[Any], second: Sequence[Any]) -> Iterator[Finding]:
    pairs = [[without_paths(answer, request_set.ignored) for answer in answers] for answers in (first, second)]
    differences_found = [
        difference
        for one, other in zip(*pairs, strict=True)
        for difference in differences(one, other, tolerance=TOLERANCE)
    ]
    if differences_found:
        yield Finding(
            rule="answers-fickle",
            what="the model returns other predictions for its own input example each time",
            why=request_set.serve_env.masked(format_differences(differences_found)),
            fix=ignoring_fix(differences_found) or repeatable_fix("predict"),
        )


def _leaking(request_set: RequestSet, answers: Sequence[Any]) -> Iterator[Finding]:
    for name in request_set.serve_env.found_in_answers(answers):
        yield Finding(
            rule="answers-hold-secret",
            what=f"the model returns the value of {name}",
            why="its predictions are recorded in the model, and any client could read the value",
            fix="keep it out of what predict returns, errors included",
        )


def _keeping(request_set: RequestSet) -> Iterator[Finding]:
    for name, file in request_set.serve_env.found_in_files(request_set.model):
        yield Finding(
            rule="model-holds-secret",
            what=f"the model contains the value of {name} in its file `{file.relative_to(request_set.model)}`",
            why="it is in the store already, and would be in every image",
            fix="read it in predict and keep it out of what is pickled, and replace the secret",
        )


def _beyond_json(answers: Sequence[Any]) -> Iterator[Finding]:
    places = [place for answer in answers for place in non_json_values(answer)]
    if places:
        remainder = f"; and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        yield Finding(
            rule="answers-not-json",
            severity=Severity.WARNING,
            what="the model returns NaN or infinity, which JSON does not have",
            why=f"{'; '.join(places[:SHOWN])}{remainder}; clients other than Python reject the whole response",
            fix="return None, or a number, in its place",
        )


def _fix(error: ModelUnusable, project: Project, request_set: RequestSet, tools: Tools) -> str:
    """Return a fix for a model that cannot be loaded or called, from its error message; empty if none is known."""
    if is_about_integers_with_gaps(error.why):
        return floats_fix(list(request_set.requests))
    text = "\n".join((*error.output, error.why))
    caller = tools.host.variables
    withheld = (
        name for name in variables_in(text, error.why) if caller.get(name) and name not in request_set.serve_env.names
    )
    if name := next(withheld, ""):
        return Wording(option("serve-env", name), ", since the model needs that variable to predict")
    if module := missing_module(text):
        return _module_fix(module, project)
    if library := missing_library(text):
        return f"install the system's package that holds {library}, on this machine and in the base image"
    return untrusted_fix(text) or category_fix(error.why) or answer_fix(error.why)


def _module_fix(module: str, project: Project) -> str:
    """Return the fix for a missing module: `code_paths` for one of the project, `uv add` for one of a package."""
    for place in (project.folder, project.folder / "src", project.root):
        for file in (place / f"{module}.py", place / module):
            if file.exists():
                shown = os.path.relpath(file, project.folder)
                return f'log_model(..., code_paths=["{shown}"]), or make the project a package: `{module}` stays here'
    return f"uv add the package that brings `{module}`; if the lock has it in a group or extra, name that to be served"
