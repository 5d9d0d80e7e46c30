"""Gets the model that a release proves: of an earlier release of the same key, of somebody else, or of a training."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...command.errors import StepError
from ...command.report import Finding
from ...core.release.record import Record
from ...tools.mlflow.mlflow import StoreKind
from ...tools.toolbox import Tools
from .adoption import require_free
from .choice import choose
from .proof import ProofPlan, released
from .training import train
from .training_registrations import announce, moved_aliases
from .training_store import followed, store_of_training

# What the name of a logged model cannot hold.
_NOT_IN_NAMES = re.compile(r"""[/:.%"']+""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Obtained:
    """A model as `find-models` tells it, the plan with the store that it is in, and what is to be said of it."""

    plan: ProofPlan
    model: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()


def obtain(plan: ProofPlan, wanted: str | None, tools: Tools) -> Obtained:
    """A model that somebody else logged, or one that is made now; it is called as wanted, or as its maker names it."""
    if plan.adopted:
        model = choose(plan.adopted.found, wanted, tools.console)
        require_free(model, plan.adopted, plan.key)
        return Obtained(plan=plan, model=model)
    with tools.console.group(f"train {plan.job.project.name}", folded=False):
        announce(plan.job, tools)
        trained = train(plan.job, wanted or _NOT_IN_NAMES.sub("-", plan.job.project.name), tools)
    plan = replace(plan, job=replace(plan.job, store=trained.store))
    findings = (*moved_aliases(trained.found, plan.job, tools), *trained.findings)
    return Obtained(plan=plan, model=choose(trained.found, wanted, tools.console), findings=findings)


def earlier(
    plan: ProofPlan, record: Path, scratch: Path, tools: Tools
) -> tuple[ProofPlan, Record, tuple[Finding, ...]] | None:
    """
    The verified model of an earlier release with the same key: in the store of the plan, else in the recorded one.

    The second is the store that a training named by itself, where nobody named another since.
    """
    for candidate in (plan, *_in_recorded_store(plan, record, tools)):
        place = scratch / candidate.job.store.kind.value
        place.mkdir(exist_ok=True)
        if (found := released(candidate, place, tools)) is not None:
            own = candidate is not plan
            return candidate, found, (followed(candidate.job.store, plan.job.project),) if own else ()
    return None


def _in_recorded_store(plan: ProofPlan, file: Path, tools: Tools) -> Iterator[ProofPlan]:
    """A record is a file that anybody may write: what it names is followed no further than a checkout's setting."""
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
