"""
Describes this model's requests and answers as an OpenAPI 3.1 document, from its signature.

What MLflow's own app would publish describes no model: its handler takes any request.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from .asgi import Asgi, Message, Receive, Send, complain, respond
from .settings import Settings

PATH = "/openapi.json"
Schema = dict[str, Any]
# How MLflow reads a JSON value into a column of each type. A missing number or text is null.
VALUES: "Mapping[str, Schema]" = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": ["number", "null"], "format": "float"},
    "double": {"type": ["number", "null"], "format": "double"},
    "string": {"type": ["string", "null"]},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
}
# By the kind of a numpy type.
ELEMENTS: "Mapping[str, Schema]" = {
    "b": {"type": "boolean"},
    "i": {"type": "integer"},
    "u": {"type": "integer", "minimum": 0},
    "f": {"type": ["number", "null"]},
    "S": {"type": "string"},
    "U": {"type": "string"},
}
ANYTHING: Schema = {}
CSV = "One line of column names, then one line for each row."
WRONG = {"400": {"$ref": "#/components/responses/Wrong"}}


def strip(app: Any) -> None:
    """Take FastAPI's pages off MLflow's app: two load scripts from elsewhere, and none says anything of the model."""
    names = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
    pages = {getattr(app, name, None) for name in names}
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) not in pages]


def door(metadata: Any, settings: Settings) -> Asgi:
    """`GET /openapi.json`."""
    body = json.dumps(document(metadata, settings)).encode()

    async def handle(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await complain(scope, send, HTTPStatus.METHOD_NOT_ALLOWED, "The document is read with GET.")
            return
        await respond(send, HTTPStatus.OK, body)

    return handle


def document(metadata: Any, settings: Settings) -> Schema:
    """The whole document."""
    inputs, outputs = metadata.get_input_schema(), metadata.get_output_schema()
    schemas = {"Request": request(inputs, metadata.get_params_schema()), "Answer": answer(outputs)}
    if inputs is not None and not inputs.is_tensor_spec():
        schemas["Row"] = row(inputs)
    wrong = {"type": "object", "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}
    if inputs is None or not inputs.is_tensor_spec():
        content["text/csv"] = {"schema": {"type": "string", "description": CSV}}
    said = {"required": True, "content": content}
    return {
        "openapi": "3.1.0",
        "info": {"title": settings.name, "version": settings.version or "unversioned"},
        "paths": {
            "/invocations": {"post": operation("Predict.", "Answer", requestBody=said, more=WRONG)},
            **{path: {"get": operation("Whether the model is loaded.")} for path in ("/ping", "/health")},
            "/version": {"get": operation("The version of MLflow.")},
        },
        "components": {
            "schemas": {**schemas, "Wrong": wrong},
            "responses": {"Wrong": response("The request does not suit the model.", "Wrong")},
        },
    }


def operation(summary: str, schema: "str | None" = None, *, more: "Schema | None" = None, **words: Any) -> Schema:
    """One method of one path."""
    return {"summary": summary, **words, "responses": {"200": response("The answer.", schema), **(more or {})}}


def response(description: str, schema: "str | None") -> Schema:
    """A response in JSON, or one without a form of its own."""
    if schema is None:
        return {"description": description}
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def request(inputs: Any, params: Any) -> Schema:
    """The four forms of MLflow's scoring protocol; exactly one of them is sent."""
    forms = tensors(inputs) if inputs is not None and inputs.is_tensor_spec() else columns(inputs)
    optional = {} if params is None else {"params": parameters(params)}
    return {
        "oneOf": [
            {"type": "object", "required": [name], "properties": {name: form, **optional}}
            for name, form in forms.items()
        ]
    }


def columns(inputs: Any) -> "dict[str, Schema]":
    """Of a model that takes rows, or anything."""
    if inputs is None:
        return dict.fromkeys(("dataframe_records", "dataframe_split", "instances", "inputs"), ANYTHING)
    cells = {"type": "array", "items": {"type": "array"}}
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    names: Schema = {"type": "array", "items": {"type": ["string", "integer"]}}
    by_column = {"type": "object", "properties": {name: array(value) for name, value in named(inputs).items()}}
    return {
        "dataframe_records": rows,
        "dataframe_split": {
            "type": "object",
            "required": ["data"],
            "properties": {"columns": names, "index": {"type": "array"}, "data": cells},
        },
        "instances": {"anyOf": [rows, {"type": "array"}]},
        "inputs": {"anyOf": [rows, by_column, {"type": "array"}]},
    }


def tensors(inputs: Any) -> "dict[str, Schema]":
    """Of a model that takes tensors."""
    if not inputs.has_input_names():
        whole = nested(inputs.inputs[0])
        return {"instances": whole, "inputs": whole}
    each = {spec.name: nested(spec) for spec in inputs.inputs}
    one = {spec.name: nested(spec, skip=1) for spec in inputs.inputs}
    return {
        "instances": array({"type": "object", "required": sorted(one), "properties": one}),
        "inputs": {"type": "object", "required": sorted(each), "properties": each},
    }


def row(inputs: Any) -> Schema:
    """An object with a member for each column."""
    specs = {str(spec.name or number): spec for number, spec in enumerate(inputs.inputs)}
    required = [name for name, spec in specs.items() if getattr(spec, "required", True)]
    return {"type": "object", "required": required, "properties": named(inputs)}


def named(schema: Any) -> "dict[str, Schema]":
    """The columns of a schema; those without a name are called by their number."""
    found = {}
    for number, spec in enumerate(schema.inputs):
        found[str(spec.name or number)] = value(spec.type, required=getattr(spec, "required", True))
    return found


def value(kind: Any, *, required: bool = True) -> Schema:
    """A value of one of MLflow's types, simple or made of others."""
    found = of_type(kind)
    return found if required or not found else {"anyOf": [found, {"type": "null"}]}


def of_type(kind: Any) -> Schema:
    """See `value`."""
    name = type(kind).__name__
    if name == "Array":
        return array(of_type(kind.dtype))
    if name == "Map":
        return {"type": "object", "additionalProperties": of_type(kind.value_type)}
    if name == "Object":
        members = {member.name: value(member.dtype, required=member.required) for member in kind.properties}
        required = [member.name for member in kind.properties if member.required]
        return {"type": "object", "properties": members, "required": required}
    return dict(VALUES.get(str(getattr(kind, "name", "")).lower(), ANYTHING))


def nested(spec: Any, *, skip: int = 0) -> Schema:
    """Lists in lists, as deep as a tensor has dimensions; a size that is fixed is said."""
    found = dict(ELEMENTS.get(spec.type.kind, ANYTHING))
    for size in reversed(spec.shape[skip:]):
        found = array(found, size if size >= 0 else None)
    return found


def parameters(schema: Any) -> Schema:
    """The parameters of a model's signature: each has a default, so none is required."""
    found: dict[str, Schema] = {}
    for spec in schema.params:
        one = of_type(spec.dtype)
        if spec.shape is not None:
            one = array(one)
        found[spec.name] = {**one, "default": spec.default} if is_json(spec.default) else one
    return {"type": "object", "properties": found}


def is_json(default: Any) -> bool:
    """Whether a default can be said; a date cannot."""
    try:
        json.dumps(default, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def answer(outputs: Any) -> Schema:
    """What MLflow answers: the predictions, as rows, as values, or as lists in lists."""
    return {"type": "object", "required": ["predictions"], "properties": {"predictions": predictions(outputs)}}


def predictions(outputs: Any) -> Schema:
    """As far as the signature tells."""
    if outputs is None:
        return ANYTHING
    if outputs.is_tensor_spec():
        if not outputs.has_input_names():
            return nested(outputs.inputs[0])
        return {"type": "object", "properties": {spec.name: nested(spec) for spec in outputs.inputs}}
    values = named(outputs)
    rows = {"type": "object", "properties": values}
    # Of one column, a model returns a frame or the column alone.
    return array(rows if len(values) > 1 else {"anyOf": [rows, *values.values()]})


def array(items: Schema, size: "int | None" = None) -> Schema:
    """A list, of a certain length where there is one."""
    fixed = {} if size is None else {"minItems": size, "maxItems": size}
    return {"type": "array", "items": items, **fixed}
