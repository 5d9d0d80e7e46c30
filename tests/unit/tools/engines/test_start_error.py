"""What an engine says of a container that it cannot start."""

import pytest

from mlflow_uv.tools.engines.start_error import start_error
from tests.unit.tools.conftest import completed


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
