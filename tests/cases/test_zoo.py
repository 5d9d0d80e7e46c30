"""Models of many kinds are released and verified: each training program is in `tests/zoo`, with one lock for all."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from .consumer import CommandResult, make_consumer
from .sample_project import SampleProject

WAYS = "locked-load locked-serve process"
# What every release says that builds no image.
OF_EACH_PROCESS = {"no-image", "not-isolated", "served-in-process", "target-builds"}

pytestmark = pytest.mark.extended


@dataclass(frozen=True, kw_only=True, slots=True)
class ZooModel:
    """
    A training program with its arguments, and what is said about its model.

    `ignored` are the paths of its answers that hold a time or an id, `rules` those of the findings of its release.
    """

    command: str
    ignored: str = ""
    rules: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name of the registered model."""
        return "-".join(self.command.replace(".py", "").split())

    @property
    def flags(self) -> tuple[str, ...]:
        """What a release is asked for it."""
        ignoring = ("--ignore-answers", self.ignored) if self.ignored else ()
        return ("--engine", "none", "--train", f"python {self.command}", "--model-name", self.name, *ignoring)


# Their environment needs MLflow only.
OF_CODE = (
    ZooModel(command="nested.py"),
    ZooModel(command="text.py"),
    ZooModel(command="parameters.py"),
    ZooModel(command="from_code.py"),
    ZooModel(command="stream.py"),
    # A missing text is NaN in pandas, and so in the response of any server of MLflow.
    ZooModel(command="frame.py", rules=frozenset({"answers-not-json"})),
    ZooModel(command="chat.py", ignored="$.created,$.id"),
    ZooModel(command="agent.py", ignored="$.id,$.output[*].id,$.item.id"),
)
OF_LIBRARIES = (
    ZooModel(command="scikit.py classifier skops"),
    ZooModel(command="scikit.py classifier cloudpickle"),
    ZooModel(command="scikit.py regressor skops"),
    ZooModel(command="scikit.py regressor cloudpickle"),
    ZooModel(command="gaps.py"),
    ZooModel(command="dates.py"),
    ZooModel(command="boosted.py xgboost"),
    ZooModel(command="boosted.py booster"),
    ZooModel(command="boosted.py lightgbm"),
    ZooModel(command="regression.py"),
    ZooModel(command="tensors.py plain"),
    ZooModel(command="tensors.py named"),
)
IN_IMAGES = [ZooModel(command="gaps.py"), ZooModel(command="tensors.py named"), ZooModel(command="nested.py")]


def programs_into(folder: Path, root: Path) -> None:
    """Copy every training program into a project."""
    for program in (root / "tests" / "zoo").glob("*.py"):
        shutil.copy(program, folder)


@pytest.fixture(scope="module")
def code_project(released_sample: SampleProject, root: Path) -> SampleProject:
    """The sample project with the training programs."""
    released_sample.restore()
    programs_into(released_sample.folder, root)
    released_sample.commit()
    return released_sample


@pytest.fixture(scope="module")
def zoo_project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> SampleProject:
    """The project with all libraries, from its own lock."""
    place = tmp_path_factory.mktemp("zoo")
    (place / "temporary").mkdir()
    consumer = make_consumer(place / "zoo", place / "home", root / "tests" / "zoo", engine="none")
    return SampleProject(consumer=consumer, temporary=place / "temporary", untouched=place / "untouched")


def require_released_and_equal(project: SampleProject, model: ZooModel, ways: str) -> CommandResult:
    """Release and verify a model; what the release said."""
    released = project.run("release", *model.flags)
    assert (0, "tested") == (released.code, released.outputs.get("state")), released.stdout
    assert model.rules == set(released.rules) - OF_EACH_PROCESS, released.stdout
    assert released.outputs["cases"] > 5, "the signature or the example gives requests"
    verified = project.run("verify", f"models:/{model.name}@candidate", "--ways", ways)
    assert (0, ["not-isolated"]) == (verified.code, verified.rules), verified.stdout
    assert ways.split() == verified.outputs["equal"]
    return released


@pytest.mark.parametrize("model", OF_CODE, ids=lambda model: model.name)
def test_a_model_of_code_gives_its_answers_everywhere(code_project: SampleProject, model: ZooModel) -> None:
    """
    Functions of text, tables and messages: example and derived requests in a process, and MLflow's own ways.
    """
    require_released_and_equal(code_project, model, WAYS)


@pytest.mark.parametrize("model", OF_LIBRARIES, ids=lambda model: model.name)
def test_a_model_of_a_library_gives_its_answers_everywhere(zoo_project: SampleProject, model: ZooModel) -> None:
    """
    Tables with strings, gaps and dates, trees, regressions and tensors: as above.
    """
    require_released_and_equal(zoo_project, model, WAYS)


@pytest.mark.parametrize("model", OF_LIBRARIES[:1], ids=lambda model: model.name)
def test_a_model_of_a_library_gives_its_answers_in_an_environment_of_uv(
    zoo_project: SampleProject, model: ZooModel
) -> None:
    """
    One that MLflow creates from the requirements of the model, which is made anew for each model.
    """
    require_released_and_equal(zoo_project, model, "uv-load uv-serve")


@pytest.mark.engine
@pytest.mark.parametrize("model", IN_IMAGES, ids=lambda model: model.name)
def test_a_model_gives_its_answers_in_an_image(zoo_project: SampleProject, image: str, model: ZooModel) -> None:
    """
    In a container without network, permissions and a writable file system, to the same requests.
    """
    flags = ("--image", image, "--engine", "docker")

    result = zoo_project.run("release", *(flag for flag in model.flags if flag not in ("--engine", "none")), *flags)

    assert (0, "tested") == (result.code, result.outputs.get("state")), result.stdout
    recorded = json.loads(zoo_project.consumer.record.read_text())["answers"]
    assert "image" == recorded["served_by"]
