"""Starts the built server, sends it the recorded requests, and marks the version as tested or failed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from ..command.errors import BadInput, ChainBroken, NotServing, StepError
from ..command.inputs import NAME, TOLERANCE, RecordFile, RecordInputs, ResponseInputs, VersionState
from ..command.report import Finding, Report, Severity
from ..command.step import Doc, Matching, OneRun, Step
from ..command.wording import Wording, step_call
from ..core.model.answer_paths import AnswerPath
from ..core.model.answer_wording import LONGEST_REASON, shortened
from ..core.model.answers import answers_digest
from ..core.model.ignored_answers import everything_ignored, ignored_paths, unmatched_paths
from ..core.model.recorded_requests import (
    RecordedRequest,
    RequestOrigin,
    counted_by_origin,
)
from ..core.release.record import AliasLink, ImageLink, Record
from ..core.security.serve_env import ServeVariables, require_recorded, serve_variables
from ..ops.image.environment import inventory_digest
from ..ops.image.lookup import require_image
from ..ops.image.serving_check import ANSWER_S, Expected, ObservedServer, observe, show_log
from ..ops.lineage.publication import publish, record_artifact
from ..ops.lineage.recompute import RecomputedRelease, verified_release
from ..ops.lineage.registry_client import author
from ..ops.model.folder_changes import file_digests, folder_findings
from ..ops.model.recorded_files import recorded_in
from ..payloads.messages.registry import AssignAlias, SetTags
from ..payloads.messages.tags import REASON, STATE
from ..tools.engines.engine import ServerSettings, ServingContainer
from ..tools.toolbox import Tools
from .register import version_tags

LEASE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Inputs(ResponseInputs, RecordInputs):
    """Inputs of smoke-test: time limits, tolerance and alias."""

    deadline: Annotated[float, Doc("Seconds that the server may take to become healthy.")] = 120.0
    serve_network: Annotated[
        bool,
        OneRun(),
        Doc("Connect the tested container to the engine's default network; by default it has no network."),
    ] = False
    answer_timeout: Annotated[
        float, Doc("Seconds that the tested server may take for each response, passed to it as REQUEST_TIMEOUT.")
    ] = ANSWER_S
    alias: Annotated[
        str, Doc("Alias to move to the version when the test passes."), Matching(NAME, "a name MLflow accepts")
    ] = "candidate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Outputs of smoke-test."""

    record: RecordFile
    cases: Annotated[int, Doc("Number of recorded requests that were sent to the server.")]
    healthy_after: Annotated[float, Doc("Seconds until the server was healthy.")]
    state: VersionState
    alias_before: Annotated[str | None, Doc("Version number that the alias pointed to before; empty if none.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Start the server, send it the recorded requests and a malformed one, and always remove it afterwards.

    On success the version becomes `tested` and the alias moves; on failure it becomes `failed`, with the reason.
    Raises ChainBroken, NotServing, and BadInput if there is no server to start or no request to send.
    """
    model_variables = serve_variables(inputs.serve_env, tools.host.variables)
    ignored = ignored_paths(inputs.ignore_answers)
    with verified_release(inputs, tools) as release:
        image, expected = _test_plan(inputs, release, ignored, model_variables)
        before = file_digests(release.model)
        try:
            with _serving(inputs, image, release, model_variables, tools) as server:
                observed = observe(server, expected, tools)
                changed = folder_findings(before, release.model)
                observed = replace(observed, complaints=(*observed.complaints, *changed))
                if observed.complaints:
                    show_log(server, tools)
        except NotServing as error:
            _mark_failed(release, str(error), tools)
            raise
        path = tools.records.path(inputs.record, inputs.project)
        if observed.complaints:
            _mark_failed(release, "; ".join(finding.text for finding in observed.complaints), tools)
            record = release.record
        else:
            record = _mark_tested(inputs, release, image, observed, tools)
            publish(record, path, release.client, tools)
            _log_record(release, path)
    return _report(inputs, path, record, observed, expected)


def _test_plan(
    inputs: Inputs, release: RecomputedRelease, ignored: tuple[AnswerPath, ...], model_variables: ServeVariables
) -> tuple[ImageLink, Expected]:
    record = release.record
    if record.image is None:
        raise BadInput(
            what="there is no image or environment to test",
            why="build-image adds it to the record",
            fix=step_call("build-image"),
        )
    if record.answers is None:
        raise BadInput(
            what="there are no recorded predictions to compare with",
            why="the model has no input example",
            fix=Wording("log it with input_example=…, then ", step_call("log-model")),
        )
    require_recorded(record.answers.variables, model_variables)
    try:
        requests = recorded_in(release.model, record.answers)
    except ValueError as error:
        raise ChainBroken(
            "answers", why=f"the recorded requests or predictions in the model cannot be read: {error}"
        ) from error
    requests = tuple(item for item in requests if not (inputs.skip_derived and item.origin is RequestOrigin.DERIVED))
    if everything := next(everything_ignored(ignored, _compared_answers(requests)), None):
        raise BadInput(what=everything.what, why=everything.why, fix=everything.fix)
    return record.image, Expected(
        requests=requests,
        tolerance=inputs.tolerance,
        deadline_s=inputs.deadline,
        network=inputs.serve_network or record.image.kind == "process",
        ignored=ignored,
        answer_s=inputs.answer_timeout,
        serve_env=model_variables,
    )


def _compared_answers(requests: tuple[RecordedRequest, ...]) -> list[Any]:
    """Return the predictions for the example and for the file, to which `ignore-answers` applies."""
    return [item.answer for item in requests if item.origin is not RequestOrigin.DERIVED]


@contextmanager
def _serving(
    inputs: Inputs, image: ImageLink, release: RecomputedRelease, variables: ServeVariables, tools: Tools
) -> Iterator[ServingContainer]:
    """Start the recorded image or environment; it is stopped and removed when the block ends."""
    limits = {} if inputs.answer_timeout == ANSWER_S else {"REQUEST_TIMEOUT": f"{inputs.answer_timeout:.3f}"}
    server_settings = ServerSettings(settings=limits, serve_env=variables)
    with TemporaryDirectory(prefix="mlflow-uv-serving-") as _scratch:
        server: ServingContainer
        if image.kind == "image":
            require_image(image, release.record, tools)
            server = tools.engines.named(image.engine).serve(
                image.id, network=inputs.serve_network, given=server_settings
            )
        else:
            python = Path(image.tag) / "bin" / "python"
            held = inventory_digest(tools.servers.inventory(python)) if python.is_file() else "nothing"
            if held != image.id:
                raise ChainBroken(
                    "image",
                    why=f"the environment in {image.tag} is not the recorded one",
                    fix=step_call("build-image"),
                )
            server = tools.servers.serve(python, release.model, server_settings)
        try:
            yield server
        finally:
            server.stop()


def _mark_failed(release: RecomputedRelease, reason: str, tools: Tools) -> None:
    if release.record.version is None:
        return
    name, version = release.record.version.name, release.record.version.version
    tags = {STATE: "failed", REASON: shortened(reason, LONGEST_REASON)}
    try:
        release.client.set_tags(SetTags(version=(name, version), tags=tags))
    except StepError as error:
        tools.console.say(f"version {version} could not be tagged as failed: {error}")


def _mark_tested(
    inputs: Inputs, release: RecomputedRelease, image: ImageLink, observed: ObservedServer, tools: Tools
) -> Record:
    record = release.record
    assert record.answers is not None  # noqa: S101  # _test_plan checked it
    answers = replace(
        record.answers,
        observed=answers_digest(observed.answers),
        served_by=f"{image.kind} with network" if _reaches(inputs, image) else image.kind,
        tolerance=float(inputs.tolerance),
        ignored=tuple(inputs.ignore_answers),
        variables=tuple(sorted(set(inputs.serve_env))),
    )
    record = replace(record, answers=answers)
    if record.version is not None:
        name, version = record.version.name, record.version.version
        # A version that was promoted once keeps that state when its release runs again.
        earlier_state = release.client.describe_version(name, version).tags.get(STATE)
        state = earlier_state if earlier_state in ("promoted", "replaced") else "tested"
        # Tags first, so that the alias always points to a version that is tagged as tested.
        tags = {**version_tags(record), STATE: state, REASON: ""}
        release.client.set_tags(SetTags(version=(name, version), tags=tags))
        moved = release.client.assign_alias(
            AssignAlias(name=name, alias=inputs.alias, version=version, entry=author(tools), lease_s=LEASE_S)
        )
        record = replace(record, alias=AliasLink(name=inputs.alias, before=moved.before, after=version))
    return record


def _log_record(release: RecomputedRelease, path: Path) -> None:
    run_id, version = release.record.model.run_id, release.record.version
    if run_id and version is not None:
        record_path = record_artifact(version.model_id, version.name, version.version)
        release.client.log_record(run_id, file=path, path=record_path)


def _reaches(inputs: Inputs, image: ImageLink) -> bool:
    """Whether a container had a network on request; a process always has the network of this machine."""
    return inputs.serve_network and image.kind == "image"


def _isolation(inputs: Inputs, image: ImageLink | None) -> Iterator[Finding]:
    """Yield a notice if the model was tested without isolation."""
    if image is None:
        return
    if image.kind == "process":
        yield Finding(
            rule="not-isolated",
            severity=Severity.NOTICE,
            what="the model was tested in a process on this machine, with this user's access to files and network",
            why=image.reason,
        )
    elif _reaches(inputs, image):
        yield Finding(
            rule="serve-network",
            severity=Severity.NOTICE,
            what="the model was tested with the container engine's default network: it could reach other machines",
            why="`serve-network` is set",
        )


def _slow(observed: ObservedServer) -> Iterator[Finding]:
    """Yield a warning if a response took longer than the server's default time limit."""
    if observed.slowest_s > ANSWER_S and not observed.complaints:
        yield Finding(
            rule="slow-answers",
            severity=Severity.WARNING,
            what=f"a response took {observed.slowest_s:.0f} s, and the server's default limit is {ANSWER_S:.0f} s",
            why="`answer-timeout` applies to the test only",
            fix=f"start the server with REQUEST_TIMEOUT={math.ceil(observed.slowest_s * 2)}",
        )


def _report(
    inputs: Inputs, path: Path, record: Record, observed: ObservedServer, expected: Expected
) -> Report[Outputs]:
    alias = record.alias
    tested = not observed.complaints
    where = ""
    if record.image is not None and record.image.kind != "image":
        where = " (in a process, not in an image)"
    elif inputs.serve_network:
        where = " (in a container with network)"
    within = f" within {inputs.tolerance:g}" if inputs.tolerance != TOLERANCE else ""
    within += f", {', '.join(inputs.ignore_answers)} ignored" if inputs.ignore_answers else ""
    alias_note = f", alias {alias.name} is version {alias.after}" if tested and alias else ""
    return Report(
        outputs=Outputs(
            record=path,
            cases=len(observed.answers),
            healthy_after=round(observed.healthy_after_s, 3),
            state="tested" if tested else "failed",
            alias_before=alias.before if alias else None,
        ),
        summary=(
            f"{counted_by_origin(expected.requests)}: all equal{within}{where}{alias_note}"
            if tested
            else f"the predictions of the server differ from those of training{where}"
        ),
        findings=(
            *observed.complaints,
            *unmatched_paths(expected.ignored, _compared_answers(expected.requests)),
            *_slow(observed),
            *_isolation(inputs, record.image),
        ),
    )


STEP = Step(
    name="smoke-test",
    summary="Start the server, compare its responses with those recorded after training, and mark the version as"
    " tested.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
