"""Chooses what signs with a key that is elsewhere: a program outside of the checkout, or a service that a URI names."""

import os
import shutil
from pathlib import Path

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import joined, option
from ...core.lock.own_group import KEY_SERVICES, key_service_group
from ...core.security.child_environment import SIGNING_PIN
from ...tools.project.files import leads_out, repository_of
from ...tools.signing.external_key import ServiceKey, SignerProgram
from ...tools.signing.signer import KeyElsewhere
from ...tools.toolbox import Tools
from ..image.group_environment import group_environment

_URI = lazy_pattern(r"([a-z0-9]+):.*")
_SECRETS_IN_URIS = ("pin", "password", "secret", "token=")


def key_elsewhere(signer: tuple[str, ...], public_key: str, project: Path, tools: Tools) -> KeyElsewhere:
    """
    What signs, as the words of the input `signer` name it. Raises BadInput, ToolFailed.

    Nothing in the checkout is run: whoever changes it would sign, or would see what the signer may do.
    """
    (first, *others) = signer
    uri = _URI.fullmatch(first)
    if uri is not None and not others and not Path(first).exists():
        return _service_key(first, uri[1], public_key, tools)
    program = _program(first, project, tools)
    return SignerProgram(argv=(str(program), *others), runner=tools.runner, host=tools.host, say=tools.console.foreign)


def _service_key(uri: str, scheme: str, public_key: str, tools: Tools) -> ServiceKey:
    if scheme not in KEY_SERVICES:
        known = joined(", ", tuple(f"`{one}:`" for one in KEY_SERVICES))
        raise BadInput(
            what=f"the signer `{scheme}:` is not known",
            why=f"known are {known}, and the absolute path of a program",
            fix=option("signer", "/usr/local/bin/PROGRAM"),
        )
    if any(word in uri.lower() for word in _SECRETS_IN_URIS):
        raise BadInput(
            what=f"the URI of the signer `{scheme}:` has a secret",
            why="arguments can be read by every process of the machine",
            fix=f"the secret in the variable {SIGNING_PIN}",
        )
    python = group_environment(key_service_group(scheme), tools.host.python, tools).python
    pin = tools.host.variables.get(SIGNING_PIN, "")
    return ServiceKey(uri=uri, public_key=public_key, pin=pin, python=python, runner=tools.runner, host=tools.host)


def _program(name: str, project: Path, tools: Tools) -> Path:
    """The program of this name, outside of the checkout. Raises BadInput."""
    folder, variables = tools.host.folder, tools.host.variables
    places = variables.get("PATH", "").split(os.pathsep)
    path = os.pathsep.join(place for place in places if Path(place).is_absolute())
    program = name if Path(name).is_absolute() else shutil.which(name, path=path) if "/" not in name else None
    fix = option("signer", "/usr/local/bin/PROGRAM")
    if program is None or not os.access(program, os.X_OK) or not Path(program).is_file():
        why = "it is no program on PATH" if "/" not in name else "it is not the absolute path of a program"
        raise BadInput(what=f"the signer `{name}` cannot be started", why=why, fix=fix)
    checkouts = {repository_of(place) or place for place in (folder, folder / project)}
    if workspace := variables.get("GITHUB_WORKSPACE"):
        checkouts.add(Path(workspace))
    for checkout in checkouts:
        if not all(leads_out(place, checkout) for place in (Path(program), Path(program).parent)):
            why = f"it is in the checkout {checkout}, and whoever changes that would choose what signs"
            raise BadInput(what=f"the signer `{name}` is not started", why=why, fix=fix)
    return Path(program)
