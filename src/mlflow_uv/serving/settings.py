"""What did the one who started the server ask for? Environment variables, read once; docs/serving.md lists them."""

import math
import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import cpus, model_location

DEFAULT_PORT = "8080"
HIGHEST_PORT = 65_535
MOST_WORKERS = 1024
MOST_THREADS = 32
MOST_CONNECTIONS = 2**20
SPARE_FILES = 128  # for the model and its libraries
SWITCH = {"0": False, "1": True}


class Refused(Exception):
    """A value that cannot be meant: one sentence for the last line of the log."""


@dataclass(frozen=True)
class Settings:
    """Seconds and bytes; `threads` is how many requests one worker predicts for at once."""

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
    apart: bool


def read(variables: Mapping[str, str]) -> Settings:
    """The settings that the variables and the machine say. Raises Refused for a value that cannot be meant."""
    available = cpus.available()
    model = model_location.model_folder(variables)
    name, version = model_location.name_and_version(model, variables)
    return Settings(
        model=model,
        name=name,
        version=version,
        host=variables.get("HOST") or "0.0.0.0",  # noqa: S104 - a container is reached from outside
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
        apart=choice(variables, "MLFLOW_UV_APART", "0", SWITCH),
    )


def connections() -> int:
    """As many as the limit of open files leaves: a connection that is let in is a file that the model cannot open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_CONNECTIONS, max(SPARE_FILES, files - SPARE_FILES)) if files > 0 else MOST_CONNECTIONS


def port(variables: Mapping[str, str]) -> int:
    """PORT is Cloud Run's and ours; SageMaker has a name of its own."""
    ours = variables.get("PORT")
    name = "PORT" if ours or not variables.get("SAGEMAKER_BIND_TO_PORT") else "SAGEMAKER_BIND_TO_PORT"
    return whole(variables, name, DEFAULT_PORT, (1, HIGHEST_PORT))


def request_timeout(variables: Mapping[str, str]) -> float:
    """Ours, else MLflow's own variable, else MLflow's default of a minute."""
    mlflows = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"
    name = "REQUEST_TIMEOUT" if variables.get("REQUEST_TIMEOUT") or not variables.get(mlflows) else mlflows
    return seconds(variables, name, "60", zero=False)


def whole(variables: Mapping[str, str], name: str, default: str, bounds: "tuple[int, int]") -> int:
    """A whole number between two bounds, both of them allowed; empty is the default."""
    said = variables.get(name) or default
    lowest, highest = bounds
    if not re.fullmatch(r"[0-9]{1,19}", said) or not lowest <= int(said) <= highest:
        raise Refused(f"{name}={said!r} is not a whole number from {lowest} to {highest}.")
    return int(said)


def seconds(variables: Mapping[str, str], name: str, default: str, *, zero: bool) -> float:
    """A number of seconds; empty is the default."""
    said = variables.get(name) or default
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", said) or (float(said) == 0 and not zero):
        raise Refused(f"{name}={said!r} is not a number of seconds{'' if zero else ' above zero'}, such as 30 or 0.5.")
    return float(said)


def choice(variables: Mapping[str, str], name: str, default: str, meaning: Mapping[str, bool]) -> bool:
    """One of a few words; empty is the default."""
    said = variables.get(name) or default
    if said not in meaning:
        raise Refused(f"{name}={said!r} is not one of: {', '.join(meaning)}.")
    return meaning[said]
