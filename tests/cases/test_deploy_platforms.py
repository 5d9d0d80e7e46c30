"""Versions are deployed to a platform by the command, against a stand-in whose servers are real containers."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.ports import free_port
from tests.stand_ins.databricks import TOKEN, DatabricksWorkspace
from tests.stand_ins.web import served
from tests.waiting import CEILING_S, happens

from .consumer import Consumer
from .deployments import Versions, released_versions
from .sample_project import SampleProject

FINDINGS = 1

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def versions(released_sample: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    """A right version, and one that answers wrong where it is deployed."""
    names = ("first", "wrong")
    with released_versions(released_sample, names, tmp_path_factory.mktemp("platforms") / "untouched") as found:
        yield found


@contextmanager
def containers(versions: Versions) -> Iterator[dict[str, int]]:
    """The ports of a container of each version, by its number."""
    ports, started = {}, []
    try:
        for name, image in versions.images.items():
            port = free_port()
            argv = ("docker", "run", "--detach", "--rm", "--publish", f"127.0.0.1:{port}:8080", image)
            started.append(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip())
            ports[str(versions.numbers[name])] = port
        assert happens(lambda: all(sent(port, "/ping", None)[0] == 200 for port in ports.values()))
        yield ports
    finally:
        for container in started:
            subprocess.run(("docker", "rm", "--force", container), capture_output=True, check=True)


def sent(port: int, path: str, body: bytes | None) -> tuple[int, Any]:
    """The status and the document of a response; 0 for none."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=CEILING_S) as response:
            content = response.read()
            return response.status, json.loads(content) if body else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
    except OSError:
        return 0, None


def declared(versions: Versions, settings: str) -> Consumer:
    """The project with a deployment `prod` of these settings."""
    versions.sample.restore()
    consumer = versions.sample.consumer
    manifest = consumer.folder / "pyproject.toml"
    manifest.write_text(f"{manifest.read_text()}\n[tool.mlflow-uv.deploy.prod]\n{settings}\n")
    consumer.git("commit", "--quiet", "--all", "--message", "deploy")
    return consumer


@pytest.mark.extended
def test_a_version_is_deployed_to_databricks_and_a_wrong_one_taken_back(versions: Versions) -> None:
    """
    The command, a real registry and real answers; nothing of a login is in the output or in a tag.
    """
    consumer = declared(versions, 'target = "databricks"\nprefix = "wine-"')
    first, wrong = str(versions.numbers["first"]), str(versions.numbers["wrong"])
    workspace = DatabricksWorkspace()

    with containers(versions) as ports, served(workspace.answer) as url:
        workspace.invoke = lambda version, body: sent(ports[version], "/invocations", body)

        def deploy(version: str, *flags: str) -> Any:
            variables = {"DATABRICKS_HOST": url, "DATABRICKS_TOKEN": TOKEN}
            return consumer.run("deploy", f"models:/wine/{version}", "--target", "prod", *flags, variables=variables)

        results = [deploy(first, "--dry-run"), deploy(first), deploy(first), deploy(wrong)]
        audited = consumer.run(
            "audit", f"models:/wine/{first}", variables={"DATABRICKS_HOST": url, "DATABRICKS_TOKEN": TOKEN}
        )
        (entity,) = workspace.endpoints["wine-prod"].config["served_entities"]
        removed = deploy(first, "--remove", "deployment")

    assert [0, 0, 0, FINDINGS, 0] == [result.code for result in (*results, removed)], [r.stderr for r in results]
    changed = [result.outputs["deployment-changed"] for result in results[:3]]
    assert [True, True, False] == changed
    assert (first, {}) == (entity["entity_version"], workspace.endpoints)
    assert f"{url}/serving-endpoints/wine-prod/invocations" == results[1].outputs["endpoint"]
    assert "deployment prod" in f"{audited.stdout}{audited.stderr}"
    shown = "".join(f"{result.stdout}{result.stderr}" for result in (*results, audited, removed))
    assert TOKEN not in f"{shown}{versions.sample.store.tags(first)}"
