"""What a release says at its end."""

import shlex
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest

from mlflow_uv.command.errors import BadInput, Cancelled, ToolFailed
from mlflow_uv.command.inputs import UvInputs
from mlflow_uv.command.outputs import output_values
from mlflow_uv.command.report import Mark, Report, render_chain
from mlflow_uv.command.step import fields_of
from mlflow_uv.payloads.messages.lazy_dataclass import lazy_dataclass
from mlflow_uv.steps import verify
from mlflow_uv.steps.catalog import RELEASE_PARTS, step_of
from mlflow_uv.steps.check_targets import Outputs as TargetOutputs
from mlflow_uv.steps.export import Outputs as ExportOutputs
from mlflow_uv.steps.register import Outputs as VersionOutputs
from mlflow_uv.steps.release import STEP, Inputs, Outputs, _chosen, _inputs_of, _run
from mlflow_uv.surfaces.cli import _parsed
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole


def undecided(record: type) -> list[str]:
    """The inputs of a step of which nothing, or two things, say what a release does with them."""
    taken = {field.name for field in fields(Inputs)}
    return [
        f"`{field.kebab}`: declare it in a class that release.Inputs inherits, or with a FixedInRelease, not both"
        for field in fields_of(record)
        if (field.name in taken) is (field.fixed_in_release is not None)
    ]


@pytest.mark.parametrize("name", [*RELEASE_PARTS, "verify"])
def test_every_input_of_a_step_is_taken_by_a_release_or_fixed(name: str) -> None:
    """
    Its declaration says which: a release inherits the field, or runs the step with the value of FixedInRelease.
    """
    assert [] == undecided(step_of(name).inputs)


def test_a_new_input_that_nothing_decides_is_named() -> None:
    """
    The message names the input and both ways to decide it.
    """

    @lazy_dataclass
    class New(UvInputs):
        brand_new: bool = False

    (message,) = undecided(New)

    assert message.startswith("`brand-new`: declare it in a class that release.Inputs inherits, or with a FixedInRel")


def test_a_release_passes_its_inputs_to_its_steps() -> None:
    """
    Each step gets the inputs that it declares.
    """
    inputs = Inputs(package="wine", alias="tested", push=True)

    targets, image, smoke_test = (
        _inputs_of(step_of(name).inputs, inputs) for name in ("check-targets", "build-image", "smoke-test")
    )

    assert ("wine", True, "tested") == (targets.package, image.push, smoke_test.alias)


def test_a_release_checks_one_lock_with_the_network_and_exports_without_printing() -> None:
    """
    The values that a release fixes.
    """
    lock, export = (_inputs_of(step_of(name).inputs, Inputs()) for name in ("check-lock", "export"))

    assert (True, (), False, None, "allow") == (lock.alone, lock.exclude, lock.offline, lock.patch, lock.builds.value)
    assert (True, "allow") == (export.silent, export.builds.value)


def test_the_inputs_of_a_release_are_listed_like_those_of_its_steps() -> None:
    """
    The project first, the store and uv last.
    """
    names = [field.kebab for field in fields_of(STEP.inputs)]

    assert ["project", "package", "extras", "groups", "record"] == names[:5]
    assert ["tracking-uri", "embedded", "uv", "respect-env"] == names[-4:]


@pytest.mark.parametrize(
    ("names", "fix"),
    [
        (("nope",), f"--steps {','.join(RELEASE_PARTS)}"),
        (("check-lock", "regster"), "--steps check-lock,register"),
        (("exprot", "export"), "--steps export"),
    ],
)
def test_an_unknown_step_has_the_steps_that_were_probably_meant_as_its_fix(names: tuple[str, ...], fix: str) -> None:
    """
    The parser accepts the fix, and a release accepts the steps.
    """
    with pytest.raises(BadInput) as caught:
        _chosen(names)

    meant = _parsed(["release", *shlex.split(caught.value.fix)]).steps.split(",")
    assert (fix, meant) == (caught.value.fix, [step.name for step in _chosen(tuple(meant))])


def test_a_cancelled_release_reports_what_was_finished() -> None:
    """
    With the outputs of the step that was cancelled, as those of a release.
    """
    outputs = verify.Outputs(
        model_name="wine", version="1", equal=("process",), unequal=(), unavailable=(), junit_file=None
    )

    def run(_inputs: object, _tools: object) -> NoReturn:
        raise Cancelled(Report(outputs=outputs, summary="1 of 2 ways"), exit_code=130)

    tools = SimpleNamespace(
        console=KeptConsole(),
        clock=SimpleNamespace(now_s=lambda: 0.0),
        runner=SimpleNamespace(side_by_side=lambda tasks: [task() for task in tasks]),
    )
    with pytest.raises(Cancelled) as cancelled:
        _run((replace(step_of("verify"), run=run),), Inputs(), cast("Tools", tools))

    report = cancelled.value.so_far
    assert isinstance(report, Report)
    assert ("the release was cancelled at verify: 1 of 2 ways", ["verify"], 130, False) == (
        report.summary, [timing.step for timing in report.timings], cancelled.value.exit_code, report.ok,
    )  # fmt: skip
    assert ("process",) == output_values(report.outputs)["equal"]


@pytest.mark.parametrize(("signal", "code"), [(KeyboardInterrupt(), 130), (Cancelled(), 143)])
def test_a_release_that_is_cancelled_in_a_step_reports_the_steps_before(signal: BaseException, code: int) -> None:
    """
    It is not a success, and says that the next one goes on.
    """
    exported = ExportOutputs(
        requirements_file=None, requirements_sha256="a" * 64, pylock_file=None, sbom_file=None, wheels=(), pins=3,
        changed=False, written=(),
    )  # fmt: skip

    def lasts(_inputs: object, _tools: object) -> Report[ExportOutputs]:
        return Report(outputs=exported, summary="3 pins")

    def ends(_inputs: object, _tools: object) -> NoReturn:
        raise signal

    steps = (replace(step_of("export"), run=lasts), replace(step_of("verify"), run=ends))
    tools = SimpleNamespace(
        console=KeptConsole(),
        clock=SimpleNamespace(now_s=lambda: 0.0),
        runner=SimpleNamespace(side_by_side=lambda tasks: [task() for task in tasks]),
    )
    with pytest.raises(Cancelled) as cancelled:
        _run(steps, Inputs(model_name="wine"), cast("Tools", tools))

    report = cancelled.value.so_far
    assert isinstance(report, Report)
    assert (code, False, "the release was cancelled at verify") == (
        cancelled.value.exit_code, report.ok, report.summary,
    )  # fmt: skip
    assert "wine is not released: cancelled at verify. No alias was moved" == report.verdict
    assert [("export", "3 pins"), ("verify", "cancelled")] == [(one.step, one.summary) for one in report.timings]
    assert ("go on:       mlflow-uv release, which uses a model that training had logged",) == report.advice
    assert 3 == output_values(report.outputs)["pins"]


def test_a_release_has_the_outputs_of_the_steps_that_ran() -> None:
    """
    Its record is that of the last step that wrote one.
    """
    targets = TargetOutputs(targets=("linux-x86_64-py3.12",), packages=())
    version = VersionOutputs(record=Path("a.json"), model_name="wine", version="1", version_uri="u", created=True)

    outputs = Outputs().of_step(step_of("check-targets"), targets)
    registered = outputs.of_step(step_of("register"), version)

    assert (None, Path("a.json")) == (outputs.record, registered.record)
    assert (targets, version, None) == (registered.check_targets, registered.register, registered.smoke_test)


def test_a_release_that_stops_shows_where_in_its_chain(tmp_path: Path) -> None:
    """
    What export computed holds, the link of the step that failed has the cross, and nothing was made after it.
    """

    def export(_inputs: object, _tools: object) -> Report[ExportOutputs]:
        outputs = ExportOutputs(
            requirements_file=None,
            requirements_sha256="1" * 64,
            pylock_file=None,
            sbom_file=None,
            wheels=(),
            pins=3,
            changed=False,
            written=(),
        )
        return Report(outputs=outputs, summary="exported")

    def log_model(_inputs: object, _tools: object) -> NoReturn:
        raise ToolFailed(what="training failed", why="w")

    console = KeptConsole()
    tools = SimpleNamespace(
        console=console,
        clock=SimpleNamespace(now_s=lambda: 0.0),
        runner=SimpleNamespace(side_by_side=lambda _: []),
    )
    steps = (replace(step_of("export"), run=export), replace(step_of("log-model"), run=log_model))

    with pytest.raises(ToolFailed) as caught:
        _run(steps, Inputs(project=tmp_path), cast("Tools", tools))

    report = caught.value.so_far
    assert isinstance(report, Report)
    marks = {link.name: link.mark for link in report.chain}
    assert {"selection": Mark.HOLDS, "requirements": Mark.HOLDS, "model": Mark.BROKEN} == {
        name: mark for name, mark in marks.items() if mark is not Mark.MISSING
    }
    assert f"stopped at log-model: {render_chain(report.chain)}" in console.lines
