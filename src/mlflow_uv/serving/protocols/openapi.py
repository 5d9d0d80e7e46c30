"""
Describes this model's requests and responses as an OpenAPI 3.1 document, from its signature.

The document of MLflow's own app does not describe the model: its handler accepts any request.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ..settings import Settings
from ..transport.asgi import Asgi, Message, Receive, Send, respond, respond_error

PATH = "/openapi.json"
Schema = dict[str, Any]
# How MLflow reads a JSON value into a column of each type. A missing number or string is null.
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
# By the kind of a numpy dtype.
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
    """Remove FastAPI's pages from MLflow's app: two load scripts from a CDN, and none describes the model."""
    names = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
    pages = {getattr(app, name, None) for name in names}
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", None) not in pages]


def endpoint(metadata: Any, settings: Settings) -> Asgi:
    """`GET /openapi.json`."""
    body = json.dumps(document(metadata, settings)).encode()

    async def handle(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await respond_error(scope, send, HTTPStatus.METHOD_NOT_ALLOWED, "/openapi.json supports GET only.")
            return
        await respond(send, HTTPStatus.OK, body)

    return handle


def document(metadata: Any, settings: Settings) -> Schema:
    """The complete OpenAPI document."""
    inputs, outputs = metadata.get_input_schema(), metadata.get_output_schema()
    schemas = {"Request": request(inputs, metadata.get_params_schema()), "Answer": answer(outputs)}
    if inputs is not None and not inputs.is_tensor_spec():
        schemas["Row"] = row(inputs)
    error = {"type": "object", "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}
    if inputs is None or not inputs.is_tensor_spec():
        content["text/csv"] = {"schema": {"type": "string", "description": CSV}}
    request_body = {"required": True, "content": content}
    return {
        "openapi": "3.1.0",
        "info": {"title": settings.name, "version": settings.version or "unversioned"},
        "paths": {
            "/invocations": {"post": operation("Predict.", "Answer", requestBody=request_body, more=WRONG)},
            **{path: {"get": operation("Whether the model is loaded.")} for path in ("/ping", "/health")},
            "/version": {"get": operation("The version of MLflow.")},
        },
        "components": {
            "schemas": {**schemas, "Wrong": error},
            "responses": {"Wrong": response("The request does not suit the model.", "Wrong")},
        },
    }


def operation(summary: str, schema: "str | None" = None, *, more: "Schema | None" = None, **fields: Any) -> Schema:
    """The operation of one method of one path; `fields` are further members."""
    return {"summary": summary, **fields, "responses": {"200": response("The answer.", schema), **(more or {})}}


def response(description: str, schema: "str | None") -> Schema:
    """A JSON response with a schema of `components`, or one without content."""
    if schema is None:
        return {"description": description}
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def request(inputs: Any, params: Any) -> Schema:
    """The four request formats of MLflow's scoring protocol, of which a request uses exactly one."""
    forms = tensors(inputs) if inputs is not None and inputs.is_tensor_spec() else columns(inputs)
    optional = {} if params is None else {"params": parameters(params)}
    return {
        "oneOf": [
            {"type": "object", "required": [name], "properties": {name: form, **optional}}
            for name, form in forms.items()
        ]
    }


def columns(inputs: Any) -> "dict[str, Schema]":
    """The formats for a model with column inputs, or without a signature."""
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
    """The formats for a model with tensor inputs."""
    if not inputs.has_input_names():
        whole = nested(inputs.inputs[0])
        return {"instances": whole, "inputs": whole}
    arrays = {spec.name: nested(spec) for spec in inputs.inputs}
    elements = {spec.name: nested(spec, skip=1) for spec in inputs.inputs}
    return {
        "instances": array({"type": "object", "required": sorted(elements), "properties": elements}),
        "inputs": {"type": "object", "required": sorted(arrays), "properties": arrays},
    }


def row(inputs: Any) -> Schema:
    """A row as an object with a member for each column."""
    specs = {str(spec.name or number): spec for number, spec in enumerate(inputs.inputs)}
    required = [name for name, spec in specs.items() if getattr(spec, "required", True)]
    return {"type": "object", "required": required, "properties": named(inputs)}


def named(schema: Any) -> "dict[str, Schema]":
    """The columns of a schema by name; one without a name by its number."""
    columns_by_name = {}
    for number, spec in enumerate(schema.inputs):
        columns_by_name[str(spec.name or number)] = value(spec.type, required=getattr(spec, "required", True))
    return columns_by_name


def value(kind: Any, *, required: bool = True) -> Schema:
    """The schema of a value of an MLflow type, a scalar or a compound one; null is allowed if not required."""
    schema = of_type(kind)
    return schema if required or not schema else {"anyOf": [schema, {"type": "null"}]}


def of_type(kind: Any) -> Schema:
    """The schema of an MLflow type, without null."""
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
    """Nested arrays for the dimensions of a tensor from `skip` on; a fixed size becomes minItems and maxItems."""
    schema = dict(ELEMENTS.get(spec.type.kind, ANYTHING))
    for size in reversed(spec.shape[skip:]):
        schema = array(schema, size if size >= 0 else None)
    return schema


def parameters(schema: Any) -> Schema:
    """The parameters of a model's signature; each has a default, so none is required."""
    properties: dict[str, Schema] = {}
    for spec in schema.params:
        member = of_type(spec.dtype)
        if spec.shape is not None:
            member = array(member)
        properties[spec.name] = {**member, "default": spec.default} if is_json(spec.default) else member
    return {"type": "object", "properties": properties}


def is_json(default: Any) -> bool:
    """Whether a default can be written as JSON; a date cannot."""
    try:
        json.dumps(default, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def answer(outputs: Any) -> Schema:
    """MLflow's response: the predictions as rows, values or nested arrays."""
    return {"type": "object", "required": ["predictions"], "properties": {"predictions": predictions(outputs)}}


def predictions(outputs: Any) -> Schema:
    """The schema of the predictions; unrestricted without an output signature."""
    if outputs is None:
        return ANYTHING
    if outputs.is_tensor_spec():
        if not outputs.has_input_names():
            return nested(outputs.inputs[0])
        return {"type": "object", "properties": {spec.name: nested(spec) for spec in outputs.inputs}}
    values = named(outputs)
    rows = {"type": "object", "properties": values}
    # For one output column a model returns a DataFrame or the column alone.
    return array(rows if len(values) > 1 else {"anyOf": [rows, *values.values()]})


def array(items: Schema, size: "int | None" = None) -> Schema:
    """An array, with a fixed length if `size` is given."""
    fixed = {} if size is None else {"minItems": size, "maxItems": size}
    return {"type": "array", "items": items, **fixed}
