"""
The V2 (Open Inference) protocol over HTTP, which the clients of KServe, Seldon and Triton speak.

https://github.com/kserve/open-inference-protocol, with the extension for binary tensor data.
"""

import asyncio
import inspect
import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.version import VERSION

from .asgi import Message, Receive, Send, complain, header, respond
from .routes import Route, route_of
from .scoring import FAILED
from .shapes import NAMELESS, Shapes
from .tensors import BadRequest, Inexpressible, Tensor, decode, encode

SERVER = {"name": "mlflow-uv", "version": VERSION, "extensions": ["binary_tensor_data"]}
JSON_LENGTH = "inference-header-content-length"
MLSERVERS = "output-1"  # what MLServer calls the one output without a name, of which its metadata say `output-0`
INFER = "/v2/models/{name}/infer"


class NotFound(Exception):
    """Something that is not here: one sentence."""


class Protocol:
    """An ASGI application that answers for one model."""

    def __init__(self, model: Any, *, name: str, version: str) -> None:
        self._model = model
        self._name = name
        self._version = version
        self._shapes = Shapes(model.metadata)
        schema = getattr(model.metadata, "get_params_schema", lambda: None)()
        self._params = {param.name for param in schema.params} if schema else set()
        self._takes_params = "params" in inspect.signature(model.predict).parameters

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        route = route_of(scope["path"])
        try:
            self._require(route, scope["method"])
            if route.pattern == INFER:
                body = (await receive())["body"]
                length = header(scope, JSON_LENGTH.encode())
                headers, answer = await asyncio.to_thread(self._infer, body, length)
                media_type = "application/octet-stream" if headers else "application/json"
                await respond(send, HTTPStatus.OK, answer, media_type=media_type, headers=headers)
            else:
                await respond(send, HTTPStatus.OK, json.dumps(self._describe(route)).encode())
        except NotFound as error:
            await complain(scope, send, HTTPStatus.NOT_FOUND, str(error))
        except BadRequest as error:
            await complain(scope, send, HTTPStatus.BAD_REQUEST, str(error))
        except Inexpressible as error:
            await complain(scope, send, HTTPStatus.NOT_ACCEPTABLE, str(error))
        except PermissionError as error:
            await complain(scope, send, HTTPStatus.METHOD_NOT_ALLOWED, str(error))
        except Exception:  # noqa: BLE001 - a model's code may raise anything
            traceback.print_exc()
            await complain(scope, send, HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)

    def _require(self, route: Route, method: str) -> None:
        if not route.pattern.startswith("/v2"):
            raise NotFound("The protocol knows no such path.")
        if route.name and route.name != self._name:
            raise NotFound(f"There is no model {route.name!r}; this server has {self._name!r}.")
        if route.version is not None and route.version != self._version:
            raise NotFound(f"There is no version {route.version!r} of {self._name!r}; it is {self._version!r}.")
        wanted = "POST" if route.pattern == INFER else "GET"
        if method != wanted:
            raise PermissionError(f"{route.pattern} is asked with {wanted}.")

    def _describe(self, route: Route) -> Mapping[str, Any]:
        match route.pattern:
            case "/v2":
                return SERVER
            case "/v2/health/live":
                return {"live": True}
            case "/v2/health/ready":
                return {"ready": True}
            case "/v2/models/{name}/ready":
                return {"name": self._name, "ready": True}
            case _:
                return {
                    "name": self._name,
                    **({"versions": [self._version]} if self._version else {}),
                    "platform": "mlflow_pyfunc",
                    "inputs": self._shapes.inputs,
                    "outputs": self._shapes.outputs,
                }

    def _infer(self, body: bytes, length: "str | None") -> "tuple[tuple[tuple[bytes, bytes], ...], bytes]":
        """In a thread: read, predict, write."""
        request, rest = parted(body, length)
        parameters = parameters_of(request, "the request")
        tensors = inputs_of(request, rest)
        content = parameters.get("content_type") or ""
        given = self._shapes.assemble(tensors, str(content))
        params = {name: value for name, value in parameters.items() if name in self._params} or None
        try:
            answer = self._model.predict(given, params=params) if self._takes_params else self._model.predict(given)
        except MlflowException as error:
            raise BadRequest(error.message) from error
        except Exception as error:
            traceback.print_exc()
            # As MLflow's own app says: mostly it is the input that does not suit the model.
            raise BadRequest(f"The model cannot predict for this input: {type(error).__name__}: {error}") from error
        return self._written(request, parameters, self._shapes.express(answer))

    def _written(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], tensors: Sequence[Tensor]
    ) -> "tuple[tuple[tuple[bytes, bytes], ...], bytes]":
        all_binary = parameters.get("binary_data_output") is True
        asked = wanted_of(request)
        if MLSERVERS in asked and [one.name for one in tensors] == [NAMELESS]:
            tensors = [replace(tensors[0], name=MLSERVERS)]
        wanted = asked or {one.name: {"binary_data": all_binary} for one in tensors}
        if missing := sorted(set(wanted) - {one.name for one in tensors}):
            raise BadRequest(f"The model has no output {missing[0]!r}.")
        pairs = [
            encode(one, binary=wanted[one.name].get("binary_data", all_binary) is True)
            for one in tensors
            if one.name in wanted
        ]
        said = {
            "model_name": self._name,
            **({"model_version": self._version} if self._version else {}),
            **({"id": request["id"]} if "id" in request else {}),
            "outputs": [described for described, _ in pairs],
        }
        text, raw = json.dumps(said).encode(), b"".join(raw for _, raw in pairs)
        if not any("binary_data_size" in described["parameters"] for described, _ in pairs):
            return (), text
        return ((JSON_LENGTH.encode(), str(len(text)).encode()),), text + raw


def parted(body: bytes, length: "str | None") -> "tuple[Mapping[str, Any], bytes]":
    """The JSON of a request and the bytes behind it."""
    if length is not None and (not length.isdecimal() or int(length) > len(body)):
        raise BadRequest(f"{JSON_LENGTH} is {length!r}, and the body has {len(body)} bytes.")
    end = len(body) if length is None else int(length)
    try:
        request = json.loads(body[:end])
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The request is not JSON: {error}.") from error
    return mapping(request, "The request"), body[end:]


def inputs_of(request: Mapping[str, Any], rest: bytes) -> "list[Tensor]":
    """The tensors of a request, in its order."""
    said = request.get("inputs")
    if not isinstance(said, list) or not said:
        raise BadRequest("The request has no list of inputs.")
    found: list[Tensor] = []
    for one in said:
        size = parameters_of(mapping(one, "An input"), "an input").get("binary_data_size")
        if size is None:
            found.append(decode(one, None))
            continue
        if type(size) is not int or not 0 <= size <= len(rest):
            raise BadRequest(f"binary_data_size is {size!r}, and {len(rest)} bytes are left.")
        found.append(decode(one, rest[:size]))
        rest = rest[size:]
    if rest:
        raise BadRequest(f"{len(rest)} bytes belong to no input.")
    if len({one.name for one in found}) != len(found):
        raise BadRequest("Two inputs have the same name.")
    return found


def wanted_of(request: Mapping[str, Any]) -> "dict[str, Mapping[str, Any]]":
    """The parameters of the outputs that were asked for, by name; empty where all are wanted."""
    said = request.get("outputs") or []
    if not isinstance(said, list):
        raise BadRequest("The outputs are not a list.")
    found = [mapping(one, "An output") for one in said]
    return {str(one.get("name")): parameters_of(one, "an output") for one in found}


def parameters_of(said: Mapping[str, Any], whose: str) -> Mapping[str, Any]:
    """What a request, an input or an output has of them; none is as good as an empty object."""
    found = said.get("parameters")
    return {} if found is None else mapping(found, f"The parameters of {whose}")


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """An object of JSON. Raises BadRequest for anything else."""
    if not isinstance(value, dict):
        raise BadRequest(f"{what} is not an object.")
    return value
