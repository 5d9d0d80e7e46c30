"""Writes the lock and recorded answers into a logged model, and verifies the files that the store returns."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ...command.errors import BadInput, ChainBroken, ToolFailed
from ...command.report import Finding, Severity
from ...command.wording import option
from ...core.export.requirements import difference, parse_requirements
from ...core.model import model_files
from ...core.model.answers import answers_digest
from ...core.model.derived_requests import DerivedRequest, derive_requests
from ...core.model.licences import licences_file
from ...core.model.recorded_requests import requests_file, responses_file
from ...core.model.streams import stream_body
from ...core.release.digests import lock_digest, sha256, tree_digest
from ...core.release.record import AnswersLink, ModelLink, Record, RequirementsLink
from ...core.security.documents import parse_json
from ...payloads.messages.models import LoggedModelDescription
from ...payloads.messages.registry import SetTags
from ...payloads.messages.tags import (
    MODEL_DIGEST,
    RELEASE_KEY,
    REQUIREMENTS_DIGEST,
    VERIFICATION,
)
from ...tools.system.content import digests_in
from ...tools.system.progress import progress_of
from ...tools.toolbox import Tools
from .example_answers import RequestSet, answers_of, compared_answers
from .example_checks import example_findings, order_findings
from .input_changes import unchanged_lock
from .locked_files import locked_files
from .release_key import trained_from
from .resumption import VERIFIED, OpenVerification, verification
from .verification_plan import RequirementsPolicy, VerificationPlan


def released(plan: VerificationPlan, scratch: Path, tools: Tools) -> Record | None:
    """Return the record of the newest unchanged model of an earlier run of this release, None if there is none."""
    models = plan.job.client.find_released(plan.key)
    for number, model in enumerate(reversed(models)):
        copy = scratch / f"released-{number}"
        download(plan, model.model_id, copy, tools)
        if tree_digest(digests_in(copy)) != model.tags[MODEL_DIGEST]:
            changed = f"model {model.model_id} of the same release was changed after its digest was recorded"
            tools.console.say(f"{changed}, so it is not used")
            continue
        if (other_lock := _lock_in(copy)) != plan.job.lock.sha256:
            stored = f"has uv.lock {other_lock[:12]}" if other_lock else "has no uv.lock"
            tools.console.say(f"model {model.model_id} of the same release {stored}, so it is not used")
            continue
        record = replace(_record(plan, model, copy), commit=trained_from(model.tags, plan.job.commit))
        if record.answers is not None:
            return record
    return None


def verify_logged(
    plan: VerificationPlan, model: LoggedModelDescription, files: Path | None, scratch: Path, tools: Tools
) -> tuple[Record, tuple[Finding, ...]]:
    """
    Write the lock and the answers into the model, download it again from the store, and compare.

    `files` is the model as it was downloaded, None if it was not.
    """
    require_run(model)
    logged = files or scratch / "logged"
    if files is None:
        download(plan, model.model_id, logged, tools)
    if requirement_findings := _requirement_findings(plan, logged):
        return _record(plan, model, logged), requirement_findings
    before, overlay = dict(digests_in(logged)), scratch / "overlay"
    with verification(plan, model, before.items(), tools) as opened:
        findings = _write_additions(plan, logged, overlay, tools)
        opened.require_own()
        record = _overwritten(plan, model, before, overlay, tools)
        opened.require_own()
        if any(finding.severity is Severity.ERROR for finding in findings):
            opened.refuse()
        else:
            _tag(plan, record, opened)
    return record, findings


def _write_additions(plan: VerificationPlan, logged: Path, overlay: Path, tools: Tools) -> tuple[Finding, ...]:
    """Write the files that a model gets, with its answers, into a folder; what was found about it on the way."""
    client = plan.job.client
    findings: list[Finding] = []
    model_cases = client.describe_cases(logged)
    requests = list(plan.example or model_cases.requests)
    known = requests or [parse_json(case.body) for case in plan.cases]
    findings += example_findings(plan.job.project, model_cases, known)
    if not model_cases.has_signature:
        request_set = _request_set(plan, logged, requests)
        findings += order_findings(
            plan.job.project, requests, lambda subset: compared_answers(plan.job, subset, request_set)
        )
    _write(overlay, _overlay(plan))
    if known:
        request_set_with_cases = replace(
            _request_set(plan, logged, requests),
            cases=plan.cases,
            derived=_derived(plan, logged, known, tools),
            streams=_streams(plan, logged, requests),
            tolerance=plan.tolerance,
        )
        answered = answers_of(plan.job, request_set_with_cases, tools)
        findings += answered.findings
        written = {model_files.CASES: json.dumps(requests, indent=1)}
        written[model_files.ANSWERS] = json.dumps(answered.answers, indent=1)
        if answered.recorded:
            written[model_files.REQUESTS] = requests_file(answered.recorded)
            written[model_files.RESPONSES] = responses_file(answered.recorded)
        _write(overlay, {name: text.encode() for name, text in written.items()})
    return tuple(findings)


def _overwritten(
    plan: VerificationPlan,
    model: LoggedModelDescription,
    before: Mapping[PurePosixPath, str],
    overlay: Path,
    tools: Tools,
) -> Record:
    """Write additions into a model that had the files `before`, and return the record of what the store has then."""
    client, written, stored = plan.job.client, dict(digests_in(overlay)), overlay.with_name("from-store")
    # Also what an interrupted release left there, or that of a model which this one is a copy of.
    delete = {
        path for path in before if str(path) in model_files.UV_FILES or path.parts[0] == model_files.FOLDER
    } - written.keys()
    with progress_of(tools.console, f"uploading additions to {model.model_id}", overlay):
        client.overwrite_model(model.model_id, folder=overlay, delete=tuple(sorted(map(str, delete))))
    download(plan, model.model_id, stored, tools)
    record = _record(plan, model, stored)
    kept = {path: digest for path, digest in before.items() if path not in delete}
    _require_written(plan, written, {**kept, **written}, stored)
    return record


def _request_set(plan: VerificationPlan, logged: Path, requests: list[Any]) -> RequestSet:
    return RequestSet(
        model=logged, requests=tuple(requests), given=bool(plan.example), ignored=plan.ignored, serve_env=plan.serve_env
    )


def _derived(plan: VerificationPlan, logged: Path, known: list[Any], tools: Tools) -> tuple[DerivedRequest, ...]:
    """Return the requests that are derived from the signature and the first known request."""
    if not plan.derives:
        return ()
    signature = plan.job.client.describe_signature(logged).signature
    try:
        return derive_requests(signature, known[0])
    except ValueError as error:
        tools.console.say(f"no requests are derived from the signature, which cannot be read: {error}")
        return ()


def _streams(plan: VerificationPlan, logged: Path, requests: list[Any]) -> tuple[str, ...]:
    """Return the bodies of requests for the streams of the input example."""
    signature = plan.job.client.describe_signature(logged).signature
    try:
        bodies = (stream_body(request, signature) for request in requests)
        return tuple(body for body in bodies if body is not None)
    except ValueError:  # `_derived` reports an invalid signature
        return ()


def _requirement_findings(plan: VerificationPlan, logged: Path) -> tuple[Finding, ...]:
    """With `requirements: verify`, report an error unless the requirements that MLflow wrote match the lock."""
    if plan.policy is not RequirementsPolicy.VERIFY:
        return ()
    text = (logged / model_files.REQUIREMENTS).read_text(encoding="utf-8")
    try:
        requirements = parse_requirements(text)
        # Local wheels and index options count too.
        actual = _lines(
            *(pin.line for pin in requirements.pins),
            *(local_requirement.line for local_requirement in requirements.local),
            *requirements.options,
        )
    except ValueError as error:
        actual = str(error)
    expected = _lines(*model_files.requirement_lines(plan.served))
    if actual == expected:
        return ()
    return (
        Finding(
            rule="requirements-guessed",
            what="the model's requirements do not match the lock",
            why=difference(expected, actual, names=("uv.lock", "model")),
            fix=option("requirements", "lock"),
            path=plan.job.project.lock,
        ),
    )


def _overlay(plan: VerificationPlan) -> dict[str, bytes]:
    project = plan.job.project
    files = {
        **locked_files(project, unchanged_lock(plan.job)),
        model_files.PYTHON: f"{plan.served.python}\n".encode(),
        model_files.SELECTION: model_files.selection_file(plan.selection).encode(),
        model_files.LICENCES: licences_file(plan.licences).encode(),
    }
    if plan.policy is RequirementsPolicy.INFER:
        return files
    written = model_files.environment_files(plan.served)
    if plan.policy is RequirementsPolicy.VERIFY:
        # MLflow's own files have the same content and stay unchanged.
        written = {model_files.HASHED: written[model_files.HASHED]}
    files |= {name: text.encode() for name, text in written.items()}
    files |= {
        f"{model_files.WHEELS}/{wheel.file}": (plan.wheels / wheel.file).read_bytes() for wheel in plan.served.wheels
    }
    return files


def _require_written(
    plan: VerificationPlan,
    written: Mapping[PurePosixPath, str],
    expected: Mapping[PurePosixPath, str],
    copy: Path,
) -> None:
    """Raise ChainBroken unless the store returns the expected files, with those that were written."""
    stored = dict(digests_in(copy))
    if lost := [str(path) for path, digest in written.items() if stored.get(path) != digest]:
        raise ChainBroken("model", why=f"the store did not keep {', '.join(lost)}")
    if changed := sorted(path for path in stored.keys() | expected.keys() if stored.get(path) != expected.get(path)):
        why = f"{', '.join(map(str, changed))} changed in the store while the model was verified"
        raise ChainBroken("model", why=why)
    if plan.policy is RequirementsPolicy.INFER:
        return
    requirements_text, _ = model_files.split_requirements((copy / model_files.REQUIREMENTS).read_text(encoding="utf-8"))
    if parse_requirements(requirements_text).digest != plan.served.requirements.digest:
        raise ChainBroken("requirements", why="the requirements of the model in the store do not match the lock")


def require_run(model: LoggedModelDescription) -> str:
    """The run of a model. Raises BadInput without one: the release keeps its record there."""
    if not model.run_id:
        raise BadInput(
            what=f"the model {model.model_id} `{model.name}` was logged without a run",
            why="the record of a release is kept in the run of its model",
            fix="call `log_model` inside `with mlflow.start_run():`, and train again",
        )
    return model.run_id


def _record(plan: VerificationPlan, model: LoggedModelDescription, copy: Path) -> Record:
    """Return the record of a model, from its files as downloaded from the store."""
    requirements_text, wheels = model_files.split_requirements(
        (copy / model_files.REQUIREMENTS).read_text(encoding="utf-8")
    )
    try:
        requirements = parse_requirements(requirements_text).digest
    except ValueError as error:
        if plan.policy is RequirementsPolicy.INFER:
            what = "the model's requirements cannot be read"
            raise ToolFailed(what=what, why=str(error), fix=option("requirements", "lock")) from error
        requirements = sha256(requirements_text.encode())  # a finding reports that they do not match the lock
    wheel_digests = {path.name: digest for path, digest in digests_in(copy / model_files.WHEELS)}
    cases, answers = copy / model_files.CASES, copy / model_files.ANSWERS
    return Record(
        release_key=plan.key,
        commit=plan.job.commit,
        lock=plan.job.lock,
        selection=plan.selection,
        requirements=RequirementsLink(
            sha256=requirements,
            source=plan.policy.value,
            wheels=tuple(model_files.wheel_of(name, wheel_digests[name], marker) for name, marker in wheels),
        ),
        model=ModelLink(
            model_id=model.model_id,
            run_id=require_run(model),
            name=model.name,
            sha256=tree_digest(digests_in(copy)),
            store=plan.job.store.shown,
            python=_trained_with(copy) or plan.served.python,
            mlflow=plan.mlflow,
        ),
        answers=(
            AnswersLink(
                cases=_digest(cases),
                expected=_digest(answers),
                variables=plan.serve_env.names,
                requests=_digest_if_any(copy / model_files.REQUESTS),
                responses=_digest_if_any(copy / model_files.RESPONSES),
            )
            if answers.is_file()
            else None
        ),
    )


def _lock_in(model: Path) -> str:
    """Return the digest of the lock in a model, empty without one."""
    path = model / model_files.LOCK
    return lock_digest(path.read_bytes()) if path.is_file() else ""


def _trained_with(model: Path) -> str | None:
    """Return the Python version that the model was trained with, by its own file, None without it."""
    path = model / model_files.PYTHON
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _tag(plan: VerificationPlan, record: Record, opened: OpenVerification) -> None:
    """Set the tags by which a re-run finds this model; last, so that an incomplete verification is never found."""
    tags = {
        **plan.job.lineage,
        **(plan.keyed.tags if plan.keyed else {}),
        RELEASE_KEY: record.release_key,
        REQUIREMENTS_DIGEST: record.requirements.sha256,
        MODEL_DIGEST: record.model.sha256,
        **({VERIFICATION: VERIFIED} if opened.attempt else {}),
    }
    # The tags of an adopted run stay unchanged: they record its own lock.
    run_id = record.model.run_id if plan.adopted is None else None
    plan.job.client.set_tags(SetTags(run_id=run_id, model_id=record.model.model_id, tags=tags))


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def _digest(path: Path) -> str:
    return answers_digest(parse_json(path.read_text(encoding="utf-8")))


def _digest_if_any(path: Path) -> str:
    return _digest(path) if path.is_file() else ""


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def download(plan: VerificationPlan, model_id: str, destination: Path, tools: Tools) -> None:
    """Download a model of the plan's store to a new folder."""
    download_folder = destination.with_name(f"{destination.name}-coming")
    with progress_of(tools.console, f"downloading {model_id}", download_folder):
        plan.job.client.download_model(model_id, download_folder / "model")
    (download_folder / "model").rename(destination)
