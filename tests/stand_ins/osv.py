"""
A stand-in for OSV on loopback: which advisories are about a release, and the advisories.

It knows the two requests of the documented API that are made here, answers a query with pages of two, and refuses
fields that the API does not have. uv's own client is asked of it, too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.web import served

# As GitHub's database has it, one of Python's without a rating that names the same, and others.
ADVISORIES: tuple[Mapping[str, Any], ...] = (
    {"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2026-0001", "PYSEC-2026-1"], "package": "grape",
     "versions": ["1.0", "1.1"], "fixed": "1.2", "database_specific": {"severity": "HIGH"}},
    {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-0001"], "package": "grape", "versions": ["1.0"], "fixed": "1.2"},
    {"id": "PYSEC-2026-2", "package": "grape", "versions": ["1.0"],
     "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]},
    {"id": "PYSEC-2026-3", "package": "oak", "versions": ["1.0"]},
    {"id": "PYSEC-2026-4", "package": "oak", "versions": ["1.0"], "withdrawn": "2026-11-01T00:00:00Z"},
)  # fmt: skip


@dataclass
class Osv:
    """A service with advisories; `asked` are the names and versions of its queries."""

    advisories: Sequence[Mapping[str, Any]] = ADVISORIES
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    page: int = 2

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> "tuple[int, Any]":
        """The status and the document of a response."""
        if self.status != 200:
            return self.status, {"message": "not now"}
        if (method, path) == ("POST", "/v1/querybatch") and not authorization:
            queries = json.loads(body)["queries"]
            return 200, {"results": [self._result(query) for query in queries]}
        known = {f"/v1/vulns/{each['id']}": each for each in self.advisories}
        if method == "GET" and path in known:
            return 200, _document(known[path])
        return 404, {"code": 5, "message": "Bug not found."}

    def _result(self, query: Mapping[str, Any]) -> Mapping[str, Any]:
        assert query.keys() <= {"package", "version", "page_token"}, query
        assert query["package"].keys() == {"ecosystem", "name"}, query
        assert query["package"]["ecosystem"] == "PyPI", query
        name, version = query["package"]["name"], query["version"]
        self.asked.append((name, version))
        ids = [each["id"] for each in self.advisories if each["package"] == name and version in each["versions"]]
        start = int(query.get("page_token", 0))
        found = [{"id": each, "modified": "2026-11-20T00:00:00Z"} for each in ids[start : start + self.page]]
        more = {"next_page_token": str(start + self.page)} if len(ids) > start + self.page else {}
        return {**({"vulns": found} if found else {}), **more}


def _document(advisory: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {name: advisory[name] for name in ("id", "aliases", "severity", "database_specific", "withdrawn")
            if name in advisory}  # fmt: skip
    events = [{"introduced": "0"}, *([{"fixed": advisory["fixed"]}] if "fixed" in advisory else [])]
    affected = {
        "package": {"ecosystem": "PyPI", "name": advisory["package"]},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
        "versions": advisory["versions"],
    }
    return {
        "schema_version": "1.7.0", "modified": "2026-11-20T00:00:00Z", "published": "2026-11-19T00:00:00Z",
        "summary": "It is sour.", "details": "Very.", **kept, "affected": [affected],
    }  # fmt: skip


@contextmanager
def osv(*advisories: Mapping[str, Any]) -> Iterator[Osv]:
    """The service while the block runs."""
    service = Osv(advisories or ADVISORIES)
    with served(service.answer) as url:
        service.url = url
        yield service
