"""Which entry point of an MLproject file trains."""

import pytest

from mlflow_uv.core.init.entry_points import TrainingEntryPoint, training_entry_point

PARAMETERS = "parameters:\n      alpha: {type: float, default: 0.5}\n      data: "


def mlproject(*names: str, parameters: str = "") -> str:
    """A file with entry points of these names, each with the same parameters."""
    points = "".join(f"  {name}:\n    {parameters}\n    command: python x.py\n" for name in names)
    return f"name: wine\npython_env: python_env.yaml\nentry_points:\n{points}"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("main",), "main"),
        (("etl_data", "train", "main"), "main"),
        (("load-data", "train-model", "evaluate"), "train-model"),
        (("als",), "als"),
        (("als", "evaluate"), "als"),
        (("evaluate",), ""),
        ((), ""),
    ],
)
def test_main_comes_first_then_what_is_named_after_training(names: tuple[str, ...], chosen: str) -> None:
    """
    The only entry point is used too, unless it is named after other work.
    """
    assert TrainingEntryPoint(name=chosen) == training_entry_point(mlproject(*names))


@pytest.mark.parametrize("names", [("train_a", "fit_b"), ("a", "b")])
def test_several_that_may_train_are_named(names: tuple[str, ...]) -> None:
    """
    None of them is guessed.
    """
    found = training_entry_point(mlproject(*names))

    assert ("", True) == (found.name, all(f"`{name}`" in found.note for name in names))


@pytest.mark.parametrize(
    ("data", "required"),
    [("{type: path, default: x.csv}", []), ("path", ["`data`"]), ("{type: path}", ["`data`"]), ("", ["`data`"])],
)
def test_each_parameter_needs_a_default(data: str, required: list[str]) -> None:
    """
    The ones without are named, and those with one are not.
    """
    found = training_entry_point(mlproject("train", parameters=PARAMETERS + data))

    assert ("" if required else "train") == found.name
    assert required == [name for name in ("`alpha`", "`data`") if name in found.note]


@pytest.mark.parametrize(
    "text", ["", "a: [", "[]", "entry_points:", "entry_points: 3", "entry_points: {main: {}}", "a: &a [*a]\n", "\0"]
)
def test_another_file_has_no_entry_point(text: str) -> None:
    """
    It is no error: the scripts of the project are looked at.
    """
    assert "" == training_entry_point(text).name


def test_a_file_that_is_not_utf_8_is_named() -> None:
    """
    Its text has the bytes that are none as surrogates.
    """
    text = b"name: Jos\xe9\nentry_points:\n  main: {command: python x.py}\n".decode(errors="surrogateescape")

    found = training_entry_point(text)

    assert ("", True) == (found.name, found.note.startswith("MLproject "))


@pytest.mark.parametrize(
    ("parameter", "paths", "parameters"),
    [
        ("path", ("confs/training.yaml", "confs/tuning.yaml", "src/training.py"), ("data=confs/training.yaml",)),
        ("{type: path}", ("conf/train.toml", "tests/train.yaml"), ("data=conf/train.toml",)),
        ("path", ("a/training.yaml", "b/training.yaml"), ()),
        ("string", ("confs/training.yaml",), ()),
    ],
)
def test_a_required_path_is_the_only_configuration_of_training(
    parameter: str, paths: tuple[str, ...], parameters: tuple[str, ...]
) -> None:
    """
    Several configurations, or a parameter of another type, are left to the user.
    """
    found = training_entry_point(mlproject("main", parameters=PARAMETERS + parameter), paths)

    assert ("main" if parameters else "", parameters) == (found.name, found.parameters)
