"""Resolves tracking URIs as MLflow does: a path, and what follows `sqlite:///` or `file:`, may be relative."""

import os
import re
from pathlib import Path

from ...command.errors import BadInput

SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?:]+)(.*)")
_OTHER = re.compile(r"[A-Za-z][\w+.-]*://|databricks|uc:")


def absolute_uri(uri: str, folder: Path) -> str:
    """
    A tracking URI as it means the same in any folder: relative paths are those of `folder`, as MLflow takes them.

    Raises BadInput for what has no scheme and is no path.
    """
    if match := SQLITE.fullmatch(uri):
        return f"{match[1]}{os.path.normpath(folder / match[2])}{match[3]}"
    if (path := path_of_files(uri, folder)) is not None:
        return path.as_uri()
    if not _OTHER.match(uri):
        raise BadInput(
            what=f"`{uri}` is not a tracking URI",
            why="it has no scheme and is not a path",
            fix="sqlite:///PATH, ./PATH or http://HOST",
        )
    return uri


def require_readable(uri: str) -> None:
    """Raises BadInput, without the address and what it may carry, for one of which nobody can tell the host."""
    from urllib.parse import urlsplit  # noqa: PLC0415  # as below

    try:
        urlsplit(uri)
    except ValueError as error:
        raise BadInput(
            what="the tracking URI cannot be read", why=str(error), fix="sqlite:///PATH, ./PATH or http://HOST"
        ) from error


def path_of_files(uri: str, folder: Path) -> Path | None:
    """The folder of a store of files: a path, or `file:` and a path of this machine; None for anything else."""
    if uri.startswith("file:"):
        from urllib.parse import unquote, urlsplit  # noqa: PLC0415  # 2 ms that hooks do not pay

        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            return None
        path = unquote(parts.path)
    elif uri == "mlruns" or re.match(r"[^:/]*/", uri):
        path = uri
    else:
        return None
    return Path(os.path.normpath(folder / path))
