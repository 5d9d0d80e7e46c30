"""Two layouts that public projects have go from their lock to a promoted version."""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .consumer import make_consumer
from .sample_project import SampleProject, error
from .test_public_shapes import FIT, IGNORED, promoted, released

TRAIN = "from {package}fitting import fit, mlflow\n\n\ndef main():\n    with mlflow.start_run():\n        fit(0.1)\n"
RUN = TRAIN.format(package="") + '\n\nif __name__ == "__main__":\n    main()\n'
DEPENDENCIES = 'dependencies = ["mlflow>=3.17,<4", "scikit-learn>=1.7", "hydra-core", "python-dotenv"]\n'
CONSOLE = """
[project.scripts]
fit-shapes = "shapes.train:main"

[build-system]
requires = ["uv_build>=0.9,<0.14"]
build-backend = "uv_build"
"""


@pytest.fixture
def layout(tmp_path: Path, root: Path) -> Callable[..., SampleProject]:
    """A committed and locked project with these files, its manifest changed by pairs of an old and a new text."""

    def made(files: dict[str, str], *changes: tuple[str, str]) -> SampleProject:
        example = shutil.copytree(root / "tests" / "shapes", tmp_path / "example")
        manifest = example / "pyproject.toml"
        for old, new in changes:
            assert old in manifest.read_text()
            manifest.write_text(manifest.read_text().replace(old, new))
        for name, text in {".gitignore": IGNORED, **files}.items():
            (example / name).parent.mkdir(parents=True, exist_ok=True)
            (example / name).write_text(text)
        subprocess.run(["uv", "lock", "--quiet"], cwd=example, check=True)
        (tmp_path / "temporary").mkdir()
        consumer = make_consumer(tmp_path / "shapes", tmp_path / "home", example, engine="none")
        return SampleProject(consumer=consumer, temporary=tmp_path / "temporary", untouched=tmp_path / "untouched")

    return made


@pytest.mark.extended
def test_mlflow_in_a_group_alone_goes_to_the_champion_by_the_advice(layout) -> None:
    """
    The group is named before anything is installed, and again where a later step is not told; with it all ends well.
    """
    grouped = 'dependencies = ["scikit-learn>=1.7"]\n\n[dependency-groups]\nml = ["mlflow>=3.17,<4"]\n'
    sample = layout(
        {"train.py": RUN, "fitting.py": FIT},
        ("[dependency-groups]\n", ""),
        ('dev = ["nbconvert", "ipykernel"]\n', ""),
        (DEPENDENCIES, grouped),
    )

    refused = sample.consumer.run("release", "--engine", "none")

    _, _, sentence, fix = error(refused)
    assert ("the served selection has no MLflow" in sentence, sample.store.runs) == (True, []), sentence
    assert not list((sample.consumer.home / "cache" / "environments").glob("shapes-*"))
    chosen = shlex.split(fix.partition(", or ")[0])
    released(sample, *chosen)
    forgotten = sample.consumer.run("promote")
    assert (error(refused)[0], fix) == (error(forgotten)[0], error(forgotten)[3])
    assert "1" == promoted(sample, *chosen)


@pytest.mark.extended
def test_a_console_script_of_a_src_layout_goes_to_the_champion(layout) -> None:
    """
    The command is the script's name; the package travels with the model as a wheel.
    """
    files = {
        "src/shapes/__init__.py": "",
        "src/shapes/train.py": TRAIN.format(package="shapes."),
        "src/shapes/fitting.py": FIT,
    }
    sample = layout(
        files,
        ('train = "python train.py"', 'train = "fit-shapes"'),
        ("\n[dependency-groups]", f"{CONSOLE}\n[dependency-groups]"),
    )

    released(sample)

    assert "1" == promoted(sample)
    assert ["shapes-0.1.0-py3-none-any.whl"] == [
        path.name for path in (sample.consumer.model / "mlflow-uv" / "wheels").iterdir()
    ]
