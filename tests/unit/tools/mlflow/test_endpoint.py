"""What a request to a running server consists of, and what is known when there is no response."""

from mlflow_uv.core.security.endpoint_address import endpoint_address, endpoint_headers
from mlflow_uv.tools.mlflow.endpoint import Endpoint
from mlflow_uv.tools.mlflow.model_requests import ModelRequest
from mlflow_uv.tools.system.web import Web
from tests.endpoints import EndpointReply, fake_endpoint
from tests.ports import free_port

REQUEST = ModelRequest(method="POST", path="/invocations", body=b'{"b": 1, "a": 2}', timeout_s=60)


def endpoint_at(url: str) -> Endpoint:
    """A server with one header."""
    address = endpoint_address(url)
    return Endpoint(Web({}), address, endpoint_headers(["X-Key=KEY"], {"KEY": "ca-na-ry"}, address))


def test_a_request_has_the_bytes_the_type_and_the_headers() -> None:
    """
    And it goes to the path below the base URL.
    """
    with fake_endpoint(lambda _: EndpointReply(body=b'{"predictions": [1]}')) as server:
        reply = endpoint_at(f"{server.url}/team").send(REQUEST)

    (request,) = server.requests
    sent = request.path, request.body, request.headers["Content-Type"], request.headers["X-Key"]
    assert ("/team/invocations", REQUEST.body, "application/json", "ca-na-ry") == sent
    assert reply is not None
    assert (200, '{"predictions": [1]}') == (reply.status, reply.body)


def test_without_a_response_the_reason_is_kept() -> None:
    """
    The log of another's server is not here.
    """
    endpoint = endpoint_at(f"http://127.0.0.1:{free_port()}")

    replies = endpoint.send_all([REQUEST, REQUEST])

    assert ((None, None), None) == (replies, endpoint.code())
    assert "refused" in endpoint.log()
