"""What an environment is made from, and when one that is there is the one that is needed."""

import json
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ChainBroken, ModelUnusable
from mlflow_uv.core.model import model_files
from mlflow_uv.core.release.record import ImageLink, WheelLink
from mlflow_uv.ops.image.environment import (
    install,
    inventory_digest,
    mismatches,
    needs_in,
    needs_of,
    recorded_environment,
    restored,
)
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.toolbox import Tools
from tests.environment_folders import environment_at, folders_in

SIX = "six==1.17.0 \\\n    --hash=sha256:00\n"
WHEEL = "mine-1.0-py3-none-any.whl"


@dataclass
class Fakes:
    """Environments that hold what a test says, and a count of how often one was made."""

    folder: Path
    holds: list[tuple[str, str]] = field(default_factory=lambda: [("six", "1.17.0")])
    made: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self) -> Tools:
        """As a step takes them."""
        fakes = SimpleNamespace(
            environments=SimpleNamespace(serving=folders_in(self.folder), at=environment_at),
            uv=SimpleNamespace(install=self._install),
            servers=SimpleNamespace(inventory=self._inventory),
            console=SimpleNamespace(foreign=print, group=nullcontext),
            host=SimpleNamespace(variables={}),
            runner=SystemRunner(),
        )
        return cast("Tools", fakes)

    def _install(self, requirements: Path, environment: Path, **words: Any) -> Path:
        self.made.append({"list": requirements.read_text(), **words})
        (environment / "bin").mkdir(parents=True, exist_ok=True)
        python = environment / "bin" / "python"
        python.touch()
        package = environment / "lib" / "python3.12" / "site-packages" / "six-1.17.0.dist-info"
        package.mkdir(parents=True)
        (package / "METADATA").touch()
        (package / "RECORD").write_text("six-1.17.0.dist-info/METADATA,,\n")
        return python

    def _inventory(self, python: Path) -> str:
        if python.read_text():
            return ""  # damaged
        inventory = {"python": "3.12.9", "marker_environment": {}, "elsewhere": [], "model": []}
        return json.dumps({**inventory, "installed": self.holds})


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    """Nothing made yet."""
    return Fakes(folder=tmp_path / "serving")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of ours: requirements with hashes, one wheel, the Python that trained it."""
    folder = tmp_path / "model"
    (folder / model_files.WHEELS).mkdir(parents=True)
    (folder / model_files.WHEELS / WHEEL).write_bytes(b"wheel")
    (folder / model_files.HASHED).write_text(SIX)
    (folder / model_files.REQUIREMENTS).write_text(f"six==1.17.0\n{model_files.WHEELS}/{WHEEL}\n")
    (folder / model_files.PYTHON).write_text("3.12.1\n")
    return folder


def test_a_model_of_ours_is_restored_with_hashes_and_nothing_else(model: Path, fakes: Fakes) -> None:
    """
    The list with hashes is the whole closure; the wheel is known by its digest.
    """
    needs = needs_in(model)

    install(needs, fakes(), python="3.12")

    (made,) = fakes.made
    assert (True, True, SIX, "3.12", (WHEEL,)) == (
        made["hashed"], made["resolved"], made["list"], needs.minor, tuple(wheel.file for wheel in needs.wheels),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("python_env.yaml", "python: 3.10.4\nbuild_dependencies: []\n"),
        ("python_env.yaml", "python: '3.10'\n"),
        ("conda.yaml", "dependencies:\n- python=3.10.4\n- pip\n"),
    ],
)
def test_a_model_of_others_is_restored_from_its_own_list(tmp_path: Path, fakes: Fakes, file: str, text: str) -> None:
    """
    Without hashes, and with whatever the list brings along, on the Python that MLflow noted.
    """
    (tmp_path / model_files.REQUIREMENTS).write_text("mlflow>=3\n")
    (tmp_path / file).write_text(text)

    needs = needs_in(tmp_path)
    install(needs, fakes(), python=needs.minor)

    assert (False, False, "3.10") == (fakes.made[0]["hashed"], fakes.made[0]["resolved"], fakes.made[0]["python"])


@pytest.mark.parametrize("lost", [model_files.REQUIREMENTS, "python_env.yaml"])
def test_a_model_that_says_too_little_is_unusable(tmp_path: Path, lost: str) -> None:
    """
    Nothing is guessed about what it needs.
    """
    (tmp_path / model_files.REQUIREMENTS).write_text("mlflow>=3\n")
    (tmp_path / "python_env.yaml").write_text("python: 3.10.4\n")
    (tmp_path / lost).unlink()

    with pytest.raises(ModelUnusable) as caught:
        needs_in(tmp_path)

    assert "the model does not " in caught.value.what


def test_an_environment_is_found_again(model: Path, fakes: Fakes) -> None:
    """
    Making one takes a while; the same needs on the same Python are the same environment.
    """
    first = restored(needs_in(model), fakes(), python="3.12")

    second = restored(needs_in(model), fakes(), python="3.12")

    assert (first, 1) == (second, len(fakes.made))


@pytest.mark.parametrize(("locked", "edited", "count"), [(True, False, 1), (True, True, 2), (False, False, 2)], ids=str)
def test_a_release_serves_from_an_unchanged_environment_of_a_lock(
    model: Path, fakes: Fakes, *, locked: bool, edited: bool, count: int
) -> None:
    """
    A file that was edited is noticed by its time; what is not locked may be resolved to something else by now.
    """
    if not locked:
        (model / model_files.HASHED).unlink()
    python, _ = install(needs_in(model), fakes(), python="3.12")
    if edited:
        (python.parents[1] / "lib" / "python3.12" / "site-packages" / "six.py").write_text("")

    install(needs_in(model), fakes(), python="3.12")

    assert count == len(fakes.made)


def test_an_environment_that_changed_is_made_again(model: Path, fakes: Fakes) -> None:
    """
    Somebody installed something into it: what it holds is not what it held when it was made.
    """
    restored(needs_in(model), fakes(), python="3.12")
    fakes.holds.append(("sixer", "1"))

    restored(needs_in(model), fakes(), python="3.12")

    assert 2 == len(fakes.made)


@pytest.mark.parametrize("change", ["pin", "wheel", "python"])
def test_other_needs_are_another_environment(model: Path, fakes: Fakes, change: str) -> None:
    """
    One pin, the content of a wheel of the same name, or the interpreter: nothing is shared then.
    """
    first, _ = restored(needs_in(model), fakes(), python="3.12")
    if change == "pin":
        (model / model_files.HASHED).write_text(SIX.replace("1.17.0", "1.16.0"))
    if change == "wheel":
        (model / model_files.WHEELS / WHEEL).write_bytes(b"another")

    second, _ = restored(needs_in(model), fakes(), python="3.11" if change == "python" else "3.12")

    assert first != second


def test_a_hashed_list_that_is_not_ours_is_an_error_of_the_model(tmp_path: Path) -> None:
    """
    As one that includes another file.
    """
    (tmp_path / model_files.HASHED).parent.mkdir()
    (tmp_path / model_files.HASHED).write_text("-r other.txt\n")

    with pytest.raises(ModelUnusable, match="cannot be read") as raised:
        needs_of(tmp_path, wheels=(), python="3.12.1")

    assert ("release the model again", True) == (raised.value.fix, "-r other.txt" in raised.value.why)


def test_a_wheel_for_elsewhere_is_not_missed(tmp_path: Path) -> None:
    """
    One whose marker does not hold here is not installed here.
    """
    (tmp_path / model_files.HASHED).parent.mkdir()
    (tmp_path / model_files.HASHED).write_text(SIX)
    wheel = WheelLink(file=WHEEL, name="mine", version="1.0", sha256="0", marker='sys_platform == "win32"')
    needs = needs_of(tmp_path, wheels=(wheel,), python="3.12.1")
    inventory = {"python": "3.12.9", "marker_environment": {"sys_platform": "linux"}, "elsewhere": []}

    elsewhere, here = (
        mismatches(one, json.dumps({**inventory, "installed": [["six", "1.17.0"]]}))
        for one in (needs, replace(needs, wheels=(replace(wheel, marker=""),)))
    )

    assert ((), ("mine is not installed",)) == (elsewhere, here)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("removed", "was removed"),
        ("another package", "is not the recorded one"),
        ("interpreter", "is damaged: the package list of the serving environment cannot be read"),
        ("file", "is damaged: files were changed, added or removed"),
    ],
)
def test_an_environment_that_is_not_as_recorded_breaks_the_chain_and_is_built_again(
    model: Path, fakes: Fakes, fault: str, state: str
) -> None:
    """
    The step that makes it is the fix, whatever happened to it.
    """
    python, inventory = restored(needs_in(model), fakes(), python="3.12")
    folder = python.parents[1]
    image = ImageLink(kind="process", id=inventory_digest(inventory), tag=str(folder), base="", base_digest="")
    whole = recorded_environment(image, fakes())
    match fault:
        case "removed":
            folder.rename(folder.with_name("gone"))
        case "another package":
            fakes.holds.append(("plum", "1.0"))
        case "interpreter":
            python.write_text("damaged")
        case _:
            (folder / "lib" / "python3.12" / "site-packages" / "six-1.17.0.dist-info" / "METADATA").unlink()

    with pytest.raises(ChainBroken) as caught:
        recorded_environment(image, fakes())

    assert (python, True) == (whole, state in str(caught.value.why)), caught.value.why
    assert "build-image" in str(caught.value.fix)
