"""How projects of many kinds train, found out from their files."""

import json
import time
from pathlib import Path

import pytest

from mlflow_uv.core.security.toml_documents import parse_toml
from mlflow_uv.ops.init.training import Training, find_training
from mlflow_uv.ops.lint.folder import CheckedFolder

GUARD = 'if __name__ == "__main__":\n    main()\n'
LOGS = "import mlflow\n\ndef main():\n    mlflow.sklearn.log_model(model, name='m')\n\n"
TRACK = "import mlflow\n\ndef keep(model):\n    mlflow.sklearn.log_model(model, name='m')\n"
CALLS = "from wine.track import keep\n"
WINE = {"src/wine/__init__.py": "", "src/wine/track.py": TRACK}
INSTALLED = "build-system.requires = ['hatchling']\n"
TWO = {"a_job.py": LOGS + GUARD, "b_job.py": LOGS + GUARD}


@pytest.fixture
def training(tmp_path: Path):
    """Find out how a project with these files trains."""

    def found(files: dict[str, str], manifest: str = "", *, project: str = "") -> Training:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        workflows = [name for name in files if name.startswith(".github/workflows/")]
        table = parse_toml(manifest.encode(), limit=100_000)
        return find_training(CheckedFolder(str(tmp_path)), project, sorted(files), table, workflows)

    return found


@pytest.mark.parametrize(
    ("files", "manifest", "command"),
    [
        pytest.param({"train.py": LOGS + GUARD}, "", "python train.py", id="script"),
        pytest.param({"run.py": "import mlflow\nmlflow.autolog()\n"}, "", "python run.py", id="script-without-block"),
        pytest.param(
            {"conf/config.yaml": "a: 1", "train.py": "import hydra\n@hydra.main(config_path='conf')\n" + LOGS + GUARD},
            "",
            "python train.py",
            id="hydra",
        ),
        pytest.param(
            {
                "conf/logger.yaml": "_target_: lightning.pytorch.loggers.MLFlowLogger",
                "src/train.py": "@hydra.main()\n" + GUARD,
                "src/a.py": "import mlflow\n",
            },
            "",
            "python src/train.py",
            id="hydra-with-a-logger",
        ),
        pytest.param(
            {**WINE, "src/wine/cli.py": CALLS},
            INSTALLED + "[project.scripts]\nwine-train = 'wine.cli:main'",
            "wine-train",
            id="entry",
        ),
        pytest.param(
            {**WINE, "src/wine/cli.py": CALLS, "README.md": "    uv run wine conf/train.yaml\n"},
            INSTALLED + "[project.scripts]\nwine = 'wine.cli:main'",
            "wine conf/train.yaml",
            id="entry-with-arguments",
        ),
        pytest.param(
            {**WINE, "src/wine/cli.py": CALLS + "@app.command()\ndef train(): ...\n@app.command()\ndef show(): ...\n"},
            INSTALLED + "[project.scripts]\nwine = 'wine.cli:app'",
            "wine train",
            id="entry-with-commands",
        ),
        pytest.param(
            {**TWO, "Makefile": "train:\n\t@uv run python b_job.py --all\n"}, "", "python b_job.py --all", id="make"
        ),
        pytest.param({**TWO, "justfile": "train *args:\n    uv run b_job.py\n"}, "", "python b_job.py", id="just"),
        pytest.param(
            {**TWO, "Taskfile.yml": "tasks:\n  train:\n    cmds:\n      - uv run python b_job.py\n"},
            "",
            "python b_job.py",
            id="task",
        ),
        pytest.param(
            {**TWO, "Dockerfile": 'FROM a\nCMD ["uv", "run", "python", "b_job.py"]\n'},
            "",
            "python b_job.py",
            id="dockerfile",
        ),
        pytest.param(
            {**TWO, "docker/train.dockerfile": 'ENTRYPOINT ["python", "-u", "b_job.py"]\n'},
            "",
            "python b_job.py",
            id="dockerfile-in-a-folder",
        ),
        pytest.param(
            {**TWO, "docker-compose.yml": "services:\n  trainer:\n    command: python b_job.py\n"},
            "",
            "python b_job.py",
            id="compose",
        ),
        pytest.param(
            {
                **TWO,
                "dvc.yaml": "stages:\n  load:\n    cmd: python a_job.py\n  train:\n    cmd: python b_job.py --c d\n",
            },
            "",
            "python b_job.py --c d",
            id="dvc",
        ),
        pytest.param({**TWO}, "[tool.poe.tasks]\ntrain = 'python b_job.py'", "python b_job.py", id="poe"),
        pytest.param({**TWO}, "[tool.poe.tasks.train]\ncmd = 'python b_job.py'", "python b_job.py", id="poe-table"),
        pytest.param({**TWO}, "[tool.taskipy.tasks]\ntrain = 'python b_job.py'", "python b_job.py", id="taskipy"),
        pytest.param({**TWO}, "[tool.pdm.scripts]\ntrain = {cmd = ['python', 'b_job.py']}", "", id="words-of-a-task"),
        pytest.param(
            {**TWO, "README.md": "## Train\n\n```sh\nuv run python b_job.py\n```\n"}, "", "python b_job.py", id="readme"
        ),
        pytest.param(
            {
                **TWO,
                "README.md": "python a_job.py\n",
                "docs/train.md": "python b_job.py\n",
                "run.sh": "python b_job.py\n",
            },
            "",
            "python b_job.py",
            id="several-documents",
        ),
        pytest.param(
            {**TWO, ".github/workflows/a.yml": "steps:\n- name: Train\n  run: uv run python b_job.py --quick\n"},
            "",
            "python b_job.py",
            id="workflow",
        ),
        pytest.param({"MLproject": "entry_points: {main: {command: python x.py}}", **TWO}, "", "", id="mlproject"),
        pytest.param({"src/wine/pipeline.py": ""}, "[tool.kedro]\npackage_name = 'wine'", "kedro run", id="kedro"),
        pytest.param(
            {"README.md": "## Train\n\n    kedro run --pipeline training\n"},
            "[tool.kedro]\npackage_name = 'wine'",
            "kedro run --pipeline training",
            id="kedro-pipeline",
        ),
        pytest.param(
            {
                "steps/fit.py": TRACK,
                "pipelines/training.py": "from steps.fit import keep\n@pipeline\ndef main(): ...\n",
                "run.py": "from pipelines.training import main\n" + GUARD,
            },
            "",
            "python run.py",
            id="zenml",
        ),
        pytest.param(
            {
                "tasks/fit.py": TRACK,
                "flows/training_flow.py": "from tasks.fit import keep\n@flow\ndef main(): ...\n" + GUARD,
                "flows/deployments.py": "from flows.training_flow import main\n" + GUARD,
            },
            "",
            "python -m flows.training_flow",
            id="prefect",
        ),
        pytest.param(
            {"flow.py": "from metaflow import FlowSpec\n" + LOGS + "class Flow(FlowSpec): ...\n" + GUARD},
            "",
            "python flow.py run",
            id="metaflow",
        ),
        pytest.param({**WINE, "src/wine/train.py": CALLS + GUARD}, INSTALLED, "python -m wine.train", id="src-layout"),
        pytest.param(
            {**WINE, "src/wine/train.py": CALLS + GUARD},
            "",
            "env PYTHONPATH=src python -m wine.train",
            id="src-layout-that-is-not-installed",
        ),
        pytest.param(
            {**WINE, "src/wine/train.py": CALLS + GUARD},
            INSTALLED + "[tool.uv]\npackage = false",
            "env PYTHONPATH=src python -m wine.train",
            id="src-layout-that-uv-is-told-not-to-install",
        ),
        pytest.param(
            {**WINE, "src/wine/train.py": CALLS + GUARD},
            "[tool.uv]\npackage = true",
            "python -m wine.train",
            id="src-layout-that-uv-is-told-to-install",
        ),
        pytest.param(
            {"src/wine/__init__.py": "", "src/wine/train.py": LOGS + GUARD},
            "",
            "python src/wine/train.py",
            id="one-file-of-src-that-is-not-installed",
        ),
        pytest.param(
            {"src/wine/__init__.py": "", "src/wine/train.py": "from . import data\n" + LOGS + GUARD},
            "",
            "env PYTHONPATH=src python -m wine.train",
            id="relative-imports-in-src-that-is-not-installed",
        ),
        pytest.param(
            {**WINE, "train.py": CALLS + GUARD},
            "",
            "env PYTHONPATH=src python train.py",
            id="imports-from-src-that-is-not-installed",
        ),
        pytest.param(
            {**WINE, "train.py": "import sys\nsys.path.insert(0, 'src')\n" + CALLS + GUARD},
            "",
            "python train.py",
            id="path-to-src-of-its-own",
        ),
        pytest.param(
            {**WINE, "src/wine/train.py": CALLS + GUARD},
            "[project.scripts]\nwine-train = 'wine.train:main'",
            "env PYTHONPATH=src python -m wine.train",
            id="entry-that-is-not-installed",
        ),
        pytest.param(
            {"src/__init__.py": "", "src/track.py": TRACK, "src/train.py": "from src.track import keep\n" + GUARD},
            "",
            "python -m src.train",
            id="package-called-src",
        ),
        pytest.param(
            {
                "wine/models.py": TRACK,
                "wine/__init__.py": "from .models import keep\n",
                "scripts/train.py": "from wine import keep\n" + GUARD,
            },
            "",
            "python -m scripts.train",
            id="name-of-a-package",
        ),
        pytest.param(
            {
                "table.py": "import mlflow\nLOG = {'a': mlflow.sklearn.log_model}\n",
                "train.py": "import table\n" + GUARD,
            },
            "",
            "python train.py",
            id="table-of-functions",
        ),
        pytest.param({"agent.py": "import mlflow\nmlflow.openai.autolog()\n" + GUARD}, "", "", id="agent"),
        pytest.param({**TWO}, "", "", id="equally-likely"),
        pytest.param({"tests/test_train.py": LOGS + GUARD}, "", "", id="test"),
    ],
)
def test_the_command_that_trains_is_found(training, files: dict[str, str], manifest: str, command: str) -> None:
    """
    In each of the ways in which projects write it down; nothing where it is not clear.
    """
    assert command == training(files, manifest).settings.get("train", "")


@pytest.mark.parametrize(
    ("manifest", "why"),
    [("", "it has no [build-system]"), (INSTALLED + "tool.uv.package = false\n", "tool.uv.package is false")],
)
def test_entries_that_uv_does_not_install_are_told_with_the_reason(training, manifest: str, why: str) -> None:
    """
    Such a project has no command that trains; with a build system it has one, and nothing is told.
    """
    files = {**WINE, "src/wine/cli.py": CALLS}
    scripts = "[project.scripts]\nwine-train = 'wine.cli:main'"

    without, with_one = training(files, manifest + scripts), training(files, INSTALLED + scripts)

    told = f"uv does not install this project, so that [project.scripts] has no commands: {why}"
    assert ({}, (told,)) == (without.settings, without.notes)
    assert ({"train": "wine-train"}, ()) == (with_one.settings, with_one.notes)


def test_a_command_of_a_document_in_a_folder_is_one_there(training) -> None:
    """
    It is run from the folder of the project, where the settings are.
    """
    files = {
        "jobs/fit.py": LOGS + GUARD,
        "fit.py": LOGS + GUARD,
        "jobs/README.md": "## Train\n\n    python fit.py --a b\n",
    }

    assert {"train": "python jobs/fit.py --a b"} == training(files).settings


def test_a_parameter_of_an_entry_point_is_a_configuration(training) -> None:
    """
    It is written beside the entry point, as `NAME=VALUE`.
    """
    mlproject = "entry_points: {main: {parameters: {conf: path}, command: 'wine {conf}'}}"

    found = training({"MLproject": mlproject, "confs/training.yaml": "", "confs/tuning.yaml": ""})

    assert {"entry-point": "main", "parameters": ["conf=confs/training.yaml"]} == found.settings


def test_at_most_three_commands_are_offered_the_most_likely_first(training) -> None:
    """
    One with a score below zero only if there is no other.
    """
    files = {f"{name}_job.py": LOGS + GUARD for name in "abcd"} | {
        "e_job.py": LOGS,
        "examples/a/serve.py": LOGS + GUARD,
    }

    choices = training(files).choices

    assert ("python a_job.py", "python b_job.py", "python c_job.py") == choices
    assert ("python examples/a/serve.py",) == training({"examples/a/serve.py": LOGS + GUARD}).choices


@pytest.mark.parametrize(
    ("files", "without", "other"),
    [
        (
            {"a.ipynb": json.dumps({"cells": [{"source": ["mlflow.autolog()"]}]}), "b.ipynb": "{}"},
            "only notebooks do: `a.ipynb`",
            "",
        ),
        (
            {"run.py": "import mlflow\nmlflow.start_run()\n" + GUARD},
            "runs are recorded, without a model, by `run.py`",
            "",
        ),
        ({"main.py": GUARD}, "none calls `log_model` or `autolog` of MLflow", ""),
        (
            {
                "libs/a/pyproject.toml": "",
                "libs/a/x.py": "",
                "libs/b/pyproject.toml": "",
                "libs/b/train.py": LOGS + GUARD,
            },
            "those of `libs/b` belong to another project",
            "libs/b",
        ),
    ],
    ids=["notebooks", "runs", "nothing", "another-project"],
)
def test_what_is_there_instead_is_told(training, files: dict[str, str], without: str, other: str) -> None:
    """
    Where nothing can be guessed, the reason says where the calls are.
    """
    found = training(files)

    assert ({}, without, other) == (found.settings, found.without, found.other_project)


def test_a_script_that_was_not_seen_to_log_is_told(training) -> None:
    """
    Its name speaks for it, and a release would end without a model.
    """
    found = training({"train.py": "import mlflow\nmlflow.start_run()\n" + GUARD})

    assert {"train": "python train.py"} == found.settings
    assert ["neither train.py nor a file that it imports was seen to call `log_model`"] == [
        note.partition(" or `autolog`")[0] for note in found.notes
    ]


def test_a_hostile_project_takes_little(training, tmp_path: Path) -> None:
    """
    Huge, binary and deep files, circles of links and imports, and many of them: no file is run.
    """
    deep = "/".join(["d"] * 200)
    files = {
        "huge.py": "import mlflow\n" + "x" * 3_000_000,
        "nested.py": "import mlflow\nmlflow.autolog" + "(" * 100_000,
        "chain.py": "import mlflow\nmlflow" + ".log_model" * 50_000,
        "attack.py": "import mlflow\nraise SystemExit(1)\n__import__('os').remove('train.py')\n",
        f"{deep}/train.py": LOGS + GUARD,
        "README.md": "python train.py " * 20_000,
        "train.py": LOGS + GUARD,
        **{f"m{number}.py": f"from m{(number + 1) % 2000} import a\n" for number in range(2000)},
    }
    begun = time.process_time()
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "out.py").symlink_to("/etc/hosts")
    (tmp_path / "binary.py").write_bytes(b"import mlflow\0" * 1000)
    (tmp_path / "Makefile").symlink_to(tmp_path / "Makefile")

    found = training(files)

    assert {"train": "python train.py"} == found.settings
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("train\udcff.py", {}),
        ("a\nb.py", {}),
        ("\u202etrain.py", {}),
        ("größe\u3000x.py", {"train": "python 'größe\u3000x.py'"}),
    ],
)
def test_a_script_that_no_setting_can_name_is_none(training, path: str, settings: dict[str, str]) -> None:
    """
    Its name has bytes that are not UTF-8, or characters that control what is shown.
    """
    assert settings == training({path: LOGS + GUARD}).settings
