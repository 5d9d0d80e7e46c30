"""A list that is only verified is as fixed as one that was written, and a local package is part of the list."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests import projects

from .sample_project import SampleProject, error, training

FINDINGS, CHAIN_BROKEN = 1, 11


def with_a_wheel(sample: SampleProject, place: Path) -> None:
    """Let the project depend on a wheel beside it."""
    wheel = projects.wheel(place, "grape", "1.0")
    manifest = sample.folder / "pyproject.toml"
    sample.consumer.edit(manifest, 'dependencies = ["mlflow', 'dependencies = ["grape", "mlflow')
    table = f'[tool.uv.sources]\ngrape = {{ path = "{wheel}" }}\n'
    manifest.write_text(f"{manifest.read_text()}\n{table}")
    subprocess.run(("uv", "lock", "--quiet"), cwd=sample.folder, env=dict(os.environ), check=True)
    sample.train_with("import grape\n" + training())


@pytest.mark.extended
def test_a_verified_list_is_looked_at_again_by_every_consumer(sample: SampleProject) -> None:
    """
    With `requirements: verify` MLflow's own list is the lock's; one dropped line later it is refused by name.
    """
    logged = sample.run("log-model", "--requirements", "verify")
    requirements = sample.consumer.model / "requirements.txt"
    requirements.write_text(requirements.read_text().replace("six==1.17.0\n", ""))

    result = sample.run("register")

    source = json.loads(sample.consumer.record.read_text())["requirements"]["source"]
    assert (0, [], "verify") == (logged.code, logged.rules, source), logged.stderr
    assert (CHAIN_BROKEN, True) == (result.code, "`requirements`" in error(result)[2])


@pytest.mark.extended
def test_a_local_package_that_mlflow_does_not_list_is_found(sample: SampleProject, tmp_path: Path) -> None:
    """
    With `requirements: verify`, a wheel that would have to travel and is not in MLflow's own list is a finding.
    """
    with_a_wheel(sample, tmp_path)

    result = sample.run("log-model", "--requirements", "verify")

    (finding,) = result.answer["findings"]
    assert (FINDINGS, "requirements-guessed", "--requirements lock") == (result.code, finding["rule"], finding["fix"])
    assert "\n-mlflow-uv/wheels/grape-1.0-py3-none-any.whl" in finding["why"]
