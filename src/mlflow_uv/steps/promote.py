"""Judges the candidate without running it, and moves the champion's alias to it if every condition holds."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import (
    Candidate,
    Champion,
    DryRun,
    Embedded,
    EvaluationPath,
    Extras,
    Groups,
    ModelName,
    PackageName,
    Previous,
    ProjectPath,
    TrackingUri,
    UvProgram,
    VersionNumber,
)
from ..command.report import Finding, Report, counted
from ..command.step import Doc, Step
from ..command.wording import Wording, step_call
from ..core.promotion.evaluation_file import LIMIT, EvaluationFile, read_evaluation
from ..core.promotion.promote_policy import Promotion
from ..core.release.chain import merge_checks
from ..ops.image.lookup import names_reused
from ..ops.lineage.audit import audited, distinct, numbered
from ..ops.lineage.publication import RECORD_TAG
from ..ops.lineage.registry_client import RegistryClient, author, contact
from ..ops.versions.evaluation import keep_file
from ..ops.versions.promotion import Judgement, judge
from ..tools.project.files import read_project
from ..tools.project.promote_policy import promotion_of
from ..tools.toolbox import Tools

LEASE_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Which version, to which alias; what it must be is said in [tool.mlflow-uv.promote]."""

    project: ProjectPath = Path()
    package: PackageName = None
    extras: Extras = ()
    groups: Groups = ()
    model_name: ModelName = None
    candidate: Candidate = "candidate"
    champion: Champion = "champion"
    previous: Previous = "previous"
    evaluation_file: EvaluationPath = None
    dry_run: DryRun = False
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What was decided, and what was done."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    version_before: Annotated[str | None, Doc("Version number that the alias pointed to before; empty if none.")]
    promoted: Annotated[bool, Doc("Whether the alias points to the version now.")]
    gates: Annotated[tuple[str, ...], Doc("Every gate with the values that were compared.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Judge the candidate by its chain, its state and the project's gates; move the alias only if every one holds.

    Raises BadInput, ToolFailed where somebody else moved the alias meanwhile, StoreUnreachable.
    """
    project = read_project(inputs.project)
    distinct(candidate=inputs.candidate, champion=inputs.champion, previous=inputs.previous)
    asked = promotion_of(project, where=tools.host.folder)
    store = contact(inputs, tools)
    name = store.model_name(inputs.model_name)
    evaluation = None if inputs.evaluation_file is None else _evaluation(inputs.evaluation_file, name)
    version = numbered(store, name, inputs.candidate)
    before = store.ask("describe-name", name=name)["aliases"].get(inputs.champion)
    with ExitStack() as opened, tools.console.group(f"check the gates of {name} version {version}"):
        candidate = opened.enter_context(audited(store, name=name, version=version))
        rival = before if before != version else None
        champion = opened.enter_context(audited(store, name=name, version=rival)) if rival else None
        judgement = judge(candidate, champion, asked, store, evaluation)
    findings = tuple(_findings(judgement, asked))
    moved = None
    if not findings and not inputs.dry_run:
        if evaluation is not None:
            keep_file(store, evaluation, tuple(filter(None, (candidate, champion))))
        expected = {
            "alias_names": before,
            "record_sha256": candidate.tags.get(RECORD_TAG),
            "state": candidate.tags.get("mlflow-uv.state"),
        }
        entry = {**author(tools), "gates": judgement.lines}
        moved = store.ask(
            "promote",
            name=name,
            version=version,
            alias=inputs.champion,
            previous=inputs.previous,
            expected=expected,
            entry=entry,
            lease_s=LEASE_S,
        )
        for note in moved["notes"]:
            tools.console.say(f"  {note}")
    whose, rests = f"{name} version {version}", not findings and before == version
    reused = names_reused(merge_checks(candidate.checks), whose)
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            version_before=before if moved is None else moved["before"],
            promoted=moved is not None or before == version,
            gates=judgement.lines,
        ),
        summary=f"{inputs.champion} already is {whose}"
        if rests
        else _told(inputs.champion, whose, before, moved=moved is not None, failing=len(findings)),
        findings=(*findings, *reused),
        tables=(judgement.table, *judgement.tables),
        advice=() if moved is None or rests else tuple(_advice(inputs, store, name, moved["before"])),
    )


def _evaluation(file: Path, name: str) -> EvaluationFile:
    """What another job measured of this registered model. Raises BadInput."""
    try:
        with file.open("rb") as stream:
            found = read_evaluation(stream.read(LIMIT + 1))
    except OSError as error:
        what = f"the evaluation `{file}` cannot be read"
        fix = step_call("evaluate", evaluation_file=str(file))
        raise BadInput(what=what, why=error.strerror or str(error), fix=fix) from error
    except ValueError as error:
        raise BadInput(what=f"`{file}` is not an evaluation", why=str(error), fix=step_call("evaluate")) from error
    if found.model_name != name:
        raise BadInput(what=f"the evaluation in `{file}` is of another model", why=f"the model to promote is `{name}`")
    return found


def _findings(judgement: Judgement, asked: Promotion) -> Iterator[Finding]:
    """Every condition that fails, at its line in the manifest where it has one."""
    for one in judgement.conditions:
        if not one.holds:
            line = asked.lines.get(one.name, asked.line)
            yield Finding(rule=f"gate-{one.name}", what=one.text, fix=one.fix, path=asked.manifest, line=line)


def _told(alias: str, version: str, before: str | None, *, moved: bool, failing: int) -> str:
    """One line: what became of it."""
    if failing:
        return f"{version} is not promoted: {counted(failing, 'gate')} failed"
    instead = f", instead of version {before}" if before else ""
    return f"{alias} {'is' if moved else 'would become'} {version}{instead}"


def _advice(inputs: Inputs, store: RegistryClient, name: str, before: str | None) -> Iterator[str]:
    yield f'load it:     mlflow.pyfunc.load_model("models:/{name}@{inputs.champion}")'
    if before is not None:
        given = {"model-name": name, "champion": inputs.champion, "previous": inputs.previous}
        usual = {"model-name": store.model_name(None), "champion": "champion", "previous": "previous"}
        words = {flag.replace("-", "_"): word for flag, word in given.items() if word != usual[flag]}
        yield Wording("roll back:   ", step_call("rollback", **words))


STEP: Step[Any, Any, Any] = Step(
    name="promote",
    summary="Move the champion alias to the candidate if its audit and smoke test passed and every gate holds.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
