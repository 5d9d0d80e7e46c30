"""The workflows of the recipes, run as they stand but for the addresses and the logins of services."""

import base64
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
import yaml

from tests import checkout, indexes, projects
from tests.cases.images import BASE, address_of_this_machine
from tests.cases.sample_project import training
from tests.corporate_network import corporate_network_at
from tests.github.act import Consumer
from tests.github.other_actions import cloud_logins
from tests.house.files import ROOT
from tests.registries import PASSWORD, USER
from tests.sharing import SharedFolder
from tests.stand_ins.databricks_models import databricks_models
from tests.stand_ins.unity_catalog import UnityCatalog
from tests.stores import servers_python

pytestmark = pytest.mark.extended
RECIPES = ROOT / "examples/recipes"
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock", "CONTAINER_HOST": "unix:///nonexistent.sock"}


def workflow(name: str, host: str) -> str:
    """A recipe for the action under test, with another registry, on the only runner that there is."""
    text = (RECIPES / name).read_text().replace("org/mlflow-uv-action", "ACTION")
    for address in ("registry.corp.example", "ghcr.io", "europe-docker.pkg.dev"):
        text = text.replace(address, host)
    text = text.replace("${{ vars.AZURE_REGISTRY }}.azurecr.io", f"{host}/azure")
    # Each recipe has a repository of its own in the registry of these tests.
    text = text.replace("${{ github.repository }}", f"team/{name.partition('.')[0]}")
    return text.replace("runs-on: [self-hosted, linux]", "runs-on: ubuntu-latest")


@pytest.fixture
def base(registry_host: str, tmp_path: Path) -> Iterator[str]:
    """The base image, in the registry of the company."""
    folder = log_in(tmp_path / "pushes", registry_host)
    name = f"{registry_host}/python:3.11-slim"
    for argv in (("tag", BASE, name), ("--config", folder, "push", "--quiet", name), ("rmi", name)):
        subprocess.run(("docker", *argv), check=True, capture_output=True)
    yield name
    subprocess.run(("docker", "rmi", "--force", name), check=False, capture_output=True)


def log_in(folder: Path, host: str) -> Path:
    """Write a login as `docker login` does."""
    folder.mkdir(parents=True)
    word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": word}}}))
    return folder


def candidate(server: str) -> str:
    """The version that is the candidate on a tracking server."""
    url = f"{server}/api/2.0/mlflow/registered-models/alias?name=wine&alias=candidate"
    with urllib.request.urlopen(url) as reply:
        return str(json.load(reply)["model_version"]["version"])


def digest_in_private(host: str, repository: str) -> str:
    """The digest of the image of version 1 in the registry."""
    word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    headers = {"Authorization": f"Basic {word}", "Accept": kinds}
    request = urllib.request.Request(f"http://{host}/v2/{repository}/manifests/1", headers=headers)
    with urllib.request.urlopen(request) as reply:
        return str(reply.headers["Docker-Content-Digest"])


@pytest.mark.engine
def test_the_recipe_without_an_engine_releases_as_it_stands(
    small: Consumer, tmp_path: Path, server: str, registry_host: str, base: str, actions: tuple[str, ...]
) -> None:
    """
    It trains, composes an image where no engine answers, pushes it with the login of the runner's user, and tests it.
    """
    small.home = tmp_path / "home"
    log_in(small.home / ".docker", registry_host)
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions)

    run = small.run(workflow("no-docker.yml", registry_host), env=NO_ENGINE, options=options)

    assert (True, f"{registry_host}/python:3.11-slim") == (run.ok, base), run.log
    assert "1" == candidate(server)


def test_the_recipe_of_a_monorepo_finds_the_projects_that_it_releases(consumer: Consumer) -> None:
    """
    Its first job makes the matrix of the second: a project is a folder, and one elsewhere is none.
    """
    for folder in ("models/red", "models/white", "tools"):
        projects.lock(projects.project(consumer.folder / folder, name=folder.rpartition("/")[2]))

    run = consumer.run(workflow("monorepo.yml", "registry.test"), options=("--job", "projects"))

    assert run.ok, run.log
    entries = json.loads(run.outputs["locks"]["projects"])["include"]
    assert ["models/red", "models/white"] == [entry["project"] for entry in entries]


LOGINS = ("aws-actions/", "google-github-actions/", "azure/", "docker/login-action")


@pytest.mark.engine
@pytest.mark.parametrize("name", ["aws.yml", "google.yml", "azure.yml"])
def test_the_recipe_of_a_cloud_logs_in_with_what_its_variables_say(
    name: str, consumer: Consumer, tmp_path: Path, registry_host: str, actions: tuple[str, ...]
) -> None:
    """
    The logins of the second job, without the release; one that is given another role fails.
    """
    logins = cloud_logins(tmp_path, registry_host, PASSWORD)
    consumer.programs += (tmp_path / "azure-cli" / "az",)
    consumer.home = tmp_path / "home"
    document = yaml.safe_load(workflow(name, registry_host))
    job = document["jobs"]["serve"]
    job["steps"] = [
        step for step in job["steps"] if step.get("uses", "").startswith(LOGINS) or "az acr" in step.get("run", "")
    ]
    document["jobs"] = {"serve": {key: value for key, value in job.items() if key != "needs"}}
    text = yaml.safe_dump(document)
    login = tmp_path / "home/.docker/config.json"
    another = ("--var", "AWS_ROLE=another", "--var", "GOOGLE_PROVIDER=another", "--var", "AZURE_CLIENT_ID=another")

    refused = consumer.run(text, options=(*actions, *logins, *another))
    before = login.is_file()
    run = consumer.run(text, options=(*actions, *logins))

    assert (False, False, True) == (refused.ok, before, run.ok), refused.log + run.log
    assert [registry_host] == list(json.loads(login.read_text())["auths"])


@pytest.mark.engine
@pytest.mark.parametrize(
    ("name", "repository"), [("azure.yml", "azure/wine"), ("aws.yml", "aws/wine"), ("google.yml", "wine/models/wine")]
)
def test_the_recipe_of_a_cloud_pushes_with_the_login_of_its_second_job(
    name: str,
    repository: str,
    small: Consumer,
    tmp_path: Path,
    server: str,
    registry_host: str,
    actions: tuple[str, ...],
) -> None:
    """
    Only the exchange of tokens is replaced; the job that trains has no login, on a machine of its own.
    """
    logins = cloud_logins(tmp_path, registry_host, PASSWORD)
    small.programs += (tmp_path / "azure-cli" / "az",)
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions, *logins)

    run = small.run(workflow(name, registry_host), options=options)

    assert run.ok, run.log[-8000:]
    pushed = (run.outputs["image"]["image"], run.outputs["image"]["image-digest"])
    assert (f"{registry_host}/{repository}:1", digest_in_private(registry_host, repository)) == pushed
    assert "1" == candidate(server)
    homes = {home.name: (home / ".docker/config.json").is_file() for home in tmp_path.glob("machines-*/*")}
    assert {"train": False, "serve": True} == homes


@pytest.mark.engine
def test_the_recipe_of_a_cluster_releases_the_model_of_its_run(
    small: Consumer, tmp_path: Path, server: str, registry_host: str, actions: tuple[str, ...]
) -> None:
    """
    The model is that of the run: training here again would fail.
    """
    checkout.repository(small.folder)
    cluster = tmp_path / "cluster"
    checkout.git(tmp_path, "clone", "--quiet", str(small.folder), str(cluster))
    argv = (small.programs[0], "run", "--locked", "--quiet", "python", "train.py")
    variables = {**os.environ, "MLFLOW_TRACKING_URI": server}
    subprocess.run(argv, cwd=cluster, env=variables, check=True, capture_output=True)
    run_id = newest_run(server)
    (small.folder / "train.py").write_text("raise SystemExit('this machine has no GPU')\n")
    options = ("--var", f"MLFLOW_TRACKING_URI={server}", "--input", f"run-id={run_id}", *actions)

    run = small.run(workflow("gpu.yml", registry_host), event="workflow_dispatch", options=options)

    assert run.ok, run.log[-8000:]
    assert ("1", run_id) == (candidate(server), model_version(server)["run_id"])
    assert digest_in_private(registry_host, "team/gpu")


def newest_run(server: str) -> str:
    """The id of the run that was started last in the default experiment."""
    request = urllib.request.Request(
        f"{server}/api/2.0/mlflow/runs/search", method="POST", headers={"Content-Type": "application/json"},
        data=json.dumps({"experiment_ids": ["0"], "max_results": 1}).encode(),
    )  # fmt: skip
    with urllib.request.urlopen(request) as reply:
        return str(json.load(reply)["runs"][0]["info"]["run_id"])


def model_version(server: str) -> dict[str, str]:
    """The first version of the model."""
    url = f"{server}/api/2.0/mlflow/model-versions/get?name=wine&version=1"
    with urllib.request.urlopen(url) as reply:
        found: dict[str, str] = json.load(reply)["model_version"]
    return found


@pytest.mark.engine
def test_the_recipe_of_a_private_index_releases_a_model_that_needs_its_package(
    small: Consumer, tmp_path: Path, server: str, registry_host: str, actions: tuple[str, ...]
) -> None:
    """
    Lock, training and image get the package with the password, which is printed nowhere; without it there is none.
    """
    wheel = projects.wheel(tmp_path / "wheels", "cork", "1.0", corked="FACTOR = 3.0\n")
    index = indexes.index_of(tmp_path / "index", wheel)
    (small.folder / "train.py").write_text(
        training(load="import corked", predict='import corked; return [corked.FACTOR * x for x in model_input["x"]]')
    )
    with indexes.guarded(index) as url:
        manifest = small.folder / "pyproject.toml"
        text = manifest.read_text().replace('"scikit-learn>=1.7"', '"scikit-learn>=1.7", "cork"')
        manifest.write_text(f'{text}\n[[tool.uv.index]]\nname = "corp"\nurl = "{url}"\n')
        login = {"UV_INDEX_CORP_USERNAME": indexes.USER, "UV_INDEX_CORP_PASSWORD": indexes.PASSWORD}
        subprocess.run(
            (small.programs[0], "lock", "--quiet"), cwd=small.folder, env={**os.environ, **login}, check=True
        )
        recipe = workflow("private-index.yml", registry_host).replace(
            "https://pypi.corp.example", url.removesuffix("/simple")
        )
        options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions)
        secrets = {"PYPI_USERNAME": indexes.USER, "PYPI_PASSWORD": indexes.PASSWORD}

        refused = small.run(recipe, options=options, secrets={**secrets, "PYPI_PASSWORD": "another"})
        run = small.run(recipe, options=options, secrets=secrets)

    assert (False, True) == (refused.ok, run.ok), refused.log[-3000:] + run.log[-8000:]
    assert any("127.0.0.1" in found.message for found in refused.of("error")), refused.log[-3000:]
    assert ("1", True) == (candidate(server), bool(digest_in_private(registry_host, "team/private-index")))
    assert indexes.PASSWORD not in run.log + run.summary


@pytest.mark.engine
def test_the_recipe_behind_a_company_proxy_gets_all_packages_through_it(
    small: Consumer, tmp_path: Path, server: str, registry_host: str, base: str, actions: tuple[str, ...]
) -> None:
    """
    The program's own environment, the lock, training and the image; without the company's authority there is none.
    """
    wheel = projects.wheel(tmp_path / "wheels", "cork", "1.0", corked="FACTOR = 3.0\n")
    (small.folder / "train.py").write_text(
        training(load="import corked", predict='import corked; return [corked.FACTOR * x for x in model_input["x"]]')
    )
    manifest = small.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('"scikit-learn>=1.7"', '"scikit-learn>=1.7", "cork"'))
    small.home = tmp_path / "home"
    address, password = address_of_this_machine(), f"pr0xy/{token_hex(8)}"
    with corporate_network_at(address, tmp_path, name="Company", password=password, mirrors=True) as network:
        indexes.index_of(network.pages, wheel)
        company = {"HTTPS_PROXY": network.proxy, "SSL_CERT_FILE": str(network.bundle)}
        machine = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "elsewhere"), "UV_DEFAULT_INDEX": network.index}
        (small.folder / "uv.lock").unlink()
        subprocess.run((small.programs[0], "lock"), cwd=small.folder, env={**machine, **company}, check=True)
        recipe = workflow("proxy.yml", registry_host)
        for written, here in (
            ("http://proxy.corp.example:3128", network.proxy),
            ("https://pypi.corp.example/simple", network.index),
            ("/etc/ssl/certs/ca-certificates.crt", str(network.bundle)),
            ("mlflow.corp.example", "127.0.0.1"),
        ):
            assert written in recipe
            recipe = recipe.replace(written, here)
        login = {"REGISTRY_USERNAME": USER, "REGISTRY_PASSWORD": PASSWORD}
        options = ("--var", f"MLFLOW_TRACKING_URI={server}", *actions)
        another = "/etc/ssl/certs/ca-certificates.crt"

        refused = small.run(recipe.replace(str(network.bundle), another), options=options, secrets=login)
        before = list(network.paths)
        run = small.run(recipe, options=options, secrets=login)

    image = f"{registry_host}/python:3.11-slim"
    assert (False, True, image) == (refused.ok, run.ok, base), refused.log[-3000:] + run.log[-8000:]
    assert any("SSL_CERT_FILE" in found.message for found in refused.of("error")), refused.log[-3000:]
    assert ("1", True) == (candidate(server), bool(digest_in_private(registry_host, "models/wine")))
    through = {path.rpartition("/")[2] for path in network.paths[len(before) :]}
    assert {"cork-1.0-py3-none-any.whl"} <= through
    assert any(name.startswith("packaging-") for name in through), "the program's own packages"
    assert password not in run.summary


@pytest.mark.engine
def test_the_recipe_of_a_workspace_registers_in_unity_catalog(
    small: Consumer, tmp_path: Path, shared: SharedFolder, registry_host: str, actions: tuple[str, ...]
) -> None:
    """
    By its identity, for which no secret is stored; where the workspace does not trust it, nothing is trained.
    """
    catalog = UnityCatalog()
    with databricks_models(servers_python(shared), tmp_path / "workspace", catalog) as workspace:
        client = workspace.principal[0]
        options = (
            *("--var", f"DATABRICKS_HOST={workspace.host}", "--var", f"DATABRICKS_CLIENT_ID={client}"), *actions,
        )  # fmt: skip
        recipe = workflow("databricks.yml", registry_host)
        identity = workspace.identity.variables

        refused = small.run(recipe, options=options, env=identity)
        without = small.run(recipe, options=options)
        before = dict(catalog.models)
        workspace.trust_the_job()
        run = small.run(recipe, options=options, env=identity)

    assert (False, False, {}, True) == (refused.ok, without.ok, before, run.ok), refused.log[-3000:] + run.log[-8000:]
    (message,) = (found.message for found in refused.of("error"))
    assert f'"subject": "{workspace.identity.subject}"' in message
    assert "add `id-token: write` to `permissions` of the job" in without.of("error")[0].message
    model = catalog.models["main.models.wine"]
    assert ({"candidate": "1"}, "READY") == (model.aliases, model.versions["1"]["status"])
    assert digest_in_private(registry_host, "team/databricks")
    masked = [command.data for command in run.commands if command.name == "add-mask"]
    (token,) = workspace.exchanged
    assert [token] == [word for word in masked if word in workspace.exchanged]
    shown = run.log.replace(f"::add-mask::{token}", "") + run.summary + refused.log
    assert [] == [proof for proof in (token, *workspace.identity.issued) if proof in shown]
