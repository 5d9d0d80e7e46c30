"""Contract: MLflow itself makes an environment from what we wrote into a model, and the model answers there."""

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.model import model_files
from tests import projects
from tests.cases.consumer import make_consumer
from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter

SAVING = textwrap.dedent("""
    import sys
    import mlflow

    class Double(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            import grape
            return [2.0 * x for x in model_input["x"]]

    mlflow.pyfunc.save_model(sys.argv[1], python_model=Double(), pip_requirements=["mlflow"])
""")
CASE = {"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.5]]}}
ANSWER = {"predictions": [2.0, 5.0]}
# What brings a Python is not what is asked here: a pyenv that has the one we have, and no other.
PYENV = """\
#!/bin/sh
case "$1 $2" in
"install --list") printf '  3.9.1\\n  {version}\\n' ;;
install*) for word; do :; done; test "$word" = "{version}" && mkdir -p "$PYENV_ROOT/versions" &&
    ln -sfn "{home}" "$PYENV_ROOT/versions/$word" ;;
esac
"""
MANAGERS = ("uv", "virtualenv", "conda")


@pytest.fixture(scope="session")
def machine(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a machine that has one Python and cannot download another."""
    asked = "import sys, platform; print(sys.base_prefix, platform.python_version())"
    home, version = mlflow.run("-I", "-c", asked, cwd=tmp_path_factory.mktemp("asked")).stdout.split()
    programs = tmp_path_factory.mktemp("programs")
    (programs / "pyenv").write_text(PYENV.format(version=version, home=home))
    (programs / "pyenv").chmod(0o755)
    return {
        **os.environ,
        **QUIET,
        "PATH": os.pathsep.join((str(programs), f"{home}/bin", os.environ["PATH"])),
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.fixture(scope="session")
def carried(mlflow: MlflowInterpreter, wine_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that needs a local package, with our files; the Python that it was trained with is nowhere."""
    place = tmp_path_factory.mktemp("carried")
    (place / "save.py").write_text(SAVING)
    saved = mlflow.run("save.py", place / "model", cwd=place)
    assert saved.returncode == 0, saved.stderr
    export = ("uv", "export", "--frozen", "--quiet", "--no-emit-project", "--project", wine_project)
    listed = subprocess.run(export, cwd=place, check=True, capture_output=True, text=True).stdout
    wheel = projects.wheel(place / "model" / model_files.WHEELS, "grape", "1.0")
    projects.wheel(place / "model" / model_files.WHEELS, "grape", "1.0", tag="cp311-cp311-win_amd64")
    minor = mlflow.run("-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])", cwd=place).stdout.strip()
    served = model_files.ServedFiles(
        requirements=parse_requirements(listed),
        wheels=(
            model_files.wheel_of(wheel.name, "", 'sys_platform == "linux"'),
            model_files.wheel_of("grape-1.0-cp311-cp311-win_amd64.whl", "", 'sys_platform == "win32"'),
        ),
        python=f"{minor}.99",
    )
    for name, text in model_files.environment_files(served).items():
        (place / "model" / name).write_text(text)
    return place / "model"


@pytest.fixture
def restored(mlflow: MlflowInterpreter, machine: dict[str, str], tmp_path: Path) -> Callable[[str, Path, Any], Any]:
    """What a model answers in an environment that a manager made from its files alone."""

    def answer(manager: str, model: Path, case: Any) -> Any:
        (tmp_path / "case.json").write_text(json.dumps(case))
        python, chosen = mlflow.python, manager
        if manager == "conda":
            python, chosen = as_conda_does(model, tmp_path / "environment", machine), "local"
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        done = subprocess.run(
            [
                *(python, "-I", "-m", "mlflow", "models", "predict", "-m", model, "--env-manager", chosen),
                *("-i", tmp_path / "case.json", "-o", tmp_path / "answer.json"),
            ],
            cwd=elsewhere,
            env={**machine, "MLFLOW_ENV_ROOT": str(tmp_path / "root")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (tmp_path / "answer.json").is_file(), done.stderr[-3000:]
        return json.loads((tmp_path / "answer.json").read_text())

    return answer


def as_conda_does(model: Path, environment: Path, machine: dict[str, str]) -> Path:
    """The `pip:` section of conda.yaml, put beside it and installed from there, as `conda env create` does it."""
    _, _, section = (model / "conda.yaml").read_text().partition("- pip:\n")
    lines = [json.loads(line.strip().removeprefix("- ")) for line in section.splitlines() if line.startswith("  - ")]
    (model / "condaenv.requirements.txt").write_text("\n".join(lines))
    (python_line,) = (line for line in (model / "conda.yaml").read_text().splitlines() if line.startswith("- python="))
    subprocess.run(
        [f"python{python_line.removeprefix('- python=')}", "-m", "venv", environment], env=machine, check=True, cwd="/"
    )
    python = environment / "bin" / "python"
    options = ("--quiet", "--exists-action=b", "-U", "-r", "condaenv.requirements.txt")
    subprocess.run([python, "-m", "pip", "install", *options], env=machine, check=True, cwd=model)
    (model / "condaenv.requirements.txt").unlink()
    return python


@pytest.mark.parametrize(
    "manager", [pytest.param(one, marks=[pytest.mark.extended] if one != "uv" else []) for one in MANAGERS]
)
def test_a_wheel_that_travels_is_installed_from_the_model(
    carried: Path, restored: Callable[[str, Path, Any], Any], manager: str
) -> None:
    """
    The lines of wheels are relative to the model, their markers hold, and no Python to the micro version is asked for.
    """
    found = restored(manager, carried, CASE)

    assert ANSWER == found


@pytest.mark.extended
def test_a_python_to_the_micro_version_may_be_nowhere(
    carried: Path, mlflow: MlflowInterpreter, machine: dict[str, str], tmp_path: Path
) -> None:
    """
    With the python_env.yaml that MLflow writes itself, uv gives up where that very Python cannot be had.
    """
    model = shutil.copytree(carried, tmp_path / "model")
    written = model / "python_env.yaml"
    written.write_text(written.read_text().replace('"\n', '.99"\n'))
    (tmp_path / "case.json").write_text(json.dumps(CASE))

    done = subprocess.run(
        (
            mlflow.python,
            "-I",
            "-m",
            "mlflow",
            "models",
            "predict",
            "-m",
            model,
            "-i",
            "case.json",
            "--env-manager",
            "uv",
        ),
        cwd=tmp_path,
        env=machine,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "No interpreter found for Python 3." in done.stderr


@pytest.mark.extended
@pytest.mark.parametrize(
    ("example", "member", "managers"),
    [("wine", ".", ("uv",)), ("workspace", "packages/training", MANAGERS)],
    ids=["wine", "workspace"],
)
def test_a_released_model_answers_where_nobody_saw_the_checkout(
    root: Path,
    restored: Callable[[str, Path, Any], Any],
    tmp_path: Path,
    example: str,
    member: str,
    managers: tuple[str],
) -> None:
    """
    With checkout, store and environments of the release gone, it answers what training answered, by every manager.
    """
    consumer = make_consumer(tmp_path / "here" / example, tmp_path / "home", root / "examples" / example, engine="")
    result = consumer.run("log-model", "--project", member)
    assert result.code == 0, result.stderr
    model = Path(shutil.copytree(consumer.model, tmp_path / "there" / "model"))
    shutil.rmtree(tmp_path / "here")
    shutil.rmtree(tmp_path / "home")
    case = json.loads((model / model_files.CASES).read_text())[0]

    found = []
    for manager in managers:
        shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
        (tmp_path / "answer.json").unlink(missing_ok=True)
        found.append(restored(manager, model, case))

    assert [json.loads((model / model_files.ANSWERS).read_text())[0]] * len(managers) == found
