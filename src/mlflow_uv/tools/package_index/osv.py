"""Asks a service with the API of OSV about the vulnerabilities of releases."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from ...core.security.documents import parse_json
from ...core.security.toml_documents import Unparsable
from ..system.web import Web, WebRequest, WebUnreachable

LIMIT = 20 << 20  # bytes of a response
BATCH = 1_000  # queries in a request, of which the service takes no more
_PAGES = 20  # of one query
_OK = 200
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


def advisory_ids(web: Web, service: str, packages: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """
    The ids of the advisories about each package of PyPI, by its normalised name and its version.

    Nothing but these is sent. Raises WebUnreachable for a service that does not answer, or with something else.
    """
    ids: list[list[str]] = [[] for _ in packages]
    pending = [(position, _query(name, version)) for position, (name, version) in enumerate(packages)]
    for _ in range(_PAGES * (1 + len(packages) // BATCH)):
        if not pending:
            break
        batch, pending = pending[:BATCH], pending[BATCH:]
        body = json.dumps({"queries": [query for _, query in batch]}).encode()
        results = _answer(web, WebRequest(url=_url(service, "querybatch"), headers=_JSON, form=body, limit=LIMIT))
        for (position, query), result in zip(batch, _results(results, service, len(batch)), strict=True):
            ids[position] += [str(found["id"]) for found in result.get("vulns") or ()]
            if token := result.get("next_page_token"):
                pending.append((position, {**query, "page_token": token}))
    if pending:
        raise WebUnreachable(f"{urlsplit(service).hostname} has more pages than a package has advisories")
    return [tuple(dict.fromkeys(found)) for found in ids]


def advisory(web: Web, service: str, name: str) -> Any:
    """The document of an advisory. Raises WebUnreachable as `advisory_ids` does."""
    return _answer(web, WebRequest(url=_url(service, f"vulns/{quote(name, safe='')}"), headers=_JSON, limit=LIMIT))


def _query(name: str, version: str) -> dict[str, Any]:
    return {"package": {"ecosystem": "PyPI", "name": name}, "version": version}


def _url(service: str, path: str) -> str:
    return f"{service.rstrip('/')}/v1/{path}"


def _answer(web: Web, request: WebRequest) -> Any:
    reply = web.send(request)
    host = urlsplit(request.url).hostname
    if reply.status != _OK:
        raise WebUnreachable(f"{host} answers with status {reply.status}")
    try:
        return parse_json(reply.body)
    except Unparsable as error:
        raise WebUnreachable(f"{host} does not answer with JSON: {error}") from error


def _results(document: Any, service: str, number: int) -> list[dict[str, Any]]:
    """One result for each query. Raises WebUnreachable for anything else."""
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or len(results) != number or not all(map(_is_result, results)):
        raise WebUnreachable(f"{urlsplit(service).hostname} does not answer as OSV does")
    return results


def _is_result(result: object) -> bool:
    found = result.get("vulns") or () if isinstance(result, dict) else None
    return isinstance(found, list | tuple) and all(isinstance(each, dict) and "id" in each for each in found)
