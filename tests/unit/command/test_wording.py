"""A message is one text by default, and its parts for surfaces that phrase it."""

from dataclasses import dataclass

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken, sentence
from mlflow_uv.command.report import Finding
from mlflow_uv.command.wording import (
    CommandLine,
    LocalFix,
    Parameter,
    StepCall,
    Wording,
    checkout_call,
    extended,
    help_call,
    joined,
    local,
    option,
    step_call,
    worded,
)


@dataclass(frozen=True)
class Loud:
    """A surface that names the parts."""

    def parameter(self, parameter: Parameter) -> str:
        """See Phrasing."""
        return f"<{parameter.name} {parameter.value}>"

    def step_call(self, call: StepCall) -> str:
        """See Phrasing."""
        return f"<{call.step}{''.join(map(self.parameter, call.inputs))}>"

    def local(self, local: LocalFix) -> str:
        """See Phrasing."""
        return f"<{local.workflow}>"


def test_a_text_of_parts_is_a_text_of_the_command_line() -> None:
    """
    Flags, the program by its name, and what is typed on the machine.
    """
    fix = Wording(option("push"), ", ", option("data", "a b"), " or ", step_call("release", again=False, groups="x"))

    assert "--push, --data 'a b' or mlflow-uv release --no-again --groups x" == fix
    assert "git init" == local("git init", "actions/checkout")
    assert "--groups" == option("groups", "")


def test_parts_stay_parts_in_larger_texts() -> None:
    """
    In a sentence, a list, a finding, an error: each can still be said otherwise.
    """
    fix = Wording("set ", option("data", "FILE"))
    texts = (
        sentence("what", "why", fix),
        Finding(rule="r", what="what", why="why", fix=fix).text,
        BadInput(what="what", why="why", fix=fix).text,
    )

    assert {"what: why. Fix: set <data FILE>"} == {worded(text, Loud()) for text in texts}
    assert {"what: why. Fix: set --data FILE"} == {*texts, str(BadInput(what="what", why="why", fix=fix))}
    assert "<a True>; set <data FILE>; x" == worded(joined("; ", (option("a"), fix, "x")), Loud())
    assert worded(ChainBroken("lock", why="w").text, Loud()).endswith("Fix: <release>")


def test_a_step_can_be_asked_for_more() -> None:
    """
    Whatever stands around it.
    """
    again = extended(Wording("run ", checkout_call("export", project="a")), hashes=True)

    assert ("run mlflow-uv export --project a --hashes", "run <export<project a><hashes True>>") == (
        again,
        worded(again, Loud()),
    )
    assert "plain" == extended("plain", hashes=True)


def test_a_text_without_parts_is_said_as_it_is() -> None:
    """
    Most are.
    """
    assert "uv lock" == worded("uv lock", Loud())
    assert "" == joined(", ", ())


def test_a_clone_names_the_program_as_it_was_typed() -> None:
    """
    Somebody who never installed it can paste the line.
    """
    assert "bin/mlflow-uv release" == worded(step_call("release"), CommandLine(program="bin/mlflow-uv"))


@pytest.mark.parametrize(
    ("fix", "shown"),
    [
        (step_call("release"), "mlflow-uv release --project 'a b'"),
        (step_call("release", push=True), "mlflow-uv release --project 'a b' --push"),
        (checkout_call("export", project="c", hashes=True), "mlflow-uv export --project c --hashes"),
        (help_call("export"), "mlflow-uv export --project 'a b' --help"),
        (help_call(), "mlflow-uv --help"),
        (option("push"), "--push"),
    ],
)
def test_a_step_to_run_gets_the_project_that_the_user_gave(fix: str, shown: str) -> None:
    """
    Unless it names another one: the fix is run where the user is, not in the project.
    """
    assert shown == worded(fix, CommandLine(project="a b"))
