"""A version is deployed by a plugin of `mlflow.deployments` that the project has in its lock."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .deployments import release
from .images import remove_image
from .sample_project import SampleProject, error

STAND_IN = Path(__file__).parents[1] / "stand_ins/mlflow_plugin.py"
NOT_SERVING = 15
PACKAGE = """
[project]
name = "mlflow-cellar"
version = "1.0"
[project.entry-points."mlflow.deployments"]
cellar = "mlflow_plugin"
[build-system]
requires = ["uv_build>=0.9,<0.14"]
build-backend = "uv_build"
[tool.uv.build-backend]
module-root = ""
module-name = "mlflow_plugin"
"""
SETTINGS = """
[dependency-groups]
deploy = ["mlflow-cellar"]
[tool.uv.sources]
mlflow-cellar = {{ path = "cellar" }}
[tool.mlflow-uv.deploy.prod]
target = "mlflow"
plugin = "cellar:{cellar}"
group = "deploy"
"""


def with_plugin(sample: SampleProject, cellar: Path) -> None:
    """Let the project have the plugin, which keeps its deployments in a folder, in a group of its lock."""
    package = sample.folder / "cellar" / "mlflow_plugin"
    package.mkdir(parents=True)
    (package.parent / "pyproject.toml").write_text(PACKAGE)
    doubles = STAND_IN.read_text().replace("inputs * factor", '[x * factor for x in inputs["x"]]')
    (package / "__init__.py").write_text(doubles)
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text() + SETTINGS.format(cellar=cellar))
    uv = Path(sys.executable).parent / "uv"
    subprocess.run((uv, "lock", "--quiet"), cwd=sample.folder, check=True, env=sample.consumer.variables)
    sample.commit()


@pytest.fixture
def version(sample: SampleProject) -> Iterator[str]:
    """The number of a version with an image."""
    tag = f"mlflow-uv-test-{secrets.token_hex(4)}:1"
    try:
        release(sample, "first", tag)
        yield sample.store.rows("SELECT MAX(version) FROM model_versions")[0][0]
    finally:
        remove_image(tag)


@pytest.mark.engine
@pytest.mark.extended
def test_the_least_deadline_of_a_table_is_that_of_each_call(
    sample: SampleProject, version: str, tmp_path: Path
) -> None:
    """
    It is longer than `deadline`, within which not even MLflow is imported; without it half an hour is.
    """
    cellar = tmp_path / "cellar"
    cellar.mkdir()
    with_plugin(sample, cellar)
    manifest = sample.folder / "pyproject.toml"
    flags = (f"models:/wine/{version}", "--target", "prod", "--deadline", "1")
    (cellar / "faults.json").write_text(f'{{"{version}": "hangs"}}')

    manifest.write_text(manifest.read_text() + "least-deadline = 45\n")
    sample.commit()
    hangs = sample.run("deploy", *flags)
    (cellar / "faults.json").unlink()
    deployed = sample.run("deploy", *flags)
    sample.consumer.edit(manifest, "least-deadline = 45", "least-deadline = 1")
    sample.commit()
    short = sample.run("deploy", *flags, "--remove", "deployment")
    longer = sample.run("deploy", *flags[:-1], "120", "--remove", "deployment")

    assert (NOT_SERVING, 0, NOT_SERVING, 0) == tuple(done.code for done in (hangs, deployed, short, longer)), (
        hangs.stderr, deployed.stderr, short.stderr, longer.stderr,
    )  # fmt: skip
    assert "does not create `prod` within 45 s" in error(hangs)[2]
    assert "within 1 s" in error(short)[2]
    assert "--deadline SECONDS" in error(short)[3]
    assert [] == list(cellar.glob("*.deployment"))
