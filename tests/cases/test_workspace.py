"""A member of a workspace that imports another member: both travel with the model as wheels."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .consumer import Consumer, make_consumer

MEMBER = "packages/training"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Consumer:
    """The workspace example, its model logged."""
    place = tmp_path_factory.mktemp("workspace")
    example = root / "examples" / "workspace"
    consumer = make_consumer(place / "workspace", place / "home", example, engine="none")
    result = consumer.run("log-model", "--project", MEMBER)
    assert result.code == 0, result.stderr
    return consumer


def wheels(consumer: Consumer) -> list[str]:
    """The wheels in the stored model, by name."""
    return sorted(path.name.partition("-")[0] for path in (consumer.model / "mlflow-uv" / "wheels").iterdir())


def test_local_packages_travel_as_wheels(workspace: Consumer) -> None:
    """
    The model carries both members, its requirements name them inside the model, and no path of the checkout is left.
    """
    requirements = (workspace.model / "requirements.txt").read_text().splitlines()

    local = [line for line in requirements if "==" not in line]

    assert ["features", "training"] == wheels(workspace)
    assert ["mlflow-uv/wheels/features-", "mlflow-uv/wheels/training-"] == [
        line.partition("-0")[0] + "-" for line in local
    ]
    assert "" == workspace.git("status", "--porcelain")


@pytest.mark.extended
def test_the_model_answers_where_nobody_saw_the_checkout(workspace: Consumer, tmp_path: Path) -> None:
    """
    Served in an environment made from the model alone, with the checkout gone, it answers what training answered.
    """
    codes = [workspace.run(step, "--project", MEMBER, *flags).code for step, *flags in (
        ("register",), ("build-image", "--engine", "none"),
    )]  # fmt: skip
    environment = Path(json.loads(workspace.record.read_text())["image"]["tag"])
    model = shutil.copytree(workspace.model, tmp_path / "model")
    away = workspace.folder.rename(workspace.folder.with_name("away"))
    code = (
        "import json, sys; from mlflow.pyfunc import scoring_server as s; "
        "m = s.load_model_with_mlflow_config(sys.argv[1]); "
        "case = json.load(open(sys.argv[1] + '/mlflow-uv/cases.json'))[0]; "
        "print(s.invocations(json.dumps(case), 'application/json', m, m.metadata.get_input_schema()).response)"
    )

    done = subprocess.run(
        (environment / "bin" / "python", "-I", "-c", code, model),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    away.rename(workspace.folder)
    answers = json.loads((model / "mlflow-uv" / "answers.json").read_text())
    assert [0, 0] == codes
    assert answers[0] == json.loads(done.stdout), done.stderr


@pytest.mark.extended
def test_a_swapped_wheel_is_refused(workspace: Consumer) -> None:
    """
    A wheel of the same name with other code breaks `requirements`: it is part of what is installed.
    """
    (wheel,) = (workspace.model / "mlflow-uv" / "wheels").glob("features-*.whl")
    before = wheel.read_bytes()
    subprocess.run(
        (
            sys.executable,
            "-c",
            "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'a').writestr('features/x.py', '')",
            wheel,
        ),
        check=True,
    )

    result = workspace.run("register", "--project", MEMBER)

    wheel.write_bytes(before)
    assert (11, True) == (result.code, "`requirements`" in result.answer["error"]["what"]), result.stderr


@pytest.mark.extended
@pytest.mark.engine
def test_a_container_of_it_answers(workspace: Consumer) -> None:
    """
    The image holds both members and answers; it was compared with the model's requirements to the last package.
    """
    result = workspace.run("release", "--project", MEMBER, "--engine", "any", "--image", "mlflow-uv-test-workspace:1")

    assert (0, "image", "tested") == (result.code, result.outputs["served-by"], result.outputs["state"]), result.stderr
    assert result.outputs["reused"]
