"""What would stop a release after its training is found before it, all at once, each with what mends it."""

import shlex
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.indexes import index_of, served
from tests.ports import free_port
from tests.unit.tools.oci.registryserver import Answer, FakeRegistry, refusal, serving

from .consumer import CommandResult, Consumer
from .images import BASE, remove_image
from .sample_project import SampleProject
from .test_image_step import base  # noqa: F401  # a fixture

NOWHERE = {"DOCKER_HOST": "unix:///nonexistent.sock", "CONTAINER_HOST": "unix:///nonexistent.sock"}
FINDINGS, BAD_INPUT, NO_PROJECT, NO_TOOL, FAILED, NO_COMMIT, NO_STORE = 1, 2, 4, 5, 6, 7, 8
NO_MODEL, NO_BASE, NO_ENGINE, UNFIT = 10, 12, 13, 18
SETTINGS = '\n[tool.mlflow-uv]\ntrain = "touch trained"\nengine = "none"\n'


@dataclass(frozen=True, kw_only=True)
class Site:
    """A project whose packages come from an index of ours, and whose training leaves a file and no model."""

    consumer: Consumer

    @property
    def folder(self) -> Path:
        """The project."""
        return self.consumer.folder

    @property
    def trained(self) -> Path:
        """What training leaves."""
        return self.folder / "trained"

    def release(self, *flags: str, **variables: str) -> CommandResult:
        """Release it."""
        return self.consumer.run("release", *flags, variables=variables)

    def commit(self) -> None:
        """Commit whatever was changed."""
        self.consumer.git("add", "--all")
        self.consumer.git("commit", "--quiet", "--message", "x")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with an MLflow that does nothing, an older one, and packages without a wheel for Linux."""
    place = tmp_path_factory.mktemp("index")
    files = [
        projects.wheel(place / "made", "mlflow", "3.17.2"),
        projects.wheel(place / "made", "mlflow", "2.1.0"),
        projects.wheel(place / "made", "grape", "1.0", tag="cp311-cp311-win_amd64"),
        projects.sdist(place / "made", "grape", "1.0"),
        projects.sdist(place / "made", "must", "1.0"),
        projects.sdist(place / "made", "psycopg2", "1.0"),
        projects.wheel(place / "made", "psycopg2", "1.0", tag="cp311-cp311-win_amd64"),
        projects.wheel(place / "made", "psycopg2_binary", "1.0"),
    ]
    pages = index_of(place / "pages", *files)
    (pages / "simple" / "psycopg2_binary").rename(pages / "simple" / "psycopg2-binary")
    with served(pages) as url:
        yield url


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the tests share: projects that are locked and committed once, and a home."""
    return tmp_path_factory.mktemp("sites")


@pytest.fixture
def site(tmp_path: Path, place: Path, index: str) -> Callable[..., Site]:
    """A copy of a project with these dependencies, locked and committed, that was not released yet."""

    def make(*dependencies: str) -> Site:
        original = place / str(abs(hash(dependencies)))
        if not original.exists():
            settings = f'[[tool.uv.index]]\nname = "ours"\nurl = "{index}"\ndefault = true\n{SETTINGS}'
            projects.project(original, *(dependencies or ("mlflow==3.17.2",)), more=settings)
            subprocess.run(("uv", "lock", "--quiet"), cwd=original, check=True)
            consumer = Consumer(folder=original, home=place / "home", engine="none")
            consumer.git("init", "--quiet", "--initial-branch=main")
            Site(consumer=consumer).commit()
        folder = tmp_path / "wine"
        shutil.copytree(original, folder)
        return Site(consumer=Consumer(folder=folder, home=place / "home", engine="none"))

    return make


def told(result: CommandResult) -> list[dict[str, Any]]:
    """Everything that is in the way: the findings, and the error whose code the program ends with."""
    errors = [result.answer["error"]] if "error" in result.answer else []
    return [*result.answer["findings"], *errors]


@pytest.mark.extended
def test_with_nothing_in_the_way_the_training_runs(sample: SampleProject) -> None:
    """
    What the tests below look for is there where nothing is spoilt; asked alone, the same checks train nothing.
    """
    train = ("--train", "touch trained", "--engine", "none")
    trained = sample.folder / "trained"

    alone = sample.run("release", "--preflight", *train)
    before = trained.exists()
    result = sample.consumer.run("release", *train)
    after = trained.exists()
    trained.unlink()

    assert (0, [], False) == (alone.code, alone.answer["findings"], before), alone.stderr
    assert "everything that the release needs is available" in alone.answer["summary"]
    assert (NO_MODEL, True) == (result.code, after), result.stderr


FAULTS: dict[str, tuple[tuple[str, ...], dict[str, str], int, str, str]] = {
    "two ways": (
        ("--train", "touch trained", "--function", "a:b"), {}, BAD_INPUT, "a release has one model source", "keep one",
    ),
    "an example that is not there": (
        ("--input-example", "a.json"), {}, BAD_INPUT, "`input-example` does not exist", "--input-example PATH",
    ),
    "a server that is not there": (
        ("--tracking-uri", "http://127.0.0.1:9"), {}, NO_STORE, "the tracking server does not answer", "--tracking-uri",
    ),
    "no server on a runner": (
        (), {"GITHUB_ACTIONS": "true"}, NO_STORE, "no tracking server is configured", "--tracking-uri",
    ),
    "a name that Unity Catalog does not take": (
        (), {"MLFLOW_REGISTRY_URI": "databricks-uc"}, BAD_INPUT, "`wine` is not a Unity Catalog model name",
        "--model-name CATALOG.SCHEMA.NAME",
    ),
    "a name with capitals in Unity Catalog": (
        ("--model-name", "main.models.Wine"), {"MLFLOW_REGISTRY_URI": "databricks-uc"}, BAD_INPUT,
        "`main.models.Wine` is not a Unity Catalog model name", "--model-name main.models.wine",
    ),
    "an experiment that is no path in a workspace": (
        ("--tracking-uri", "databricks", "--model-name", "main.models.wine"), {}, BAD_INPUT,
        "`wine` is not the name of an experiment in Databricks", "--experiment /Shared/wine",
    ),
    "an alias that MLflow keeps": (
        ("--alias", "V2"), {}, BAD_INPUT, "`V2` is not a valid MLflow alias", "--alias candidate",
    ),
    "an alias with a space": (
        ("--alias", "on trial"), {}, BAD_INPUT, "`on trial` is not a valid MLflow alias", "--alias candidate",
    ),
    "a push to nowhere": (("--push",), {}, BAD_INPUT, "there is no registry to push", "--image REGISTRY/NAME"),
    "an engine that does not answer": (
        ("--engine", "docker"), NOWHERE, NO_ENGINE, "Docker does not answer", "install and start Docker",
    ),
}  # fmt: skip


@pytest.mark.core_variants(3)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_stops_a_release_before_it_trains(site: Callable[..., Site], fault: str) -> None:
    """
    One thing is in the way: it is the only one that is told, with the exit code of the step that would have found it.
    """
    wine = site()
    flags, variables, code, what, fix = FAULTS[fault]

    result = wine.release(*flags, **variables)

    (problem,) = told(result)
    assert (code, False) == (result.code, wine.trained.exists()), result.stderr
    assert problem["what"].startswith(what)
    assert fix in problem["fix"]


@pytest.mark.engine
@pytest.mark.parametrize("flags", [(), ("--preflight",)], ids=["release", "alone"])
def test_a_base_image_that_nobody_has_stops_a_release_before_it_trains(
    site: Callable[..., Site], flags: tuple[str, ...]
) -> None:
    """
    A registry that says so is believed: nothing is pulled to find that out when only the question is asked.
    """
    wine = site()
    with serving(FakeRegistry()) as registry:
        name = f"{registry.host}/team/wine:1"

        result = wine.release("--engine", "docker", "--base-image", name, *flags)

    (problem,) = told(result)
    assert (NO_BASE, False) == (result.code, wine.trained.exists()), result.stderr
    assert f"the base image `{name}` is not present and cannot be pulled" == problem["what"]
    assert problem["fix"].endswith("base-image NAME")


@pytest.fixture
def newer_base(tmp_path: Path) -> Iterator[str]:
    """A base image whose interpreter says that it is one which this machine does not have."""
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BASE}\nRUN rm /usr/local/bin/python3 && printf '#!/bin/sh\\necho 3.99.1\\n' > /usr/local/bin/python3"
        " && chmod 755 /usr/local/bin/python3\n"
    )
    name = f"mlflow-uv-test-{uuid.uuid4().hex[:12]}:newer"
    subprocess.run(("docker", "build", "--quiet", "--tag", name, tmp_path), check=True, capture_output=True)
    yield name
    remove_image(name)


@pytest.mark.engine
def test_a_base_image_with_another_python_stops_a_release_before_it_trains(
    site: Callable[..., Site], newer_base: str
) -> None:
    """
    The Python that will train is known before it does; the image that the error names has it.
    """
    wine = site()

    result = wine.release("--engine", "docker", "--base-image", newer_base)

    (problem,) = told(result)
    minor = f"3.{sys.version_info.minor}"
    fix, _, other = problem["fix"].partition(", or ")
    mended = wine.release("--engine", "docker", "--preflight", *shlex.split(fix))
    assert (UNFIT, False) == (result.code, wine.trained.exists()), result.stderr
    assert f"the base image `{newer_base}` has Python 3.99.1" == problem["what"]
    assert f"the model needs {minor}." in problem["why"]
    assert (f"--base-image python:{minor}-slim", f"another with Python {minor}") == (fix, other)
    assert (0, []) == (mended.code, told(mended)), mended.stderr


def test_a_login_that_may_not_push_stops_a_release_before_it_trains(site: Callable[..., Site]) -> None:
    """
    The registry is asked for the right, and gets nothing to keep.
    """
    wine = site()
    with serving(FakeRegistry(rule=lambda _asked: refusal(403, "DENIED"))) as registry:
        result = wine.release("--push", "--image", f"{registry.host}/team/wine")

    problem = result.answer["error"]
    assert (FAILED, False) == (result.code, wine.trained.exists()), result.stderr
    assert f"`{registry.host}/team/wine` cannot be pushed" == problem["what"]
    assert f"docker login {registry.host}" == problem["fix"]
    assert ["POST /v2/team/wine/blobs/uploads/"] == [asked.call for asked in registry.asked]


def test_a_registry_that_takes_a_push_is_left_as_it_was(site: Callable[..., Site]) -> None:
    """
    The upload that was begun is cancelled.
    """
    wine = site()

    def rule(asked: Any) -> Answer:
        place = {"Location": "/v2/team/wine/blobs/uploads/7"}
        return Answer(202, headers=place) if asked.call.startswith("POST") else Answer(204)

    with serving(FakeRegistry(rule=rule)) as registry:
        result = wine.release("--preflight", "--push", "--image", f"{registry.host}/team/wine")

    assert 0 == result.code, result.stderr
    assert ["POST /v2/team/wine/blobs/uploads/", "DELETE /v2/team/wine/blobs/uploads/7"] == [
        asked.call for asked in registry.asked
    ]


@pytest.mark.parametrize(
    ("dependencies", "code", "what", "fix"),
    [
        (
            ("mlflow", "grape"), FAILED, "`grape` has no wheel for the base image",
            "--base-image NAME of one with a compiler",
        ),
        (("mlflow==2.1.0",), NO_TOOL, "the project's MLflow is 2.1.0", "uv add 'mlflow>=2.20'"),
        (("must; sys_platform == 'win32'",), NO_PROJECT, "the served selection has no MLflow", "uv add mlflow"),
    ],
    ids=["compiled", "old MLflow", "no MLflow"],
)  # fmt: skip
@pytest.mark.engine
def test_a_lock_that_cannot_be_served_stops_a_release_before_it_trains(
    site: Callable[..., Site], dependencies: tuple[str, ...], code: int, what: str, fix: str
) -> None:
    """
    A package with wheels for other systems alone is compiled, and a slim image has no compiler.
    """
    wine = site(*dependencies)

    result = wine.release("--engine", "docker", "--builder", "engine")

    (problem,) = told(result)
    assert (code, False) == (result.code, wine.trained.exists()), result.stderr
    assert problem["what"].startswith(what)
    assert fix in problem["fix"]


@pytest.mark.engine
def test_the_package_in_place_of_one_that_needs_a_compiler_is_what_the_fix_adds(site: Callable[..., Site]) -> None:
    """
    The line is run as it is printed, and then nothing is in the way.
    """
    wine = site("mlflow", "psycopg2")

    refused = wine.release("--preflight", "--engine", "docker", "--builder", "engine")
    (problem,) = told(refused)
    line = problem["fix"].rpartition(" or ")[2]
    subprocess.run(line, shell=True, cwd=wine.folder, check=True, capture_output=True)  # as a person would
    again = wine.release("--preflight", "--engine", "docker", "--builder", "engine")

    assert (FAILED, "uv remove psycopg2 && uv add psycopg2-binary") == (refused.code, line)
    assert 0 == again.code, again.stderr


@pytest.mark.engine
def test_a_base_image_with_a_compiler_is_what_the_fix_asks_for(
    site: Callable[..., Site],
    base: Callable[[str], str],  # noqa: F811
) -> None:
    """
    What it can build is left to it.
    """
    wine = site("mlflow", "grape")
    name = base(f"FROM {BASE}\nRUN ln -s /bin/true /usr/local/bin/cc\n")

    result = wine.release("--preflight", "--engine", "docker", "--base-image", name)

    assert 0 == result.code, result.stderr


@pytest.mark.engine
def test_a_source_that_may_be_python_alone_is_a_warning_when_only_the_question_is_asked(
    site: Callable[..., Site],
) -> None:
    """
    Nobody knows before it was built; a release builds it first, in the environment that it trains in.
    """
    wine = site("mlflow", "must==1.0")

    alone = wine.release("--preflight", "--engine", "docker", "--builder", "engine")
    result = wine.release("--engine", "docker", "--builder", "engine")

    assert (0, ["preflight-source"]) == (alone.code, alone.rules), alone.stderr
    assert (FAILED, False) == (result.code, wine.trained.exists()), result.stderr


def test_a_commit_and_a_python_that_are_not_there_stop_a_release_before_it_trains(site: Callable[..., Site]) -> None:
    """
    Everything that is in the way is told at once; the exit code is that of the first.
    """
    wine = site()
    (wine.folder / ".python-version").write_text("3.9.99\n")
    (wine.folder / ".git").rename(wine.folder / "git")

    result = wine.release("--alias", "latest", "--push", UV_PYTHON_DOWNLOADS="never")

    found = {problem["what"] for problem in told(result)}
    assert (NO_COMMIT, False) == (result.code, wine.trained.exists()), result.stderr
    assert {
        f"`{wine.folder}` has no commit",
        "the project's Python is not installed, and uv cannot download it",
        "there is no registry to push the image to",
        "`latest` is not a valid MLflow alias",
    } == found


def test_a_stale_lock_and_a_wrong_alias_are_told_together(site: Callable[..., Site]) -> None:
    """
    Who needs the lock does not say again that it is stale.
    """
    wine = site()
    projects.depend_on(wine.folder, "mlflow==3.17.2", "grape")

    result = wine.release("--alias", "latest")

    rules = [problem.get("rule", problem.get("kind")) for problem in told(result)]
    assert (BAD_INPUT, False) == (result.code, wine.trained.exists()), result.stderr
    assert ["lock-requirement-added", "BadInput"] == rules


def test_a_release_of_some_steps_asks_what_these_need(site: Callable[..., Site]) -> None:
    """
    Nobody who only trains needs an engine.
    """
    wine = site()

    result = wine.release("--preflight", "--steps", "check-lock,log-model", "--engine", "docker", **NOWHERE)

    assert 0 == result.code, result.stderr


def test_a_server_that_is_written_down_and_does_not_listen_is_told_before_training(site: Callable[..., Site]) -> None:
    """
    At its place, as a warning: nobody knows before it runs whether training sets it.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", port)):
        wine = site()
        (wine.folder / "train.py").write_text(f'import mlflow\n\nmlflow.set_tracking_uri("{url}")\n')
        wine.commit()
        listens = wine.release("--preflight")
    silent = wine.release("--preflight")
    released = wine.release()

    (finding,) = silent.answer["findings"]
    told_at = released.stderr.index(f"train.py:3: no server listens at `{url}`")
    assert (0, []) == (listens.code, listens.rules), listens.stderr
    assert (0, "written-tracking-uri", str(wine.folder / "train.py"), 3) == (
        silent.code, finding["rule"], finding["path"], finding["line"],
    )  # fmt: skip
    assert told_at < released.stderr.index("▸ log-model")
