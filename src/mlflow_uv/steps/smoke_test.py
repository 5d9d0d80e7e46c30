"""Sends the recorded requests to the server of a release and marks the version, or to a running server by its URL."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput, NotServing, StepError
from ..command.inputs import (
    NAME,
    TOLERANCE,
    RecordFile,
    RecordInputs,
    RegistryInputs,
    ResponseInputs,
    VersionState,
)
from ..command.report import Finding, Report, Severity
from ..command.server_inputs import ANSWER_S, AnswerTimeoutInputs, DeadlineInputs, ServeLimitInputs
from ..command.step import Doc, FixedInRelease, Matching, OneRun, Step
from ..command.wording import option, step_call
from ..core.model.answer_paths import AnswerPath
from ..core.model.answer_wording import LONGEST_REASON, shortened
from ..core.model.answers import answers_digest
from ..core.model.ignored_answers import ignored_paths, unmatched_paths
from ..core.model.load_figures import LoadFigures
from ..core.model.recorded_requests import compared_values, counted_by_origin
from ..core.release.record import AliasLink, AnswersLink, ImageLink, Record
from ..core.security.endpoint_address import endpoint_address, endpoint_headers
from ..core.security.serve_env import ServeVariables, require_recorded, serve_variables
from ..ops.image.environment import ServingPlace, recorded_environment
from ..ops.image.load_check import budgets_of, measure, with_load
from ..ops.image.lookup import require_image
from ..ops.image.platforms import untested_platforms
from ..ops.image.serving_check import Expected, ObservedServer, show_log
from ..ops.image.started_check import limits_in_words, log_findings, memory_findings, observe_started, server_settings
from ..ops.image.tested_version import recorded_version, registered_version
from ..ops.lineage.publication import RecordChange, publish_change, record_artifact
from ..ops.lineage.recompute import RecomputedRelease, verified_release
from ..ops.lineage.registry_client import author
from ..ops.model.folder_changes import file_digests, folder_findings
from ..ops.model.selected_requests import requests_to_send
from ..ops.verify.endpoint import ask
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.registry import AssignAlias, SetTags
from ..payloads.messages.tags import REASON, STATE
from ..tools.engines.engine import ServerSettings, StartedServer
from ..tools.mlflow.endpoint import Endpoint
from ..tools.toolbox import Tools
from .register import version_tags

LEASE_S = 30.0


@lazy_dataclass
class ServerTestInputs(ResponseInputs, ServeLimitInputs, DeadlineInputs, AnswerTimeoutInputs, RecordInputs):
    """Inputs for a server that the step starts: time limits, tolerance and alias."""

    serve_network: Annotated[
        bool,
        OneRun(),
        Doc("Connect the tested container to the engine's default network; by default it has no network."),
    ] = False
    alias: Annotated[
        str, Doc("Alias to move to the version when the test passes."), Matching(NAME, "a name MLflow accepts")
    ] = "candidate"


@lazy_dataclass
class Inputs(ServerTestInputs, RegistryInputs):
    """Inputs of smoke-test: those of a release, and the server to ask instead of one that the step starts."""

    url: Annotated[
        str | None,
        OneRun(),
        FixedInRelease(None),
        Doc(
            "URL of a running server, or of its model in the V2 protocol (/v2/models/NAME), to send the recorded"
            " requests to instead of starting a server; neither the record nor the registry is changed."
        ),
    ] = None
    url_headers: Annotated[
        tuple[str, ...],
        OneRun(),
        FixedInRelease(()),
        Doc("Headers for `url`, each as HEADER=VARIABLE; the value comes from that environment variable."),
    ] = ()
    url_version: Annotated[
        str | None,
        OneRun(),
        FixedInRelease(None),
        Doc("Registered version for `url`, instead of that of the record: models:/NAME@ALIAS or models:/NAME/NUMBER."),
    ] = None


@lazy_dataclass
class Outputs:
    """Outputs of smoke-test."""

    record: RecordFile
    cases: Annotated[int, Doc("Number of recorded requests that were sent to the server.")]
    healthy_after: Annotated[float, Doc("Seconds until the server was healthy.")]
    state: VersionState
    alias_before: Annotated[str | None, Doc("Version number that the alias pointed to before; empty if none.")]
    url: Annotated[str | None, Doc("URL that the requests were sent to, without its query; empty if none was given.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Start the server, send it the recorded requests and a malformed one, and always remove it afterwards.

    On success the version becomes `tested` and the alias moves; on failure it becomes `failed`, with the reason. With
    `url`, a running server gets the requests, and nothing is changed. Raises ChainBroken, NotServing, and BadInput if
    there is no server to start or no request to send.
    """
    if inputs.url is not None:
        return _of_endpoint(inputs, inputs.url, tools)
    if inputs.url_headers or inputs.url_version:
        unused = "url-headers" if inputs.url_headers else "url-version"
        raise BadInput(what=f"`{unused}` is given without `url`", why="it has no effect", fix=option("url", "URL"))
    model_variables = serve_variables(inputs.serve_env, tools.host.variables)
    settings = server_settings(inputs, model_variables, answer_s=inputs.answer_timeout)
    ignored = ignored_paths(inputs.ignore_answers)
    with verified_release(inputs, tools) as release:
        place, expected = _server_plan(inputs, release, ignored, model_variables, tools)
        image = place.image
        budgets = budgets_of(release.project, where=tools.host.folder)
        figures: LoadFigures | None = None
        before = file_digests(release.model)
        try:
            with _serving(inputs, image, release, settings, tools) as server:
                observed = observe_started(server, expected, settings, tools)
                if budgets and not observed.complaints:
                    load = measure(server, expected, budgets, ready_s=observed.healthy_after_s)
                    findings = (*memory_findings(server, settings), *load.findings)
                    observed, figures = replace(observed, complaints=findings), load.figures
                changed = folder_findings(before, release.model)
                observed = replace(observed, complaints=(*observed.complaints, *changed))
                if observed.complaints:
                    show_log(server, tools)
                logged = (*log_findings(server, expected), *untested_platforms(release.record.image, tools))
        except NotServing as error:
            _mark_failed(release, str(error), tools)
            raise
        path = tools.records.path(inputs.record, inputs.project)
        if observed.complaints:
            _mark_failed(release, "; ".join(finding.text for finding in observed.complaints), tools)
            record = release.record
        else:
            assert release.record.answers is not None  # noqa: S101  # _server_plan checked it
            answers = replace(release.record.answers, observed=answers_digest(observed.answers))
            link = _tested(inputs, image, settings, answers)
            record = with_load(replace(release.record, answers=link), figures)
            record = _mark_tested(inputs, replace(release, record=record), tools)
            publish_change(RecordChange(before=release.record, after=record), path, release.client, tools)
            _log_record(release, path)
    report = _report(inputs, path, replace(record, image=image), observed, expected)
    findings = (*place.findings, *report.findings, *(() if observed.complaints else logged))
    return replace(report, findings=findings, tables=figures.tables if figures else ())


def _server_plan(
    inputs: Inputs,
    release: RecomputedRelease,
    ignored: tuple[AnswerPath, ...],
    model_variables: ServeVariables,
    tools: Tools,
) -> tuple[ServingPlace, Expected]:
    record = release.record
    if record.image is None:
        raise BadInput(
            what="there is no image or environment to test",
            why="build-image adds it to the record",
            fix=step_call("build-image"),
        )
    require_recorded(record.answers.variables if record.answers else (), model_variables)
    requests = requests_to_send(release.model, record.answers, ignored, skip_derived=inputs.skip_derived)
    from ..ops.image.unpacked import serving_place  # noqa: PLC0415  # imports the layers of images

    place = serving_place(record.image, tools)
    return place, Expected(
        requests=requests,
        tolerance=inputs.tolerance,
        deadline_s=inputs.deadline,
        network=inputs.serve_network or place.image.kind == "process",
        ignored=ignored,
        answer_s=inputs.answer_timeout,
        serve_env=model_variables,
    )


@contextmanager
def _serving(
    inputs: Inputs, image: ImageLink, release: RecomputedRelease, server_settings: ServerSettings, tools: Tools
) -> Iterator[StartedServer]:
    """Start the recorded image or environment; it is stopped and removed when the block ends."""
    server: StartedServer
    if image.kind == "image":
        require_image(image, release.record, tools)
        engine = tools.engines.named(image.engine)
        server = engine.serve(image.id, network=inputs.serve_network, given=server_settings)
    else:
        server = tools.servers.serve(recorded_environment(image, tools), release.model, server_settings)
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


def _tested(inputs: Inputs, image: ImageLink, settings: ServerSettings, answers: AnswersLink) -> AnswersLink:
    return replace(
        answers,
        served_by=f"{image.kind} with network" if _reaches(inputs, image) else image.kind,
        tolerance=float(inputs.tolerance),
        ignored=tuple(inputs.ignore_answers),
        variables=tuple(sorted(set(inputs.serve_env))),
        limits=tuple(limits_in_words(settings)) if image.kind == "image" else (),
        mounts=settings.mounts if image.kind == "image" else (),
    )


def _mark_tested(inputs: Inputs, release: RecomputedRelease, tools: Tools) -> Record:
    record = release.record
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
            what="the model was tested in a process on this machine, with this user's access to files, network,"
            " memory and processors",
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
    within = _comparison(inputs)
    alias_note = f", alias {alias.name} is version {alias.after}" if tested and alias else ""
    return Report(
        outputs=Outputs(
            record=path,
            cases=len(observed.answers),
            healthy_after=round(observed.healthy_after_s, 3),
            state="tested" if tested else "failed",
            alias_before=alias.before if alias else None,
            url=None,
        ),
        summary=(
            f"{counted_by_origin(expected.requests)}: all equal{within}{where}{alias_note}"
            if tested
            else f"{_failure(observed.complaints[0].rule)}{where}"
        ),
        findings=(
            *observed.complaints,
            *unmatched_paths(expected.ignored, compared_values(expected.requests)),
            *_slow(observed),
            *_isolation(inputs, record.image),
        ),
    )


def _failure(rule: str) -> str:
    """The summary of a failed test by its first finding."""
    if rule.startswith("budget-"):
        return "the server is slower or larger than its budgets allow"
    if rule == "load-failed":
        return "the server could not be measured, or failed, under load"
    if rule == "model-changed":
        return "the model changed files of its own folder"
    return "the predictions of the server differ from those of training"


def _of_endpoint(inputs: Inputs, url: str, tools: Tools) -> Report[Outputs]:
    """Send the requests of a version to a running server; the registry and the record are only read."""
    address = endpoint_address(url)
    headers = endpoint_headers(inputs.url_headers, tools.host.variables, address)
    ignored = ignored_paths(inputs.ignore_answers)
    uri = inputs.url_version
    with registered_version(inputs, uri, tools) if uri else recorded_version(inputs, tools) as version:
        requests = requests_to_send(version.model, version.answers, ignored, skip_derived=inputs.skip_derived)
        expected = Expected(
            requests=requests,
            tolerance=inputs.tolerance,
            deadline_s=inputs.deadline,
            network=True,
            ignored=ignored,
            answer_s=inputs.answer_timeout,
            serve_env=ServeVariables(dict(headers.values)),
            url=address.shown,
            headers=headers.variables,
        )
        observed = ask(Endpoint(tools.web, address, headers), expected, tools)
        differs = any(finding.severity is Severity.ERROR for finding in observed.complaints)
        sent = f"{len(observed.answers)} in the V2 protocol" if address.model_path else counted_by_origin(requests)
        outcome = "the responses are not those of training" if differs else f"{sent}: all equal{_comparison(inputs)}"
        return Report(
            outputs=Outputs(
                record=tools.records.path(inputs.record, inputs.project),
                cases=len(observed.answers),
                healthy_after=round(observed.healthy_after_s, 3),
                state=version.state,
                alias_before=None,
                url=address.shown,
            ),
            summary=f"{address.shown}, {version.shown}: {outcome}",
            findings=(*observed.complaints, *unmatched_paths(ignored, compared_values(requests))),
        )


def _comparison(inputs: Inputs) -> str:
    """How responses were compared, if not with the defaults."""
    within = f" within {inputs.tolerance:g}" if inputs.tolerance != TOLERANCE else ""
    return within + (f", {', '.join(inputs.ignore_answers)} ignored" if inputs.ignore_answers else "")


STEP = Step(
    name="smoke-test",
    summary="Start the server, compare its responses with those recorded after training, and mark the version as"
    " tested.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
