"""Evaluates versions on data that they have not seen, and stores and finds the results."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field, replace
from datetime import UTC, datetime
from pathlib import Path

from ...command.errors import BadInput, ModelUnusable, StepError, ToolFailed, ToolMissing
from ...command.inputs import Isolation
from ...command.report import Finding, Severity
from ...command.wording import Wording, joined, option, step_call
from ...core.image.dockerfile import MODEL
from ...core.promotion.evaluation_file import EvaluationFile, read_metrics
from ...core.release.digests import tree_digest
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.evaluation import EvaluateModel, EvaluationResult, FillEvaluation, StartEvaluation
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import SetTags
from ...payloads.messages.tags import (
    EVALUATED_MODEL,
    EVALUATED_VERSION,
    EVALUATION,
    EVALUATION_REQUESTED,
    MODEL_DIGEST,
)
from ...tools.engines.engine import Engine
from ...tools.mlflow.store import Store
from ...tools.mlflow.store_client import StoreClient
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ..image.environment import Needs, minor_of, mismatches, needs_in, restored
from ..image.isolation import EvaluatedVersion, choose_isolation
from ..lineage.audit import Audited
from ..lineage.registry_client import RegistryClient

# A model's environment uses a temporary store and gets no credentials for another one.
_KEYS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@lazy_dataclass
class Measurement:
    """
    The result of one version; `artifacts` is a folder that may not exist, or None.

    `isolation` is where it ran: `image`, a container without network, or `process`, on this machine.
    """

    metrics: Mapping[str, float]
    artifacts: str | None
    findings: tuple[Finding, ...]
    isolation: str = ""


@lazy_dataclass
class Evaluation:
    """The id of an evaluation, which its runs share, and the metrics of each version."""

    id: str
    metrics: tuple[Mapping[str, float], ...]


@lazy_dataclass
class EvaluationSession:
    """
    What every version is evaluated on: a private copy of the data, its SHA-256, the target column and the model type.

    `scratch` is a private folder, `stores` are temporary stores in it by interpreter: creating one takes seconds,
    copying does not. `serve_env` are the variables that all versions get.
    """

    data: Path
    data_sha256: str
    target: str | None
    model_type: str | None
    scratch: Path
    stores: dict[Path, Path] = field(default_factory=dict)
    serve_env: ServeVariables = NO_VARIABLES


def earlier(
    registry: RegistryClient, subjects: tuple[EvaluatedVersion, ...], tags: Mapping[str, str]
) -> Evaluation | None:
    """
    Return a finished evaluation of the same files with these tags, which stand for the same data and metrics.

    It becomes the newest one, because promotion uses the evaluation that was requested last.
    """
    last_evaluation = registry.client.find_evaluation(tuple(subject.id for subject in subjects), tags)
    models = last_evaluation.models
    if last_evaluation.evaluation is None or any(
        models[subject.id].model_sha256 != subject.sha256 for subject in subjects
    ):
        return None
    for subject in subjects:
        request = SetTags(run_id=models[subject.id].run_id, tags={EVALUATION_REQUESTED: _now(registry)})
        registry.client.set_tags(request)
    return Evaluation(id=last_evaluation.evaluation, metrics=tuple(models[subject.id].metrics for subject in subjects))


def measure(
    registry: RegistryClient, subject: EvaluatedVersion, session: EvaluationSession, isolation: Isolation
) -> Measurement:
    """
    Evaluate a version with its own packages, in a container of its image if possible, else in a local process.

    Raises ModelUnusable, ToolMissing if its environment cannot evaluate, BadInput for unsuitable data, and ToolFailed
    if `isolation` is image and there is none.
    """
    with registry.tools.console.group(f"evaluate {subject.shown}"):
        scratch = session.scratch / f"record-{subject.version}.json"
        place = choose_isolation(registry, subject, isolation, scratch)
        try:
            if place.engine is not None:
                return _in_image(registry, subject, session, place.engine, place.image)
            return _in_process(registry, subject, session, place.reason)
        except (BadInput, ModelUnusable, ToolMissing) as error:
            raise _error_for(error, subject) from error


def _in_image(
    registry: RegistryClient, subject: EvaluatedVersion, session: EvaluationSession, engine: Engine, image: str
) -> Measurement:
    from ...tools.engines.sandbox import WORK_FOLDER, SandboxRequest, run_payload  # noqa: PLC0415

    answer = session.scratch / f"answer-{subject.version}.json"
    artifacts = session.scratch / f"artifacts-{subject.version}"
    request = EvaluateModel(
        model=MODEL,
        data=str(WORK_FOLDER / session.data.name),
        target=session.target,
        model_type=session.model_type,
        artifacts=str(WORK_FOLDER / "artifacts"),
    )
    sandboxed = SandboxRequest(request=request, files=(session.data,), serve_env=session.serve_env)
    run_payload(engine, image, sandboxed, answer=answer, artifacts=artifacts)
    try:
        response = registry.tools.mlflow.read_response(EvaluateModel, answer, None, EvaluationResult)
        metrics = read_metrics(response.metrics)
    except (ValueError, RecursionError) as error:
        what = f"the evaluation of {subject.shown} gave no valid result"
        raise ToolFailed(what=what, why="its container wrote an invalid result file") from error
    return Measurement(metrics=metrics, artifacts=str(artifacts), findings=(), isolation="image")


def _in_process(
    registry: RegistryClient, subject: EvaluatedVersion, session: EvaluationSession, reason: str
) -> Measurement:
    tools, needs = registry.tools, needs_in(subject.model)
    python = model_interpreter(subject, needs, registry, fix=step_call("evaluate", again=True))
    # One process per model: of two models with a module of the same name, MLflow uses the first for both.
    temporary = temporary_store(session.scratch / f"store-{subject.version}", tools, like=session.stores.get(python))
    request = EvaluateModel(
        model=str(subject.model),
        data=str(session.data),
        target=session.target,
        model_type=session.model_type,
        artifacts=str(session.scratch / f"artifacts-{subject.version}"),
    )
    client = StoreClient(mlflow=tools.mlflow, python=python, store=temporary)
    response = client.evaluate(request, session.serve_env)
    session.stores.setdefault(python, session.scratch / f"store-{subject.version}")
    if response.data_sha256 != session.data_sha256:
        why = f"{subject.shown} read data with SHA-256 {response.data_sha256}, expected is {session.data_sha256}"
        raise ToolFailed(what="the data changed while it was read", why=why)
    findings = (_exposed(subject, reason), *_inferred(subject, needs))
    return Measurement(metrics=response.metrics, artifacts=response.artifacts, findings=findings, isolation="process")


def keep(
    registry: RegistryClient,
    subjects: tuple[EvaluatedVersion, ...],
    measured: tuple[Measurement, ...],
    tags: Mapping[str, str],
) -> None:
    """Log one run for each version; none is finished before all of them are complete."""
    opened: list[str] = []
    try:
        for subject, measurement in zip(subjects, measured, strict=True):
            model_tags = {
                EVALUATED_MODEL: subject.id,
                EVALUATED_VERSION: f"{subject.name}/{subject.version}",
                MODEL_DIGEST: subject.sha256,
                EVALUATION_REQUESTED: _now(registry),
            }
            run_id = registry.client.start_evaluation(
                StartEvaluation(
                    model_id=subject.model_id,
                    run_id=subject.run_id,
                    experiment=subject.name,
                    tags={**tags, **model_tags},
                    run_name=f"evaluate {subject.name} v{subject.version}",
                )
            )
            opened.append(run_id)
            registry.client.fill_evaluation(
                FillEvaluation(
                    run_id=run_id,
                    model_id=subject.model_id,
                    metrics=measurement.metrics,
                    artifacts=measurement.artifacts,
                )
            )
        for run_id in opened:
            registry.client.end_run(run_id, status="FINISHED")
    except BaseException as error:
        _give_up(registry, opened, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise


def keep_file(registry: RegistryClient, file: EvaluationFile, versions: tuple[Audited, ...]) -> None:
    """Log the evaluation that another job made of these versions, unless its runs exist already."""
    subjects = tuple(
        EvaluatedVersion(
            name=version.name,
            version=version.version,
            model_id=version.description.model_id,
            run_id=version.description.run_id,
            model=version.model,
            sha256=tree_digest(digests_in(version.model)),
        )
        for version in versions
    )
    measured = tuple(
        Measurement(metrics=file.models[subject.id].metrics, artifacts=None, findings=())
        for subject in subjects
        if subject.id in file.models
    )
    tags = {**file.tags, EVALUATION: file.id}
    ids = tuple(subject.id for subject in subjects)
    existing = registry.client.find_evaluation(ids, {EVALUATION: file.id}).evaluation
    if len(measured) == len(subjects) and existing is None:
        keep(registry, subjects, measured, tags)


def temporary_store(folder: Path, tools: Tools, *, like: Path | None = None) -> Store:
    """Create a temporary store in a new folder; `like` is the folder of an existing one to copy."""
    folder.mkdir()
    file = folder / "scratch.db"
    if like is not None:
        shutil.copyfile(like / file.name, file)
    store = tools.mlflow.store(f"sqlite:///{file}", embedded=False)
    hidden = {"MLFLOW_REGISTRY_URI": store.uri, **dict.fromkeys(_KEYS, "")}
    return replace(store, variables={**store.variables, **hidden})


def _now(registry: RegistryClient) -> str:
    return datetime.fromtimestamp(registry.tools.clock.date_s(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _give_up(registry: RegistryClient, opened: list[str], status: str) -> None:
    """Close incomplete runs; errors are only printed, to keep the first error."""
    try:
        for run_id in opened:
            registry.client.end_run(run_id, status=status)
    except StepError as error:
        registry.tools.console.say(f"the runs of this evaluation could not be closed: {error}")


def model_interpreter(subject: EvaluatedVersion, needs: Needs, registry: RegistryClient, *, fix: str) -> Path:
    """Return the interpreter of an environment with exactly the model's requirements. Raises ToolFailed with `fix`."""
    interpreter, inventory = restored(needs, registry.tools, python=python_for(needs, registry))
    if lines := mismatches(needs, inventory):
        what = f"the environment of {subject.shown} is not what the model requires"
        raise ToolFailed(what=what, why="; ".join(lines[:5]), fix=fix)
    return interpreter


def python_for(needs: Needs, registry: RegistryClient) -> str:
    """
    Return the store client's or the project's interpreter if it has the model's minor version, else another one.

    Those are known to start: looking up a version may find a shim that does not start in this folder.
    """
    tools = registry.tools
    if minor_of(tools.mlflow.describe_environment(registry.client.python).python) == needs.minor:
        return str(registry.client.python)
    if registry.project is not None:
        with suppress(StepError):  # the project's environment is optional
            project_python = tools.environments.project(registry.project, registry.selection)
            if minor_of(tools.mlflow.describe_environment(project_python).python) == needs.minor:
                return str(project_python)
    return tools.environments.interpreter(needs.minor)


def _exposed(subject: EvaluatedVersion, reason: str) -> Finding:
    return Finding(
        rule="not-isolated",
        severity=Severity.NOTICE,
        what=f"{subject.shown} was evaluated in a process on this machine, with this user's access to files and"
        " network",
        why=reason,
    )


def _inferred(subject: EvaluatedVersion, needs: Needs) -> tuple[Finding, ...]:
    if needs.requirements is not None:
        return ()
    finding = Finding(
        rule="environment-inferred",
        severity=Severity.NOTICE,
        what=f"{subject.shown} was evaluated in an environment made from its own requirements.txt",
        why="the model has no lock, so the installed versions may change over time",
    )
    return (finding,)


def _error_for(error: StepError, subject: EvaluatedVersion) -> StepError:
    """Return the error for this version, with the original reason."""
    if isinstance(error, BadInput):
        fix: str = Wording(
            "correct the data, or change ",
            joined(", ", (option("data", ""), option("target-column", ""), option("model-type", ""))),
        )
        return BadInput(what=f"{subject.shown} cannot be evaluated on this data", why=error.why, fix=fix)
    if isinstance(error, ToolMissing):
        fix = "uv add mlflow scikit-learn, then release again"
        return ToolMissing(what=f"the environment of {subject.shown} cannot evaluate", why=error.why, fix=fix)
    return ModelUnusable(what=f"{subject.shown} cannot be evaluated", why=error.why, fix="see its traceback above")
