"""Calls a plugin of `mlflow.deployments` by the interface that MLflow defines for all of them."""

import json
from collections.abc import Mapping
from typing import Any

from mlflow.deployments import get_deploy_client

from ..messages.platforms import CallPlugin, PluginAction, PluginResult
from ..problems import Problem, ProblemKind, describe, mask, shortened

_LONGEST_REASON = 400
_TABLES = {"dataframe_split": "split", "dataframe_records": "records"}


def call(request: CallPlugin) -> PluginResult:
    """
    Do what is asked, and say what the plugin knows of the deployment afterwards.

    Raises Problem: without it, an error of the plugin would be told as one of the tracking server.
    """
    try:
        client = get_deploy_client(request.target)
    except Exception as error:
        raise Problem(ProblemKind.INVALID, describe(error).message) from error
    if client is None:
        raise Problem(ProblemKind.INVALID, f"no plugin of mlflow.deployments has the target {request.target}")
    try:
        return _done(client, request)
    except Exception as error:
        raise Problem(ProblemKind.UNEXPECTED, f"the plugin fails: {describe(error).message}") from error


def _done(client: Any, request: CallPlugin) -> PluginResult:
    config = dict(request.config)
    if request.action is PluginAction.PREDICT:
        return _predicted(client, request)
    if request.action is PluginAction.CREATE:
        client.create_deployment(name=request.name, model_uri=request.model_uri, config=config)
    if request.action is PluginAction.UPDATE:
        client.update_deployment(name=request.name, model_uri=request.model_uri, config=config)
    if request.action is PluginAction.DELETE:
        client.delete_deployment(name=request.name)
    return PluginResult(deployment=_found(client, request.name))


def _found(client: Any, name: str) -> "dict[str, Any] | None":
    """
    What a plugin says of a deployment, None without one.

    Plugins raise different errors for a deployment that does not exist; all of them list those that do, by name.
    """
    if not any(item.get("name") == name for item in client.list_deployments()):
        return None
    return dict(_plain(dict(client.get_deployment(name))))


def _predicted(client: Any, request: CallPlugin) -> PluginResult:
    """A prediction; whatever a plugin raises is the reason for none."""
    try:
        answer = client.predict(deployment_name=request.name, inputs=_inputs(json.loads(request.inputs)))
        return PluginResult(prediction=json.dumps(_prediction(answer)))
    except Exception as error:  # noqa: BLE001  # plugins raise anything
        return PluginResult(reason=shortened(mask(describe(error).message), _LONGEST_REASON))


def _inputs(body: Mapping[str, Any]) -> Any:
    """The rows of a request as plugins take them: a data frame, an array, or arrays by name."""
    for key, orient in _TABLES.items():
        if key in body:
            import pandas as pd  # noqa: PLC0415  # mlflow-skinny works without it

            return pd.DataFrame(body[key]) if orient == "records" else pd.DataFrame(**body[key])
    rows = body.get("inputs", body.get("instances"))
    if rows is None:
        return body
    try:
        import numpy as np  # noqa: PLC0415  # as above
    except ModuleNotFoundError:
        return rows
    return {name: np.array(column) for name, column in rows.items()} if isinstance(rows, dict) else np.array(rows)


def _prediction(answer: Any) -> Any:
    """The answer of a plugin as the server of MLflow writes it."""
    if isinstance(answer, (str, bytes)):
        answer = json.loads(answer)
    if isinstance(answer, Mapping) and "predictions" in answer:
        return _plain(answer)
    return {"predictions": _plain(answer)}


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return _plain(value.to_dict(orient="records"))
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
