"""May this version take the place of that one? Every condition with its numbers, and what differs between the two."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...command.errors import BadInput, NoEngine
from ...command.report import Table
from ...command.step import settle
from ...command.wording import joined, step_call
from ...core.model.model_difference import package_changes, packages_of
from ...core.model.model_files import REQUIREMENTS
from ...core.model.signature import Effect, signature_changes
from ...core.promotion.evaluation import EvaluationSettings, shown
from ...core.promotion.evaluation_file import EvaluationFile
from ...core.promotion.gates import check_gate
from ...core.promotion.promote_policy import Promotion
from ...core.release.chain import LinkState, merge_checks
from ...core.release.commit import Commit
from ...core.release.digests import tree_digest
from ...tools.project.checkout import settings_layer
from ...tools.project.files import Project
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ..lineage.audit import Audited
from ..lineage.registry_client import RegistryClient

_AGAIN = step_call("release")


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One thing that must hold, by the name of its rule in [tool.mlflow-uv.promote] where it has one."""

    name: str
    holds: bool
    text: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Every condition, and what differs, as tables."""

    conditions: tuple[Condition, ...]
    tables: tuple[Table, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What an entry keeps of it."""
        return tuple(f"{'✓' if one.holds else '✗'} {one.text}" for one in self.conditions)

    @property
    def table(self) -> Table:
        """For a person."""
        rows = tuple((one.name, "✓ holds" if one.holds else "✗ fails", one.text) for one in self.conditions)
        return Table(title="Gates", columns=("Gate", "", "Numbers"), rows=rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measured:
    """The metrics of each model, none where no evaluation counts, and which data they are of or why there are none."""

    text: str
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def judge(
    candidate: Audited,
    champion: Audited | None,
    asked: Promotion,
    contact: RegistryClient,
    evaluation: EvaluationFile | None,
) -> Judgement:
    """
    Judge a version by its chain, its state, what the project asks, and the version that is in use (None: none).

    What was measured comes from the `evaluation`, else from the store.
    """
    measured = _measured(candidate, champion, contact, evaluation)
    mine = measured.metrics.get(_id(candidate), {})
    theirs = None if champion is None else measured.metrics.get(_id(champion), {})
    changes = _signature(candidate, champion, contact)
    conditions = (
        *_chain(candidate, asked),
        _state(candidate),
        clean(candidate.record.commit if candidate.record else None, allowed=asked.policy.allow_dirty),
        *_age(candidate, asked, contact.tools),
        *_tags(candidate, asked),
        *_breaking(changes, asked),
        *_gates(asked, measured, mine, theirs),
    )
    tables: tuple[Table, ...] = ()
    if champion is not None:
        packages = package_changes(_packages(candidate), _packages(champion))
        rows = tuple((text, effect) for effect, text in changes)
        signature = Table(title="signature", columns=("change", "effect"), rows=rows)
        tables = tuple(
            table for table in (packages, signature, _sizes(candidate, champion, contact.tools)) if table.rows
        )
    return Judgement(conditions=conditions, tables=tables)


def _chain(candidate: Audited, asked: Promotion) -> Iterator[Condition]:
    links = merge_checks(candidate.checks)
    unverified = [
        link
        for link in links
        if link.state is LinkState.UNVERIFIED
        and link.link not in asked.policy.allow_unverified
        # A tree with changes is a condition of its own.
        and not (link.link == "commit" and _is_dirty(candidate) and asked.policy.allow_dirty)
    ]
    broken = [link for link in links if link.state is LinkState.BROKEN]
    for link in broken:
        yield Condition(name="chain", holds=False, text=f"`{link.link}` is broken: {link.reason}", fix=_AGAIN)
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


def _state(candidate: Audited) -> Condition:
    state = candidate.tags.get("mlflow-uv.state", "none")
    # One that was replaced passed the same test, and may come back.
    holds = state in ("tested", "promoted", "replaced")
    reason = candidate.tags.get("mlflow-uv.reason") if state == "failed" else ""
    text = f"version {candidate.version} is {state}" + (f": {reason}" if reason else "")
    return Condition(name="state", holds=holds, text=text, fix="" if holds else step_call("smoke-test"))


def _is_dirty(candidate: Audited) -> bool:
    return candidate.record is not None and candidate.record.commit.changed


def clean(commit: Commit | None, *, allowed: bool) -> Condition:
    """Whether a version comes from a tree that is known to have been clean; of None nobody recorded anything."""
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


def _age(candidate: Audited, asked: Promotion, tools: Tools) -> Iterator[Condition]:
    least = asked.policy.minimum_age_hours
    if least is not None:
        hours = (tools.clock.date_s() - float(candidate.said["created"]) / 1000) / 3600
        text = f"registered {hours:.1f} hours ago, at least {least:g} are required"
        yield Condition(name="minimum-age-hours", holds=hours >= least, text=text)


def _tags(candidate: Audited, asked: Promotion) -> Iterator[Condition]:
    for tag in asked.policy.required_tags:
        key, equals, value = tag.partition("=")
        said = candidate.tags.get(key)
        holds = said is not None and (not equals or said == value)
        text = f"tag `{key}` is {'missing' if said is None else repr(said)}" + (
            f", required is {value!r}" if equals else ""
        )
        yield Condition(name="required-tags", holds=holds, text=text, fix="" if holds else "tag the version in MLflow")


def _signature(candidate: Audited, champion: Audited | None, contact: RegistryClient) -> tuple[tuple[str, str], ...]:
    """Effect and text of every change, the breaking ones first."""
    if champion is None:
        return ()
    new, old = (contact.ask("describe-signature", model=str(one.model))["signature"] for one in (candidate, champion))
    try:
        return tuple((change.effect.value, change.text) for change in signature_changes(old, new))
    except ValueError as error:
        raise BadInput(what="a model's signature cannot be read", why=str(error)) from error


def _breaking(changes: tuple[tuple[str, str], ...], asked: Promotion) -> Iterator[Condition]:
    found = [text for effect, text in changes if effect == Effect.BREAKING.value]
    for text in found:
        yield Condition(
            name="allow-breaking-signature",
            holds=asked.policy.allow_breaking_signature,
            text=text,
            fix="allow-breaking-signature = true in [tool.mlflow-uv.promote], once its clients are ready",
        )


def _packages(one: Audited) -> Mapping[str, str]:
    file = one.model / REQUIREMENTS
    return packages_of(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _sizes(candidate: Audited, champion: Audited, tools: Tools) -> Table:
    """How large the two images are, where the engine here has both."""
    mine, theirs = _image_mb(candidate, tools), _image_mb(champion, tools)
    rows = (
        () if mine is None or theirs is None else ((f"{mine:.0f} MB", f"{theirs:.0f} MB", f"{mine - theirs:+.0f} MB"),)
    )
    return Table(title="image", columns=("candidate", "champion", "difference"), rows=rows)


def _image_mb(one: Audited, tools: Tools) -> float | None:
    if one.record is None or one.record.image is None or one.record.image.kind != "image":
        return None
    try:
        found = tools.engines.named(one.record.image.engine).image(one.record.image.id)
    except NoEngine:
        return None
    return None if found is None else found.size / 1e6


def _id(one: Audited) -> str:
    """What `evaluate` calls it."""
    return str(one.said["model_id"] or f"models:/{one.name}/{one.version}")


def _gates(
    asked: Promotion, measured: _Measured, mine: Mapping[str, float], theirs: Mapping[str, float] | None
) -> Iterator[Condition]:
    if not measured.metrics:
        for gate in asked.gates:
            yield Condition(name="gates", holds=False, text=f"{gate.text}: {measured.text}", fix=step_call("evaluate"))
        return
    if asked.gates:
        yield Condition(name="evaluation", holds=True, text=measured.text)
    for ruling in (check_gate(gate, mine, theirs) for gate in asked.gates):
        yield Condition(name="gates", holds=ruling.holds, text=ruling.text, fix=ruling.fix)


def _measured(
    candidate: Audited, champion: Audited | None, contact: RegistryClient, evaluation: EvaluationFile | None
) -> _Measured:
    """
    What the evaluation of both that was asked for last measured, by model.

    What [tool.mlflow-uv] says of data, target column and kind of model, it must have been asked; others do not count.
    """
    subjects = {_id(one): one for one in (candidate, champion) if one is not None}
    tags = _asked_by(contact.project) if contact.project else {}
    if evaluation is not None:
        said = evaluation.lookup(subjects, tags)
    else:
        said = contact.ask("find-evaluation", model_ids=list(subjects), tags=tags)
    whom = " and ".join(f"version {one.version}" for one in subjects.values())
    if said["evaluation"] is None:
        on = f" as [tool.mlflow-uv] requires: {shown(tags)}" if tags else ""
        return _Measured(text=f"{whom} {_were(subjects)} not evaluated{' together' if champion else ''}{on}")
    for name, one in said["models"].items():
        if one["model_sha256"] != tree_digest(digests_in(subjects[name].model)):
            return _Measured(text=f"{whom} {_were(subjects)} evaluated with files other than those in the store")
    on = shown(said["tags"]) or "data of unknown origin"
    return _Measured(
        text=f"{whom} {_were(subjects)} evaluated on {on}, sha256 {said['data_sha256'][:12]}",
        metrics={name: one["metrics"] for name, one in said["models"].items()},
    )


def _asked_by(project: Project) -> Mapping[str, str]:
    """Tags of the evaluations that a project's settings ask for."""
    said = settle(EvaluationSettings, (settings_layer(EvaluationSettings, project, {}),))
    return said.tags(project.folder)


def _were(subjects: Mapping[str, Audited]) -> str:
    return "were" if len(subjects) > 1 else "was"
