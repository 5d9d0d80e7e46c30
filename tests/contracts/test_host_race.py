"""Contract: of two processes that create a deployment of one name on a host, the engine lets one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.image.labels import MODEL
from tests.cases.deployments import PROXY_IMAGE, new_name, require_proxy
from tests.waiting import CEILING_S, happens

pytestmark = pytest.mark.engine

RUN = Path(__file__).with_name("host_run.py")


def docker(*argv: str) -> str:
    """What Docker prints."""
    return subprocess.run(("docker", *argv), capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def image() -> Iterator[str]:
    """The id of an image that waits, with the label of a model."""
    require_proxy()
    container = docker("create", "--entrypoint", "sleep", PROXY_IMAGE, "600")
    image = docker("commit", "--change", f"LABEL {MODEL}=m", container)
    docker("rm", container)
    yield image
    docker("rmi", "--force", image)


def started(folder: Path, model: str, image: str, name: str) -> "subprocess.Popen[str]":
    """A run for a model, which waits for the file `go` after its plan."""
    argv = (sys.executable, RUN, folder, model, image, name, PROXY_IMAGE)
    root = Path(__file__).parents[2]
    variables = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
    return subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True, env=variables, cwd=root)


def of(name: str) -> list[str]:
    """The models of the containers of a deployment."""
    ids = docker("ps", "--all", "--quiet", "--filter", f"label=mlflow-uv.deployment={name}").split()
    labels = json.loads(docker("inspect", *ids)) if ids else []
    return [json.loads(found["Config"]["Labels"]["mlflow-uv.deployment-facts"])["model"] for found in labels]


def test_of_two_runs_that_planned_at_the_same_time_one_deploys(image: str, tmp_path: Path) -> None:
    """
    Both saw nothing; the other one ends as outdated, and neither adopts nor removes what the first one created.
    """
    name, models = new_name(), ("cats", "dogs")
    try:
        runs = [started(tmp_path, model, image, name) for model in models]
        assert happens(
            lambda: (
                all((tmp_path / f"{model}.planned").exists() for model in models)
                or any(run.poll() is not None for run in runs)
            )
        )
        (tmp_path / "go").touch()
        ended = [run.communicate(timeout=CEILING_S)[0].strip() for run in runs]
        winner = models[ended.index("created")]

        assert ["PlanOutdated", "created"] == sorted(ended)
        assert [winner] == of(name)
    finally:
        for container in docker("ps", "--all", "--quiet", "--filter", f"label=mlflow-uv.deployment={name}").split():
            docker("rm", "--force", container)
        subprocess.run(("docker", "network", "rm", f"mlflow-uv-{name}"), capture_output=True, check=False)
