"""How what each step needs is asked, and what is made of the answers."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.steps.catalog import RELEASE_PARTS
from mlflow_uv.steps.preflight import CONTRIBUTIONS, Answer, as_finding, failed_links, is_failure, proven_links
from mlflow_uv.steps.preflight.image import _purelib

LOCK = b"""version = 1
requires-python = ">=3.11"

[[package]]
name = "my-pkg"
version = "1.0"
source = { registry = "https://index.example/simple" }
sdist = { url = "https://index.example/my_pkg-1.0.tar.gz", hash = "sha256:00" }
"""


def test_every_contribution_is_of_a_step_of_a_release() -> None:
    """
    In the order of the steps, which is that of the exit codes.
    """
    order = [step for step in RELEASE_PARTS if step in CONTRIBUTIONS]

    assert order == list(CONTRIBUTIONS)


def test_an_error_is_shown_beside_findings_with_its_place() -> None:
    """
    With a rule that names its check.
    """
    error = BadInput(what="a", why="b", fix="c")
    error.path, error.line = Path("pyproject.toml"), 3

    found = as_finding(Answer(step="log-model", check="tracking server", problems=(error,)), error)

    assert ("preflight-tracking-server", "a", "b", "c", Path("pyproject.toml"), 3) == (
        found.rule, found.what, found.why, found.fix, found.path, found.line
    )  # fmt: skip


@pytest.mark.parametrize(("severity", "fails"), [(Severity.ERROR, True), (Severity.WARNING, False)])
def test_a_warning_stops_nothing(severity: Severity, fails: bool) -> None:
    """
    An error does, as a finding and as what is raised.
    """
    finding = Finding(rule="r", what="w", severity=severity)

    assert (fails, True) == (is_failure(finding), is_failure(BadInput(what="a")))


@pytest.mark.parametrize(("text", "pure"), [("Root-Is-Purelib: true\n", True), ("Root-Is-Purelib: false\n", False)])
@pytest.mark.parametrize("folder", ["my_pkg-1.0.dist-info", "My_Pkg-1.0.dist-info"])
def test_what_was_built_here_tells_whether_it_is_compiled(tmp_path: Path, text: str, pure: bool, folder: str) -> None:
    """
    Of the same version, however its folder spells the name; another version tells nothing.
    """
    (package,) = read_lockfile(LOCK).packages
    for name, content in ((folder, text), ("my_pkg-2.0.dist-info", "Root-Is-Purelib: false\n")):
        file = tmp_path / "lib" / "python3.11" / "site-packages" / name / "WHEEL"
        file.parent.mkdir(parents=True)
        file.write_text(content)

    assert [pure] == list(_purelib(tmp_path, package))


def test_the_answers_say_which_links_hold_and_at_which_a_release_stops() -> None:
    """
    A check that did not apply proves nothing, and that a name may be used proves no link.
    """
    error = BadInput(what="a", why="b", fix="c")
    answers = (
        Answer(step="check-lock", check="lock", problems=(error,)),
        Answer(step="log-model", check="commit", statement="62d50ce"),
        Answer(step="log-model", check="MLflow", problems=(error,)),
        Answer(step="build-image", check="engine", problems=(Finding(rule="r", what="w", severity=Severity.WARNING),)),
        Answer(step="smoke-test", check="alias", statement="candidate"),
    )

    assert (("commit",), ("lock", "model")) == (proven_links(answers), failed_links(answers))
    assert () == proven_links((Answer(step="check-lock", check="lock"),))
