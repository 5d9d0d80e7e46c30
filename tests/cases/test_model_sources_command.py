"""A function of the project, from the command line to the version."""

import signal

import pytest

from .model_functions import add_model_functions
from .sample_project import SampleProject


@pytest.mark.extended
def test_a_function_becomes_a_version_as_a_setting(sample: SampleProject) -> None:
    """
    The model carries the code of its module, and loads and answers where the project is not.
    """
    add_model_functions(sample)
    sample.consumer.edit(
        sample.folder / "pyproject.toml", 'train = "python train.py"', 'function = "model_functions:double"'
    )
    sample.commit()

    logged = sample.run("log-model")
    registered = sample.run("register")

    assert (0, 0, "2") == (logged.code, registered.code, registered.outputs["version"]), logged.stderr
    assert ([], ["FINISHED", "FINISHED"]) == (logged.rules, sample.store.runs)


def test_a_function_that_is_cancelled_leaves_a_killed_run(sample: SampleProject) -> None:
    """
    The function is ended, and the run that it opened says that it was killed.
    """
    add_model_functions(sample)

    result = sample.cancel(
        "log-model",
        *("--function", "model_functions:endless"),
        when=lambda: "RUNNING" in sample.store.runs,
        by=signal.SIGINT,
    )

    assert (130, ["FINISHED", "KILLED"]) == (result.code, sample.store.runs)
