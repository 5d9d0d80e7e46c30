"""A stand-in of Azure Key Vault and of the login of Microsoft Entra, by their published REST APIs, with a real key."""

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .tls import server_context
from .tunnels import HostCertificates

LOGIN, VAULT = "login.microsoftonline.com", "wine.vault.azure.net"
TENANT, CLIENT, SECRET = "11111111-2222-3333-4444-555555555555", "a-client", "a-secret-of-the-client"
KEY = f"https://{VAULT}/keys/release/1"
POINT = 32  # bytes of a coordinate on P-256


def encoded(content: bytes) -> str:
    """Base64 as JSON Web Keys have it."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The content of such a Base64."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pair_of(der: bytes) -> bytes:
    """The two numbers of a signature in DER, as an elliptic signature of JSON Web Algorithms has them."""
    numbers, rest = [], der[2:]
    for _ in range(2):
        size = rest[1]
        numbers.append(int.from_bytes(rest[2 : 2 + size], "big"))
        rest = rest[2 + size :]
    return b"".join(number.to_bytes(POINT, "big") for number in numbers)


@contextmanager
def azure_key_vault(private: Path, public: str, certificates: HostCertificates, asked: list[str]) -> Iterator[int]:
    """The port of both hosts; `asked` gets the paths and algorithms of what was asked with the token of the login."""
    der = base64.b64decode("".join(public.splitlines()[1:-1]))
    point = der[-2 * POINT :]
    jwk = {
        "kid": KEY, "kty": "EC", "crv": "P-256", "key_ops": ["sign", "verify"],
        "x": encoded(point[:POINT]), "y": encoded(point[POINT:]),
    }  # fmt: skip

    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes, of which the second would wait for an answer

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if self.headers["Host"] == LOGIN:
                address = f"https://{LOGIN}/{TENANT}"
                self.reply(
                    200,
                    {
                        "issuer": f"{address}/v2.0", "authorization_endpoint": f"{address}/oauth2/v2.0/authorize",
                        "token_endpoint": f"{address}/oauth2/v2.0/token",
                        "tenant_discovery_endpoint": f"{address}/v2.0/.well-known/openid-configuration",
                        "metadata": [],
                    },
                )  # fmt: skip
            elif self.admitted():
                asked.append(f"GET {path}")
                if path == "/keys/release/1":
                    self.reply(200, {"key": jwk, "attributes": {"enabled": True}})
                else:
                    self.reply(404, {"error": {"code": "KeyNotFound", "message": f"{path} was not found"}})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers["Host"] == LOGIN:
                form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                known = (form.get("client_id"), form.get("client_secret"), form.get("scope")) == (
                    CLIENT, SECRET, "https://vault.azure.net/.default",
                )  # fmt: skip
                token = {"token_type": "Bearer", "expires_in": 3600, "access_token": "token-of-the-login"}
                refused = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
                self.reply(*((200, token) if known else (401, refused)))
            elif self.admitted():
                request, path = json.loads(body), urlsplit(self.path).path
                if path != "/keys/release/1/sign":
                    self.reply(404, {"error": {"code": "KeyNotFound", "message": f"{path} was not found"}})
                    return
                asked.append(f"POST {path} {request['alg']}")
                words = ("openssl", "pkeyutl", "-sign", "-inkey", str(private), "-pkeyopt", "digest:sha256")
                digest = decoded(request["value"])
                made = subprocess.run(words, input=digest, capture_output=True, check=True).stdout
                self.reply(200, {"kid": KEY, "value": encoded(pair_of(made))})

        def admitted(self) -> bool:
            """Whether the request has the token; the answer to another one says where to get it."""
            if self.headers.get("Authorization") == "Bearer token-of-the-login":
                return True
            login = f'Bearer authorization="https://{LOGIN}/{TENANT}", resource="https://vault.azure.net"'
            self.reply(401, {"error": {"code": "Unauthorized", "message": "no token"}}, login)
            return False

        def reply(self, status: int, document: dict[str, Any], challenge: str = "") -> None:
            """Send JSON."""
            text = json.dumps(document).encode()
            self.send_response(status)
            if challenge:
                self.send_header("WWW-Authenticate", challenge)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = server_context(certificates.certificate, certificates.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()
