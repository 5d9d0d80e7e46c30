"""Resolves tracking URIs as MLflow does: a path, and what follows `sqlite:///` or `file:`, may be relative."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern

SQLITE = lazy_pattern(r"(sqlite(?:\+\w+)?:///)([^?:]+)(.*)")
_OTHER = lazy_pattern(r"[A-Za-z][\w+.-]*://|databricks|uc:")


def absolute_uri(uri: str, folder: Path) -> str:
    """
    A tracking URI with absolute paths; relative ones are resolved against `folder`, as MLflow does.

    Raises BadInput for a URI without a scheme that is not a path.
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
    """Raise BadInput for a malformed URI; the message omits the URI, which may contain credentials."""
    try:
        urlsplit(uri)
    except ValueError as error:
        raise BadInput(
            what="the tracking URI cannot be read", why=str(error), fix="sqlite:///PATH, ./PATH or http://HOST"
        ) from error


def path_of_files(uri: str, folder: Path) -> Path | None:
    """The folder of a file store: a path, or `file:` with a local path; None for any other URI."""
    if uri.startswith("file:"):
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            return None
        path = unquote(parts.path)
    elif uri == "mlruns" or re.match(r"[^:/]*/", uri):
        path = uri
    else:
        return None
    return Path(os.path.normpath(folder / path))
