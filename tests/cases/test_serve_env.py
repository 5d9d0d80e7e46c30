"""What a model is given by name (`serve-env`) is where it answers, and in no byte that is kept or shown."""

import subprocess
from pathlib import Path

import pytest

from .sample_project import SampleProject, error, training

BAD_INPUT, UNUSABLE = 2, 14
CANARY = "ca-na-ry-of-the-model"
GIVEN = {"MODEL_KEY": CANARY}
# It says what it has, as code does that somebody looks into.
NEEDING = training(
    load='print("with", os.environ["MODEL_KEY"], flush=True)',
    predict='return [len(os.environ["MODEL_KEY"]) * x for x in model_input["x"]]',
)


def holders(*places: Path) -> list[str]:
    """The files below these places that hold the canary."""
    files = (file for place in places for file in place.rglob("*") if file.is_file() and not file.is_symlink())
    return [str(file) for file in files if CANARY.encode() in file.read_bytes()]


@pytest.mark.extended
def test_a_model_that_needs_a_variable_is_released_by_the_fix_of_the_message(sample: SampleProject) -> None:
    """
    The proof names the variable that training had; named once, it is there in proof and server, and nowhere else.
    """
    sample.train_with(NEEDING)

    without = sample.run("log-model", variables=GIVEN, traceback=True)
    code, kind, _, fix = error(without)
    words = fix.partition(",")[0].split()
    unset = sample.run("log-model", *words)
    result = sample.run("release", "--engine", "none", *words, variables=GIVEN)
    promoted = sample.run("promote")

    assert (UNUSABLE, "ModelUnusable", ["--serve-env", "MODEL_KEY"]) == (code, kind, words)
    assert (BAD_INPUT, True) == (unset.code, "MODEL_KEY, which is not set here" in error(unset)[2])
    assert (0, 0) == (result.code, promoted.code), result.stderr + promoted.stderr
    assert [] == holders(sample.consumer.home / "state", sample.folder, sample.temporary)
    assert CANARY not in result.stdout + result.stderr
    assert ("with ***" in result.stderr, '"MODEL_KEY"' in sample.consumer.record.read_text()) == (True, True)


@pytest.mark.extended
@pytest.mark.engine
def test_a_container_is_given_it_too_and_its_image_is_not(sample: SampleProject, image: str) -> None:
    """
    In the image's history and layers there is a name at most; who tests without it is told which it was.
    """
    sample.train_with(NEEDING)

    result = sample.run("release", "--image", image, "--engine", "docker", "--serve-env", "MODEL_KEY", variables=GIVEN)
    forgotten = sample.run("smoke-test", variables=GIVEN)

    assert result.code == 0, result.stderr
    assert (BAD_INPUT, "--serve-env MODEL_KEY") == (forgotten.code, error(forgotten)[3])
    assert CANARY not in result.stdout + result.stderr
    assert [] == holders(sample.consumer.home / "state", sample.folder)
    assert CANARY.encode() not in saved(image)
    # The server is called as its version is, since the registry's own note is in the image.
    assert f"model_name: wine\nmodel_version: '{result.outputs['version']}'\n" == noted(image)


def noted(image: str) -> str:
    """What a registry notes in a model, as it lies in an image."""
    argv = ("docker", "run", "--rm", "--entrypoint", "/bin/cat", image, "/opt/model/registered_model_meta")
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def saved(image: str) -> bytes:
    """Everything that an image is made of, layers unpacked by nobody: what Docker would send to a registry."""
    return subprocess.run(("docker", "save", image), check=True, capture_output=True).stdout
