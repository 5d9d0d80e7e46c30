"""Faults that are planted in a model are caught and named, as `tests/planted_faults` declares them."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import StepError
from mlflow_uv.command.inputs import EngineChoice
from mlflow_uv.steps import build_image
from mlflow_uv.steps.catalog import step_of
from tests.kept_figures import keep
from tests.planted_faults import CHANGED_ENVIRONMENT, CONTAINED, LOGGED, SERVED, PlantedFault
from tests.projects import wheel

from .conftest import name_of_image
from .images import remove_image
from .in_process import InProcessProject, in_process_project
from .sample_project import SampleProject, training

RIGHT = "none"
BY_NAME = {fault.name: fault for fault in SERVED}


@pytest.fixture(scope="module")
def faulty(released_sample: SampleProject, root: Path) -> SampleProject:
    """The sample project with the faulty model, which is right in training and in its first smoke test."""
    released_sample.restore()
    released_sample.train_with((root / "tests" / "zoo" / "faulty.py").read_text())
    flags = ("--engine", "none", "--serve-env", "FAULT")
    result = released_sample.run("release", *flags, variables={"FAULT": RIGHT})
    assert (0, "tested") == (result.code, result.outputs["state"]), result.stderr
    return released_sample


@pytest.fixture(scope="module")
def served(faulty: SampleProject) -> Iterator[InProcessProject]:
    """The same with tools that stay open: MLflow is imported once for all faults."""
    with in_process_project(faulty) as project:
        yield project


def outcome(project: InProcessProject, fault: PlantedFault, planted: str, **inputs: Any) -> dict[str, Any]:
    """What a step says of a server with a fault: the rule of the declared finding, or all rules, or the error."""
    step = step_of(fault.step)
    variables = {**project.tools.host.variables, "FAULT": planted}
    tools = replace(project.tools, host=replace(project.tools.host, variables=variables))
    given = {"project": project.folder, **dict(fault.inputs), **inputs}
    names = step.inputs.__dataclass_fields__
    try:
        report = step.run(step.inputs(**{name: value for name, value in given.items() if name in names}), tools)
    except StepError as error:
        return {"rule": error.kind, "code": error.exit_code, "message": f"{error.what}: {error.why}"}
    findings = [finding for finding in report.findings if finding.rule == fault.rule]
    told = "; ".join(f"{finding.what}: {finding.why}" for finding in findings) or str(report.summary)
    rules = fault.rule if findings else ", ".join(finding.rule for finding in report.findings)
    return {"rule": rules, "code": 0 if report.ok else 1, "message": told}


def require_caught(seen: dict[str, Any], fault: PlantedFault, config: pytest.Config) -> None:
    """
    What was seen has the rule, the code and the message that are declared.

    It is left in pytest's cache, from where `tests.planted_faults` writes the page.
    """
    assert (fault.rule, fault.code) == (seen["rule"], seen["code"]), seen["message"]
    assert fault.message in seen["message"]
    keep(config, fault.key, seen)


@pytest.mark.core_variants(5)
@pytest.mark.parametrize("name", BY_NAME)
def test_a_fault_of_a_server_is_caught_and_named(
    served: InProcessProject, name: str, request: pytest.FixtureRequest
) -> None:
    """
    The same model passes without it, and its alias stays where it is.
    """
    fault, aliases = BY_NAME[name], served.sample.store.aliases

    seen = outcome(served, fault, name, serve_env=("FAULT",))

    require_caught(seen, fault, request.config)
    assert aliases == served.sample.store.aliases


def test_a_fault_ends_the_command_with_its_code_and_marks_the_version(faulty: SampleProject) -> None:
    """
    The command line has the same finding; the version is failed, with the reason.
    """
    result = faulty.run("smoke-test", "--serve-env", "FAULT", variables={"FAULT": "scaler"})

    (finding,) = [finding for finding in result.answer["findings"] if finding["severity"] == "error"]
    tags = faulty.store.tags(faulty.store.versions[-1])
    assert (1, "answers-differ") == (result.code, finding["rule"])
    assert ("failed", True) == (tags["state"], finding["what"] in tags["reason"])


def test_a_package_that_was_added_to_the_environment_is_found(
    served: InProcessProject, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """
    The environment is compared with its inventory before anything is served.
    """
    environment = Path(json.loads(served.sample.consumer.record.read_text())["image"]["tag"])
    python = ("--quiet", "--python", str(environment / "bin" / "python"))

    subprocess.run(("uv", "pip", "install", *python, "--offline", str(wheel(tmp_path, "scaler", "1.1"))), check=True)
    try:
        seen = outcome(served, CHANGED_ENVIRONMENT, RIGHT, serve_env=("FAULT",))
    finally:
        subprocess.run(("uv", "pip", "uninstall", *python, "scaler"), check=True)

    require_caught(seen, CHANGED_ENVIRONMENT, request.config)


@pytest.mark.engine
@pytest.mark.extended
@pytest.mark.parametrize("fault", CONTAINED, ids=lambda fault: fault.name)
def test_a_fault_in_a_container_is_caught_and_named(
    served: InProcessProject, fault: PlantedFault, request: pytest.FixtureRequest
) -> None:
    """
    A container has no network, and cannot write where its model is.
    """
    image = name_of_image()
    try:
        build_image.run(
            build_image.Inputs(project=served.folder, image=image, engine=EngineChoice.DOCKER), served.tools
        )
        seen = outcome(served, fault, fault.name, serve_env=("FAULT",))
    finally:
        remove_image(image)

    require_caught(seen, fault, request.config)


@pytest.mark.extended
@pytest.mark.parametrize("fault", LOGGED, ids=lambda fault: fault.name)
def test_a_fault_of_training_is_caught_before_the_model_is_registered(
    served: InProcessProject, fault: PlantedFault, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """
    The model is asked twice, in the environment of its lock, before anything else happens to it.
    """
    (served.folder / "other.py").write_text(training(predict=fault.predict))
    served.sample.commit()

    try:
        seen = outcome(served, fault, RIGHT, train=("python", "other.py"), record=tmp_path / "record.json")
    finally:
        served.sample.consumer.git("reset", "--quiet", "--hard", "HEAD~1")

    require_caught(seen, fault, request.config)
