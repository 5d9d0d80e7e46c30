"""What is told of a build that failed, in the words of either engine."""

from collections.abc import Callable

import pytest

from mlflow_uv.command.errors import NoSpace
from mlflow_uv.tools.engines.build_errors import build_error
from tests.unit.tools.conftest import completed

UNTRUSTED = """\
error: Failed to fetch: https://packages.example/simple/plum/
  cause: error sending request for url (https://packages.example/simple/plum/)
  cause: client error (Connect)
  cause: invalid peer certificate: UnknownIssuer

hint: Consider enabling use of system TLS certificates with the `--system-certs` command-line flag
"""
UNBUILT = """\
error: Failed to build `plum==1.0`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)

         [stderr]
         error: command 'gcc' failed: No such file or directory

hint: Build failures usually indicate a problem with the package or the build environment
"""
NOWHERE = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of plum==2.
"""
TOLD = {
    "untrusted": (
        UNTRUSTED, "Failed to fetch: https://packages.example/simple/plum/: invalid peer certificate: UnknownIssuer"
    ),
    "unbuilt": (UNBUILT, "error: command 'gcc' failed: No such file or directory"),
    "nowhere": (
        NOWHERE, "No solution found when resolving dependencies: Because there is no version of plum==2."
    ),
}  # fmt: skip


def by_docker(text: str) -> str:
    """What BuildKit makes of a step's words."""
    lines = "".join(f"#6 0.{number} {line}\n" for number, line in enumerate(text.splitlines()))
    failed = "executor failed running [python3]: exit code: 1"
    return f"#6 [stage-0 2/5] RUN\n{lines}#6 ERROR: {failed}\n------\nERROR: failed to solve: {failed}\n"


def by_podman(text: str) -> str:
    """What Buildah makes of them."""
    return f'STEP 3/9: RUN\n{text}Error: building at STEP "RUN": while running runtime: exit status 1\n'


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("engine", [by_docker, by_podman])
def test_the_step_says_why_and_not_the_engine(name: str, engine: Callable[[str], str]) -> None:
    """
    The error and its deepest cause; of a package that cannot be built, the last word of what built it.
    """
    text, why = TOLD[name]

    assert why == build_error(completed(stderr=engine(text), code=1)).why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#5 ERROR: server.tar: not found\nERROR: failed to solve: not found\n", "ERROR: server.tar: not found"),
        ("Error: error building: server.tar: no such file\n", "Error: error building: server.tar: no such file"),
        ("#6 0.1 error: something else\nERROR: failed to solve: executor failed\n", "something else"),
        ("", "it printed nothing"),
    ],
)
def test_where_no_step_said_anything_the_engine_does(text: str, why: str) -> None:
    """
    Nothing is lost of an error that is not known.
    """
    error = build_error(completed(stderr=text, code=1))

    assert ("the image cannot be built", why, "see the log above") == (error.what, error.why, error.fix)


def test_a_full_disk_goes_before_whatever_else_was_said() -> None:
    """
    A package that cannot be unpacked there is not the reason.
    """
    text = "error: Failed to install: plum\n  cause: No space left on device (os error 28)\n"

    error = build_error(completed(stderr=by_docker(text), code=1))

    assert (NoSpace, "Failed to install: plum: No space left on device (os error 28)") == (type(error), error.why)
