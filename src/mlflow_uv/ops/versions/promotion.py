"""Decides whether a version may be promoted: every condition with its values, and differences to the champion."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime

from ...command.errors import StepError
from ...command.report import Table, counted, first_names
from ...command.step import settle
from ...command.wording import joined, step_call
from ...core.image.sbom import packages_by_licence
from ...core.model.signature import Effect
from ...core.promotion.evaluation import EvaluationSettings, describe_tags
from ...core.promotion.evaluation_file import EvaluationFile
from ...core.promotion.gates import check_gate
from ...core.promotion.licences import refused_licences, with_exceptions
from ...core.promotion.promote_policy import Promotion
from ...core.release.chain import LinkState, merge_checks
from ...core.release.commit import Commit
from ...core.release.digests import tree_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import REASON, STATE, TESTED
from ...tools.project.checkout import settings_layer
from ...tools.project.files import Project
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ..lineage.audit import Audited
from ..lineage.registry_client import RegistryClient
from ..signing.verification import LINK as SIGNATURE
from .comparison import ComparedVersion, difference_tables, signature_difference
from .conditions import Condition, PromotionDecision
from .served_packages import served_packages
from .vulnerability_gate import compared_vulnerabilities

_NAMED_OTHERS = 40  # packages that a condition names because their licences are not examined
_AGAIN = step_call("release")


@lazy_dataclass
class _EvaluatedMetrics:
    """The metrics of each model, empty without a valid evaluation, and their data or the reason as text."""

    text: str
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def check_promotion(
    candidate: Audited,
    champion: Audited | None,
    promotion: Promotion,
    registry: RegistryClient,
    evaluation: EvaluationFile | None,
) -> PromotionDecision:
    """
    Check a version's links, state, licences and gates against the champion, which may be None.

    Metrics come from `evaluation`, or from the store without it.
    """
    measured = _measured(candidate, champion, registry, evaluation)
    candidate_metrics = measured.metrics.get(_id(candidate), {})
    champion_metrics = None if champion is None else measured.metrics.get(_id(champion), {})
    changes = () if champion is None else signature_difference(_files(candidate), _files(champion), registry)
    conditions = (
        *_chain(candidate, promotion),
        passed(candidate.version, candidate.tags),
        clean(candidate.record.commit if candidate.record else None, allowed=promotion.policy.allow_dirty),
        *_age(candidate, promotion, registry.tools),
        *_tags(candidate, promotion),
        *compared_licences(candidate, promotion, registry.tools),
        *compared_vulnerabilities(candidate, promotion, registry.tools),
        *_breaking(changes, promotion),
        *_gates(promotion, measured, candidate_metrics, champion_metrics),
    )
    tables: tuple[Table, ...] = ()
    if champion is not None:
        new, old = replace(_files(candidate), metrics=candidate_metrics), _files(champion)
        old = replace(old, metrics=champion_metrics or {})
        tables = difference_tables(new, old, changes, registry.tools)
    return PromotionDecision(conditions=conditions, tables=tables)


def _chain(candidate: Audited, promotion: Promotion) -> Iterator[Condition]:
    links = merge_checks(candidate.checks)
    unverified = [
        link
        for link in links
        if link.state is LinkState.UNVERIFIED
        and link.link not in promotion.policy.allow_unverified
        and link.link != SIGNATURE  # where the policy only warns
        # A dirty tree is a condition of its own.
        and not (link.link == "commit" and _is_dirty(candidate) and promotion.policy.allow_dirty)
    ]
    broken = [link for link in links if link.state is LinkState.BROKEN]
    for link in broken:
        text = f"`{link.link}` is broken: {link.reason}"
        yield Condition(name="chain", holds=False, text=text, fix=link.fix or _AGAIN)
    for link in links:
        if link.link == SIGNATURE and link.state is LinkState.UNVERIFIED:
            yield Condition(name=SIGNATURE, holds=True, text=f"warning: {link.reason}", fix=link.fix)
    for link in unverified:
        allowed = f'allow-unverified = ["{link.link}"] in [tool.mlflow-uv.promote]'
        yield Condition(
            name="allow-unverified",
            holds=False,
            text=f"`{link.link}` is not verified here: {link.reason}",
            fix=joined(", or ", (link.fix, allowed)) if link.fix else allowed,
        )
    if not broken and not unverified:
        holding = [link.link for link in links if link.state is LinkState.HOLDS]
        yield Condition(name="chain", holds=True, text=f"{', '.join(holding)} hold")


def passed(version: str, tags: Mapping[str, str]) -> Condition:
    """Check that the smoke test of a version passed, by its tags; a release that runs again tests it again."""
    state = tags.get(STATE, "none")
    holds = state in TESTED
    reason = tags.get(REASON) if state == "failed" else ""
    text = f"version {version} is {state}" + (f": {reason}" if reason else "")
    return Condition(name="state", holds=holds, text=text, fix="" if holds else _AGAIN)


def _is_dirty(candidate: Audited) -> bool:
    return candidate.record is not None and candidate.record.commit.changed


def clean(commit: Commit | None, *, allowed: bool) -> Condition:
    """Check that a version comes from a clean tree; None means that no commit was recorded."""
    if commit is None:
        return Condition(
            name="allow-dirty", holds=False, text="no record names the commit that it was made from", fix=_AGAIN
        )
    sha = commit.sha[:12]
    if commit.dirty is None:
        return Condition(name="allow-dirty", holds=True, text=f"commit {sha}, a clean tree")
    fix = "commit, and release again; or allow-dirty = true in [tool.mlflow-uv.promote]"
    text = f"commit {sha} with uncommitted changes"
    if not commit.changed:
        text = f"commit {sha}, and it is unknown whether the tree was clean"
    return Condition(name="allow-dirty", holds=allowed, text=text, fix=fix)


def _age(candidate: Audited, promotion: Promotion, tools: Tools) -> Iterator[Condition]:
    least = promotion.policy.minimum_age_hours
    if least is not None:
        hours = (tools.clock.date_s() - candidate.description.created / 1000) / 3600
        text = f"registered {hours:.1f} hours ago, at least {least:g} are required"
        yield Condition(name="minimum-age-hours", holds=hours >= least, text=text)


def _tags(candidate: Audited, promotion: Promotion) -> Iterator[Condition]:
    for tag in promotion.policy.required_tags:
        key, equals, value = tag.partition("=")
        actual = candidate.tags.get(key)
        holds = actual is not None and (not equals or actual == value)
        text = f"tag `{key}` is {'missing' if actual is None else repr(actual)}" + (
            f", required is {value!r}" if equals else ""
        )
        yield Condition(name="required-tags", holds=holds, text=text, fix="" if holds else "tag the version in MLflow")


def compared_licences(candidate: Audited, promotion: Promotion, tools: Tools) -> Iterator[Condition]:
    """
    Yield a condition for each licence that is not allowed; licences that cannot be read are not allowed.

    Only packages that the image or a target of the project installs count; the others are named.
    """
    allowed, name = promotion.policy.allowed_licences, "allowed-licences"
    if allowed is None or candidate.record is None:  # `clean` reports a version without a record
        return
    try:
        served = served_packages(candidate.model, candidate.record, promotion.targets, tools)
        packages = packages_by_licence(served.sbom)
    except (StepError, ValueError) as error:
        yield Condition(name=name, holds=False, text=f"the licences of the packages cannot be read: {error}")
        return
    today = datetime.fromtimestamp(tools.clock.date_s(), UTC).date()
    refused = tuple(refused_licences(packages, allowed, promotion.licence_exceptions, today))
    for each in refused:
        licence = f"licence `{each.licence}`" if each.licence else "unknown licence"
        exceptions = json.dumps(with_exceptions(promotion.licence_exceptions, each, today))
        yield Condition(
            name=name,
            holds=False,
            text=f"the {licence} of {first_names(each.packages)} is not allowed",
            fix=f"licence-exceptions = {exceptions} in [tool.mlflow-uv.promote], or other packages",
        )
    if not refused:
        number = sum(len(names) for _, names in packages)
        yield Condition(name=name, holds=True, text=f"the licences of {counted(number, 'package')} are allowed")
    if served.others:
        places = ", ".join(dict.fromkeys(str(replace(target, patch=None)) for target in served.targets))
        others = first_names(served.others, most=_NAMED_OTHERS)
        text = f"not examined, because no target ({places}) installs them: {others}"
        yield Condition(name=name, holds=True, text=text)


def _breaking(changes: tuple[tuple[str, str], ...], promotion: Promotion) -> Iterator[Condition]:
    breaking = [text for effect, text in changes if effect == Effect.BREAKING.value]
    for text in breaking:
        yield Condition(
            name="allow-breaking-signature",
            holds=promotion.policy.allow_breaking_signature,
            text=text,
            fix="allow-breaking-signature = true in [tool.mlflow-uv.promote], once its clients are ready",
        )


def _files(version: Audited) -> ComparedVersion:
    return ComparedVersion(files=version.model, record=version.record)


def _id(version: Audited) -> str:
    """Return the id that `evaluate` uses."""
    return str(version.description.model_id or f"models:/{version.name}/{version.version}")


def _gates(
    promotion: Promotion,
    measured: _EvaluatedMetrics,
    candidate_metrics: Mapping[str, float],
    champion_metrics: Mapping[str, float] | None,
) -> Iterator[Condition]:
    if not measured.metrics:
        for gate in promotion.gates:
            yield Condition(name="gates", holds=False, text=f"{gate.text}: {measured.text}", fix=step_call("evaluate"))
        return
    if promotion.gates:
        yield Condition(name="evaluation", holds=True, text=measured.text)
    for ruling in (check_gate(gate, candidate_metrics, champion_metrics) for gate in promotion.gates):
        yield Condition(name="gates", holds=ruling.holds, text=ruling.text, fix=ruling.fix)


def _measured(
    candidate: Audited, champion: Audited | None, registry: RegistryClient, evaluation: EvaluationFile | None
) -> _EvaluatedMetrics:
    """
    Return the metrics of the evaluation of both versions that was requested last.

    Only evaluations on the data, target column and model type in [tool.mlflow-uv] count.
    """
    subjects = {_id(version): version for version in (candidate, champion) if version is not None}
    tags = _asked_by(registry.project) if registry.project else {}
    if evaluation is not None:
        evaluated = evaluation.lookup(subjects, tags)
    else:
        evaluated = registry.client.find_evaluation(tuple(subjects), tags)
    whom = " and ".join(f"version {version.version}" for version in subjects.values())
    if evaluated.evaluation is None:
        on = f" as [tool.mlflow-uv] requires: {describe_tags(tags)}" if tags else ""
        return _EvaluatedMetrics(text=f"{whom} {_were(subjects)} not evaluated{' together' if champion else ''}{on}")
    for name, model in evaluated.models.items():
        if model.model_sha256 != tree_digest(digests_in(subjects[name].model)):
            return _EvaluatedMetrics(
                text=f"{whom} {_were(subjects)} evaluated with files other than those in the store"
            )
    on = describe_tags(evaluated.tags) or "data of unknown origin"
    return _EvaluatedMetrics(
        text=f"{whom} {_were(subjects)} evaluated on {on}, sha256 {str(evaluated.data_sha256)[:12]}",
        metrics={name: model.metrics for name, model in evaluated.models.items()},
    )


def _asked_by(project: Project) -> Mapping[str, str]:
    """Return the tags of evaluations that match the project's settings."""
    settings = settle(EvaluationSettings, (settings_layer(EvaluationSettings, project, {}),))
    return settings.tags(project.folder)


def _were(subjects: Mapping[str, Audited]) -> str:
    return "were" if len(subjects) > 1 else "was"
