"""The protocol by which a registry is reached."""

from pathlib import Path

import pytest

from mlflow_uv.core.image.reference import image_reference
from mlflow_uv.tools.oci.registry_address import repository_address, requires_tls, with_tls
from mlflow_uv.tools.system.web import Web, WebReply


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("wine:1", "https://registry-1.docker.io/v2/library/wine"),
        ("10.0.0.7:5000/wine", "https://10.0.0.7:5000/v2/wine"),
        ("127.0.0.1:5000/wine", "http://127.0.0.1:5000/v2/wine"),
        ("localhost:5000/wine", "http://localhost:5000/v2/wine"),
        ("localhost:5001/wine", "https://localhost:5001/v2/wine"),
    ],
)
def test_a_registry_on_this_machine_is_reached_by_https_if_there_are_certificates_for_it(
    tmp_path: Path, name: str, address: str
) -> None:
    """
    Those for another port do not count, and every other registry is reached by HTTPS.
    """
    folder = tmp_path / ".config" / "containers" / "certs.d" / "localhost:5001"
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text("")

    assert address == repository_address(image_reference(name), Web({"HOME": str(tmp_path)}))


@pytest.mark.parametrize(
    ("status", "kind", "body", "wanted"),
    [
        (400, "", b"Client sent an HTTP request to an HTTPS server.", True),
        (400, "", b"", True),
        (400, "text/html", b"<html>", True),
        (400, "application/json; charset=utf-8", b"", False),
        (400, "", b' {"errors": []}', False),
        (200, "", b"", False),
        (404, "", b"", False),
    ],
)
def test_a_server_for_https_is_known_by_its_response_to_plain_http(
    status: int, kind: str, body: bytes, *, wanted: bool
) -> None:
    """
    The error of a registry is JSON, and one by HTTPS requires nothing.
    """
    reply = WebReply(status=status, headers={"content-type": kind} if kind else {}, body=body)

    assert wanted == requires_tls("http://127.0.0.1:5/v2/", reply)
    assert not requires_tls("https://127.0.0.1:5/v2/", reply)


def test_only_the_protocol_of_an_address_changes() -> None:
    """
    Not what comes after it.
    """
    assert "https://a/http://b" == with_tls("http://a/http://b") == with_tls("https://a/http://b")
