"""Chooses what signs with a key that is elsewhere: a program outside of the checkout, or a service that a URI names."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import joined, option
from ...core.lock.own_group import KEY_SERVICES, key_service_group
from ...core.security.child_environment import SIGNING_PIN
from ...tools.project.files import leads_through, repository_of
from ...tools.signing.external_key import ServiceKey, SignerProgram
from ...tools.signing.signer import KeyElsewhere
from ...tools.toolbox import Tools
from ..image.group_environment import group_environment

_URI = lazy_pattern(r"([a-z0-9]+):.*")
# The names of attributes in a URI: behind `?` and `&`, and in one of PKCS#11 (RFC 7512) also behind `;`.
_ATTRIBUTES = lazy_pattern(r"(?<=[?&;])[^?&;=]+(?==)")
_USER = lazy_pattern(r"[a-z0-9]+://[^/?#]*@.*")
_SECRETS_IN_URIS = {"pin", "pin-value", "pin-source", "password", "secret", "token"}
# Where a path begins in a word, also behind `--option=` and `-I`; and where it ends, unless a space is part of it.
_PATH_BEGINS = lazy_pattern(r"(?:^-[A-Za-z]|(?<![\w./~%+-]))(?=/)")
_PATH_ENDS = lazy_pattern(r"[\s'\"`=:;,&|<>()]|$")
_ADDRESSES = lazy_pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]\S*")


def key_elsewhere(signer: tuple[str, ...], public_key: str, project: Path, tools: Tools) -> KeyElsewhere:
    """
    What signs, as the words of the input `signer` name it. Raises BadInput, ToolFailed.

    Nothing that these words name is in the checkout: whoever changes it would sign, or see what the signer may do.
    """
    (first, *others) = signer
    uri = _URI.fullmatch(first)
    if uri is not None and not others and not Path(first).exists():
        return _service_key(first, uri[1], public_key, tools)
    program = _program(first, project, tools)
    _require_no_argument_in_checkout(tuple(others), project, tools)
    return SignerProgram(argv=(str(program), *others), runner=tools.runner, host=tools.host, say=tools.console.foreign)


def _service_key(uri: str, scheme: str, public_key: str, tools: Tools) -> ServiceKey:
    if scheme not in KEY_SERVICES:
        known = joined(", ", tuple(f"`{one}:`" for one in KEY_SERVICES))
        raise BadInput(
            what=f"the signer `{scheme}:` is not known",
            why=f"known are {known}, and the absolute path of a program",
            fix=option("signer", "/usr/local/bin/PROGRAM"),
        )
    names = {unquote(name).strip().lower() for name in _ATTRIBUTES.findall(uri)}
    if names & _SECRETS_IN_URIS or _USER.fullmatch(uri):
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
    folder = tools.host.folder
    entries = tools.host.variables.get("PATH", "").split(os.pathsep)
    path = os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())
    program = name if Path(name).is_absolute() else shutil.which(name, path=path) if "/" not in name else None
    fix = option("signer", "/usr/local/bin/PROGRAM")
    if program is None or not os.access(program, os.X_OK) or not Path(program).is_file():
        why = "it is no program on PATH" if "/" not in name else "it is not the absolute path of a program"
        raise BadInput(what=f"the signer `{name}` cannot be started", why=why, fix=fix)
    places = [repository_of(place) or place for place in (folder, folder / project)]
    for checkout in (*places, *_workspace(tools)):
        if leads_through(Path(program), checkout):
            why = f"it is in the checkout {checkout}, and whoever changes that would choose what signs"
            raise BadInput(what=f"the signer `{name}` is not started", why=why, fix=fix)
    return Path(program)


def _require_no_argument_in_checkout(arguments: tuple[str, ...], project: Path, tools: Tools) -> None:
    """
    Raise BadInput for a path in the checkout: it can be a script of `sh`, or settings that choose what signs.

    A relative path means nothing of the checkout, as the program runs in a folder of its own.
    """
    folder = tools.host.folder
    places = [repository_of(place) or place for place in (folder, folder / project)]
    checkouts = [place for place in places if (place / ".git").exists() or (place / "pyproject.toml").exists()]
    for number, argument in enumerate(arguments, start=1):
        for checkout in (*checkouts, *_workspace(tools)):
            if any(leads_through(path, checkout) for path in _paths(argument)):
                raise BadInput(
                    what=f"argument {number} of the signer is a path in the checkout {checkout}",
                    why="whoever changes that would choose what signs",
                    fix=option("signer", "/usr/local/bin/PROGRAM"),
                )


def _paths(argument: str) -> Iterator[Path]:
    """The absolute paths that a word may mean, with and without what follows a space or a quote."""
    text = _ADDRESSES.sub("", argument)
    for begin in _PATH_BEGINS.finditer(text):
        path = text[begin.end() :]
        yield Path(path)
        end = _PATH_ENDS.search(path)
        yield Path(path[: end.start()] if end else path)


def _workspace(tools: Tools) -> tuple[Path, ...]:
    """The checkout of a job of GitHub, which need not be a repository."""
    workspace = tools.host.variables.get("GITHUB_WORKSPACE")
    return (Path(workspace),) if workspace else ()
