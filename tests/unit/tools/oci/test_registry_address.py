"""The protocol by which a registry is reached."""

import shutil
from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.core.image.reference import TlsProblem, image_reference
from mlflow_uv.tools.oci.registry_address import RegistryConnection, may_require_tls, repository_address
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest, WebUnreachable
from tests.endpoints import EndpointReply, certified, fake_endpoint


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
def test_a_response_to_plain_http_that_may_be_that_of_a_server_for_https(
    status: int, kind: str, body: bytes, *, wanted: bool
) -> None:
    """
    The error of a registry is JSON, and one by HTTPS requires nothing.
    """
    reply = WebReply(status=status, headers={"content-type": kind} if kind else {}, body=body)

    assert wanted == may_require_tls("http://127.0.0.1:5/v2/", reply)
    assert not may_require_tls("https://127.0.0.1:5/v2/", reply)


def asked(host: str, variables: dict[str, str]) -> tuple[RegistryConnection, WebReply | WebUnreachable]:
    """A connection that has sent one request, and what came back."""
    connection = RegistryConnection(image_reference(f"{host}/wine:1"), Web(variables))
    try:
        return connection, connection.send(WebRequest(url=f"{connection.address}/blobs/uploads/", form=b""))
    except WebUnreachable as error:
        return connection, error


def certificates_for(host: str, home: Path, authority: Path) -> None:
    """Put the certificate of an authority where engines look for that of a registry."""
    folder = home / ".config" / "containers" / "certs.d" / host
    folder.mkdir(parents=True)
    shutil.copyfile(authority, folder / "ca.crt")


def test_a_registry_without_tls_on_this_machine_is_reached_although_there_are_certificates_for_it(
    tmp_path: Path,
) -> None:
    """
    As Docker reaches it; the next request goes there at once.
    """
    _, authority = certified(tmp_path / "keys")
    with fake_endpoint(lambda _: EndpointReply(status=202)) as endpoint:
        host = f"127.0.0.1:{endpoint.port}"
        certificates_for(host, tmp_path, authority)

        connection, reply = asked(host, {"HOME": str(tmp_path)})
        again = connection.send(WebRequest(url=f"https://{host}/v2/wine/blobs/1"))

    assert (f"http://{host}/v2/wine", True, 202) == (connection.address, isinstance(reply, WebReply), again.status)
    assert ["/v2/", "/v2/wine/blobs/uploads/", "/v2/wine/blobs/1"] == [request.path for request in endpoint.requests]


@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_the_error_of_a_registry_without_tls_stays_as_it_is(kind: str) -> None:
    """
    It is no JSON, and nothing answers by HTTPS, so the next request goes to the same address.
    """
    replies = [EndpointReply(status=400, body=b"name must be lower case", headers={"Content-Type": kind})]
    with fake_endpoint(lambda _: replies.pop() if replies else EndpointReply(status=202)) as endpoint:
        connection, reply = asked(f"127.0.0.1:{endpoint.port}", {})
        after = connection.send(WebRequest(url=f"{connection.address}/blobs/uploads/", form=b""))

    assert isinstance(reply, WebReply)
    assert (400, b"name must be lower case", 202) == (reply.status, reply.body, after.status)
    assert connection.address.startswith("http://")


def test_a_registry_with_tls_that_closes_plain_connections_is_asked_by_https(tmp_path: Path) -> None:
    """
    With its CA in SSL_CERT_FILE alone; without that, the reason is the certificate.
    """
    context, authority = certified(tmp_path / "keys")
    with fake_endpoint(lambda _: EndpointReply(status=202), context=context) as endpoint:
        host = f"127.0.0.1:{endpoint.port}"

        connection, reply = asked(host, {"SSL_CERT_FILE": str(authority)})
        _, refused = asked(host, {})

    assert isinstance(reply, WebReply), reply
    assert isinstance(refused, WebUnreachable)
    assert (f"https://{host}/v2/wine", 202, TlsProblem.UNTRUSTED) == (connection.address, reply.status, refused.tls)


def test_a_file_without_certificates_does_not_hide_the_error_of_a_registry_without_tls(tmp_path: Path) -> None:
    """
    It keeps every connection with TLS from being tried, and so says nothing of the registry.
    """
    (tmp_path / "empty.pem").write_text("none")
    with fake_endpoint(lambda _: EndpointReply(status=400, body=b"no")) as endpoint:
        _, reply = asked(f"127.0.0.1:{endpoint.port}", {"SSL_CERT_FILE": str(tmp_path / "empty.pem")})

    assert isinstance(reply, WebReply), reply
    assert 400 == reply.status


def test_a_registry_that_was_down_is_asked_again_by_the_expected_protocol() -> None:
    """
    Nothing is concluded from a server that does not answer at all.
    """
    with fake_endpoint(lambda _: EndpointReply(status=202)) as endpoint:
        host = f"127.0.0.1:{endpoint.port}"
    connection, error = asked(host, {})

    assert isinstance(error, WebUnreachable)
    assert ("Connection refused" in str(error), f"http://{host}/v2/wine") == (True, connection.address)


class BothProtocols:
    """Answers to plain HTTP, and by HTTPS only with an error; keeps the addresses that are asked."""

    def __init__(self, error: WebUnreachable) -> None:
        self.error = error
        self.urls: list[str] = []

    def has_certificates(self, _host: str) -> bool:
        return True

    def send(self, request: WebRequest, **_: object) -> WebReply:
        self.urls.append(request.url)
        if request.url.startswith("https:"):
            raise self.error
        return WebReply(status=200, headers={}, body=b"")

    post = send


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("127.0.0.1:5", WebUnreachable("x", tls=TlsProblem.UNTRUSTED)),
        ("127.0.0.1:5", WebUnreachable("x", tls=TlsProblem.REFUSED_CLIENT)),
        ("127.0.0.1:5", WebUnreachable("x", tls=TlsProblem.UNREADABLE_BUNDLE)),
        ("127.0.0.1:5", WebUnreachable("x", slow=True)),
        ("10.0.0.7:5", WebUnreachable("x", tls=TlsProblem.PLAIN)),
        ("10.0.0.7:5", WebUnreachable("x")),
    ],
)
def test_nothing_is_sent_without_tls_to_get_around_a_certificate_or_to_another_machine(
    host: str, error: WebUnreachable
) -> None:
    """
    A login would go to whoever answers there.
    """
    web = BothProtocols(error)
    connection = RegistryConnection(image_reference(f"{host}/wine:1"), cast("Web", web))

    with pytest.raises(WebUnreachable, match="x"):
        connection.send(WebRequest(url=f"{connection.address}/tags"))

    assert [f"https://{host}/v2/wine/tags"] == web.urls


def test_an_address_elsewhere_is_asked_as_it_is() -> None:
    """
    As that of a server of tokens, which is no registry.
    """
    web = BothProtocols(WebUnreachable("x", tls=TlsProblem.PLAIN))
    connection = RegistryConnection(image_reference("127.0.0.1:5/wine:1"), cast("Web", web))

    with pytest.raises(WebUnreachable, match="x"):
        connection.send(WebRequest(url="https://127.0.0.1:6/token"))

    assert ["https://127.0.0.1:6/token"] == web.urls
