"""Which certificates uv gets, and which interpreters it is asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.pip_settings import PipSettings
from mlflow_uv.tools.project.files import Project
from mlflow_uv.tools.system.process import Command, Completed
from mlflow_uv.tools.uv.calls import TrustingRunner
from mlflow_uv.tools.uv.uv import Uv
from tests.unit.tools.conftest import FakeRunner, completed

DISTRUSTED = completed(stderr="error: invalid peer certificate: UnknownIssuer\n", code=2)


class Machine(FakeRunner):
    """Rejects the certificate of a server unless uv is told to trust those of the machine, if they help."""

    def __init__(self, *, helps: bool) -> None:
        super().__init__()
        self.helps = helps

    def run(self, command: Command) -> Completed:
        """See Runner."""
        self.asked.append(command)
        return completed("ok") if self.helps and "UV_SYSTEM_CERTS" in command.variables else DISTRUSTED


def trusting(runner: FakeRunner, **variables: str) -> TrustingRunner:
    """What starts uv for a caller with these variables."""
    return TrustingRunner(runner, variables=variables, pip=PipSettings())


def command(runner: TrustingRunner) -> Command:
    """A command of uv."""
    return Command(argv=("uv", "lock"), folder=Path("/w"), variables=dict(runner.variables))


def test_the_certificates_of_the_machine_are_tried_once_and_kept() -> None:
    """
    The next command begins with them.
    """
    machine = Machine(helps=True)
    runner = trusting(machine)

    codes = [runner.run(command(runner)).code for _ in range(2)]

    assert ([0, 0], [False, True, True]) == (
        codes, ["UV_SYSTEM_CERTS" in asked.variables for asked in machine.asked],
    )  # fmt: skip


def test_where_they_do_not_help_the_first_error_is_the_answer() -> None:
    """
    They are not tried with every command.
    """
    machine = Machine(helps=False)
    runner = trusting(machine)

    results = [runner.run(command(runner)) for _ in range(3)]

    assert ([2, 2, 2], 4) == ([result.code for result in results], len(machine.asked))
    assert "UV_SYSTEM_CERTS" not in machine.asked[-1].variables


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS"])
def test_whoever_says_what_to_trust_decides(name: str) -> None:
    """
    Nothing is tried beside it.
    """
    machine = Machine(helps=False)
    runner = trusting(machine, **{name: "/ca.pem"})

    runner.run(command(runner))

    assert (1, "/ca.pem") == (len(machine.asked), machine.asked[0].variables[name])


@pytest.mark.parametrize("version_range", ["./evil", "/usr/bin/python", "cpython", "3.11 --help", "python3"])
def test_a_range_that_is_none_starts_nothing(version_range: str) -> None:
    """
    uv would take a path, and start the program there.
    """
    runner = FakeRunner()
    uv = Uv(runner, variables={"PATH": "/usr/bin"}, named=None, own=None)

    assert (None, []) == (uv.other_python(version_range), runner.asked)


@pytest.mark.parametrize(
    ("printed", "version"), [("3.12.4\n", "3.12.4"), ("3.13\n", "3.13"), ("no\n", None), ("", None)]
)
def test_the_python_of_a_project_is_what_uv_prints(project: Project, printed: str, version: str | None) -> None:
    """
    An older uv prints a path, which is no version.
    """
    answers = {"--version": completed("uv 0.9.9\n"), "python find": completed(printed)}
    uv = Uv(FakeRunner(answers), variables={"PATH": "/usr/bin"}, named=None, own=Path("/ours/uv"))

    assert version == uv.python_of(project)


def test_uv_is_asked_once_for_the_python_of_a_project(project: Project) -> None:
    """
    A release asks before it starts and again in check-targets; another project, or an untrusted one, is asked about.
    """
    runner = FakeRunner({"--version": completed("uv 0.9.9\n"), "python find": completed("3.12.4\n")})
    uv = Uv(runner, variables={"PATH": "/usr/bin"}, named=None, own=Path("/ours/uv"))
    other = replace(project, folder=project.folder / "other")

    versions = [uv.python_of(asked) for asked in (project, project, other)]

    finds = [call for call in runner.asked if "find" in call.argv]
    assert (["3.12.4"] * 3, [project.folder, other.folder]) == (versions, [call.folder for call in finds])
