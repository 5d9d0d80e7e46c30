"""Workflows that deploy, as the examples have them: a release up to its canary, plan and preview of a pull request."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cases.deployments import PROXY_IMAGE, new_name, require_proxy
from tests.github.act import Consumer
from tests.github_api import REPOSITORY, FakeGithub, fake_github
from tests.ports import free_port
from tests.registries import PASSWORD
from tests.waiting import CEILING_S

pytestmark = [pytest.mark.engine, pytest.mark.extended]

HEAD = "b" * 40
LOGGED = "mlflow.sklearn.log_model(\n            classifier,"
# Right in training, evaluation and smoke test, which have no network; on the host one answer of twenty is wrong, though
# none of the first ones, which it gives before it gets traffic.
WRONG = """

class Rare(mlflow.pyfunc.PythonModel):
    def __init__(self, classifier):
        self.classifier, self.count = classifier, 0

    def predict(self, context, model_input, params=None):
        import os

        self.count += 1
        guesses = self.classifier.predict(model_input)
        served = os.path.isdir("/opt/mlflow-uv") and os.path.exists("/sys/class/net/eth0")
        return (guesses + 1) % 3 if served and self.count > 60 and self.count % 20 == 0 else guesses


def main("""


class Host:
    """The machine that the model is served on, which is this one: a deployment of a name and a port of its own."""

    def __init__(self, consumer: Consumer) -> None:
        self.name, self.port = new_name(), free_port()
        manifest = consumer.folder / "pyproject.toml"
        text = re.sub(r"gates = .*", 'gates = ["accuracy_score >= 0.9"]', manifest.read_text())
        table = f'target = "compose"\nport = {self.port}\ncanary = "20, 50"\ncanary-seconds = 4\n'
        manifest.write_text(f"{text}\n[tool.mlflow-uv.deploy.{self.name}]\n{table}")

    def containers(self, preview: str = "") -> list[str]:
        """The names of the containers of the deployment, or of a preview."""
        label = f"label=mlflow-uv.deployment={self.name}{preview}"
        argv = ("docker", "ps", "--all", "--quiet", "--filter", label)
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()

    def remove(self) -> None:
        """Remove what is left of the deployment, its preview and their images."""
        for preview in ("", "-pr-17"):
            for kind in ("network", "volume"):
                label = f"label=com.docker.compose.project=mlflow-uv-{self.name}{preview}"
                found = subprocess.run(
                    ("docker", kind, "ls", "--quiet", "--filter", label), capture_output=True, text=True, check=True
                )
                if containers := self.containers(preview):
                    subprocess.run(("docker", "rm", "--force", *containers), capture_output=True, check=True)
                for name in found.stdout.split():
                    subprocess.run(("docker", kind, "rm", name), capture_output=True, check=True)

    def versions(self) -> list[str]:
        """The version that answers, by the metadata of the V2 protocol."""
        url = f"http://127.0.0.1:{self.port}/v2/models/wine"
        with urllib.request.urlopen(url, timeout=CEILING_S) as response:
            return json.load(response)["versions"]


@pytest.fixture
def host(wine: Consumer) -> Iterator[Host]:
    """The host, whose containers are removed afterwards."""
    require_proxy()
    found = Host(wine)
    try:
        yield found
    finally:
        found.remove()


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    """The API, with the token of a job."""
    with fake_github(token=PASSWORD) as started:
        started.open(17, HEAD, branch="topic")
        yield started


def example(root: Path, name: str, host: Host, registry: str) -> str:
    """A workflow of the examples for this checkout and this host, with another registry and proxy."""
    text = (root / "examples" / "workflows" / name).read_text().replace("org/mlflow-uv-action", "ACTION")
    text = re.sub(r"(?m)^( +)target: prod$", rf"\1target: {host.name}\n\1proxy-image: {PROXY_IMAGE}", text)
    text = re.sub(r"(?m)^( {6})(tracking-uri: .*)$", rf"\1\2\n\1registry: {registry}", text)
    text = re.sub(r"(release\.yml@v1\n    with:\n)", rf"\1      image: {registry}/team/wine\n", text)
    return text.replace("ghcr.io", registry)


def champion(server: str) -> str:
    """The version that the alias of the model in production names."""
    url = f"{server}/api/2.0/mlflow/registered-models/alias?name=wine&alias=champion"
    with urllib.request.urlopen(url, timeout=CEILING_S) as response:
        return str(json.load(response)["model_version"]["version"])


def test_a_release_ends_in_a_deployment_and_one_that_the_canary_stops_leaves_the_version_before(
    wine: Consumer,
    root: Path,
    host: Host,
    server: str,
    registry_host: str,
    elsewhere: str,
    actions: tuple[str, ...],
) -> None:
    """
    Each job has a machine of its own; the second version is wrong only on the host, after its smoke test and promotion.

    act ends with the first job that fails, so the workflow that returns the alias is called on its own.
    """
    workflow = example(root, "delivery.yml", host, registry_host)
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", "--platform", "model-host=-self-hosted", *actions)
    engines = {
        **dict.fromkeys(("test", "evaluate"), elsewhere),
        **dict.fromkeys(("train", "image", "plan", "deploy"), ""),
    }
    back = (
        "on: workflow_dispatch\npermissions: {}\njobs:\n  rollback:\n"
        "    permissions: {contents: read, packages: read}\n"
        "    uses: ACTION/.github/workflows/rollback.yml@v1\n    with:\n"
        f"      {{tracking-uri: '{server}', registry: '{registry_host}', model-name: wine, to: '1'}}\n"
    )

    first = wine.run(workflow, options=options, engines=engines)
    assert first.ok, first.log[-8000:]
    served, named = host.versions(), champion(server)
    program = wine.folder / "train.py"
    text = program.read_text()
    wrong = text.replace("\n\ndef main(", WRONG, 1).replace(LOGGED, LOGGED.replace("sklearn", "pyfunc"))
    program.write_text(wrong.replace("log_model(\n            classifier,", "log_model(python_model=Rare(classifier),"))
    second = wine.run(workflow, options=options, engines=engines)
    between = champion(server)
    returned = wine.run(back, event="workflow_dispatch", options=options)

    assert ("true", "1", "true") == (
        first.outputs["promote"]["promoted"], first.outputs["deploy"]["version"],
        first.outputs["plan"]["deployment-changed"],
    )  # fmt: skip
    assert (["1"], "1", "2") == (served, named, between), second.log[-8000:]
    assert (False, "failure", "true") == (second.ok, second.results["deploy"], second.outputs["promote"]["promoted"])
    assert ("20 % of the requests go to the new version" in second.log, True) == (
        True,
        any("answers-differ" in found.title for found in second.of("error")),
    ), second.log[-8000:]
    assert (["1"], 2) == (host.versions(), len(host.containers()))
    assert (True, "1") == (returned.ok, champion(server)), returned.log[-4000:]


def test_a_pull_request_gets_a_plan_as_a_comment_and_a_preview_until_it_is_closed(
    wine: Consumer,
    root: Path,
    host: Host,
    server: str,
    registry_host: str,
    actions: tuple[str, ...],
    github: FakeGithub,
) -> None:
    """
    The reusable workflow makes the preview, and removes it; the deployment itself is only planned.
    """
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", "--platform", "model-host=-self-hosted", *actions)
    repository = {"full_name": REPOSITORY, "id": 7}
    workflow = example(root, "preview.yml", host, registry_host)

    def payload(action: str) -> Mapping[str, Any]:
        pull = {
            "number": 17,
            "head": {"sha": HEAD, "ref": "topic", "repo": repository},
            "base": {"sha": "a" * 40, "ref": "main", "repo": repository},
        }
        return {"action": action, "number": 17, "pull_request": pull, "repository": repository}

    def run(action: str):
        return wine.run(
            workflow,
            event="pull_request",
            env={"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY},
            payload=payload(action),
            options=options,
            engines=dict.fromkeys(("plan", "deploy", "remove"), ""),
        )

    release = (root / "examples" / "workflows" / "release.yml").read_text().replace("org/mlflow-uv-action", "ACTION")
    released = wine.run(
        release.replace("ghcr.io", registry_host), options=options, env={"GITHUB_REPOSITORY": REPOSITORY}
    )
    assert released.ok, released.log[-6000:]
    opened = run("opened")
    containers = (len(host.containers()), len(host.containers("-pr-17")))
    again = run("synchronize")
    closed = run("closed")

    assert (True, True, True) == (opened.ok, again.ok, closed.ok), opened.log[-6000:] + closed.log[-6000:]
    (body,) = github.bodies(17)
    assert f"{host.name} would run wine version 1" in re.sub(r"<[^>]*>", "", body), body
    assert ("1", f"{host.name}-pr-17") == (opened.outputs["deploy"]["version"], opened.outputs["deploy"]["deployment"])
    assert ("true", "false") == tuple(run.outputs["deploy"]["deployment-changed"] for run in (opened, again))
    assert ((0, 2), (0, 0)) == (containers, (len(host.containers()), len(host.containers("-pr-17"))))
