"""The files written into a model say the same to every program that reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.model import model_files
from mlflow_uv.core.release.record import WheelLink

WHEELS = st.lists(
    st.builds(
        model_files.wheel_of,
        st.sampled_from(["a-1.0-py3-none-any.whl", "b-2.0-cp311-cp311-win_amd64.whl", "c_d-3.0-py3-none-any.whl"]),
        st.just("0" * 64),
        st.sampled_from(["", 'sys_platform == "linux"', 'os_name == "nt" and python_version < "3.12"']),
    ),
    unique_by=lambda wheel: wheel.file,
)


def served(python: str = "3.11.7", wheels: tuple[WheelLink, ...] = ()) -> model_files.ServedFiles:
    return model_files.ServedFiles(
        requirements=parse_requirements("a==1 --hash=sha256:aa\nb==2 ; os_name == 'nt' --hash=sha256:bb"),
        wheels=wheels,
        python=python,
    )


@given(WHEELS)
def test_what_is_written_is_read_again(wheels: list[WheelLink]) -> None:
    """
    Pins and wheels are told apart in both lists, whatever markers the wheels have.
    """
    model = served(wheels=tuple(wheels))

    files = model_files.environment_files(model)
    plain, named = model_files.split_requirements(files[model_files.REQUIREMENTS])
    hashed, hashed_names = model_files.split_requirements(files[model_files.HASHED].replace(" \\\n", " "))

    assert model.requirements.text == f"{plain}\n" == parse_requirements(hashed).text
    assert [(wheel.file, wheel.marker) for wheel in wheels] == list(named) == list(hashed_names)


@given(WHEELS)
def test_the_three_files_list_the_same(wheels: list[WheelLink]) -> None:
    """
    conda.yaml repeats requirements.txt line by line, and python_env.yaml refers to it.
    """
    files = model_files.environment_files(served(wheels=tuple(wheels)))

    pip = files["conda.yaml"].partition("- pip:\n")[2].splitlines()[:-1]

    wanted = ['  - "{}"'.format(line.replace('"', '\\"')) for line in files[model_files.REQUIREMENTS].splitlines()]
    assert wanted == pip
    assert files["python_env.yaml"].endswith("dependencies:\n- -r requirements.txt\n")


@pytest.mark.parametrize(("trained", "asked"), [("3.11.7", "3.11"), ("3.10.13", "3.10"), ("3.13.0rc2", "3.13")])
def test_the_minor_version_of_python_is_asked_for(trained: str, asked: str) -> None:
    """
    A micro version that is not there would be downloaded or compiled; without quotes, 3.10 would be read as 3.1.
    """
    files = model_files.environment_files(served(trained))

    found = (files["python_env.yaml"].splitlines()[0], files["conda.yaml"].splitlines()[3])

    assert (f'python: "{asked}"', f"- python={asked}") == found
