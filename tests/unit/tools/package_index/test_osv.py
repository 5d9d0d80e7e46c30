"""What a service with the API of OSV is asked, and what it may answer."""

import json

import pytest

from mlflow_uv.tools.package_index.osv import advisory, advisory_ids
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest, WebUnreachable
from tests.stand_ins.osv import osv

RELEASES = [("grape", "1.0"), ("yeast", "1.0"), ("grape", "1.1")]


def test_all_pages_of_all_releases_are_read() -> None:
    """
    Names and versions are all that is sent; a release without advisories has none.
    """
    with osv() as service:
        ids = advisory_ids(Web({}), f"{service.url}/", RELEASES)
        document = advisory(Web({}), service.url, "PYSEC-2026-2")

    assert [("GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1", "PYSEC-2026-2"), (), ("GHSA-aaaa-bbbb-cccc",)] == ids
    assert ([*RELEASES, RELEASES[0]], "PYSEC-2026-2") == (service.asked, document["id"])


class OneAnswer:
    """A network with one answer to everything."""

    def __init__(self, body: object, status: int = 200) -> None:
        self._reply = WebReply(
            status=status, headers={}, body=body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        self.requests = 0

    def send(self, _request: WebRequest) -> WebReply:
        """See Web."""
        self.requests += 1
        return self._reply


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({}, 503, "osv.test answers with status 503"),
        (b"<html>", 200, "osv.test does not answer with JSON"),
        ([], 200, "osv.test does not answer as OSV does"),
        ({"results": []}, 200, "osv.test does not answer as OSV does"),
        ({"results": [1]}, 200, "osv.test does not answer as OSV does"),
        ({"results": [{"vulns": 1}]}, 200, "osv.test does not answer as OSV does"),
        ({"results": [{"vulns": [{}]}]}, 200, "osv.test does not answer as OSV does"),
    ],
    ids=str,
)
def test_another_answer_is_none(body: object, status: int, why: str) -> None:
    """
    Nothing is taken for "no vulnerability is known".
    """
    with pytest.raises(WebUnreachable, match=why):
        advisory_ids(OneAnswer(body, status), "https://osv.test", RELEASES[:1])  # type: ignore[arg-type]


def test_pages_without_an_end_are_refused() -> None:
    """
    After a number of pages that no package has.
    """
    network = OneAnswer({"results": [{"next_page_token": "x"}]})

    with pytest.raises(WebUnreachable, match="more pages"):
        advisory_ids(network, "https://osv.test", RELEASES[:1])  # type: ignore[arg-type]

    assert 20 == network.requests
