"""The list of steps: each name is a module that declares that step, and is imported when it is asked for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.step import ValueLayer, fields_of, settle
from mlflow_uv.steps import catalog
from mlflow_uv.steps.catalog import NAMES, RELEASE_NAME, all_steps, step_of, steps


@pytest.mark.parametrize("name", [RELEASE_NAME, *NAMES])
def test_a_name_leads_to_the_step_that_has_it(name: str) -> None:
    """
    And always to the same one.
    """
    assert (name, True) == (step_of(name).name, step_of(name) is step_of(name))


def test_every_step_is_listed_once() -> None:
    """
    A module with a `STEP` that nobody lists would be reached by no command.
    """
    files = Path(catalog.__file__).parent.glob("*.py")
    modules = [path.stem for path in files if re.search(r"^STEP\b", path.read_text(), re.MULTILINE)]

    assert sorted(name.replace("-", "_") for name in (RELEASE_NAME, *NAMES)) == sorted(modules)
    assert [*NAMES] == [step.name for step in steps()]
    assert [RELEASE_NAME, *NAMES] == [step.name for step in all_steps()]


def test_a_step_that_is_not_asked_for_is_not_imported() -> None:
    """
    A hook on a lock would import engines and MLflow's client.
    """
    program = (
        "import sys; from mlflow_uv.steps import catalog; catalog.step_of('check-lock');"
        "print([name for name in sys.modules if name.startswith('mlflow_uv.steps.')])"
    )

    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    assert "['mlflow_uv.steps.catalog', 'mlflow_uv.steps.check_lock']\n" == done.stdout


def test_a_name_that_is_none_is_an_error_of_the_program() -> None:
    """
    Surfaces ask for known names alone.
    """
    with pytest.raises(ModuleNotFoundError):
        step_of("no-such-step")


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
@pytest.mark.parametrize("name", [RELEASE_NAME, *NAMES])
def test_an_empty_input_is_as_one_that_is_not_given(name: str, nothing: str) -> None:
    """
    A path too, which would be the current folder; one that names what is changed is refused if it is empty.
    """
    inputs = step_of(name).inputs
    required = {field.kebab: "x" for field in fields_of(inputs) if field.required}
    given = {field.kebab: nothing for field in fields_of(inputs) if not field.required and not field.refuses_empty}

    settled = settle(inputs, (ValueLayer("--{}", {**required, **given}), ValueLayer("`{}`", given)))

    assert settle(inputs, (ValueLayer("--{}", required),)) == settled
