"""What is told of an image that an engine cannot pull, in the words of either engine."""

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.engines.pull_errors import pull_error
from tests.unit.tools.conftest import completed

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
