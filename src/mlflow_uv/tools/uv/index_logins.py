"""Identifies the index or git server that refused uv, and the credentials that it requires."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from ...command.errors import BadProject, ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ...core.export.indexes import Index, declared_indexes
from ...core.security.url_credentials import without_user
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..project.files import Project, members, read_project, table_of
from .settings import settings_of

# Messages of uv and git about missing credentials; a contract test covers each.
_BY_GIT = (
    r"could not read (?:Username|Password) for|Authentication failed for|Permission denied \(publickey"
    r"|terminal prompts disabled|Host key verification failed"
)
REFUSALS = (
    r"could not be queried due to a lack of valid authentication|returned a 403 Forbidden error"
    rf"|status client error \((?:401|403)|{_BY_GIT}"
)
_INDEX = lazy_pattern(r"An index(?: URL)? \(`?(\S+?)`?\) (?:could not be queried|returned a (403))")
_FILE = lazy_pattern(r"status client error \((401|403)[^)]*\) for url \((\S+?)\)")
_GIT = lazy_pattern(rf"^ *(.*(?:{_BY_GIT}).*)$", re.MULTILINE)
_SCP_OR_URL = lazy_pattern(r"git fetch [^\n]*?'((?:https?|ssh)://[^']+)'")


@lazy_dataclass
class Refusal:
    """A server that denied access to uv: its address without credentials, its response, and the fix."""

    address: str
    why: str
    fix: str


def refusal_in(output: str, project: Project, variables: Mapping[str, str]) -> Refusal | None:
    """The server that denied access, by uv's output, None if none did; `variables` are the caller's."""
    if (refused := _refused_url(output)) is not None:
        return _index_refusal(*refused, tuple(_indexes(project)), variables)
    if (match := _GIT.search(output)) is not None:
        source = _SCP_OR_URL.search(output)
        address = without_user(source[1]) if source else "a git source"
        fix = "give git a credential helper, or GIT_SSH_COMMAND, that needs no prompt"
        return Refusal(address=address, why=match[1].strip(), fix=fix)
    return None


def refused_install(what: str, output: str, variables: Mapping[str, str]) -> ToolFailed | None:
    """
    The error for an installation outside of a project to which an index denied access, None if none did.

    The `variables` of uv name the indexes.
    """
    refused = _refused_url(output)
    if refused is None:
        return None
    pairs = (word.partition("=") for word in variables.get("UV_INDEX", "").split())
    known = tuple(Index(url=url, name=name) for name, equals, url in pairs if equals and "/" not in name)
    return denied(what, _index_refusal(*refused, known, variables))


def denied(what: str, refusal: Refusal) -> ToolFailed:
    """Return the error for a command of uv to which a server denied access."""
    why = f"`{refusal.address}` requires credentials: {refusal.why}"
    return ToolFailed(what=f"`{what}` failed", why=why, fix=refusal.fix)


def _refused_url(output: str) -> tuple[str, str] | None:
    """The address that denied access, and its status."""
    if (match := _INDEX.search(output)) is not None:
        return match[1], match[2] or "401"
    match = _FILE.search(output)
    return None if match is None else (match[2], match[1])


def _index_refusal(url: str, status: str, known: Sequence[Index], variables: Mapping[str, str]) -> Refusal:
    index = _index_of(url, known)
    address = without_user(index.url if index else url)
    if index is not None and index.name:
        prefix = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', index.name.upper())}"
        names = (f"{prefix}_USERNAME", f"{prefix}_PASSWORD")
        variables_set = [name for name in names if variables.get(name)]
        state = (
            f"{' and '.join(variables_set)} {'is' if len(variables_set) == 1 else 'are'} set"
            if variables_set
            else "neither is set"
        )
        fix = f"set {' and '.join(names)} for index `{index.name}` from a secret"
        return Refusal(address=address, why=f"it answered {status}; of {' and '.join(names)} {state}", fix=fix)
    variable = next(
        (name for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if _same(variables.get(name, ""), url)), None
    )
    host = urlsplit(address).hostname
    fix = (
        f"put the user and the password into {variable}"
        if variable
        else f"a netrc with `machine {host}`, or a `name` for the index"
    )
    return Refusal(address=address, why=f"it answered {status}", fix=fix)


def _index_of(url: str, known: Sequence[Index]) -> Index | None:
    """The index with this address, else one on the same host."""
    exact = tuple(index for index in known if _same(index.url, url))
    return next(iter((*exact, *(index for index in known if _host(index.url) == _host(url)))), None)


def _indexes(project: Project) -> Iterator[Index]:
    with suppress(BadProject):
        if (settings := settings_of(project.root)) is not None:
            yield from declared_indexes(settings.table, folder=".")
        top = project if project.folder == project.root else read_project(project.root)
        for member in (top, *members(top)):
            yield from declared_indexes(table_of(member.manifest, "tool", "uv"), folder=".")


def _same(url: str, other: str) -> bool:
    return without_user(url).rstrip("/") == without_user(other).rstrip("/")


def _host(url: str) -> str:
    parts = urlsplit(without_user(url))
    return f"{parts.scheme}://{parts.netloc}"
