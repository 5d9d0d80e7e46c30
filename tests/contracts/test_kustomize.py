"""Contract: a Kustomization in which `deploy` names a version means that version to Kustomize, as kubectl has it."""

import subprocess
from pathlib import Path

import pytest

from mlflow_uv.core.deploy.repository_files import file_naming, named_version
from tests.unit.core.deploy.test_repository_files import CASES, DIGEST, WANTED, settings

from .api_server import kubectl_program

pytestmark = pytest.mark.extended

SERVICE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: wine}
spec:
  selector: {matchLabels: {app: wine}}
  template:
    metadata: {labels: {app: wine}}
    spec:
      containers:
      - {name: model, image: wine}
      - {name: other, image: other}
"""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, which has Kustomize in it."""
    return kubectl_program(tmp_path_factory.mktemp("kubectl"))


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("kustomize")])
def test_kustomize_puts_the_version_into_the_manifests(case: str, kubectl: Path, tmp_path: Path) -> None:
    """
    Its image by the digest, and the annotation with the version; the other container keeps its own image.
    """
    given = CASES[case][1].replace("resources: [a.yaml]\r\n", "") + "resources: [service.yaml]\n"
    after = file_naming(given.encode(), WANTED, settings("kustomize", "wine"), "kustomization.yaml")
    (tmp_path / "kustomization.yaml").write_bytes(after)
    (tmp_path / "service.yaml").write_text(SERVICE)

    done = subprocess.run((kubectl, "kustomize", tmp_path), capture_output=True, text=True, check=False)

    assert (0, WANTED) == (done.returncode, named_version(after, settings("kustomize", "wine"), "x")), done.stderr
    lines = [line.strip().removeprefix("- ") for line in done.stdout.splitlines()]
    assert [f"image: r.example:5000/wine@{DIGEST}", "image: other"] == [line for line in lines if "image: " in line]
    assert "mlflow-uv.model-version: wine/3" in lines
