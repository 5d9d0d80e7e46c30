"""What is compared between a built environment and the model it is for?"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.building import require_exact, require_model
from mlflow_uv.core.commit import Commit
from mlflow_uv.core.record import Lock, Model, Record, RequirementsLink
from mlflow_uv.core.requirements import parse_requirements
from mlflow_uv.core.selection import Selection
from mlflow_uv.errors import ChainBroken
from mlflow_uv.restoring import Needs

REQUIREMENTS = parse_requirements("six==1.17.0\n")
RECORD = Record(
    release_key="k",
    commit=Commit(sha="c", project="."),
    lock=Lock(sha256="l", uv="1"),
    selection=Selection(),
    requirements=RequirementsLink(sha256=REQUIREMENTS.digest, source="lock"),
    model=Model(model_id="m", run_id="r", name="n", sha256="0" * 64, store="s", python="3.12.1", mlflow="3.17.2"),
)


NEEDS = Needs(model=Path("model"), requirements=REQUIREMENTS, wheels=(), python="3.12.1")


def inventory(*installed: tuple[str, str], python: str = "3.12.9") -> str:
    """What an environment says of itself."""
    return json.dumps({"python": python, "marker_environment": {}, "installed": installed, "model": []})


def test_another_micro_version_of_python_is_the_same() -> None:
    """
    Official images move on within a minor version; that is what the model was trained for.
    """
    require_exact(NEEDS, inventory(("six", "1.17.0")))


@pytest.mark.parametrize("needs", [NEEDS, replace(NEEDS, requirements=None)], ids=["whole list", "inferred list"])
def test_another_minor_version_of_python_breaks_the_image(needs: Needs) -> None:
    """
    A base image with another Python selects other pins and runs other code, whatever list was installed.
    """
    with pytest.raises(ChainBroken, match=r"Python 3\.11\.2, the model was trained with 3\.12\.1"):
        require_exact(needs, inventory(("six", "1.17.0"), python="3.11.2"))


@pytest.mark.parametrize(
    ("installed", "complaint"),
    [
        ((), "six is not installed"),
        ((("six", "1.16.0"),), r"six is 1\.16\.0, required is 1\.17\.0"),
        ((("six", "1.17.0"), ("sixer", "1")), "sixer 1 is installed but not required"),
    ],
    ids=["missing", "another version", "one more"],
)
def test_other_packages_break_the_image(installed: tuple[tuple[str, str], ...], complaint: str) -> None:
    """
    One package less, another or more is another environment.
    """
    with pytest.raises(ChainBroken, match=complaint):
        require_exact(NEEDS, inventory(*installed))


def test_another_model_breaks_the_image() -> None:
    """
    The files that lie in the image are digested there, and compared with the record.
    """
    with pytest.raises(ChainBroken, match="the model in the image"):
        require_model(RECORD, inventory())
