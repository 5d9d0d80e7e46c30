"""Fixtures of the cases: consumers that are released once and restored after every test."""

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sharing import SharedFolder
from tests.signers import Signers, make_signers
from tests.stores import Stores, servers_python, stores

from .consumer import Consumer, make_consumer, share_bytecode
from .images import remove_image
from .in_process import InProcessProject, in_process_project
from .sample_project import SampleProject, oddly_named, training


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """A consumer after a whole release, and copies of its state after each step."""

    consumer: Consumer
    after: Mapping[str, Path]
    untouched: Path

    def restore(self, step: str) -> None:
        """Let everything be as it was after a step."""
        for original, copy in (
            (self.consumer.home / "state", self.after[step]),
            (self.consumer.folder, self.untouched),
        ):
            shutil.rmtree(original)
            shutil.copytree(copy, original, symlinks=True)


@pytest.fixture(scope="session")
def released(
    tmp_path_factory: pytest.TempPathFactory, shared: SharedFolder, root: Path, engine_complaint: str
) -> Iterator[Released]:
    """The wine example, released step by step, with an image where there is an engine, else with a process."""
    place = tmp_path_factory.mktemp("consumer")
    engine = "none" if engine_complaint else "any"
    image = name_of_image()
    consumer = make_consumer(place / "wine", place / "home", root / "examples" / "wine", engine=engine, image=image)
    share_bytecode(consumer, shared)
    untouched = place / "untouched"
    shutil.copytree(consumer.folder, untouched, symlinks=True)
    after = {}
    for step in ("log-model", "register", "build-image", "smoke-test"):
        result = consumer.run(step, *(("--engine", engine) if step == "build-image" else ()))
        assert result.code == 0, result.stderr
        after[step] = place / f"after-{step}"
        shutil.copytree(consumer.home / "state", after[step])
    assert consumer.git("status", "--porcelain") == ""
    yield Released(consumer=consumer, after=after, untouched=untouched)
    if not engine_complaint:
        remove_image(image)


def name_of_image() -> str:
    """A name that no image has: other processes may test beside us, with the same engine."""
    return f"mlflow-uv-test-{secrets.token_hex(4)}:1"


@pytest.fixture
def image() -> Iterator[str]:
    """The name of an image, which is removed afterwards."""
    name = name_of_image()
    yield name
    remove_image(name)


@pytest.fixture
def consumer(released: Released) -> Iterator[Consumer]:
    """The released consumer, for a test to harm: its folder, store and records are put back afterwards."""
    yield released.consumer
    released.restore("smoke-test")


@pytest.fixture
def run_up_to(consumer: Consumer, released: Released) -> Callable[[str], None]:  # noqa: ARG001  # it puts things back
    """Go back to where the release had come after a step."""
    return released.restore


@pytest.fixture(scope="session")
def released_sample(tmp_path_factory: pytest.TempPathFactory, shared: SharedFolder, root: Path) -> SampleProject:
    """A consumer with a model that trains in seconds, released once in a process, from a folder with an odd name."""
    place = oddly_named(tmp_path_factory.mktemp("sample"))
    temporary = tmp_path_factory.mktemp("temporary")
    consumer = make_consumer(place / "wine", place / "home", root / "examples" / "wine", engine="none")
    share_bytecode(consumer, shared)
    sample = SampleProject(consumer=consumer, temporary=temporary, untouched=place / "untouched")
    manifest = sample.folder / "pyproject.toml"
    # What is asked of the example's model is not asked of ours.
    manifest.write_text(manifest.read_text().partition("data-function")[0])
    sample.train_with(training())
    result = sample.run("release", "--engine", "none")
    assert result.code == 0, result.stderr
    sample.keep()
    return sample


@pytest.fixture
def sample(released_sample: SampleProject) -> SampleProject:
    """The sample project, as it was after its first release."""
    released_sample.restore()
    return released_sample


@pytest.fixture(scope="session")
def signers(shared: SharedFolder) -> Signers:
    """See make_signers."""
    return make_signers(shared)


@pytest.fixture(scope="module")
def project(released_sample: SampleProject) -> Iterator[InProcessProject]:
    """The sample project with tools that stay open for a module; each test makes runs and commits of its own."""
    released_sample.restore()
    with in_process_project(released_sample) as found:
        yield found


@pytest.fixture(scope="session")
def servers(
    tmp_path_factory: pytest.TempPathFactory, shared: SharedFolder, postgres_programs: Path
) -> Iterator[Stores]:
    """Real stores: MLflow's server in front of PostgreSQL and S3."""
    with stores(tmp_path_factory.mktemp("stores"), servers_python(shared), postgres_programs) as found:
        yield found
