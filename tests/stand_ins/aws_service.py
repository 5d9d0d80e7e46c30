"""The stand-in for SageMaker behind HTTP, in the protocols of the service, for real clients of AWS."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any

from tests.stand_ins.refusal import Refused
from tests.stand_ins.sagemaker import SageMakerAccount
from tests.stand_ins.web import listening

_SERVICES = {"SageMaker": "sagemaker", "AmazonEC2ContainerRegistry_V20150921": "ecr"}
_INVOKED = re.compile(r"/endpoints/([\w-]+)/invocations")


def snake_case(name: str) -> str:
    """The name of an operation as boto3 has it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@contextmanager
def aws_service(account: SageMakerAccount, exchanges: list[dict[str, Any]]) -> Iterator[str]:
    """The URL at which the account answers; each operation, with what was returned, is kept in `exchanges`."""
    turn = Lock()

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            signed = "AWS4-HMAC-SHA256" in self.headers.get("Authorization", "")
            with turn:
                if not signed:
                    self.reply(403, {"__type": "MissingAuthenticationToken", "message": "not signed"})
                elif match := _INVOKED.fullmatch(self.path):
                    self.invoke(match[1], body)
                else:
                    service, _, operation = self.headers["X-Amz-Target"].partition(".")
                    self.control(_SERVICES[service], operation, json.loads(body))

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with turn:
                self.send(*account.transforms.storage.answer(self.command, self.path, body), form="application/xml")

        do_PUT = do_DELETE = do_GET  # as the base class calls it

        def control(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
            try:
                answer = account.call(snake_case(operation), parameters)
            except Refused as error:
                self.reply(400, {"__type": error.code, "message": error.message})
                return
            exchanges.append({"service": service, "operation": operation, "response": answer})
            self.reply(200, answer)

        def invoke(self, name: str, body: bytes) -> None:
            variant = self.headers.get("X-Amzn-SageMaker-Target-Variant")
            content_type = self.headers["Content-Type"]
            try:
                answer = account.invoke_endpoint(name, body, content_type=content_type, variant=variant)
            except Refused as error:
                self.reply(424 if error.code == "ModelError" else 400, {"message": error.message, **error.parts},
                           kind=error.code)  # fmt: skip
                return
            self.send(200, answer)

        def reply(self, status: int, document: dict[str, Any], *, kind: str = "") -> None:
            self.send(status, json.dumps(document).encode(), kind=kind)

        def send(self, status: int, body: bytes, *, kind: str = "", form: str = "application/x-amz-json-1.1") -> None:
            self.send_response(status)
            self.send_header("Content-Type", form)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amz-request-id" if form == "application/xml" else "x-amzn-RequestId", "made-up")
            if kind:
                self.send_header("x-amzn-errortype", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Service) as url:
        yield url
