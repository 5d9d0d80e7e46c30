"""Selecting the model source from the inputs of log-model."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.model.source import ModelSource, ModelSourceKind, source_of, with_parameters
from mlflow_uv.tools.project.files import Project

PROJECT = Project(folder=Path("/wine"), root=Path("/wine"), manifest={"project": {"name": "wine"}})
NOTHING: dict[ModelSourceKind, object] = {
    kind: () if kind is ModelSourceKind.TRAIN else None for kind in ModelSourceKind
}


@pytest.mark.parametrize(
    ("kind", "value", "made_by"),
    [
        (ModelSourceKind.TRAIN, ("python", "train.py"), ("train", "python", "train.py")),
        (ModelSourceKind.ENTRY_POINT, "main", ("entry-point", "main")),
        (ModelSourceKind.FUNCTION, "wine.train:make", ("function", "wine.train:make")),
        (ModelSourceKind.FOLDER, Path("saved"), ("folder", "saved")),
        (ModelSourceKind.RUN, "0a", ("from-run", "0a")),
        (ModelSourceKind.MODEL, "m-0a", ("from-model", "m-0a")),
    ],
)
def test_the_one_way_that_is_given_is_chosen(kind: ModelSourceKind, value: object, made_by: tuple[str, ...]) -> None:
    """
    What is given is the way, and its words are part of what makes two releases the same one.
    """
    way = source_of({**NOTHING, kind: value}, project=PROJECT)

    assert (ModelSource(kind=kind, words=made_by[1:]), made_by) == (way, way.made_by)


def test_each_two_ways_are_too_many() -> None:
    """
    Whichever two are given, both are named.
    """
    pairs = [
        (one, other)
        for one in ModelSourceKind
        for other in ModelSourceKind
        if list(ModelSourceKind).index(one) < list(ModelSourceKind).index(other)
    ]

    told = []
    for one, other in pairs:
        with pytest.raises(BadInput) as caught:
            source_of({**NOTHING, one: ("x",), other: "x"}, project=PROJECT)
        told.append(caught.value.what)

    assert 15 == len({text for text in told if " and " in text})


def test_no_way_names_all_there_are() -> None:
    """
    Who says nothing is told every way, and the line that most projects need.
    """
    with pytest.raises(BadInput) as caught:
        source_of(NOTHING, project=PROJECT)

    assert "none of train, entry-point, function, model, from-run, from-model" in caught.value.why
    assert 'add `train = "python train.py"` to [tool.mlflow-uv] in pyproject.toml' == caught.value.fix


def test_parameters_are_part_of_an_entry_point() -> None:
    """
    Other parameters are another release; without an entry point there is nothing to give them to.
    """
    way = source_of(
        {**NOTHING, ModelSourceKind.ENTRY_POINT: with_parameters("main", ("alpha=0.5", "note=a b"))}, project=PROJECT
    )

    assert ("entry-point", "main", "alpha=0.5", "note=a b") == way.made_by
    assert None is with_parameters(None, ("alpha=0.5",))


@pytest.mark.parametrize("text", ["alpha", "=1", "-x=1", "al pha=1", ""])
def test_what_is_no_parameter_is_refused(text: str) -> None:
    """
    It is said before `mlflow run` would take the word for something else.
    """
    with pytest.raises(BadInput) as caught:
        with_parameters("main", (text,))

    assert f"`{text}` is not a parameter of an entry point" == caught.value.what
    assert "--parameters NAME=VALUE" == caught.value.fix
