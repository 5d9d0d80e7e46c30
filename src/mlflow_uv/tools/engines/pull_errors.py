"""Finds in the output of an engine why it cannot pull an image, and the fix."""

import re

from ...command.errors import ToolFailed
from ...command.wording import local
from ...core.image.reference import image_reference
from ..system.process import Completed

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


class NotPulled(ToolFailed):
    """An engine cannot pull an image; `fix` is empty if its registry does not have the image."""


def pull_error(program: str, name: str, done: Completed) -> NotPulled:
    """The error of a failed pull, with the engine's own reason."""
    what = f"{program} cannot pull `{name}`"
    return NotPulled(what=what, why=done.last_line, fix=_fix(program, name, done.stderr))


def _fix(program: str, name: str, text: str) -> str:
    if name.startswith("sha256:") or re.search(_ABSENT, text):  # an id is in no registry
        return ""
    host = image_reference(name).host
    if re.search(_PLAIN, text):
        return f"let {host} speak TLS, or put it into {_INSECURE[program]}"
    if re.search(_UNTRUSTED, text):
        return f"put the certificate of the CA of {host} into {_FOLDERS[program]}/{host}/ca.crt"
    if re.search(_DENIED, text, re.IGNORECASE):
        return local(f"{program} login {host}", f"a step with docker/login-action for {host} before this one")
    return f"reach {host} from the machine of {program}"
