"""Finds the cause of a failed build or pull of an image, or start of a container, in the output of the engine."""

import re

from ...command.errors import NoSpace, StepError, ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import Wording, local, option
from ...core.image.reference import image_reference, login_fix
from ...core.image.system_libraries import replacement_fix
from ..system.process import Completed

# The prefix of BuildKit for every line of a step: its number and the elapsed seconds.
_STEP = lazy_pattern(r"^#\d+ (?:\d+\.\d+(?: |$))?", re.MULTILINE)
# uv's error, its causes, the indented output of a program that it ran, and a hint.
_ERROR = lazy_pattern(r"^error: (.+)((?:\n  cause: .+)*)((?:\n(?=\n)|\n  .*)*)(?:\nhint: (.+))?", re.MULTILINE)
_BUILDING = lazy_pattern(r"Failed to build `([\w.-]+)")
# The first match is the fix. A test with the real uv covers each.
_FIXES = (
    (r"invalid peer certificate", "SSL_CERT_FILE=FILE, with the certificates of this network"),
    (r"proxy authorization required", "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"),
    (r"dns error|tcp connect error", "HTTPS_PROXY=URL, or UV_DEFAULT_INDEX=URL of a reachable index"),
    (r"\(40[13] ", "UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD for the index called NAME, or a netrc"),
    (r"Hash mismatch", "find out why the file changed; `uv lock` would accept it as it is now"),
)
# The first match counts. Docker and Podman word the errors of TLS alike, which are those of Go.
_ABSENT = r"manifest unknown|manifest for .* not found|: not found|name unknown"
_PLAIN = r"HTTP response to HTTPS client"
_UNTRUSTED = r"x509: |certificate"
_DENIED = r"denied|unauthorized|authentication required|no basic auth credentials|\b40[13]\b"
_FOLDERS = {"docker": "/etc/docker/certs.d", "podman": "/etc/containers/certs.d"}
_INSECURE = {
    "docker": "`insecure-registries` of /etc/docker/daemon.json",
    "podman": "/etc/containers/registries.conf with `insecure = true`",
}
# Of another container, and of a program, as Docker and Podman say it.
_PORT_TAKEN = lazy_pattern(r"port is already allocated|address already in use")
_OTHER_PORT = "another `port` in the settings of the target, [tool.mlflow-uv.deploy.NAME], or end what listens there"


def build_error(done: Completed) -> StepError:
    """The error of a failed build: the message of the failed step, and the fix if it is known."""
    text = _STEP.sub("", f"{done.stdout}\n{done.stderr}")
    match = _ERROR.search(text)
    why = _reason(match) if match else _step_error(text) or done.last_line
    if "no space left on device" in done.stderr.lower():
        what = "the image cannot be built: a disk of the engine is full"
        return NoSpace(
            what=what, why=why, fix=local("docker system df, then docker builder prune", "a runner with a larger disk")
        )
    if re.search(r"exporting manifest lists|Multi-platform build is not supported", done.stderr):
        return ToolFailed(
            what="Docker's own builder builds for one platform at a time",
            why=done.last_line,
            fix=Wording(
                local("docker buildx create --use", "a step with docker/setup-buildx-action before this one"),
                ", Docker's containerd image store, or ",
                option("engine", "podman"),
            ),
        )
    if match and (package := _BUILDING.match(match[1])):
        return unbuildable(package[1], why=why)
    message = match[0] if match else ""
    fix = next((fix for words, fix in _FIXES if re.search(words, message)), "see the log above")
    return ToolFailed(what="the image cannot be built", why=why, fix=fix)


def unbuildable(package: str, *, why: str) -> ToolFailed:
    """The error for a package without a wheel that cannot be built in the base image."""
    return ToolFailed(
        what=f"`{package}` has no wheel for the base image and cannot be built in it",
        why=why,
        fix=Wording(
            option("base-image", "NAME"),
            " of one with a compiler, or ",
            replacement_fix(package) or f"uv lock --upgrade-package {package} to one that has a wheel",
        ),
    )


def _reason(match: re.Match[str]) -> str:
    """uv's error with its root cause: the last line of a program that it ran, or the hint about credentials."""
    error, causes, output, hint = match.groups(default="")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if _BUILDING.match(error) and lines:
        return lines[-1]
    last = [cause.removeprefix("  cause: ") for cause in causes.splitlines()[-1:]]
    if re.search(r"\(40[13] ", hint):
        last = [hint]
    return ": ".join((error, *last))


def _step_error(text: str) -> str:
    """The first error that is not the engine's own, which only names the failed step."""
    match = re.search(r"(?im)^error\b(?! running| building|: building|: failed to solve).*", text)
    return match[0] if match else ""


class NotPulled(ToolFailed):
    """An engine cannot pull an image; `fix` is empty if its registry does not have the image."""


def pull_error(program: str, name: str, done: Completed) -> NotPulled:
    """The error of a failed pull, with the engine's own reason."""
    what = f"{program} cannot pull `{name}`"
    return NotPulled(what=what, why=done.last_line, fix=pull_fix(program, name, done.stderr))


def pull_fix(program: str, name: str, text: str) -> str:
    """The fix for the reason in an engine's message about a pull; empty if the registry does not have the image."""
    if name.startswith("sha256:") or re.search(_ABSENT, text):  # an id is in no registry
        return ""
    host = image_reference(name).host
    if re.search(_PLAIN, text):
        return f"let {host} speak TLS, or put it into {_INSECURE[program]}"
    if re.search(_UNTRUSTED, text):
        return f"put the certificate of the CA of {host} into {_FOLDERS[program]}/{host}/ca.crt"
    if re.search(_DENIED, text, re.IGNORECASE):
        return login_fix(program, host)
    return f"reach {host} from the machine of {program}"


def start_error(name: str, done: Completed) -> ToolFailed:
    """The error of a container that cannot be started; one whose port is taken has the setting as its fix."""
    why = engine_reason(done)
    if not is_port_taken(done):
        return ToolFailed(what=f"`{name}` cannot be started", why=why)
    return ToolFailed(what=f"`{name}` cannot be started, because its port is taken", why=why, fix=_OTHER_PORT)


def is_port_taken(done: Completed) -> bool:
    """Whether an engine says that another container, or a program, has the port."""
    return _PORT_TAKEN.search(done.stderr) is not None


def engine_reason(done: Completed) -> str:
    """The error of an engine: its first one, after which Docker says that the command failed, or names its help."""
    lines = (line.strip().removeprefix("docker: ") for line in done.stderr.splitlines())
    return next((line for line in lines if line.startswith("Error")), done.last_line)
