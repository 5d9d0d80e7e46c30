"""Does the server answer what training answered?"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from ..auditing import kept_at
from ..contact import author
from ..core import modelfiles
from ..core.answers import TOLERANCE, answers_digest, differences
from ..core.record import Alias, Image, Record
from ..errors import BadInput, ChainBroken, NotServing, StepError
from ..recompute import Found, anchor, holding, require_image
from ..report import Finding, Report, Severity
from ..restoring import inventory_digest
from ..step import Doc, Matching, Step
from ..tools.engine import Served
from ..tools.toolbox import Tools
from ..vocabulary import NAME, Embedded, ProjectPath, RecordFile, RecordPath, TrackingUri, UvProgram, VersionState
from .register import version_tags

POLL_S = 0.2
ANSWER_S = 60.0
MALFORMED = b'{"this is": "not a request'
SHOWN = 5
LEASE_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What to ask, and how long to wait."""

    project: ProjectPath = Path()
    record: RecordPath = None
    deadline: Annotated[float, Doc("Seconds the server has to become healthy.")] = 120.0
    tolerance: Annotated[
        float, Doc("How far a floating-point answer may be off, relative to it and absolutely; all else must be equal.")
    ] = TOLERANCE
    alias: Annotated[
        str, Doc("Alias that moves to the version when it is tested."), Matching(NAME, "a name MLflow accepts")
    ] = "candidate"
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What was observed."""

    record: RecordFile
    cases: Annotated[int, Doc("How many recorded cases were asked.")]
    healthy_after: Annotated[float, Doc("Seconds until the server was healthy.")]
    state: VersionState
    alias_before: Annotated[str | None, Doc("Version the alias named before, if any.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What a server said, and what is wrong with it."""

    healthy_after_s: float
    answers: list[Any]
    complaints: tuple[Finding, ...]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Start what was built, ask it the recorded cases and a malformed one, and remove it whatever happens.

    On success the version becomes `tested` and the alias moves; on failure it becomes `failed`, with the reason.
    Raises ChainBroken, NotServing, BadInput where there is nothing to start or to ask.
    """
    with holding(inputs, tools) as found:
        image, cases, expected = _needs(found)
        try:
            with _serving(image, found, tools) as server:
                observed = _observe(inputs, server, cases, expected, tools)
                if observed.complaints:
                    _show_log(server, tools)
        except NotServing as error:
            _mark_failed(found, str(error), tools)
            raise
        if observed.complaints:
            _mark_failed(found, "; ".join(finding.text for finding in observed.complaints), tools)
            record = found.record
        else:
            record = _mark_tested(inputs, found, image, observed, tools)
        path = tools.records.path(inputs.record, inputs.project)
        tools.records.save(path, record)
        if not observed.complaints:
            _log_record(found, path, tools)
    return _report(inputs, path, record, observed, cases=len(cases))


def _needs(found: Found) -> tuple[Image, list[Any], list[Any]]:
    record = found.record
    if record.image is None:
        raise BadInput(what="nothing was built to test", why="build-image adds it", fix="mlflow-uv build-image")
    if record.answers is None:
        raise BadInput(
            what="there are no recorded answers to compare with",
            why="the model has no input example",
            fix="log it with input_example=…, then mlflow-uv log-model",
        )
    cases = json.loads((found.model / modelfiles.CASES).read_text(encoding="utf-8"))
    expected = json.loads((found.model / modelfiles.ANSWERS).read_text(encoding="utf-8"))
    return record.image, cases, expected


@contextmanager
def _serving(image: Image, found: Found, tools: Tools) -> Iterator[Served]:
    """What was recorded, started; stopped and removed when the block ends, however it ends."""
    with TemporaryDirectory(prefix="mlflow-uv-serving-") as _scratch:
        server: Served
        if image.kind == "image":
            require_image(image, found.record, tools)
            server = tools.engines.named(image.engine).serve(image.id)
        else:
            python = Path(image.tag) / "bin" / "python"
            held = inventory_digest(tools.servers.inventory(python)) if python.is_file() else "nothing"
            if held != image.id:
                raise ChainBroken(
                    "image",
                    why=f"the environment in {image.tag} is not the one that was recorded",
                    fix="mlflow-uv build-image",
                )
            server = tools.servers.serve(python, found.model)
        try:
            yield server
        finally:
            server.stop()


def _observe(inputs: Inputs, server: Served, cases: list[Any], expected: list[Any], tools: Tools) -> Observed:
    healthy_after = _wait_until_healthy(inputs, server, tools)
    answers: list[Any] = []
    complaints: list[Finding] = []
    for number, (case, answer) in enumerate(zip(cases, expected, strict=True), start=1):
        reply = tools.http.post(f"{server.url}/invocations", case, timeout_s=ANSWER_S)
        if reply is None or reply.status != 200:  # noqa: PLR2004  # OK
            said = "nothing" if reply is None else f"status {reply.status}: {reply.body[:500]}"
            complaints.append(Finding(rule="case-refused", what=f"case {number} was not answered", why=said))
            answers.append(None)
            continue
        try:
            answers.append(json.loads(reply.body))
        except ValueError:
            complaints.append(Finding(rule="case-refused", what=f"case {number} was not answered in JSON"))
            answers.append(None)
            continue
        found = list(differences(answer, answers[-1], tolerance=inputs.tolerance))
        if found:
            more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            complaints.append(
                Finding(
                    rule="answers-differ",
                    what=f"case {number} is not answered as training answered it",
                    why="; ".join(found[:SHOWN]) + more,
                    fix="look for what differs between the two environments, or set tolerance",
                )
            )
    reply = tools.http.post(f"{server.url}/invocations", MALFORMED, timeout_s=ANSWER_S)
    if reply is None or not 400 <= reply.status < 500:  # noqa: PLR2004  # client errors
        said = "nothing" if reply is None else f"status {reply.status}"
        complaints.append(
            Finding(rule="malformed-accepted", what="a malformed request was not refused", why=f"it got {said}")
        )
    if (code := server.code()) is not None:
        # Whoever answered, it was not what we started.
        complaints.append(
            Finding(
                rule="server-ended", what=f"the server ended with {code} while it was asked", why=_last_line(server)
            )
        )
    return Observed(healthy_after_s=healthy_after, answers=answers, complaints=tuple(complaints))


def _wait_until_healthy(inputs: Inputs, server: Served, tools: Tools) -> float:
    """Seconds until GET /ping answered 200. Raises NotServing with the server's log told."""
    started = tools.clock.now_s()
    url = server.url
    while (passed := tools.clock.now_s() - started) < inputs.deadline:
        reply = tools.http.get(f"{url}/ping", timeout_s=5)
        if reply is not None and reply.status == 200:  # noqa: PLR2004  # OK
            return passed
        code = server.code()
        if code is not None:
            _show_log(server, tools)
            raise NotServing(what=f"the server ended with {code} before it was healthy", why=_last_line(server))
        tools.clock.wait(POLL_S)
    _show_log(server, tools)
    raise NotServing(
        what=f"the server was not healthy within {inputs.deadline:.0f} s",
        why=_last_line(server),
        fix="--deadline SECONDS if it only needs longer",
    )


def _show_log(server: Served, tools: Tools) -> None:
    with tools.voice.group("log of the server", folded=False):
        for line in server.log().splitlines()[-200:]:
            tools.voice.foreign(line)


def _last_line(server: Served) -> str:
    lines = [line.strip() for line in server.log().splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _mark_failed(found: Found, reason: str, tools: Tools) -> None:
    if found.record.version is None:
        return
    version = [found.record.version.name, found.record.version.version]
    tags = {"mlflow-uv.state": "failed", "mlflow-uv.reason": reason[:1000]}
    try:
        tools.mlflow.ask(found.python, found.store, "tag", version=version, tags=tags)
    except StepError as error:
        tools.voice.say(f"version {version[1]} could not be tagged as failed: {error}")


def _mark_tested(inputs: Inputs, found: Found, image: Image, observed: Observed, tools: Tools) -> Record:
    record = found.record
    assert record.answers is not None  # noqa: S101  # _needs asked
    seen = replace(
        record.answers,
        observed=answers_digest(observed.answers),
        served_by=image.kind,
        tolerance=float(inputs.tolerance),
    )
    record = replace(record, answers=seen)
    if record.version is not None:
        name, version = record.version.name, record.version.version
        said = tools.mlflow.ask(found.python, found.store, "describe-version", name=name, version=version)
        # What was promoted once has been more than tested, and stays so when its release runs again.
        known = said["tags"].get("mlflow-uv.state")
        state = known if known in ("promoted", "replaced") else "tested"
        # Tags first: whoever follows the alias finds a version that says it is tested.
        tags = {**version_tags(record), "mlflow-uv.state": state, "mlflow-uv.reason": ""}
        tools.mlflow.ask(found.python, found.store, "tag", version=[name, version], tags=tags)
        asked = {"name": name, "alias": inputs.alias, "version": version, "entry": author(tools), "lease_s": LEASE_S}
        moved = tools.mlflow.ask(found.python, found.store, "move-alias", **asked)
        record = replace(record, alias=Alias(name=inputs.alias, before=moved["before"], after=version))
    anchor(record, found.store, found.python, tools)
    return record


def _log_record(found: Found, path: Path, tools: Tools) -> None:
    run_id, version = found.record.model.run_id, found.record.version
    if run_id and version is not None:
        kept = kept_at(version.model_id, version.name, version.version)
        tools.mlflow.ask(found.python, found.store, "log-record", run_id=run_id, file=str(path), path=kept)


def _report(inputs: Inputs, path: Path, record: Record, observed: Observed, *, cases: int) -> Report[Outputs]:
    alias = record.alias
    tested = not observed.complaints
    loud = "" if record.image is None or record.image.kind == "image" else " (in a process, not in an image)"
    within = f" within {inputs.tolerance:g}" if inputs.tolerance != TOLERANCE else ""
    moved = f", alias {alias.name} is version {alias.after}" if tested and alias else ""
    return Report(
        outputs=Outputs(
            record=path,
            cases=cases,
            healthy_after=round(observed.healthy_after_s, 3),
            state="tested" if tested else "failed",
            alias_before=alias.before if alias else None,
        ),
        summary=(
            f"{cases} of {cases} cases answered as in training{within}{loud}{moved}"
            if tested
            else f"the server does not answer as training did{loud}"
        ),
        findings=tuple(replace(finding, severity=Severity.ERROR) for finding in observed.complaints),
    )


STEP = Step(
    name="smoke-test",
    summary="Start the server, ask what training answered, compare, and mark the version tested.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
