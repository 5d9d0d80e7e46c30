"""A function of the project, from the command line to the version."""

import signal

from .lab import Lab
from .vineyard import with_module


def test_a_function_becomes_a_version_as_a_setting(lab: Lab) -> None:
    """
    The model carries the code of its module, and loads and answers where the project is not.
    """
    with_module(lab)
    lab.consumer.edit(lab.folder / "pyproject.toml", 'train = "python train.py"', 'function = "vineyard:double"')
    lab.commit()

    logged = lab.run("log-model")
    registered = lab.run("register")

    assert (0, 0, "2") == (logged.code, registered.code, registered.outputs["version"]), logged.stderr
    assert ([], ["FINISHED", "FINISHED"]) == (logged.rules, lab.store.runs)


def test_a_function_that_is_cancelled_leaves_a_killed_run(lab: Lab) -> None:
    """
    The function is ended, and the run that it opened says that it was killed.
    """
    with_module(lab)

    said = lab.cancel(
        "log-model",
        *("--function", "vineyard:endless"),
        when=lambda: "RUNNING" in lab.store.runs,
        by=signal.SIGINT,
    )

    assert (130, ["FINISHED", "KILLED"]) == (said.code, lab.store.runs)
