"""Whether anything listens at a URL of this machine."""

import socket

import pytest

from mlflow_uv.tools.system.local_server import refuses_connections
from tests.ports import free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "localhost", "localhost.", "0.0.0.0"])  # noqa: S104
def test_a_port_refuses_connections_once_nobody_listens(host: str) -> None:
    """
    The same port, with a listener and without; the address at which a server listens everywhere is one of here.
    """
    port = free_port()
    url = f"http://{host}:{port}/base"
    with socket.create_server(("127.0.0.1", port)):
        while_it_listens = refuses_connections(url)

    assert (False, True) == (while_it_listens, refuses_connections(url))


@pytest.mark.parametrize(
    "url",
    ["sqlite:///mlflow.db", "http://127.0.0.1.example.test:9", "https://198.51.100.7", "http://[h", "http://localhost:x",
     "http://127.0.0.1:99999", "databricks", ""],
)  # fmt: skip
def test_nothing_is_said_of_any_other_address(url: str) -> None:
    """
    Only a refusal on loopback is certain: elsewhere a proxy or a firewall may be in between.
    """
    assert not refuses_connections(url)
