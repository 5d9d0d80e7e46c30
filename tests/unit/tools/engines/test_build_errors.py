"""What is told of a build that failed, in the words of either engine."""

from collections.abc import Callable

import pytest

from mlflow_uv.command.errors import NoSpace, ToolFailed
from mlflow_uv.tools.engines.build_errors import build_error, pull_error, start_error
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


NAME = "registry.example:5000/wine@sha256:" + "a" * 64
HOST = "registry.example:5000"


@pytest.mark.parametrize(
    ("program", "reason", "fix"),
    [
        (
            "docker",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            f"put the certificate of the CA of {HOST} into /etc/docker/certs.d/{HOST}/ca.crt",
        ),
        (
            "podman",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            f"put the certificate of the CA of {HOST} into /etc/containers/certs.d/{HOST}/ca.crt",
        ),
        (
            "docker",
            "http: server gave HTTP response to HTTPS client",
            f"let {HOST} speak TLS, or put it into `insecure-registries` of /etc/docker/daemon.json",
        ),
        ("docker", "pull access denied for wine, repository does not exist", f"docker login {HOST}"),
        ("podman", "unauthorized: authentication required", f"podman login {HOST}"),
        ("docker", "dial tcp 192.0.2.1:5000: connect: connection refused", f"reach {HOST} from the machine of docker"),
        ("docker", "manifest unknown", ""),
        ("docker", f"failed to resolve reference {NAME}: {NAME}: not found", ""),
    ],
)
def test_the_fix_of_a_pull_is_for_the_reason_of_the_engine(program: str, reason: str, fix: str) -> None:
    """
    The reason itself is in the message; only an image that the registry lacks has no fix.
    """
    error = pull_error(program, NAME, completed(stderr=f"first line\nError: {reason}\n", code=1))

    assert isinstance(error, ToolFailed)
    assert (f"{program} cannot pull `{NAME}`", f"Error: {reason}", fix) == (error.what, error.why, str(error.fix))


def test_an_id_is_in_no_registry() -> None:
    """
    An engine takes it for a name: its reason is not one that a login or a network would remove.
    """
    error = pull_error("docker", "sha256:" + "a" * 64, completed(stderr="pull access denied for sha256", code=1))

    assert "" == error.fix


@pytest.mark.parametrize(
    ("reason", "taken"),
    [
        ("Error response from daemon: Bind for 127.0.0.1:8080 failed: port is already allocated", True),
        ("Error response from daemon: failed to bind host port 127.0.0.1:8080/tcp: address already in use", True),
        ('Error: unable to start container "1": rootlessport listen tcp 127.0.0.1:80: address already in use', True),
        ("Error response from daemon: exposing port 80 failed: permission denied", False),
    ],
)
def test_the_first_error_of_the_engine_is_the_reason_and_a_taken_port_names_its_setting(
    reason: str, *, taken: bool
) -> None:
    """
    After it, Docker only says that the command failed.
    """
    error = start_error("x", completed(stderr=f"{reason}\nError: failed to start containers: x\n", code=1))

    text = f"docker: {reason}\n\nRun 'docker run --help' for more information\n"
    run = start_error("x", completed(stderr=text, code=125))

    assert (error.why, error.fix) == (run.why, run.fix)
    assert (reason, taken, taken) == (error.why, "its port is taken" in error.what, "another `port`" in error.fix)
