"""One exchange with a server, where the body comes from a file or goes to one."""

import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.image.reference import TlsProblem
from mlflow_uv.tools.system.web import WebRequest, WebUnreachable
from mlflow_uv.tools.system.web_exchange import WebExchange
from tests.endpoints import EndpointReply, certified, fake_endpoint
from tests.waiting import CEILING_S


def test_a_body_is_written_to_the_file_that_is_named(tmp_path: Path) -> None:
    """
    The reply has the status and the headers, with lower-case names, and no body.
    """
    target = tmp_path / "body"
    with fake_endpoint(lambda _: EndpointReply(headers={"X-Name": "a"}, stream=iter([b"12", b"3"]))) as endpoint:
        request = WebRequest(url=endpoint.url, target=target)

        reply = WebExchange({}).once(endpoint.url, request, {}, until=0.0, timeout_s=CEILING_S)

    assert (200, b"", b"123", "a") == (reply.status, reply.body, target.read_bytes(), reply.headers["x-name"])


def test_a_download_is_stopped_however_slowly_it_comes(tmp_path: Path) -> None:
    """
    It is asked after each few bytes, not only once there are many.
    """
    asked, late = threading.Event(), list[str]()

    def slowly() -> Iterator[bytes]:
        yield b"12"
        if not asked.wait(CEILING_S):
            late.append("it waited for more")
        yield b"3"

    def stop() -> bool:
        asked.set()
        return True

    with fake_endpoint(lambda _: EndpointReply(stream=slowly())) as endpoint:
        request = WebRequest(url=endpoint.url, target=tmp_path / "body", stop=stop)
        with pytest.raises(WebUnreachable, match="the download was stopped"):
            WebExchange({}).once(endpoint.url, request, {}, until=0.0, timeout_s=CEILING_S)

    assert [] == late


def test_a_file_is_sent_in_pieces_that_are_few_and_still_let_it_be_stopped(tmp_path: Path) -> None:
    """
    A thread that sends eight times the 128 KiB waits for those that compute as often, and once more at the end.
    """
    (tmp_path / "layer").write_bytes(bytes(range(256)) * 4096)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return False

    with fake_endpoint(lambda _: EndpointReply()) as endpoint:
        request = WebRequest(url=endpoint.url, method="POST", upload=tmp_path / "layer", stop=stop)
        WebExchange({}).once(endpoint.url, request, {}, until=0.0, timeout_s=CEILING_S)

    (received,) = endpoint.requests
    assert ((tmp_path / "layer").read_bytes(), 9) == (received.body, asked)


def test_a_body_must_be_complete_in_time() -> None:
    """
    The time is that of the caller, who may have used some of it for an earlier redirect.
    """
    now = time.monotonic()
    with fake_endpoint(lambda _: EndpointReply(stream=iter([b"1", b"2"]))) as endpoint:
        exchange, request = WebExchange({}), WebRequest(url=endpoint.url)

        reply = exchange.once(endpoint.url, request, {}, until=now + CEILING_S, timeout_s=CEILING_S)
        with pytest.raises(WebUnreachable) as caught:
            exchange.once(endpoint.url, request, {}, until=now - 1, timeout_s=CEILING_S)

    assert (b"12", True) == (reply.body, caught.value.slow)


def trusted(url: str, home: Path, **variables: str) -> int:
    """The status of a response, asked by somebody with a home."""
    return asked(WebExchange({"HOME": str(home), **variables}), url)


def asked(exchange: WebExchange, url: str) -> int:
    """The status of a response."""
    return exchange.once(url, WebRequest(url=url), {}, until=time.monotonic() + CEILING_S, timeout_s=CEILING_S).status


@pytest.mark.parametrize("place", [".config/containers/certs.d", ".config/docker/certs.d"])
def test_a_certificate_in_the_folder_of_a_registry_is_for_that_one_alone(tmp_path: Path, place: str) -> None:
    """
    Where engines of a user look; a longer name, and the name without its port, is another registry.
    """
    context, authority = certified(tmp_path / "keys")
    with fake_endpoint(lambda _: EndpointReply(), context=context) as endpoint:
        for folder in (f"127.0.0.1:{endpoint.port}0", "127.0.0.1"):
            (tmp_path / place / folder).mkdir(parents=True)
            shutil.copyfile(authority, tmp_path / place / folder / "ca.crt")
        with pytest.raises(WebUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            trusted(endpoint.url, tmp_path)
        (tmp_path / place / "127.0.0.1").rename(tmp_path / place / f"127.0.0.1:{endpoint.port}")

        assert 200 == trusted(endpoint.url, tmp_path)


def place_of(url: str, home: Path) -> Path:
    """The folder with the certificates for a registry."""
    folder = home / ".config" / "containers" / "certs.d" / url.rpartition("/")[2]
    folder.mkdir(parents=True)
    return folder


def test_a_client_certificate_of_a_registry_is_used(tmp_path: Path) -> None:
    """
    A server that requires one answers nobody else, and no certificate that its authority did not sign.
    """
    context, authority = certified(tmp_path / "keys")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority)
    certified(tmp_path / "others")
    with fake_endpoint(lambda _: EndpointReply(), context=context) as endpoint:
        folder = place_of(endpoint.url, tmp_path)
        shutil.copyfile(authority, folder / "ca.crt")
        refused = []
        for keys in ("", "others"):
            if keys:
                shutil.copyfile(tmp_path / keys / "host.pem", folder / "client.cert")
                shutil.copyfile(tmp_path / keys / "host.key", folder / "client.key")
            with pytest.raises(WebUnreachable) as caught:
                trusted(endpoint.url, tmp_path)
            refused.append(caught.value)
        shutil.copyfile(tmp_path / "keys" / "host.pem", folder / "client.cert")
        shutil.copyfile(tmp_path / "keys" / "host.key", folder / "client.key")

        assert 200 == trusted(endpoint.url, tmp_path)
    assert 2 == len(refused)


def test_certificates_are_read_once_for_a_server(tmp_path: Path) -> None:
    """
    Those of a system are some hundreds; an image has fifty layers, for each of which a registry is asked.
    """
    exchange = WebExchange({"HOME": str(tmp_path)})

    contexts = [exchange._context(server) for server in ("registry.test", "registry.test", "other.test")]

    assert [True, False] == [contexts[0] is context for context in contexts[1:]]


@pytest.mark.parametrize("changed", ["ca.crt", "client.cert", "client.key"])
def test_changed_certificates_are_read_again(tmp_path: Path, changed: str) -> None:
    """
    A user replaces a wrong one while a process that read it goes on.
    """
    context, authority = certified(tmp_path / "keys")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority)
    others = certified(tmp_path / "others")[1]
    wrong = {"ca.crt": others, "client.cert": tmp_path / "others" / "host.pem"}
    right = {"ca.crt": authority, "client.cert": tmp_path / "keys" / "host.pem"}
    exchange = WebExchange({"HOME": str(tmp_path)})
    with fake_endpoint(lambda _: EndpointReply(), context=context) as endpoint:
        folder = place_of(endpoint.url, tmp_path)
        for name, file in {**right, "client.key": tmp_path / "keys" / "host.key"}.items():
            shutil.copyfile(file, folder / name)
        if changed == "client.key":
            (folder / changed).write_text("none")
        else:
            shutil.copyfile(wrong[changed], folder / changed)
        with pytest.raises(WebUnreachable):
            asked(exchange, endpoint.url)
        shutil.copyfile({**right, "client.key": tmp_path / "keys" / "host.key"}[changed], folder / changed)

        assert 200 == asked(exchange, endpoint.url)


@pytest.mark.parametrize("fault", ["no key", "another key", "no certificate", "encrypted key"])
def test_a_client_certificate_that_cannot_be_used_is_named(tmp_path: Path, fault: str) -> None:
    """
    With its key, and without asking for a password.
    """
    context, authority = certified(tmp_path / "keys")
    certified(tmp_path / "others")
    with fake_endpoint(lambda _: EndpointReply(), context=context) as endpoint:
        folder = place_of(endpoint.url, tmp_path)
        shutil.copyfile(authority, folder / "ca.crt")
        shutil.copyfile(tmp_path / "keys" / "host.pem", folder / "client.cert")
        shutil.copyfile(tmp_path / ("others" if fault == "another key" else "keys") / "host.key", folder / "client.key")
        if fault == "no key":
            (folder / "client.key").unlink()
        elif fault == "no certificate":
            (folder / "client.cert").write_text("none")
        elif fault == "encrypted key":
            encrypt = ("openssl", "pkey", "-in", "client.key", "-out", "new", "-aes256", "-passout", "pass:corked")
            subprocess.run(encrypt, cwd=folder, check=True, capture_output=True)
            (folder / "new").rename(folder / "client.key")

        with pytest.raises(WebUnreachable, match=r"the client certificate .* cannot be used with its key") as caught:
            trusted(endpoint.url, tmp_path)

    assert (True, True) == (str(folder / "client.cert") in str(caught.value), caught.value.permanent)


def test_what_is_not_trusted_is_told_from_what_does_not_answer(tmp_path: Path) -> None:
    """
    A certificate helps with the first alone.
    """
    context, _ = certified(tmp_path / "keys")
    with (
        fake_endpoint(lambda _: EndpointReply(), context=context) as endpoint,
        pytest.raises(WebUnreachable) as untrusted,
    ):
        trusted(endpoint.url, tmp_path)
    with pytest.raises(WebUnreachable) as down:
        trusted(endpoint.url, tmp_path)

    assert (TlsProblem.UNTRUSTED, None) == (untrusted.value.tls, down.value.tls)


def test_a_server_without_tls_is_named_as_one(tmp_path: Path) -> None:
    """
    A later attempt would fail, too.
    """
    with fake_endpoint(lambda _: EndpointReply()) as endpoint, pytest.raises(WebUnreachable) as caught:
        trusted(endpoint.url.replace("http:", "https:"), tmp_path)

    expected = "127.0.0.1 does not answer: it speaks no TLS, as a server for plain HTTP"
    assert (expected, True) == (str(caught.value), caught.value.permanent)


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    """
    The server is not to blame.
    """
    (tmp_path / "empty.pem").write_text("no certificate")

    with pytest.raises(WebUnreachable, match=rf"no certificate can be read from {tmp_path}/empty.pem"):
        trusted("https://127.0.0.1:9", tmp_path, SSL_CERT_FILE=str(tmp_path / "empty.pem"))
