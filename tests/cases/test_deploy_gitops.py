"""Versions are deployed by commits to a real git server; real containers run what its branch names."""

import http.client
import json
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from mlflow_uv.payloads.messages.deployments import DEPLOYED, PROPOSED, REPLACED, RETURNED
from tests.git_server import git_server
from tests.github_api import REPOSITORY, TOKEN, fake_github
from tests.ports import free_port
from tests.registries import registry
from tests.stand_ins.web import listening
from tests.waiting import CEILING_S, happens

from .consumer import CommandResult
from .deployments import program
from .images import remove_image
from .sample_project import SampleProject

FINDINGS, NOT_SERVING, BUSY = 1, 15, 21
FILE = "apps/prod/kustomization.yaml"
KUSTOMIZATION = "# the team's\nresources: [service.yaml]\nimages:\n- name: wine  # released\n  newTag: none\n"

pytestmark = [pytest.mark.engine, pytest.mark.extended]


@dataclass
class Repository:
    """A bare repository with a Kustomization, and the port of a container for each digest."""

    bare: Path
    ports: dict[str, int] = field(default_factory=dict)

    def git(self, *argv: str, text: str = "") -> str:
        """Run git in it as somebody of the team does."""
        who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        variables = {"PATH": "/usr/bin:/bin", "GIT_DIR": str(self.bare), **who}
        done = subprocess.run(("git", *argv), input=text, env=variables, capture_output=True, text=True, check=True)
        return done.stdout

    def write(self, text: str) -> None:
        """A commit of the team, with nothing but the file."""
        blob = self.git("hash-object", "-w", "--stdin", text=text).strip()
        tree = blob
        for number, name in enumerate(reversed(FILE.split("/"))):
            kind = "100644 blob" if number == 0 else "040000 tree"
            tree = self.git("mktree", text=f"{kind} {tree}\t{name}\n").strip()
        commit = self.git("commit-tree", tree, "-m", "team").strip()
        self.git("update-ref", "refs/heads/main", commit)

    def file(self) -> str:
        """The file on the branch."""
        return self.git("show", f"main:{FILE}")


@contextmanager
def endpoint(repository: Repository) -> Iterator[str]:
    """The URL of what runs: each request goes to the container whose image the branch names."""

    class Forward(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            port = next((port for digest, port in repository.ports.items() if digest in repository.file()), 1)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CEILING_S)
            kept = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, body or None, kept)
            response = connection.getresponse()
            content = response.read()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _forward

        def log_message(self, *_: object) -> None:
            pass

    with listening(Forward) as url:
        yield url


@dataclass(frozen=True, kw_only=True)
class Team:
    """The project, its versions in a registry, and the repository that it deploys to."""

    sample: SampleProject
    repository: Repository
    numbers: Mapping[str, str]
    variables: Mapping[str, str]

    def deploy(self, name: str, *flags: str) -> CommandResult:
        """Deploy one of the versions."""
        uri = f"models:/wine/{self.numbers[name]}"
        return self.sample.run("deploy", uri, "--target", "prod", *flags, variables=self.variables)

    def state(self, name: str) -> str:
        """What the record of a version says."""
        tag = self.sample.store.tags(self.numbers[name]).get("deployment.prod", "{}")
        return str(json.loads(tag).get("state", ""))


def _started(image: str, version: str, port: int) -> str:
    """The id of a container that runs."""
    publish = ("--publish", f"127.0.0.1:{port}:8080", "--env", f"MODEL_VERSION={version}")
    argv = ("docker", "run", "--detach", "--rm", *publish, image)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def team(
    released_sample: SampleProject, tmp_path_factory: pytest.TempPathFactory, registry_program: str
) -> Iterator[Team]:
    """A right version, another one, and one that answers wrong where it is deployed; all of them run."""
    root, sample = tmp_path_factory.mktemp("git"), released_sample
    repository = Repository(root / f"{REPOSITORY}.git")
    repository.bare.mkdir(parents=True)
    repository.git("init", "--quiet", "--bare", "--initial-branch=main")
    repository.git("config", "http.receivepack", "true")
    sample.restore()
    numbers, started = {}, []
    with ExitStack() as stack:
        host = stack.enter_context(registry(tmp_path_factory.mktemp("registry"), registry_program))
        url = stack.enter_context(endpoint(repository))
        git = stack.enter_context(git_server(root, token=TOKEN))
        github = stack.enter_context(fake_github())
        for name in ("first", "second", "wrong"):
            sample.train_with(program(name))
            # One repository of images for each: its name is in the file.
            image = f"{host}/{secrets.token_hex(4)}/{name}"
            result = sample.run("release", "--engine", "docker", "--push", "--image", image)
            assert 0 == result.code, result.stderr
            stack.callback(remove_image, result.outputs["image-id"])
            numbers[name] = str(result.outputs["version"])
            port = repository.ports[str(result.outputs["image-digest"])] = free_port()
            started.append(_started(str(result.outputs["image-id"]), numbers[name], port))
            stack.callback(subprocess.run, ("docker", "rm", "--force", started[-1]), capture_output=True, check=True)
        manifest = sample.folder / "pyproject.toml"
        lines = ("target = 'gitops'", f"repository = '{git}/{REPOSITORY}'", f"url = '{url}'", f"file = '{FILE}'")
        text = "\n".join((*lines, "image = 'wine'", "pull-request = false"))
        manifest.write_text(f"{manifest.read_text()}\n[tool.mlflow-uv.deploy.prod]\n{text}\n")
        sample.commit()
        variables = {"GITHUB_TOKEN": TOKEN, "GITHUB_SERVER_URL": git, "GITHUB_API_URL": github.url}
        yield Team(sample=sample, repository=repository, numbers=numbers, variables=variables)
    sample.restore()


def test_a_version_is_deployed_by_a_commit_and_a_wrong_one_taken_back(team: Team) -> None:
    """
    The answers of the wrong one differ only where it runs; the file is as before, and both commits are there.
    """
    team.repository.write(KUSTOMIZATION)

    dry, first, again = team.deploy("first", "--dry-run"), team.deploy("first"), team.deploy("first")
    before = team.repository.file()
    wrong = team.deploy("wrong")

    assert [0, 0, 0, FINDINGS] == [run.code for run in (dry, first, again, wrong)], (first.stderr, wrong.stderr)
    assert [True, True, False, False] == [run.outputs["deployment-changed"] for run in (dry, first, again, wrong)]
    assert "answers-differ" in wrong.rules
    assert f"mlflow-uv.model-version: wine/{team.numbers['first']}" in before
    assert before == team.repository.file()
    assert "# the team's\n" == before[:13]
    assert [
        f"Return prod to what was before version {team.numbers['wrong']}",
        f"Deploy wine version {team.numbers['wrong']} as prod, instead of version {team.numbers['first']}",
        f"Deploy wine version {team.numbers['first']} as prod",
    ] == team.repository.git("log", "--format=%s", "main", "-3").splitlines()
    assert (DEPLOYED, RETURNED) == (team.state("first"), team.state("wrong"))
    shown = "".join(f"{run.stdout}{run.stderr}" for run in (dry, first, again, wrong))
    assert TOKEN not in shown


@contextmanager
def not_yet(team: Team, name: str) -> Iterator[None]:
    """Let the endpoint not have a version while the block runs, as before a cluster has applied the commit."""
    place = [*team.numbers].index(name)
    digest = [*team.repository.ports][place]
    port = team.repository.ports[digest]
    team.repository.ports[digest] = 1
    try:
        yield
    finally:
        team.repository.ports[digest] = port


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_after_its_push_is_undone_or_finished_by_the_next(team: Team, by: signal.Signals) -> None:
    """
    A cancelled one takes its values back; meanwhile a second run is refused.
    """
    team.repository.write(KUSTOMIZATION)
    assert 0 == team.deploy("first").code
    before, uri = team.repository.file(), f"models:/wine/{team.numbers['second']}"

    with not_yet(team, "second"):
        process = team.sample.start("deploy", uri, "--target", "prod", variables=team.variables)
        assert happens(lambda: process.poll() is not None or team.repository.file() != before)
        other = team.deploy("first")
        process.send_signal(by)
        ended = team.sample.ended(process)
    during = team.repository.file()
    following = team.deploy("second")

    assert {signal.SIGTERM: 143, signal.SIGKILL: -9}[by] == ended.code, ended.stderr
    assert (BUSY, by == signal.SIGKILL) == (other.code, during != before), other.stderr
    assert (0, DEPLOYED) == (following.code, team.state("second")), following.stderr


def test_an_endpoint_that_never_gets_the_version_and_a_wrong_token_change_nothing(team: Team) -> None:
    """
    The first is taken back after the deadline, the second is refused by the server; the message has no token.
    """
    team.repository.write(KUSTOMIZATION)
    assert 0 == team.deploy("first").code
    before = team.repository.file()

    with not_yet(team, "second"):
        late = team.deploy("second", "--deadline", "3")
    returned = team.repository.file()
    stranger = replace(team, variables={**team.variables, "GITHUB_TOKEN": "not-the-token-of-this-job"})
    refused = stranger.deploy("second")

    assert (NOT_SERVING, RETURNED) == (late.code, team.state("second")), late.stderr
    assert refused.code not in (0, FINDINGS)
    assert "not-the-token" not in refused.stdout + refused.stderr
    assert before == returned == team.repository.file()


def test_audit_finds_a_version_that_somebody_wrote_by_hand(team: Team) -> None:
    """
    The link of the deployment holds before, and is broken after.
    """
    team.repository.write(KUSTOMIZATION)
    assert 0 == team.deploy("first").code
    uri = f"models:/wine/{team.numbers['first']}"

    right = team.sample.run("audit", uri, variables=team.variables)
    digests = [*team.repository.ports]
    team.repository.write(team.repository.file().replace(digests[0], digests[1]))
    broken = team.sample.run("audit", uri, variables=team.variables)

    about = ["deployment prod" in json.dumps(run.answer["findings"]) for run in (right, broken)]
    assert [False, True] == about, right.stdout
    assert (0, True) == (right.code, broken.code != 0)


def test_a_pull_request_is_recorded_and_counts_once_it_is_merged(team: Team) -> None:
    """
    Until then the version before runs, and is the one that the record says.
    """
    manifest = team.sample.folder / "pyproject.toml"
    team.repository.write(KUSTOMIZATION)
    first = team.deploy("first")
    manifest.write_text(manifest.read_text().replace("pull-request = false", "pull-request = true"))
    team.sample.commit()
    before = team.repository.file()

    proposed = team.deploy("second")
    during, states = team.repository.file(), (team.state("first"), team.state("second"))
    (branch,) = team.repository.git("for-each-ref", "--format=%(refname)", "refs/heads/mlflow-uv").split()
    team.repository.git("update-ref", "refs/heads/main", branch)
    merged = team.deploy("second")

    assert [0, 0, 0] == [run.code for run in (first, proposed, merged)], (proposed.stderr, merged.stderr)
    assert "once this is merged: https://github.test/" in proposed.stderr
    assert (team.numbers["first"], False) == (proposed.outputs["version"], proposed.outputs["deployment-changed"])
    assert (before, (DEPLOYED, PROPOSED)) == (during, states)
    assert (REPLACED, DEPLOYED) == (team.state("first"), team.state("second"))
    assert team.numbers["second"] == merged.outputs["version"]
