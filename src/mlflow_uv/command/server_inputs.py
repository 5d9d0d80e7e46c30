"""Defines the inputs about a server that a step starts: its limits and times."""

from typing import Annotated

from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .limits import Limits
from .step import Doc, OneRun

ANSWER_S = 60.0  # also the default of the server


@lazy_dataclass
class ServeLimitInputs:
    """What the container of a tested server may use."""

    serve_memory: Annotated[int | None, Limits(least=6), Doc("Memory limit of the tested container in MiB.")] = None
    serve_cpus: Annotated[float | None, Limits(least=0.01), Doc("Processors of the tested container, as 0.5.")] = None
    serve_mounts: Annotated[
        tuple[str, ...],
        OneRun(),
        Doc("Files and folders that the tested container may read, as absolute paths, which are the same in it."),
    ] = ()


@lazy_dataclass
class DeadlineInputs:
    """How long a server may take to become healthy."""

    deadline: Annotated[float, Doc("Seconds that the server may take to become healthy.")] = 120.0


@lazy_dataclass
class AnswerTimeoutInputs:
    """How long a server may take for a response."""

    answer_timeout: Annotated[
        float, Doc("Seconds that the tested server may take for each response, passed to it as REQUEST_TIMEOUT.")
    ] = ANSWER_S
