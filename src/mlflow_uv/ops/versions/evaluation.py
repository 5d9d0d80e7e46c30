"""Measures versions on data that they have not seen, and keeps and finds what was measured."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
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
from ...tools.engines.engine import Engine
from ...tools.engines.sandbox import WORK_FOLDER, SandboxRequest, run_payload
from ...tools.mlflow.mlflow import Store
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ..image.environment import Needs, minor_of, mismatches, needs_in, restored
from ..image.isolation import EvaluatedVersion, place_of
from ..lineage.audit import Audited
from ..lineage.registry_client import RegistryClient

# When somebody last asked for an evaluation: a text that sorts.
ASKED = "mlflow-uv.evaluation-asked"
EVALUATION = "mlflow-uv.evaluation"
# A model's environment talks to a store that is thrown away, and gets no key to another.
_KEYS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """
    What one version came to; `artifacts`, a folder, need not be there (None: there are none).

    `isolation` says what it ran in: `image`, a container without a network, or `process`, on this machine.
    """

    metrics: Mapping[str, float]
    artifacts: str | None
    findings: tuple[Finding, ...]
    isolation: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The id that its runs share, and the metrics of each subject."""

    id: str
    metrics: tuple[Mapping[str, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSession:
    """
    What every subject is asked: a file that nobody changes, its digest, the column of the answers, the kind of model.

    `scratch` is a private folder, `stores` what is in it by interpreter: making one takes seconds, copying it does not.
    `handed` are the variables that both get.
    """

    data: Path
    data_sha256: str
    target: str | None
    model_type: str | None
    scratch: Path
    stores: dict[Path, Path] = field(default_factory=dict)
    handed: ServeVariables = NO_VARIABLES


def earlier(
    store: RegistryClient, subjects: tuple[EvaluatedVersion, ...], tags: Mapping[str, str]
) -> Evaluation | None:
    """
    A finished evaluation of the same files, whose runs carry these tags: the same data, asked for the same.

    It counts as the newest one from then on: what is asked for last is what a promotion looks at.
    """
    said = store.ask("find-evaluation", model_ids=[one.id for one in subjects], tags=tags)
    found = said["models"]
    if said["evaluation"] is None or any(found[one.id]["model_sha256"] != one.sha256 for one in subjects):
        return None
    for one in subjects:
        store.ask("tag", run_id=found[one.id]["run_id"], tags={ASKED: _now(store)})
    return Evaluation(id=said["evaluation"], metrics=tuple(found[one.id]["metrics"] for one in subjects))


def measure(
    store: RegistryClient, subject: EvaluatedVersion, sitting: EvaluationSession, wanted: Isolation
) -> Measured:
    """
    Ask a version with its own packages: in a container of its image where that can be, else on this machine.

    Raises ModelUnusable, ToolMissing where its environment cannot evaluate, BadInput for data that does not fit it,
    ToolFailed where an image is demanded.
    """
    with store.tools.console.group(f"evaluate {subject.shown}"):
        scratch = sitting.scratch / f"record-{subject.version}.json"
        place = place_of(store, subject, wanted, scratch)
        try:
            if place.engine is not None:
                return _in_image(store, subject, sitting, place.engine, place.image)
            return _in_process(store, subject, sitting, place.reason)
        except (BadInput, ModelUnusable, ToolMissing) as error:
            raise _told(error, subject) from error


def _in_image(
    store: RegistryClient, subject: EvaluatedVersion, sitting: EvaluationSession, engine: Engine, image: str
) -> Measured:
    answer = sitting.scratch / f"answer-{subject.version}.json"
    artifacts = sitting.scratch / f"artifacts-{subject.version}"
    request = {
        "model": MODEL,
        "data": str(WORK_FOLDER / sitting.data.name),
        "target": sitting.target,
        "model_type": sitting.model_type,
        "artifacts": str(WORK_FOLDER / "artifacts"),
    }
    question = SandboxRequest(verb="evaluate", request=request, files=(sitting.data,), handed=sitting.handed)
    run_payload(engine, image, question, answer=answer, artifacts=artifacts)
    try:
        said = store.tools.mlflow.read_response("evaluate", answer, None)
        metrics = read_metrics(said["metrics"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"the evaluation of {subject.shown} gave no valid result"
        raise ToolFailed(what=what, why="its container wrote an invalid result file") from error
    return Measured(metrics=metrics, artifacts=str(artifacts), findings=(), isolation="image")


def _in_process(store: RegistryClient, subject: EvaluatedVersion, sitting: EvaluationSession, reason: str) -> Measured:
    tools, needs = store.tools, needs_in(subject.model)
    python = _interpreter(subject, needs, store)
    # A process of its own: of two models with a module of the same name, MLflow lets the first one answer for both.
    own = throwaway(sitting.scratch / f"store-{subject.version}", tools, like=sitting.stores.get(python))
    request = {"model": str(subject.model), "data": str(sitting.data), "target": sitting.target}
    request |= {"model_type": sitting.model_type, "artifacts": str(sitting.scratch / f"artifacts-{subject.version}")}
    said = tools.mlflow.ask_model(python, own, "evaluate", request, sitting.handed)
    sitting.stores.setdefault(python, sitting.scratch / f"store-{subject.version}")
    if said["data_sha256"] != sitting.data_sha256:
        raise ToolFailed(what="the data changed while it was read", why=f"{subject.shown} saw {said['data_sha256']}")
    findings = (_exposed(subject, reason), *_inferred(subject, needs))
    return Measured(metrics=said["metrics"], artifacts=said["artifacts"], findings=findings, isolation="process")


def keep(
    store: RegistryClient,
    subjects: tuple[EvaluatedVersion, ...],
    measured: tuple[Measured, ...],
    tags: Mapping[str, str],
) -> None:
    """One run for each subject; none is finished before all of them are whole."""
    opened: list[str] = []
    try:
        for one, found in zip(subjects, measured, strict=True):
            about = {
                "mlflow-uv.evaluated-model": one.id,
                "mlflow-uv.evaluated-version": f"{one.name}/{one.version}",
                "mlflow-uv.model-sha256": one.sha256,
                ASKED: _now(store),
            }
            run_name = f"evaluate {one.name} v{one.version}"
            made = store.ask(
                "start-evaluation",
                model_id=one.model_id,
                run_id=one.run_id,
                experiment=one.name,
                tags={**tags, **about},
                run_name=run_name,
            )
            opened.append(made["run_id"])
            words = {"model_id": one.model_id, "metrics": found.metrics, "artifacts": found.artifacts}
            store.ask("fill-evaluation", run_id=made["run_id"], **words)
        for run_id in opened:
            store.ask("end-run", run_id=run_id, status="FINISHED")
    except BaseException as error:
        _give_up(store, opened, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise


def keep_file(store: RegistryClient, file: EvaluationFile, versions: tuple[Audited, ...]) -> None:
    """Keep what another job measured of these versions, unless its runs are there already."""
    subjects = tuple(
        EvaluatedVersion(
            name=version.name,
            version=version.version,
            model_id=version.said["model_id"],
            run_id=version.said["run_id"],
            model=version.model,
            sha256=tree_digest(digests_in(version.model)),
        )
        for version in versions
    )
    measured = tuple(
        Measured(metrics=file.models[subject.id].metrics, artifacts=None, findings=())
        for subject in subjects
        if subject.id in file.models
    )
    tags = {**file.tags, EVALUATION: file.id}
    ids = [subject.id for subject in subjects]
    known = store.ask("find-evaluation", model_ids=ids, tags={EVALUATION: file.id})["evaluation"]
    if len(measured) == len(subjects) and known is None:
        keep(store, subjects, measured, tags)


def throwaway(folder: Path, tools: Tools, *, like: Path | None = None) -> Store:
    """A store that nobody else knows, in a folder that is made; `like` is the folder of one that may be copied."""
    folder.mkdir()
    file = folder / "scratch.db"
    if like is not None:
        shutil.copyfile(like / file.name, file)
    store = tools.mlflow.store(f"sqlite:///{file}", embedded=False)
    hidden = {"MLFLOW_REGISTRY_URI": store.uri, **dict.fromkeys(_KEYS, "")}
    return replace(store, variables={**store.variables, **hidden})


def _now(store: RegistryClient) -> str:
    return datetime.fromtimestamp(store.tools.clock.date_s(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _give_up(store: RegistryClient, opened: list[str], status: str) -> None:
    """Nothing looks finished that is not. What went wrong before is what is told: errors end here."""
    try:
        for run_id in opened:
            store.ask("end-run", run_id=run_id, status=status)
    except StepError as error:
        store.tools.console.say(f"the runs of this evaluation could not be closed: {error}")


def _interpreter(subject: EvaluatedVersion, needs: Needs, store: RegistryClient) -> Path:
    """Of an environment that holds what the model requires; with a Python that is here, where one will do."""
    interpreter, inventory = restored(needs, store.tools, python=python_for(needs, store))
    if lines := mismatches(needs, inventory):
        what = f"the environment of {subject.shown} is not what the model requires"
        raise ToolFailed(what=what, why="; ".join(lines[:5]), fix=step_call("evaluate", again=True))
    return interpreter


def python_for(needs: Needs, store: RegistryClient) -> str:
    """
    The interpreter that talks to the store or the project's own, if it is of the model's minor version; else another.

    The one that trains is known to start: a version alone may lead to a shim that does not, in this folder.
    """
    tools = store.tools
    if minor_of(tools.mlflow.describe_environment(store.python)["python"]) == needs.minor:
        return str(store.python)
    if store.project is not None:
        with suppress(StepError):  # a model can be evaluated although the project here has no environment any more
            own = tools.environments.project(store.project, store.selection)
            if minor_of(tools.mlflow.describe_environment(own)["python"]) == needs.minor:
                return str(own)
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


def _told(error: StepError, subject: EvaluatedVersion) -> StepError:
    """The same reason, and what it means here."""
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
