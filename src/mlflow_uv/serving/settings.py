"""Reads the server's settings from environment variables, once at start-up; docs/serving.md lists them."""

import math
import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .model import model_location, signed_files
from .process import cpus

DEFAULT_PORT = "8080"
HIGHEST_PORT = 65_535
MOST_WORKERS = 1024
MOST_THREADS = 32
MOST_CONNECTIONS = 2**20
SPARE_FILES = 128  # file descriptors for the model and its libraries
SWITCH = {"0": False, "1": True}


class InvalidSetting(Exception):
    """An invalid value, which stops the server at start-up with exit status 2; the message is one sentence."""


@dataclass(frozen=True)
class Settings:
    """Timeouts are in seconds, `body_limit` in bytes; `threads` limits the concurrent predictions of one worker."""

    model: Path
    name: str
    version: str
    host: str
    port: int
    workers: int
    threads: int
    request_timeout: float
    drain_timeout: float
    body_limit: int
    head_timeout: float
    connections: int
    access_log: bool
    metrics: bool
    openapi: bool
    fast: bool
    separate: bool
    trust: "signed_files.SignedModelTrust | None" = None


def read(variables: Mapping[str, str]) -> Settings:
    """The settings of these variables, with defaults from the machine. Raises InvalidSetting and UnreadableModel."""
    available = cpus.available()
    model = model_location.model_folder(variables)
    name, version = model_location.name_and_version(model, variables)
    return Settings(
        model=model,
        name=name or "model",
        version=version,
        host=variables.get("HOST") or "0.0.0.0",  # noqa: S104 - a container is accessed from outside
        port=port(variables),
        workers=whole(variables, "WORKERS", str(math.ceil(available)), (1, MOST_WORKERS)),
        threads=whole(variables, "THREADS", str(min(MOST_THREADS, math.ceil(available) + 4)), (1, MOST_WORKERS)),
        request_timeout=request_timeout(variables),
        drain_timeout=seconds(variables, "DRAIN_TIMEOUT", "30", zero=True),
        body_limit=whole(variables, "BODY_LIMIT", "104857600", (1, 2**62)),
        head_timeout=seconds(variables, "HEAD_TIMEOUT", "30", zero=False),
        connections=whole(variables, "CONNECTIONS", str(connections()), (1, MOST_CONNECTIONS)),
        access_log=choice(variables, "ACCESS_LOG", "off", {"off": False, "json": True}),
        metrics=choice(variables, "METRICS", "0", SWITCH),
        openapi=choice(variables, "OPENAPI", "0", SWITCH),
        fast=choice(variables, "FAST", "1", SWITCH),
        separate=choice(variables, "MLFLOW_UV_APART", "0", SWITCH),
        trust=trust(variables, name, version),
    )


def trust(variables: Mapping[str, str], name: str, version: str) -> "signed_files.SignedModelTrust | None":
    """Whose signature the model needs, if VERIFY names a key, and the name and version that must be signed."""
    keys, attestations = (variables.get(name) or "" for name in ("VERIFY", "ATTESTATIONS"))
    if not keys and not attestations:
        return None
    if not keys or not attestations:
        missing = "ATTESTATIONS" if keys else "VERIFY"
        raise InvalidSetting(f"{missing} is empty: VERIFY and ATTESTATIONS are needed together to verify a model.")
    return signed_files.SignedModelTrust(keys=keys, attestations=attestations, name=name, version=version)


def connections() -> int:
    """The default of CONNECTIONS: what RLIMIT_NOFILE leaves, because each connection uses a file descriptor."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_CONNECTIONS, max(SPARE_FILES, files - SPARE_FILES)) if files > 0 else MOST_CONNECTIONS


def port(variables: Mapping[str, str]) -> int:
    """The port of PORT, which Cloud Run sets, too; else of SageMaker's own variable."""
    port_value = variables.get("PORT")
    name = "PORT" if port_value or not variables.get("SAGEMAKER_BIND_TO_PORT") else "SAGEMAKER_BIND_TO_PORT"
    return whole(variables, name, DEFAULT_PORT, (1, HIGHEST_PORT))


def request_timeout(variables: Mapping[str, str]) -> float:
    """REQUEST_TIMEOUT, else MLflow's own variable, else MLflow's default, in seconds."""
    mlflow_name = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"
    name = "REQUEST_TIMEOUT" if variables.get("REQUEST_TIMEOUT") or not variables.get(mlflow_name) else mlflow_name
    return seconds(variables, name, "60", zero=False)


def whole(variables: Mapping[str, str], name: str, default: str, bounds: "tuple[int, int]") -> int:
    """A whole number between two bounds, inclusive; an empty value means the default."""
    value = variables.get(name) or default
    lowest, highest = bounds
    if not re.fullmatch(r"[0-9]{1,19}", value) or not lowest <= int(value) <= highest:
        raise InvalidSetting(f"{name}={value!r} is not a whole number from {lowest} to {highest}.")
    return int(value)


def seconds(variables: Mapping[str, str], name: str, default: str, *, zero: bool) -> float:
    """A number of seconds; an empty value means the default."""
    value = variables.get(name) or default
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) or (float(value) == 0 and not zero):
        raise InvalidSetting(
            f"{name}={value!r} is not a number of seconds{'' if zero else ' above zero'}, such as 30 or 0.5."
        )
    return float(value)


def choice(variables: Mapping[str, str], name: str, default: str, meaning: Mapping[str, bool]) -> bool:
    """The meaning of one of a few words; an empty value means the default."""
    value = variables.get(name) or default
    if value not in meaning:
        raise InvalidSetting(f"{name}={value!r} is not one of: {', '.join(meaning)}.")
    return meaning[value]
