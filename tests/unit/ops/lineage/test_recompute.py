"""A model whose files differ from the record breaks the link that these files belong to."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.model import model_files
from mlflow_uv.core.model.answers import answers_digest
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.digests import sha256, tree_digest
from mlflow_uv.core.release.record import (
    AnswersLink,
    LockLink,
    ModelLink,
    Record,
    RequirementsLink,
    VersionLink,
    WheelLink,
)
from mlflow_uv.ops.lineage.recompute import from_model, from_verification, note_version
from mlflow_uv.serving.model import model_location
from mlflow_uv.tools.system.content import digests_in
from tests.unit.core.release.test_record import WHOLE

PINS = (
    "a==1.0",
    'b==2.0 ; python_version < "3.12"',
    "c[x]==3.0",
    "d @ https://x.test/d-4.0-py3-none-any.whl",
)
WHEEL = "wine-0.1.0-py3-none-any.whl"
LOCAL = f'{model_files.WHEELS}/{WHEEL} ; sys_platform == "linux"'
LOCK = b"version = 1\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with everything that is ours in it."""
    selection = Selection(package=None, extras=(), groups=())
    served = model_files.ServedFiles(
        requirements=parse_requirements("\n".join(PINS)),
        wheels=(model_files.wheel_of(WHEEL, sha256(b"wheel"), 'sys_platform == "linux"'),),
        python="3.11.7",
    )
    files = {name: text.encode() for name, text in model_files.environment_files(served).items()}
    files |= {model_files.LOCK: LOCK, model_files.SELECTION: model_files.selection_file(selection).encode()}
    files |= {f"{model_files.WHEELS}/{WHEEL}": b"wheel", "MLmodel": b"flavors: {}\n"}
    for name, data in files.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "model"


def recorded(model: Path) -> Record:
    """What a record says of this model."""
    return Record(
        release_key="k",
        commit=Commit(project=".", sha="0" * 40, dirty=None),
        lock=LockLink(sha256=sha256(LOCK), uv="0.13.8"),
        selection=Selection(package=None, extras=(), groups=()),
        requirements=RequirementsLink(
            sha256=parse_requirements("\n".join(PINS)).digest,
            source="lock",
            wheels=(model_files.wheel_of(WHEEL, sha256(b"wheel"), 'sys_platform == "linux"'),),
        ),
        model=ModelLink(
            model_id="m-0", run_id="r", name="n", sha256=tree_digest(digests_in(model)), store="s", python="3.11.7",
            mlflow="3.17.2",
        ),
    )  # fmt: skip


def broken(record: Record, model: Path) -> list[str]:
    """The links that do not hold, each once."""
    return list(dict.fromkeys(check.link for check in from_model(record, model) if check.state is LinkState.BROKEN))


def rewritten(model: Path, change: Callable[[str], str]) -> None:
    """Change the model's requirements."""
    path = model / model_files.REQUIREMENTS
    before = path.read_text()
    path.write_text(change(before))
    assert before != path.read_text()


def test_an_untouched_model_holds(model: Path) -> None:
    """
    What nobody touched breaks nothing, so that the tests below break for their own reason.
    """
    found = broken(recorded(model), model)

    assert [] == found


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("a==1.0", "a==1.1"),
        lambda text: text.replace("a==1.0\n", ""),
        lambda text: text + "e==5.0\n",
        lambda text: text.replace("a==1.0", "a>=1.0"),
        lambda text: text.replace("3.12", "3.13"),
        lambda text: text.replace(' ; python_version < "3.12"', ""),
        lambda text: text.replace("c[x]", "c"),
        lambda text: text.replace("c[x]", "c[x,y]"),
        lambda text: text.replace("d-4.0", "d-4.1"),
        lambda text: text.replace("https://x.test", "https://y.test"),
        lambda text: text.replace(LOCAL + "\n", ""),
        lambda text: text.replace(WHEEL, "wine-0.2.0-py3-none-any.whl"),
        lambda text: text.replace(WHEEL, "beer-0.1.0-py3-none-any.whl"),
        lambda text: text.replace(' ; sys_platform == "linux"', ""),
        lambda text: text.replace("linux", "win32"),
        lambda text: text.replace(LOCAL, f"./{LOCAL}"),
        lambda text: text.replace(LOCAL, "wine==0.1.0"),
        lambda text: text + "-r other.txt\n",
        lambda text: text[:0],
    ],
    ids=[
        "another version", "dropped line", "extra package", "range", "another marker", "dropped marker",
        "dropped extra", "another extra", "another file", "another host", "dropped wheel", "wheel of another version",
        "wheel of another name", "wheel everywhere", "wheel elsewhere", "wheel by another path", "wheel as a pin",
        "another file of requirements", "nothing",
    ],
)  # fmt: skip
def test_other_requirements_break_their_link(model: Path, change: Callable[[str], str]) -> None:
    """
    Every line that would install something else, or not from here, breaks `requirements` and the model's digest.
    """
    record = recorded(model)
    rewritten(model, change)

    found = broken(record, model)

    assert ["requirements", "model"] == found


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "--index-url https://x.test/simple\n" + text,
        lambda text: "# a comment\n" + text,
        lambda text: text.replace("a==1.0", "A==1.0"),
        lambda text: text.replace(f"{model_files.WHEELS}/", f"{model_files.WHEELS}/sub/"),
    ],
    ids=["index", "comment", "another spelling", "wheel of a subfolder"],
)
def test_the_files_of_a_model_are_digested_as_they_are(model: Path, change: Callable[[str], str]) -> None:
    """
    What is the same list in another spelling, or could be read from elsewhere, is another file: the model is changed.
    """
    record = recorded(model)
    rewritten(model, change)

    found = broken(record, model)

    assert ["model"] == found


def test_a_wheel_that_is_listed_but_not_there_breaks_requirements(model: Path) -> None:
    """
    A list that names a wheel installs nothing without it.
    """
    record = recorded(model)
    (model / model_files.WHEELS / WHEEL).unlink()

    found = broken(record, model)

    assert ["requirements", "model"] == found


def test_a_wheel_that_is_there_but_not_listed_breaks_requirements(model: Path) -> None:
    """
    A file that nobody installs has no business there.
    """
    record = recorded(model)
    (model / model_files.WHEELS / "beer-0.1.0-py3-none-any.whl").write_bytes(b"")

    found = broken(record, model)

    assert ["requirements", "model"] == found


def test_a_record_of_other_wheels_breaks_requirements(model: Path) -> None:
    """
    A record that names another wheel speaks of another model.
    """
    record = recorded(model)
    other = WheelLink(file=WHEEL, name="wine", version="0.1.0", sha256="0" * 64, marker='sys_platform == "linux"')

    found = broken(replace(record, requirements=replace(record.requirements, wheels=(other,))), model)

    assert ["requirements"] == found


def test_a_selection_that_cannot_be_read_breaks_its_link(model: Path) -> None:
    """
    No selection is another selection.
    """
    record = recorded(model)
    (model / model_files.SELECTION).write_text(json.dumps({"package": None}))

    found = broken(record, model)

    assert ["selection", "model"] == found


def test_a_model_that_is_served_says_which_version_it_is(model: Path) -> None:
    """
    As one that comes from the registry does; its digest stays the same, and a model without a version says nothing.
    """
    digest = tree_digest(digests_in(model))

    note_version(None, model)
    nameless = model_location.name_and_version(model, {})
    note_version(VersionLink(name="wine of 2026", version="7", model_id="m-1"), model)

    assert (("", ""), ("wine of 2026", "7")) == (nameless, model_location.name_and_version(model, {}))
    assert digest == tree_digest(digests_in(model))


@pytest.mark.parametrize(
    ("touched", "links"),
    [("", []), (model_files.REQUESTS, ["answers", "model"]), (model_files.RESPONSES, ["answers", "model"])],
)
def test_recorded_requests_and_responses_cannot_be_changed(model: Path, touched: str, links: list[str]) -> None:
    """
    Those of a file and derived ones, as those of the example. Models of earlier releases have none.
    """
    names = (model_files.CASES, model_files.ANSWERS, model_files.REQUESTS, model_files.RESPONSES)
    for name in names:
        (model / name).write_text(json.dumps([name]))
    digests = [answers_digest([name]) for name in names]
    answers = AnswersLink(cases=digests[0], expected=digests[1], requests=digests[2], responses=digests[3])
    record = replace(recorded(model), answers=answers)
    if touched:
        (model / touched).write_text("[]")

    found = broken(record, model)

    assert links == found


@pytest.mark.parametrize(
    ("exchanged", "states"),
    [
        ({}, ["holds"] * 3),
        ({"model": "5" * 64}, ["broken", "holds", "holds"]),
        ({"expected": "5" * 64}, ["holds", "broken", "holds"]),
        ({"image": "sha256:9"}, ["holds", "holds", "broken"]),
        ({"image": ""}, ["holds", "holds"]),
    ],
    ids=str,
)
def test_results_of_verify_are_about_the_model_the_predictions_and_the_image_of_the_record(
    exchanged: dict[str, Any], states: list[str]
) -> None:
    """
    Without the way `image`, about no image; a record without results has nothing to check.
    """
    assert WHOLE.verification is not None
    record = replace(WHOLE, verification=replace(WHOLE.verification, **exchanged))

    found = [check.state.value for check in from_verification(record)]

    assert (states, []) == (found, list(from_verification(replace(WHOLE, verification=None))))
