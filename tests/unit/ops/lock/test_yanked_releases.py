"""Locked releases that were yanked."""

import json

from mlflow_uv.ops.lock.yanked_releases import YankedReleases
from mlflow_uv.tools.system.web import WebReply, WebRequest, WebUnreachable
from tests.unit.core.lock_difference.locks import lock, package


class Index:
    """An index with one yanked file; it knows no `yeast`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.asked.append(request.url)
        files = [{"filename": "grape-1.0-py3-none-any.whl", "yanked": "sour"}, {"filename": "grape-2.0.tar.gz"}]
        status = 404 if "yeast" in request.url else 200
        return WebReply(status=status, headers={}, body=json.dumps({"files": files}).encode())


def test_only_the_files_of_the_lock_count() -> None:
    """
    One version is yanked, another is not, and of what the index does not have it is unknown; each is asked once.
    """
    index = Index()
    releases = YankedReleases(index)  # type: ignore[arg-type]
    locked = lock(
        package("grape", "1.0"),
        package("grape", "2.0", tag=""),
        package("yeast"),
        package("oak", source='git = "https://g.test/oak#0123"'),
    )

    found = [releases.is_yanked(known) for known in locked.packages]

    assert [True, False, None, None, None] == found
    assert (["https://index.test/simple/grape/", "https://index.test/simple/yeast/"], {"yeast"}) == (
        index.asked,
        releases.unknown,
    )


class SilentIndex(Index):
    """An index that does not answer."""

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        self.asked.append(request.url)
        raise WebUnreachable("it does not answer", slow=True)


def test_an_index_that_does_not_answer_is_given_up() -> None:
    """
    It would take its whole time limit for each package of the lock.
    """
    index = SilentIndex()
    releases = YankedReleases(index)  # type: ignore[arg-type]
    locked = lock(*(package(f"grape-{number}") for number in range(9)))

    found = {releases.is_yanked(known) for known in locked.packages}

    assert ({None}, 2, {"https://index.test/simple": "it does not answer"}, 9) == (
        found,
        len(index.asked),
        releases.silent,
        len(releases.unknown),
    )
