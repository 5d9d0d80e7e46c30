"""Checks what registration needs: a store that answers, write access to it, and valid names."""

import re

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import option
from ...core.lock.selection import Selection
from ...tools.mlflow.store import StoreKind
from ...tools.mlflow.store_client import StoreClient
from .context import PreflightContext

_LONGEST = 255
# Reserved by MLflow.
_RESERVED = lazy_pattern(r"latest|v\d+", re.IGNORECASE)


def tracking_server(context: PreflightContext) -> str:
    """Check that the store answers and that the login may log and register, without writing anything."""
    tools, inputs = context.tools, context.inputs.log_model
    store = tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded)
    if store.kind is not StoreKind.SERVER:
        return f"{store.kind.value} store"
    python = tools.environments.registry_client(store, None, Selection())
    experiment = inputs.experiment or context.project.name
    if store.uri.startswith("databricks") and not experiment.startswith("/"):
        raise BadInput(
            what=f"`{experiment}` is not the name of an experiment in Databricks",
            why="a name there is a path in the workspace",
            fix=option("experiment", f"/Shared/{experiment}"),
        )
    client = StoreClient(mlflow=tools.mlflow, python=python, store=store)
    rights = client.describe_rights(_name(context), experiment=experiment)
    return f"{store.shown}{'' if rights.exists else ', where the model name is new'}"


def model_name(context: PreflightContext) -> str:
    """Check that the registry accepts the name of the registered model."""
    name, inputs = _name(context), context.inputs.log_model
    variables = context.tools.host.variables
    tracking = inputs.tracking_uri or variables.get("MLFLOW_TRACKING_URI", "")
    if not _is_unity_catalog(variables.get("MLFLOW_REGISTRY_URI", ""), tracking):
        return name
    why, fix = "", option("model-name", "CATALOG.SCHEMA.NAME")
    if len(name.split(".")) != len(("catalog", "schema", "name")):
        why = "a name there has three parts"
    elif name != name.lower():
        why, fix = "names there are stored in lower case", option("model-name", name.lower())
    if why:
        raise BadInput(what=f"`{name}` is not a Unity Catalog model name", why=why, fix=fix)
    return name


def alias(context: PreflightContext) -> str:
    """Check that MLflow accepts the alias of a tested version."""
    name = str(context.inputs.smoke_test.alias)
    why = ""
    if not re.fullmatch(r"[\w-]+", name):
        why = "an alias has only letters, digits, underscores and dashes"
    elif _RESERVED.fullmatch(name):
        why = "MLflow reserves `latest` and version numbers such as v1"
    elif len(name) > _LONGEST:
        why = f"it has more than {_LONGEST} characters"
    if why:
        raise BadInput(what=f"`{name}` is not a valid MLflow alias", why=why, fix=option("alias", "candidate"))
    return name


def _is_unity_catalog(registry: str, tracking: str) -> bool:
    """Whether MLflow 3 registers there; without a registry of its own, a workspace registers in Unity Catalog."""
    return (registry or tracking).startswith(("uc:", "databricks-uc")) or (
        not registry and tracking.startswith("databricks")
    )


def _name(context: PreflightContext) -> str:
    return str(context.inputs.register.model_name or context.project.name)
