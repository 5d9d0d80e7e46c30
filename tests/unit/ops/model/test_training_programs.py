"""What makes a model is an input of its training, whatever `not-inputs` says; in real repositories."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.model.source import ModelSource, ModelSourceKind
from mlflow_uv.ops.model.training_programs import with_program
from tests.unit.ops.model.test_release_key import Repository, repository_in


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """A clean repository with one commit."""
    with repository_in(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("kind", "words", "not_inputs", "named"),
    [
        (ModelSourceKind.TRAIN, ("python", "train.py"), ("*",), "train.py"),
        (ModelSourceKind.TRAIN, ("python", "./train.py", "--fast"), ("*.py",), "train.py"),
        (ModelSourceKind.TRAIN, ("sh", "-c", "python train.py > log"), ("/train.py",), "train.py"),
        (ModelSourceKind.TRAIN, ("python", "-m", "wine.fit"), ("src/",), "src/wine/fit.py"),
        (ModelSourceKind.TRAIN, ("python", "docs/fit.py"), (), "docs/fit.py"),
        (ModelSourceKind.FUNCTION, ("train:fit",), ("train.py",), "train.py"),
    ],
)
def test_what_makes_the_model_cannot_be_left_out(
    repository: Repository, kind: ModelSourceKind, words: tuple[str, ...], not_inputs: tuple[str, ...], named: str
) -> None:
    """
    Else a change of it would release the model of before; the fix makes it an input again.
    """
    repository.write("apps/wine/src/wine/fit.py", "\n")
    repository.write("apps/wine/docs/fit.py", "\n")
    way = ModelSource(kind=kind, words=words)

    with pytest.raises(BadInput) as caught:
        with_program(repository.key(*not_inputs), way)
    taken_back = str(caught.value.fix).split('"')[1]
    mended = repository.key(*not_inputs, taken_back)
    with_program(mended, way)

    assert f"`{named}`, which creates the model, is excluded from what training depends on" == caught.value.what
    assert f"apps/wine/{named}" in mended.inputs.files


def test_a_program_that_is_an_input_is_nothing_to_speak_of(repository: Repository) -> None:
    """
    Nor is one outside of the project, or a file that a training only names.
    """
    key = repository.key("notebooks/", "/out/")

    for words in (("python", "train.py", "notebooks/look.ipynb.bak", "README.md"), ("python", "../beer/train.py")):
        with_program(key, ModelSource(kind=ModelSourceKind.TRAIN, words=words))
