"""Gets the model of a release: from an earlier release with the same key, from a run or model, or by training."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...command.errors import InputsChanged, StepError
from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding
from ...core.release.record import Record
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import FindModels, LoggedModelDescription
from ...payloads.messages.registry import SetTags
from ...payloads.messages.tags import DIRTY, TRAINED_DIGEST, TRAINED_KEY
from ...tools.mlflow.store import StoreKind
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from .adoption import require_free
from .choice import choose
from .input_changes import require_unchanged
from .model_verification import download, released
from .release_key import trained_from
from .resumption import resumable, trained_digest
from .training import Trained, train
from .training_registrations import announce_alias_calls, moved_aliases
from .training_store import followed, store_of_training
from .verification_plan import VerificationPlan

# Characters that the name of a logged model cannot have.
_NOT_IN_NAMES = lazy_pattern(r"""[/:.%"']+""")


@lazy_dataclass
class Obtained:
    """A logged model, the plan with its store, findings about it, and its files if they were downloaded."""

    plan: VerificationPlan
    model: LoggedModelDescription
    findings: tuple[Finding, ...] = ()
    files: Path | None = None


def obtain(plan: VerificationPlan, model_name: str | None, tools: Tools) -> Obtained:
    """Return the adopted model, or train one; `model_name` selects it by name if there are several."""
    if plan.adopted:
        model = choose(plan.adopted.found, model_name, tools.console)
        require_free(model, plan.adopted, plan.key)
        return Obtained(plan=plan, model=model)
    with tools.console.group(f"train {plan.job.project.name}", folded=False):
        announce_alias_calls(plan.job, tools)
        trained = train(plan.job, model_name or _NOT_IN_NAMES.sub("-", plan.job.project.name), tools)
    plan = replace(plan, job=replace(plan.job, store=trained.store))
    _require_same_inputs(plan, trained, tools)
    findings = (*moved_aliases(trained.found, plan.job, tools), *trained.findings)
    return Obtained(plan=plan, model=choose(trained.found, model_name, tools.console), findings=findings)


def obtain_interrupted(plan: VerificationPlan, scratch: Path, tools: Tools) -> Obtained | None:
    """
    Return the newest model of a release with the same key that was interrupted while it verified the model.

    The files that training wrote must have the digest that they had after training.
    """
    if plan.keyed is None:
        return None
    found = plan.job.client.find_models(FindModels(tag=(TRAINED_KEY, plan.key)))
    marked = (model for model in found.models if model.tags.get(TRAINED_KEY) == plan.key)
    for number, model in enumerate(resumable(plan, marked, tools)):
        copy = scratch / f"interrupted-{number}"
        download(plan, model.model_id, copy, tools)
        if trained_digest(plan, digests_in(copy)) != model.tags.get(TRAINED_DIGEST):
            tools.console.say(f"model {model.model_id}, trained from the same inputs, was changed, so it is not used")
            continue
        tools.console.say(
            f"  not trained again: model {model.model_id} was trained from the same inputs by a release that was"
            " interrupted while it verified the model"
        )
        plan = replace(plan, job=replace(plan.job, commit=trained_from(model.tags, plan.job.commit)))
        versions = tuple(version for version in found.versions if version.model_id == model.model_id)
        findings = moved_aliases(replace(found, versions=versions), plan.job, tools)
        return Obtained(plan=plan, model=model, findings=findings, files=copy)
    return None


def _require_same_inputs(plan: VerificationPlan, trained: Trained, tools: Tools) -> None:
    """Raise InputsChanged if an input changed, and let the runs say that they are not of the commit alone."""
    try:
        require_unchanged(plan.job, plan.keyed, tools)
    except InputsChanged:
        for run in trained.found.runs:
            plan.job.client.set_tags(SetTags(run_id=run.run_id, tags={DIRTY: "true"}))
        raise


def earlier(
    plan: VerificationPlan, record: Path, scratch: Path, tools: Tools
) -> tuple[VerificationPlan, Record, tuple[Finding, ...]] | None:
    """
    Return the verified model of an earlier release with the same key, from the plan's store or the recorded one.

    The recorded store is used if training chose it itself and no other store is configured since.
    """
    for candidate in (plan, *_with_recorded_store(plan, record, tools)):
        place = scratch / candidate.job.store.kind.value
        place.mkdir(exist_ok=True)
        if (record_found := released(candidate, place, tools)) is not None:
            in_recorded_store = candidate is not plan
            return (
                candidate,
                record_found,
                (followed(candidate.job.store, plan.job.project),) if in_recorded_store else (),
            )
    return None


def _with_recorded_store(plan: VerificationPlan, file: Path, tools: Tools) -> Iterator[VerificationPlan]:
    """Yield the plan with the store in the record, which is trusted no more than a setting of the checkout."""
    if plan.job.store.kind is not StoreKind.EMBEDDED or not file.is_file():
        return
    try:
        recorded = tools.records.load(file)
        if recorded.model.store == plan.job.store.shown or recorded.release_key != plan.key:
            return
        store = store_of_training(recorded.model.store, plan.job.project, plan.job.store, tools)
    except StepError:
        return
    yield replace(plan, job=replace(plan.job, store=store))
