"""Fixtures of the tests on a GitHub runner: the runner, this checkout as an action, and a user's repository."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.sample_project import training
from tests.contracts.mlflow_interpreter import wine_python
from tests.engines import engine_of_another_machine
from tests.github.act import Consumer, published
from tests.github.other_actions import stand_ins
from tests.registries import PASSWORD, USER, registry
from tests.sharing import SharedFolder
from tests.stores import mlflow_server


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our checkout as others get it, once for all tests, so that the launcher makes its environment once."""
    return published(tmp_path_factory.mktemp("published") / "mlflow-uv-action")


@pytest.fixture(scope="session")
def runner_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HOME on the runner."""
    return tmp_path_factory.mktemp("runner")


@pytest.fixture
def consumer(tmp_path: Path, action: Path, runner_home: Path) -> Consumer:
    """A user's empty repository on a runner that has uv."""
    folder = tmp_path / "consumer"
    folder.mkdir()
    return Consumer(folder, action=action, home=runner_home, programs=(Path(sys.executable).parent / "uv",))


@pytest.fixture
def consumer_without_uv(consumer: Consumer) -> Consumer:
    """A user's empty repository on a runner that nobody has put uv on."""
    consumer.programs = ()
    return consumer


@pytest.fixture(scope="module")
def interpreter(root: Path, shared: SharedFolder) -> Path:
    """The Python of an environment with the MLflow of the example's lock."""
    return wine_python(root, shared)


@pytest.fixture
def server(interpreter: Path, tmp_path: Path) -> Iterator[str]:
    """A tracking server of a test: the same project in another test would find its version, of another commit."""
    with mlflow_server(interpreter, tmp_path / "tracking") as uri:
        yield uri


@pytest.fixture(scope="module")
def registry_host(tmp_path_factory: pytest.TempPathFactory, registry_program: str) -> Iterator[str]:
    """A registry that asks everybody for a password, in place of GitHub's own."""
    with registry(tmp_path_factory.mktemp("registry"), registry_program, private=True) as host:
        yield host


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The engine of another machine, which has nothing."""
    with engine_of_another_machine() as host:
        yield host


@pytest.fixture
def wine(consumer: Consumer, root: Path) -> Consumer:
    """A user whose repository is the wine example."""
    shutil.copytree(root / "examples" / "wine", consumer.folder, dirs_exist_ok=True)
    return consumer


@pytest.fixture
def small(wine: Consumer) -> Consumer:
    """The wine example with a model that trains in a second."""
    (wine.folder / "train.py").write_text(training())
    manifest = wine.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().partition("data-function")[0])
    return wine


@pytest.fixture
def actions(tmp_path: Path) -> tuple[str, ...]:
    """Options that let act find stand-ins for the actions of others, and the word that logs in."""
    return ("--actor", USER, "--secret", f"GITHUB_TOKEN={PASSWORD}", *stand_ins(tmp_path))
