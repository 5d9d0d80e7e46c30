"""Which model is served, and what it is called, where several platforms have their say."""

import os
from pathlib import Path

import pytest

from mlflow_uv.serving.model import model_location


@pytest.mark.parametrize(
    ("variables", "models", "expected"),
    [
        ({}, [], "ours"),
        ({}, ["ours", "sagemaker"], "sagemaker"),
        ({}, ["sagemaker/wine"], "sagemaker/wine"),
        ({"AZUREML_MODEL_DIR": "azure"}, ["azure/INPUT_model/wine", "sagemaker"], "azure/INPUT_model/wine"),
        ({"AZUREML_MODEL_DIR": "azure"}, ["azure", "azure/older"], "azure"),
        ({"AZUREML_MODEL_DIR": "azure"}, ["azure/b", "azure/a"], "azure/a"),
        ({"AZUREML_MODEL_DIR": "azure"}, ["azure/1/2/3/4/5"], "ours"),
        ({"AZUREML_MODEL_DIR": "nowhere"}, [], "ours"),
        ({"MLFLOW_UV_MODEL": "mine", "AZUREML_MODEL_DIR": "azure"}, ["azure", "sagemaker"], "mine"),
    ],
)
def test_a_mounted_model_comes_before_the_images_own(
    tmp_path: Path, variables: dict[str, str], models: list[str], expected: str
) -> None:
    """
    If there is one; and what was said in so many words comes before everything.
    """
    for model in models:
        (tmp_path / model).mkdir(parents=True, exist_ok=True)
        (tmp_path / model / "MLmodel").touch()
    variables = {name: str(tmp_path / value) for name, value in variables.items()}

    folder = model_location.model_folder(variables, sagemaker=tmp_path / "sagemaker", image=tmp_path / "ours")

    assert tmp_path / expected == folder


@pytest.mark.parametrize(
    ("noted", "variables", "expected"),
    [
        (None, {}, ("", "")),
        ("model_name: 'it''s'\nmodel_version: '3'\n", {}, ("", "3")),
        ("model_name: wine\nmodel_version: '3'\n", {}, ("wine", "3")),
        ("model_version: 3\nmodel_name: red wine\n", {}, ("red wine", "3")),
        ("model_name: wine\nmodel_version: '3'\n", {"MODEL_NAME": "other"}, ("other", "3")),
        (None, {"MODEL_NAME": "other", "MODEL_VERSION": "7"}, ("other", "7")),
    ],
)
def test_a_model_is_called_as_its_registry_noted(
    tmp_path: Path, noted: str | None, variables: dict[str, str], expected: tuple[str, str]
) -> None:
    """
    MLflow leaves a note in what it downloads by name; variables have the last word.
    """
    if noted is not None:
        (tmp_path / "registered_model_meta").write_text(noted)

    named = model_location.name_and_version(tmp_path, variables)

    assert expected == named


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("bytes", "it is not UTF-8"), ("large", "it has more than 64 KB"), ("pipe", "it is not a file"),
     ("folder", "it is not a file"), ("loop", "Too many levels of symbolic links")],
)  # fmt: skip
def test_a_note_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, fault: str, reason: str) -> None:
    """
    Whoever names the model needs no note.
    """
    note = tmp_path / "registered_model_meta"
    match fault:
        case "bytes":
            note.write_bytes(b"model_name: caf\xe9\n")
        case "large":
            note.write_text(f"model_name: {'a' * (64 << 10)}\n")
        case "pipe":
            os.mkfifo(note)
        case "folder":
            note.mkdir()
        case _:
            note.symlink_to(note)

    with pytest.raises(model_location.UnreadableModel) as raised:
        model_location.name_and_version(tmp_path, {"MODEL_NAME": "wine"})
    named = model_location.name_and_version(tmp_path, {"MODEL_NAME": "wine", "MODEL_VERSION": "7"})

    fix = "Remove the file, or set MODEL_NAME and MODEL_VERSION."
    assert f"{note} cannot be read: {reason}. {fix}" == str(raised.value)
    assert ("wine", "7") == named
