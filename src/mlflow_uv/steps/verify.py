"""Serves a version with MLflow, in its image and on Spark, and compares its predictions with those of training."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..command.errors import INTERRUPTED, BadInput, Cancelled
from ..command.inputs import (
    TOLERANCE,
    DryRunInputs,
    RecordInputs,
    RegistryInputs,
    ServeEnvInputs,
    VersionInputs,
)
from ..command.release_inputs import WayInputs, WayOutputs
from ..command.report import Finding, Report, Severity, counted
from ..command.step import Step
from ..command.wording import Wording, option, step_call
from ..core.model.ignored_answers import ignored_paths
from ..core.model.recorded_requests import RecordedRequest, RequestOrigin
from ..core.release.record import AnswersLink
from ..core.security.serve_env import require_recorded, serve_variables
from ..core.verify.results import Verdict, WayResult, findings_of, junit_xml, result_table, ways_of
from ..ops.image.isolation import EvaluatedVersion, download_version
from ..ops.image.serving_check import Expected
from ..ops.lineage.audit import record_of
from ..ops.lineage.registry_client import RegistryClient, connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..ops.model.recorded_files import recorded_in
from ..ops.verify.comparison import Verification
from ..ops.verify.environments import ModelEnvironments
from ..ops.verify.recording import record_in, record_results
from ..ops.verify.ways import Way, select_ways, verify
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.mlflow.model_commands import ModelCommands
from ..tools.project.files import bounds_of, write_atomically
from ..tools.toolbox import Tools

_LOCAL_SPARK = "local[2]"


@lazy_dataclass
class Inputs(RegistryInputs, RecordInputs, VersionInputs, ServeEnvInputs, WayInputs, DryRunInputs):
    """
    Inputs of verify: the version, the ways of serving, and what is written.

    `version_uri` is empty in a release, which verifies the version of its record.
    """


@lazy_dataclass
class Outputs(WayOutputs):
    """Outputs of verify: the ways by result."""


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Serve a version in every way, send it the recorded requests, and compare the answers.

    The results are added to the release record of the version. A way in which the predictions differ or that fails is
    an error. A way that cannot be tried on this machine is a notice, and an error if `ways` names it. Raises BadInput,
    ChainBroken, StoreUnreachable, ToolFailed, and Cancelled with the report of the ways that were tried.
    """
    ways = chosen_ways(inputs)
    registry = connect(inputs, tools)
    files, name, version = _version(inputs, registry)
    results: list[WayResult] = []
    with TemporaryDirectory(prefix="mlflow-uv-verify-") as folder:
        scratch = Path(folder)
        subject = download_version(registry, name, version, scratch / "model")
        verification = _verification(inputs, registry, subject, scratch)
        try:
            results.extend(_result(way, verification) for way in ways)
        except (Cancelled, KeyboardInterrupt) as error:
            code = error.exit_code if isinstance(error, Cancelled) else INTERRUPTED
            tried = replace(_report(inputs, subject, ways, tuple(results)), cancelled=True)
            raise Cancelled(tried, exit_code=code) from error
        report = _report(inputs, subject, ways, tuple(results))
        if inputs.dry_run:
            return report
        return replace(report, findings=(*report.findings, *record_results(results, subject, files, registry)))


def chosen_ways(inputs: WayInputs) -> tuple[Way, ...]:
    """Return the ways to try. Raises BadInput for a word that names none, and for a time limit below a second."""
    if inputs.time_limit < 1:
        raise BadInput(
            what=f"`time-limit` is {inputs.time_limit:g}, and must be at least 1 second",
            why="no model can be loaded in less",
            fix=option("time-limit", "600"),
        )
    return select_ways(inputs.ways)


def _version(inputs: Inputs, registry: RegistryClient) -> tuple[tuple[Path, ...], str, str]:
    """
    Return the files that may have the version's record, and name and number of the version.

    The version is that of the record in a release and for `version-uri` with a file.
    """
    tools = registry.tools
    file = tools.records.path(inputs.record, inputs.project)
    named = tools.host.folder / inputs.version_uri if inputs.version_uri else file
    if not inputs.version_uri or named.is_file():
        record = record_in(named, registry)
        assert record.version is not None  # noqa: S101  # record_in checked it
        return (named, file), record.version.name, record.version.version
    name, number, alias = parsed_uri(inputs.version_uri)
    return (file,), name, version_number(registry, name, alias or number, VERSION_URI)


def _report(
    inputs: Inputs, subject: EvaluatedVersion, ways: tuple[Way, ...], results: tuple[WayResult, ...]
) -> Report[Outputs]:
    """Write the JUnit file, and return the report; without results of all ways, it was cancelled."""
    if inputs.junit_file:
        document = junit_xml(results, suite=subject.shown)
        write_atomically(inputs.junit_file, document, within=bounds_of(inputs.junit_file))
    equal = ways_of(results, Verdict.EQUAL)
    unequal = ways_of(results, Verdict.DIFFERENT, Verdict.FAILED)
    cancelled = f"cancelled after {len(results)} of {counted(len(ways), 'way')}; " if len(results) < len(ways) else ""
    return Report(
        outputs=Outputs(
            model_name=subject.name,
            version=subject.version,
            equal=equal,
            unequal=unequal,
            unavailable=ways_of(results, Verdict.UNAVAILABLE),
            junit_file=inputs.junit_file,
        ),
        summary=f"{subject.shown}: {cancelled}"
        + (
            f"{', '.join(unequal)} {'does' if len(unequal) == 1 else 'do'} not give the predictions of training"
            if unequal
            else f"the predictions are those of training in {counted(len(equal), 'way')} of serving"
            if equal
            else "no predictions were compared"
            if cancelled
            else "no way of serving can be tried on this machine"
        ),
        findings=(
            *findings_of(results, required=frozenset(way.name for way in ways) if inputs.ways else frozenset()),
            *_isolation(ways, results),
            *_cancelled(ways[len(results) :]),
        ),
        tables=(result_table(results),),
    )


def _cancelled(untried: tuple[Way, ...]) -> Iterator[Finding]:
    """Yield an error if some ways were not tried."""
    if untried:
        why = f"{', '.join(f'`{way.name}`' for way in untried)} {'was' if len(untried) == 1 else 'were'} not tried"
        yield Finding(rule="cancelled", what="the step was cancelled", why=why)


def _isolation(ways: tuple[Way, ...], results: tuple[WayResult, ...]) -> Iterator[Finding]:
    """Yield a notice if the model ran without isolation, as smoke-test does."""
    contained = {way.name for way in ways if way.in_container}
    tried = (result.way for result in results if result.verdict is not Verdict.UNAVAILABLE)
    if uncontained := [f"`{way}`" for way in tried if way not in contained]:
        yield Finding(
            rule="not-isolated",
            severity=Severity.NOTICE,
            what="the model was served in processes on this machine, with this user's access to files and network",
            why=f"no container is used by {', '.join(uncontained)}",
        )


def _result(way: Way, verification: Verification) -> WayResult:
    with verification.registry.tools.console.group(way.name):
        return verify(way, verification)


def _verification(inputs: Inputs, registry: RegistryClient, subject: EvaluatedVersion, scratch: Path) -> Verification:
    tools = registry.tools
    description = registry.client.describe_version(subject.name, subject.version)
    record = record_of(registry, description, scratch / "record.json")
    link = record.answers if record else None
    serve_env = serve_variables(inputs.serve_env, tools.host.variables)
    require_recorded(link.variables if link else (), serve_env)
    expected = Expected(
        requests=_recorded(subject, link),
        tolerance=link.tolerance if link and link.tolerance is not None else TOLERANCE,
        ignored=ignored_paths(link.ignored if link else ()),
        deadline_s=inputs.time_limit,
        network=False,
        serve_env=serve_env,
    )
    commands = ModelCommands(
        runner=tools.runner, host=tools.host, on_line=tools.console.foreign, timeout_s=inputs.time_limit
    )
    environments = ModelEnvironments(
        registry=registry, model=subject.model, scratch=scratch / "environments", commands=commands
    )
    return Verification(
        registry=registry,
        subject=subject,
        environments=environments,
        expected=expected,
        scratch=scratch,
        spark_master=inputs.spark_master or _LOCAL_SPARK,
        secrets=tools.secrets,
        record=record,
    )


def _recorded(subject: EvaluatedVersion, link: AnswersLink | None) -> tuple[RecordedRequest, ...]:
    """
    Return the requests of the input example and of the file `cases` that have a recorded prediction.

    Raises BadInput for a model without any.
    """
    why = "none of its recorded requests has one"
    recorded: tuple[RecordedRequest, ...] = ()
    try:
        recorded = recorded_in(subject.model, link)
    except ValueError as error:
        why = str(error)
    answered = tuple(item for item in recorded if item.is_answered and item.origin is not RequestOrigin.DERIVED)
    if not answered:
        raise BadInput(
            what=f"{subject.shown} has no recorded predictions to compare with",
            why=why,
            fix=Wording("log it with input_example=…, then ", step_call("log-model")),
        )
    return answered


STEP = Step(
    name="verify",
    summary="Serve a registered version with MLflow, in its image and on Spark, and compare its predictions with those"
    " of training.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
