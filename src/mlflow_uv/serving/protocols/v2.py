"""
Answers the V2 (Open Inference) protocol over HTTP, which clients of KServe, Seldon and Triton use.

Source: https://github.com/kserve/open-inference-protocol, with the extension for binary tensor data.
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

from ..transport.asgi import Message, Receive, Send, header, respond, respond_error
from ..transport.routes import Route, route_of
from .scoring import FAILED
from .shapes import UNNAMED_OUTPUT, Shapes
from .tensors import BadRequest, Inexpressible, Tensor, decode, encode

SERVER = {"name": "mlflow-uv", "version": VERSION, "extensions": ["binary_tensor_data"]}
JSON_LENGTH = "inference-header-content-length"
MLSERVER_OUTPUT = "output-1"  # MLServer's name of the one unnamed output in responses; its metadata say `output-0`
INFER = "/v2/models/{name}/infer"


class NotFound(Exception):
    """An unknown path, model or version; the message is one sentence."""


class Protocol:
    """An ASGI application that serves one model."""

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
            await respond_error(scope, send, HTTPStatus.NOT_FOUND, str(error))
        except BadRequest as error:
            await respond_error(scope, send, HTTPStatus.BAD_REQUEST, str(error))
        except Inexpressible as error:
            await respond_error(scope, send, HTTPStatus.NOT_ACCEPTABLE, str(error))
        except PermissionError as error:
            await respond_error(scope, send, HTTPStatus.METHOD_NOT_ALLOWED, str(error))
        except Exception:  # noqa: BLE001 - a model's code may raise anything
            traceback.print_exc()
            await respond_error(scope, send, HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)

    def _require(self, route: Route, method: str) -> None:
        if not route.pattern.startswith("/v2"):
            raise NotFound("The V2 protocol has no such path.")
        if route.name and route.name != self._name:
            raise NotFound(f"There is no model {route.name!r}; this server has {self._name!r}.")
        if route.version is not None and route.version != self._version:
            raise NotFound(f"There is no version {route.version!r} of {self._name!r}; it is {self._version!r}.")
        allowed = "POST" if route.pattern == INFER else "GET"
        if method != allowed:
            raise PermissionError(f"{route.pattern} supports {allowed} only.")

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
        """Parse the request, predict, and build headers and body of the response; runs in a thread."""
        request, raw = split_body(body, length)
        parameters = parameters_of(request, "the request")
        tensors = inputs_of(request, raw)
        content = parameters.get("content_type") or ""
        model_input = self._shapes.to_model_input(tensors, str(content))
        params = {name: value for name, value in parameters.items() if name in self._params} or None
        try:
            prediction = (
                self._model.predict(model_input, params=params)
                if self._takes_params
                else self._model.predict(model_input)
            )
        except MlflowException as error:
            raise BadRequest(error.message) from error
        except Exception as error:
            traceback.print_exc()
            # A client error, as in MLflow's own app: usually the input does not fit the model.
            raise BadRequest(f"The model cannot predict for this input: {type(error).__name__}: {error}") from error
        return self._response(request, parameters, self._shapes.to_tensors(prediction))

    def _response(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], tensors: Sequence[Tensor]
    ) -> "tuple[tuple[tuple[bytes, bytes], ...], bytes]":
        all_binary = parameters.get("binary_data_output") is True
        requested = outputs_of(request)
        if MLSERVER_OUTPUT in requested and [tensor.name for tensor in tensors] == [UNNAMED_OUTPUT]:
            tensors = [replace(tensors[0], name=MLSERVER_OUTPUT)]
        selected = requested or {tensor.name: {"binary_data": all_binary} for tensor in tensors}
        if missing := sorted(set(selected) - {tensor.name for tensor in tensors}):
            raise BadRequest(f"The model has no output {missing[0]!r}.")
        pairs = [
            encode(tensor, binary=selected[tensor.name].get("binary_data", all_binary) is True)
            for tensor in tensors
            if tensor.name in selected
        ]
        response = {
            "model_name": self._name,
            **({"model_version": self._version} if self._version else {}),
            **({"id": request["id"]} if "id" in request else {}),
            "outputs": [described for described, _ in pairs],
        }
        text, raw = json.dumps(response).encode(), b"".join(raw for _, raw in pairs)
        if not any("binary_data_size" in described["parameters"] for described, _ in pairs):
            return (), text
        return ((JSON_LENGTH.encode(), str(len(text)).encode()),), text + raw


def split_body(body: bytes, length: "str | None") -> "tuple[Mapping[str, Any], bytes]":
    """The JSON of a request and the binary data after it; `length` is the size of the JSON in bytes, None for all."""
    if length is not None and (not length.isdecimal() or int(length) > len(body)):
        raise BadRequest(f"{JSON_LENGTH} is {length!r}, and the body has {len(body)} bytes.")
    end = len(body) if length is None else int(length)
    try:
        request = json.loads(body[:end])
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The request is not JSON: {error}.") from error
    return mapping(request, "The request"), body[end:]


def inputs_of(request: Mapping[str, Any], raw: bytes) -> "list[Tensor]":
    """The tensors of a request, in its order; `raw` is the binary data after the JSON. Raises BadRequest."""
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise BadRequest("The request's `inputs` is not a non-empty list.")
    tensors: list[Tensor] = []
    for item in inputs:
        size = parameters_of(mapping(item, "An input"), "an input").get("binary_data_size")
        if size is None:
            tensors.append(decode(item, None))
            continue
        if type(size) is not int or not 0 <= size <= len(raw):
            raise BadRequest(f"binary_data_size is {size!r}, and {len(raw)} bytes are left.")
        tensors.append(decode(item, raw[:size]))
        raw = raw[size:]
    if raw:
        raise BadRequest(f"{len(raw)} bytes follow the last input.")
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise BadRequest("Two inputs have the same name.")
    return tensors


def outputs_of(request: Mapping[str, Any]) -> "dict[str, Mapping[str, Any]]":
    """The parameters of the requested outputs by name; empty where all are requested."""
    requested = request.get("outputs") or []
    if not isinstance(requested, list):
        raise BadRequest("The outputs are not a list.")
    outputs = [mapping(item, "An output") for item in requested]
    return {str(output.get("name")): parameters_of(output, "an output") for output in outputs}


def parameters_of(owner: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The parameters of a request, an input or an output; empty without any."""
    parameters = owner.get("parameters")
    return {} if parameters is None else mapping(parameters, f"The parameters of {name}")


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value if it is a JSON object. Raises BadRequest for anything else."""
    if not isinstance(value, dict):
        raise BadRequest(f"{what} is not an object.")
    return value
