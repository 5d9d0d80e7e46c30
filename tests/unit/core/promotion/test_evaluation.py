"""What a version is asked has one name on every machine, so that another file cannot stand in for it."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.promotion.evaluation import EvaluationSettings, ModelType, describe_tags

FOLDER = Path("/home/ann/wine")


@pytest.mark.parametrize(
    ("data", "data_tag"),
    [
        ("unseen.csv", "file unseen.csv"),
        ("./data/../unseen.csv", "file unseen.csv"),
        ("/home/ann/wine/unseen.csv", "file unseen.csv"),
        ("../unseen.csv", "file ../unseen.csv"),
        ("/mnt/unseen.csv", "file /mnt/unseen.csv"),
        ("/home/ann/wine2/unseen.csv", "file /home/ann/wine2/unseen.csv"),
    ],
)
def test_a_file_is_called_by_its_place_in_the_project(data: str, data_tag: str) -> None:
    """
    However it is written; one of another folder is another one.
    """
    tags = EvaluationSettings(data=Path(data)).tags(FOLDER)

    assert {"mlflow-uv.evaluation-data": data_tag} == tags


def test_only_what_is_named_is_asked_for() -> None:
    """
    What nobody names says nothing, to the store as to a person.
    """
    settings = EvaluationSettings(
        data_function="train:unseen", target_column="cultivar", model_type=ModelType.CLASSIFIER
    )

    told = [
        describe_tags(one.tags(FOLDER))
        for one in (settings, EvaluationSettings(target_column="y"), EvaluationSettings())
    ]

    assert ["the function train:unseen, target column `cultivar`, as a classifier", "target column `y`", ""] == told


def test_data_comes_from_one_place() -> None:
    """
    A file and a function at once would leave one of them unasked.
    """
    settings = EvaluationSettings(data=Path("unseen.csv"), data_function="train:unseen")

    with pytest.raises(BadInput, match="`data` and `data-function` are both set") as caught:
        settings.tags(FOLDER)

    assert "remove one of them" == caught.value.fix
