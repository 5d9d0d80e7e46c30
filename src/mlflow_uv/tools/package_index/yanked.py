"""Asks a package index which files were yanked, by the JSON form of the simple API (PEP 691, PEP 592)."""

from typing import Any
from urllib.parse import quote

from ...core.security.documents import parse_json
from ...core.security.toml_documents import Unparsable
from ..system.web import Web, WebRequest

LIMIT = 20 << 20  # bytes of a response; a project with many releases has megabytes
_JSON = "application/vnd.pypi.simple.v1+json"
_OK = 200


def yanked_files(web: Web, index: str, package: str) -> frozenset[str] | None:
    """
    The names of the yanked files of a package, by its normalised name; None if the index does not say.

    No credentials are sent. Raises WebUnreachable for an index that does not answer.
    """
    url = f"{index.rstrip('/')}/{quote(package, safe='')}/"
    reply = web.send(WebRequest(url=url, headers={"Accept": _JSON}, limit=LIMIT))
    if reply.status != _OK:
        return None
    try:
        return _yanked(parse_json(reply.body))
    except Unparsable:
        return None


def _yanked(document: Any) -> frozenset[str] | None:
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, list):
        return None
    return frozenset(
        str(file.get("filename"))
        for file in files
        if isinstance(file, dict) and file.get("yanked") not in (None, False)
    )
