"""Runs the steps of a release in order, and reports where it stopped and how far the lineage goes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, TypeVar

from ..command.errors import INTERRUPTED, BadInput, BadProject, Cancelled, ChainBroken, StepError
from ..command.inputs import ChampionInputs, RegistryInputs
from ..command.outputs import output_values
from ..command.release_inputs import LoggedReportInputs, WayInputs, WayOutputs
from ..command.report import ChainLink, Finding, Report, Table, Timing, WebLink, render_chain
from ..command.step import Doc, OneRun, Step, StepOutputs, fields_of
from ..command.wording import Wording, local, near_name, option, step_call
from ..core.release import verdict
from ..core.release.chain import EXPORTED, chain_links, stopped_at
from ..core.release.record import Record
from ..core.release.training_inputs import REPORT_FILE
from ..ops.image.lookup import serve_line
from ..ops.lineage.loading import load_line
from ..ops.lineage.pages import pages_about
from ..ops.lineage.registry_client import connect
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.mlflow.store import StoreKind
from ..tools.project.files import read_project
from ..tools.toolbox import Tools
from . import build_image, check_lock, check_targets, log_model, register, smoke_test
from .build_image import ImageInputs
from .build_image import Outputs as ImageOutputs
from .catalog import RELEASE_NAME, RELEASE_PARTS, step_of
from .check_lock import Outputs as LockOutputs
from .check_targets import Outputs as TargetOutputs
from .export import ExportFileInputs
from .export import Outputs as ExportOutputs
from .log_model import Outputs as ModelOutputs
from .preflight import Answer, as_finding, failed_links, preflight, proven_links
from .preflight.context import PreflightContext, StepInputs
from .register import Outputs as VersionOutputs
from .smoke_test import Outputs as TestOutputs
from .smoke_test import ServerTestInputs

InputsT = TypeVar("InputsT")
_CONTINUED = Wording("go on:       ", step_call("release"), ", which uses a model that training had logged")


@lazy_dataclass
class Inputs(
    check_targets.Inputs,
    ExportFileInputs,
    log_model.Inputs,
    register.Inputs,
    ImageInputs,
    ServerTestInputs,
    WayInputs,
    ChampionInputs,
    LoggedReportInputs,
):
    """
    Inputs of release: those of its steps, and which steps run.

    An input of a step that is not declared here has a `FixedInRelease`, the value that a release runs the step with.
    """

    steps: Annotated[tuple[str, ...], Doc("Steps to run, in this order; all others are skipped.")] = RELEASE_PARTS
    verify: Annotated[
        bool, Doc("Run verify at the end: serve the version in each of `ways`, and record the results.")
    ] = False
    preflight: Annotated[bool, OneRun(), Doc("Only check that everything the steps need is available.")] = False


@lazy_dataclass
class Outputs:
    """Outputs of release: those of its steps, None for a step that did not run."""

    check_lock: Annotated[LockOutputs | None, StepOutputs()] = None
    check_targets: Annotated[TargetOutputs | None, StepOutputs()] = None
    export: Annotated[ExportOutputs | None, StepOutputs()] = None
    log_model: Annotated[ModelOutputs | None, StepOutputs()] = None
    register: Annotated[VersionOutputs | None, StepOutputs()] = None
    build_image: Annotated[ImageOutputs | None, StepOutputs()] = None
    smoke_test: Annotated[TestOutputs | None, StepOutputs()] = None
    verify: Annotated[WayOutputs | None, StepOutputs()] = None

    @property
    def record(self) -> Path | None:
        """File of the release record, None if no step wrote one."""
        path: Path | None = output_values(self)["record"]
        return path

    def of_step(self, step: Step[Any, Any, Any], outputs: Any) -> "Outputs":
        """These outputs with those of a step that ran."""
        return replace(self, **{step.name.replace("-", "_"): outputs})


@lazy_dataclass
class Progress:
    """
    How far a release got: outputs, findings, timings and tables of its steps, and the chain.

    `checked` are the links that its preflight checks found in order.
    """

    outputs: Outputs = Outputs()
    findings: tuple[Finding, ...] = ()
    timings: tuple[Timing, ...] = ()
    tables: tuple[Table, ...] = ()
    verdict: str = ""
    chain: tuple[ChainLink, ...] = ()
    links: tuple[WebLink, ...] = ()
    checked: tuple[str, ...] = ()


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Run the steps in order, each on the record of those before, and stop at the first that fails.

    Raises the error of the step that stopped it, after printing the state of the lineage.
    """
    steps = _chosen(inputs.steps)
    if inputs.verify:
        steps = (*steps, _checked(inputs))
    if inputs.preflight:
        return _preflight_only(steps, inputs, tools)
    path = tools.records.path(inputs.record, inputs.project)
    with tools.records.locked(path, waiting=lambda: tools.console.say("waiting for another release of this project")):
        return _run(steps, inputs, tools)


def _answers(steps: tuple[Step[Any, Any, Any], ...], inputs: Inputs, tools: Tools) -> tuple[Answer, ...]:
    """Run the preflight checks of all steps. Raises the first error, with all other problems in its report."""
    step_inputs = StepInputs(
        check_lock=_inputs_of(check_lock.Inputs, inputs),
        check_targets=_inputs_of(check_targets.Inputs, inputs),
        log_model=_inputs_of(log_model.Inputs, inputs),
        register=_inputs_of(register.Inputs, inputs),
        build_image=_inputs_of(build_image.Inputs, inputs),
        smoke_test=_inputs_of(smoke_test.Inputs, inputs),
    )
    context = PreflightContext(inputs=step_inputs, tools=tools, training_follows=not inputs.preflight)
    answers = preflight((step.name for step in steps), context)
    errors = [(answer, problem) for answer in answers for problem in answer.problems if isinstance(problem, StepError)]
    if errors:
        answer, error = errors[0]
        tools.console.say(f"stopped before {answer.step}: the check `{answer.check}` failed")
        findings = tuple(
            as_finding(answer_with_problem, problem)
            for answer_with_problem in answers
            for problem in answer_with_problem.problems
            if problem is not error
        )
        summary = f"the release stopped before anything was trained: {error.what}"
        nothing = Progress(
            findings=findings,
            verdict=verdict.stopped(None, _model_name(inputs), error.what),
            chain=chain_links(None, broken=failed_links(answers), proven=proven_links(answers)),
        )
        error.so_far = _report(nothing, summary, ())
        raise error
    return answers


def _preflight_only(steps: tuple[Step[Any, Any, Any], ...], inputs: Inputs, tools: Tools) -> Report[Outputs]:
    answers = _answers(steps, inputs, tools)
    rows = tuple((answer.step, answer.check, answer.statement) for answer in answers if answer.statement)
    findings = tuple(as_finding(answer, problem) for answer in answers for problem in answer.problems)
    table = Table(title="Preflight checks", columns=("step", "check", "answer"), rows=rows)
    failed = sum(answer.fails for answer in answers)
    summary = f"{failed} of {len(answers)} checks fail" if failed else "everything that the release needs is available"
    return _report(Progress(findings=findings, tables=(table,)), summary, ())


def _run(steps: tuple[Step[Any, Any, Any], ...], inputs: Inputs, tools: Tools) -> Report[Outputs]:
    answers = _answers(steps, inputs, tools)
    progress = Progress(checked=proven_links(answers))
    if failing := next((answer for answer in answers if answer.fails), None):
        findings = tuple(as_finding(answer, problem) for answer in answers for problem in answer.problems)
        stopped = f"the release stopped at {failing.step}, before anything was trained"
        progress = replace(progress, findings=findings)
        return _report(_stopped(progress, None, inputs, stopped, broken=failed_links(answers)), stopped, ())
    warnings = tuple(as_finding(answer, problem) for answer in answers for problem in answer.problems)
    progress = replace(progress, findings=warnings)
    for step in steps:
        started = tools.clock.now_s()
        try:
            with tools.console.step(step.name):
                report: Report[Any] = step.run(_inputs_of(step.inputs, inputs), tools)
        except StepError as error:
            broken = stopped_at(step.name, error.links if isinstance(error, ChainBroken) else ())
            reached = replace(progress, timings=(*progress.timings, _timing(step, started, error.what, tools)))
            reached = _stopped(reached, _begun(inputs, progress, tools), inputs, error.what, broken=broken)
            tools.console.say(f"stopped at {step.name}: {render_chain(reached.chain)}")
            error.so_far = _report(reached, f"the release stopped at {step.name}", ())
            raise
        except (Cancelled, KeyboardInterrupt) as cancelled:
            reached = replace(progress, timings=(*progress.timings, _timing(step, started, "cancelled", tools)))
            record = _begun(inputs, progress, tools)
            reached = _stopped(reached, record, inputs, f"cancelled at {step.name}", broken=())
            raise _cancelled(cancelled, step, reached) from cancelled
        if isinstance(report.outputs, ModelOutputs) and report.outputs.tracking_uri:
            inputs = replace(
                inputs, tracking_uri=report.outputs.tracking_uri
            )  # the steps that follow look where training put the model
        taken = _timing(step, started, report.summary, tools)
        progress = _advanced(progress, step, report, taken)
        if not report.ok:
            stopped = f"the release stopped at {step.name}: {report.summary}"
            reached = _stopped(
                progress, _begun(inputs, progress, tools), inputs, report.summary, broken=stopped_at(step.name)
            )
            return _report(reached, stopped, ())
    path = progress.outputs.record
    if path is None:
        return _report(progress, f"{len(progress.timings)} steps done", ())
    timings = tuple((timing.step, timing.seconds) for timing in progress.timings)
    record = replace(tools.records.load(path), timings=timings)
    tools.records.save(path, record)
    progress = replace(progress, verdict=verdict.released(record), chain=chain_links(record))
    progress, changes = _since_champion(progress, inputs, record, tools)
    logged = _logged_report(inputs, record, tools)
    return _report(progress, verdict.made(record), (*changes, *_where(inputs, record, tools), *logged))


def _cancelled(error: BaseException, step: Step[Any, Any, Any], reached: Progress) -> Cancelled:
    """The cancellation of a release, with a report of what was done before it."""
    summary = f"the release was cancelled at {step.name}"
    so_far = error.so_far if isinstance(error, Cancelled) else None
    if isinstance(so_far, Report):  # of `verify`, before which the release was complete
        summary += f": {so_far.summary}"
        reached = replace(_advanced(reached, step, so_far, reached.timings[-1]), timings=reached.timings, verdict="")
    report = replace(_report(reached, summary, (_CONTINUED,)), cancelled=True)
    return Cancelled(report, exit_code=error.exit_code if isinstance(error, Cancelled) else INTERRUPTED)


def _since_champion(
    progress: Progress, inputs: Inputs, record: Record, tools: Tools
) -> tuple[Progress, tuple[str, ...]]:
    """
    Add what changed since the champion and the pages about the version; return a line that names what differs.

    The release is complete without them: if the registry no longer answers, the line says that nothing was compared.
    """
    if record.version is None:
        return progress, ()
    from ..ops.versions.comparison import compare_with_champion  # noqa: PLC0415

    name, version = record.version.name, record.version.version
    try:
        registry = connect(_inputs_of(RegistryInputs, inputs), tools)
        progress = replace(progress, links=pages_about(record, registry))
        comparison = compare_with_champion(registry, name=name, version=version, alias=inputs.champion)
    except StepError as error:
        return progress, (f"changed:     not compared with {inputs.champion}: {error.what}",)
    if comparison is None:
        return progress, ()
    line = f"changed:     since {inputs.champion}, version {comparison.champion}: {comparison.shown}"
    return replace(progress, tables=(*progress.tables, *comparison.tables)), (line,)


def _logged_report(inputs: Inputs, record: Record, tools: Tools) -> Iterator[str]:
    """Log the report on the version, if that is asked for; yield where it is, or why it is not, which is no error."""
    if not inputs.log_report or record.version is None:
        return
    from .report import Inputs as ReportInputs  # noqa: PLC0415
    from .report import run as write_report  # noqa: PLC0415

    version = f"models:/{record.version.name}/{record.version.version}"
    shared = {
        field.name: getattr(_inputs_of(RegistryInputs, inputs), field.name) for field in fields_of(RegistryInputs)
    }
    try:
        with TemporaryDirectory(prefix="mlflow-uv-report-") as scratch:
            file = Path(scratch) / REPORT_FILE
            written = ReportInputs(
                **shared, version_uri=version, champion=inputs.champion, report_file=file, log_report=True
            )
            write_report(written, tools)
        yield f"report:      logged to run {record.model.run_id}"
    except StepError as error:
        yield f"report:      not logged: {error.what}"


def _advanced(progress: Progress, step: Step[Any, Any, Any], report: Report[Any], taken: Timing) -> Progress:
    """The progress after a step."""
    return replace(
        progress,
        outputs=progress.outputs.of_step(step, report.outputs),
        findings=(*progress.findings, *report.findings),
        timings=(*progress.timings, taken),
        tables=(*progress.tables, *report.tables),
    )


def _timing(step: Step[Any, Any, Any], started_s: float, summary: str, tools: Tools) -> Timing:
    return Timing(step=step.name, seconds=round(tools.clock.now_s() - started_s, 2), summary=summary)


def _chosen(names: tuple[str, ...]) -> tuple[Step[Any, Any, Any], ...]:
    for name in names:
        if name not in RELEASE_PARTS:
            meant = tuple(near_name(other, RELEASE_PARTS) if other not in RELEASE_PARTS else other for other in names)
            chosen = dict.fromkeys(filter(None, meant)) or RELEASE_PARTS
            raise BadInput(
                what=f"`{name}` is not a step of a release",
                why=f"its steps are {', '.join(RELEASE_PARTS)}",
                fix=option("steps", ",".join(chosen)),
            )
    return tuple(map(step_of, names))


def _checked(inputs: Inputs) -> Step[Any, Any, Any]:
    """Return the step verify. Raises BadInput before anything is trained, if it cannot run with its inputs."""
    from .verify import STEP as VERIFY  # noqa: PLC0415
    from .verify import chosen_ways  # noqa: PLC0415

    chosen_ways(inputs)
    return VERIFY


def _inputs_of(record: type[InputsT], inputs: Inputs) -> InputsT:
    """Return the inputs of a step."""
    values = {
        field.name: field.fixed_in_release.value if field.fixed_in_release else getattr(inputs, field.name)
        for field in fields_of(record)
    }
    return record(**values)


def _report(progress: Progress, summary: str, advice: tuple[str, ...]) -> Report[Outputs]:
    return Report(
        outputs=progress.outputs,
        summary=summary,
        findings=progress.findings,
        timings=progress.timings,
        tables=progress.tables,
        advice=advice,
        verdict=progress.verdict,
        chain=progress.chain,
        links=progress.links,
    )


def _where(inputs: Inputs, record: Record, tools: Tools) -> Iterator[str]:
    """Yield where to look at the release, and the next commands."""
    store = tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded)
    try:
        project = read_project(inputs.project)
        python = tools.environments.project(project, record.selection)
        store = tools.mlflow.resolve_embedded(store, python, inputs.project)
        look = f"look at it:  {tools.mlflow.ui_command(python, store)}"
        yield look if store.kind is StoreKind.SERVER else local(look)
    except BadProject:
        yield f"look at it:  {store.shown}"
    if record.image is not None and record.image.kind == "image":
        yield from serve_line(record, "" if record.image.digest else record.image.tag)
    elif record.image is not None:
        yield f"served by a process, no image: {record.image.reason}"
    if record.alias is not None and record.version is not None:
        yield load_line(record.version.name, record.alias.name, store, tools.host.variables)


def _stopped(
    progress: Progress, record: Record | None, inputs: Inputs, why: str, *, broken: tuple[str, ...]
) -> Progress:
    """Return the progress with the verdict on a release that stopped, and how far its chain goes."""
    chain = _chain(progress, record, broken=broken)
    return replace(progress, verdict=verdict.stopped(record, _model_name(inputs), why), chain=chain)


def _chain(progress: Progress, record: Record | None, *, broken: tuple[str, ...] = ()) -> tuple[ChainLink, ...]:
    exported = EXPORTED if progress.outputs.export is not None and "requirements" not in broken else ()
    return chain_links(record, broken=broken, proven=(*progress.checked, *exported))


def _model_name(inputs: Inputs) -> str | None:
    """Return the name that the model is registered under, None if the project cannot be read."""
    try:
        return inputs.model_name or str(read_project(inputs.project).name)
    except BadProject:
        return None


def _begun(inputs: Inputs, progress: Progress, tools: Tools) -> Record | None:
    """Return the record that this release wrote so far, None if it wrote none: an older one does not count."""
    if "log-model" in inputs.steps and progress.outputs.record is None:
        return None
    try:
        return tools.records.load(tools.records.path(inputs.record, inputs.project))
    except StepError:
        return None


STEP: Step[Inputs, Outputs, Tools] = Step(
    name=RELEASE_NAME,
    summary="Release a tested model from uv.lock: check, export, train, log, register, build and smoke-test in"
    " one run.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
