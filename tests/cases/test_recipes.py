"""The recipes for other systems: their lines are run by a shell, where everything is that such a runner has."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests import checkout
from tests.house.files import ROOT
from tests.registries import PASSWORD, USER, registry
from tests.sharing import SharedFolder
from tests.stores import ADMIN, mlflow_server, servers_python

from .images import BASE
from .sample_project import training

pytestmark = [pytest.mark.extended, pytest.mark.installs, pytest.mark.engine]
RECIPES = ROOT / "examples/recipes"
OUR_REPOSITORY = "https://github.com/org/mlflow-uv-action"
ENGINES = frozenset({"docker", "dockerd", "podman", "buildah", "nerdctl"})
ADMINS_PASSWORD = "a-cork-and-a-bottle"
TIMEOUT_S = 1_800


@dataclass(frozen=True)
class Runner:
    """A machine with a project on it, a tracking server and a registry that both ask for a password."""

    place: Path
    project: Path
    store: str
    registry: str

    @property
    def variables(self) -> dict[str, str]:
        """What reaches the network, and a home of its own, in which git knows this checkout by its public address."""
        home = self.place / "home"
        network = re.compile(r"(?i)(https?_|no_|all_)proxy|(SSL|PIP|UV_CACHE|REQUESTS|CURL)_.*")
        kept = {name: value for name, value in os.environ.items() if network.fullmatch(name)}
        cache = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache/uv"))
        return {**kept, "HOME": str(home), "UV_CACHE_DIR": cache, "LANG": "C.UTF-8", "MLFLOW_TRACKING_URI": self.store,
                "MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": ADMINS_PASSWORD}  # fmt: skip

    def run(self, lines: list[str], *, interpreter: tuple[str, ...], path: str, **variables: str) -> str:
        """Run the lines as one script; what it printed."""
        done = subprocess.run(
            (*interpreter, "\n".join(lines)), cwd=self.project, env={**self.variables, "PATH": path, **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        assert 0 == done.returncode, done.stdout
        return done.stdout

    def log_in(self) -> str:
        """The registry's login, as `docker login` writes it; its folder."""
        folder = self.place / "home/.docker"
        folder.mkdir()
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {self.registry: {"auth": login}}}))
        return str(folder)

    def candidate(self) -> str:
        """The version that has the alias in the registry of models."""
        url = f"{self.store}/api/2.0/mlflow/registered-models/alias?name=wine&alias=candidate"
        login = base64.b64encode(f"{ADMIN}:{ADMINS_PASSWORD}".encode()).decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})  # loopback
        with urllib.request.urlopen(request) as reply:
            return str(json.load(reply)["model_version"]["version"])


@pytest.fixture
def runner(tmp_path: Path, shared: SharedFolder, registry_program: str) -> Iterator[Runner]:
    """A machine; the base image is in its registry."""
    for name in ("server", "registry", "home"):
        (tmp_path / name).mkdir()
    released = tmp_path / "action.git"
    for words in (("clone", "--quiet", "--bare", ROOT, released), ("-C", released, "tag", "v1")):
        subprocess.run(("git", *words), check=True)
    (tmp_path / "home/.gitconfig").write_text(f'[url "file://{released}"]\n\tinsteadOf = {OUR_REPOSITORY}\n')
    project = tmp_path / "project"
    shutil.copytree(ROOT / "examples/wine", project)
    (project / "train.py").write_text(training())
    with (
        registry(tmp_path / "registry", registry_program, private=True) as host,
        mlflow_server(servers_python(shared), tmp_path / "server", password=ADMINS_PASSWORD) as store,
    ):
        manifest = (project / "pyproject.toml").read_text().partition("data-function")[0]
        (project / "pyproject.toml").write_text(f'{manifest}base-image = "{host}/python:3.11-slim"\n')
        checkout.repository(project)
        found = Runner(place=tmp_path, project=project, store=store, registry=host)
        login = found.log_in()
        for argv in (("tag", BASE, f"{host}/python:3.11-slim"), ("push", "--quiet", f"{host}/python:3.11-slim")):
            subprocess.run(("docker", "--config", login, *argv), check=True, capture_output=True)
        shutil.rmtree(login)
        yield found
        subprocess.run(("docker", "rmi", f"{host}/python:3.11-slim"), check=False, capture_output=True)


def programs(folder: Path, *, without: frozenset[str]) -> str:
    """A PATH with Python in an environment of its own, as its image has it, and this machine's programs."""
    subprocess.run((sys.executable, "-m", "venv", folder / "python"), check=True)
    links = folder / "programs"
    links.mkdir()
    for place in ("/usr/bin", "/bin", "/usr/sbin"):
        for program in Path(place).iterdir():
            if program.name not in without and not (links / program.name).is_symlink():
                (links / program.name).symlink_to(program)
    return f"{folder}/python/bin:{links}"


def jobs_of(pipeline: Path) -> Mapping[str, list[str]]:
    """The lines of each job of GitLab, with those of `default` before them."""
    document = yaml.safe_load(pipeline.read_text())
    before = document["default"]["before_script"]
    return {name: [*before, *job["script"]] for name, job in document.items() if "script" in job}


def test_a_pipeline_of_gitlab_checks_and_releases_without_an_engine(runner: Runner, tmp_path: Path) -> None:
    """
    Each job installs the program; the second pushes an image with the job's login, and the version is a candidate.
    """
    path = programs(tmp_path, without=ENGINES)
    registry = {"CI_REGISTRY": runner.registry, "CI_REGISTRY_USER": USER, "CI_REGISTRY_PASSWORD": PASSWORD,
                "CI_REGISTRY_IMAGE": f"{runner.registry}/group/project"}  # fmt: skip
    jobs = jobs_of(RECIPES / "gitlab-ci.yml")

    printed = {
        name: runner.run(lines, interpreter=("bash", "-eo", "pipefail", "-c"), path=path, **registry)
        for name, lines in jobs.items()
    }

    assert ["check", "release"] == list(printed)
    assert "1" == runner.candidate()
    assert "✓ released" in printed["release"]
    assert PASSWORD not in "".join(printed.values())
    login = json.loads((tmp_path / "home/.docker/config.json").read_text())
    assert [runner.registry] == list(login["auths"])


def test_a_pipeline_of_jenkins_releases_with_the_docker_of_its_agent(runner: Runner, tmp_path: Path) -> None:
    """
    uv is on the agent, which is logged in to the registry; `sh` runs each line.
    """
    path = f"{tmp_path}/home/.local/bin:{programs(tmp_path, without=frozenset())}"
    (tmp_path / "programs/uv").unlink(missing_ok=True)
    (tmp_path / "programs/uv").symlink_to(Path(sys.executable).with_name("uv"))
    text = (RECIPES / "Jenkinsfile").read_text().replace("registry.corp.example", runner.registry)
    lines = re.findall(r"\bsh '([^'\n]+)'", text)
    runner.log_in()

    printed = [runner.run([line], interpreter=("sh", "-xec"), path=path) for line in lines]

    assert (4, True) == (len(lines), "✓ released" in printed[-1])
    assert "1" == runner.candidate()
