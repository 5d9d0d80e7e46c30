"""Tests a server that the step started within its limits, and finds what its memory and its log say."""

from collections.abc import Iterator

from ...command.errors import NotServing
from ...command.report import Finding, Severity
from ...command.server_inputs import ANSWER_S, ServeLimitInputs
from ...command.wording import Wording, option
from ...core.model.tracebacks import last_exception
from ...core.security.serve_env import ServeVariables
from ...core.security.serve_mounts import serve_mounts
from ...tools.engines.engine import ServerSettings, StartedServer
from ...tools.toolbox import Tools
from .serving_check import Expected, ObservedServer, observe

_SERVER_ERROR = 500


def server_settings(inputs: ServeLimitInputs, variables: ServeVariables, *, answer_s: float) -> ServerSettings:
    """The settings of the tested server. Raises BadInput for a path that cannot be mounted."""
    return ServerSettings(
        settings={} if answer_s == ANSWER_S else {"REQUEST_TIMEOUT": f"{answer_s:.3f}"},
        serve_env=variables,
        memory_mib=inputs.serve_memory,
        cpus=inputs.serve_cpus,
        mounts=serve_mounts(inputs.serve_mounts),
    )


def limits_in_words(settings: ServerSettings) -> Iterator[str]:
    """Yield the limits of a container, for the record."""
    if settings.memory_mib is not None:
        yield f"memory {settings.memory_mib} MiB"
    if settings.cpus is not None:
        yield f"cpus {settings.cpus:g}"


def observe_started(
    server: StartedServer, expected: Expected, settings: ServerSettings, tools: Tools
) -> ObservedServer:
    """As `observe`; memory that was not enough is named as the cause, before what followed from it."""
    try:
        observed = observe(server, expected, tools)
    except NotServing as error:
        for finding in memory_findings(server, settings):
            raise NotServing(what=finding.what, why=finding.why, fix=finding.fix) from error
        raise
    if not observed.complaints:
        return observed
    return ObservedServer(
        healthy_after_s=observed.healthy_after_s,
        answers=observed.answers,
        complaints=(*memory_findings(server, settings), *observed.complaints),
        slowest_s=observed.slowest_s,
    )


def memory_findings(server: StartedServer, settings: ServerSettings) -> Iterator[Finding]:
    """Yield a finding if the kernel ended a process of the server because its memory limit was reached."""
    if not server.exceeded_memory():
        return
    limit = settings.memory_mib
    yield Finding(
        rule="memory-limit",
        what="the model needs more memory than the tested container may use",
        why=f"`serve-memory` is {limit} MiB" if limit else "the engine's machine has no more memory",
        fix=Wording(option("serve-memory", str(2 * limit)), ", and as much where it is served") if limit else "",
    )


def log_findings(server: StartedServer, expected: Expected) -> Iterator[Finding]:
    """
    Yield a warning for an exception in the log of a server whose responses are all as expected.

    None if training itself failed for a request: the server then logs the same exception.
    """
    if any(request.status >= _SERVER_ERROR for request in expected.requests):
        return
    if exception := last_exception(server.log()):
        yield Finding(
            rule="log-exception",
            severity=Severity.WARNING,
            what="the server logged an exception although every response is that of training",
            why=expected.serve_env.masked(exception),
            fix="see its traceback in the log of the server",
        )
