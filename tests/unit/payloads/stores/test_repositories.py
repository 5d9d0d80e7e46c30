"""MLflow opens no repository that a server may not name, and lists no path that leads out of its folder."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.payloads.problems import Problem, ProblemKind
from mlflow_uv.payloads.stores import repositories


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.test")


@pytest.mark.parametrize(
    "location", ["/home/me/.ssh", "file:///etc", "https://elsewhere.test/x", "mlflow-artifacts://elsewhere.test/x"]
)
def test_a_location_that_is_not_the_servers_is_refused(location: str) -> None:
    """
    A folder of this machine, and another server, to which the token would go.
    """
    with pytest.raises(Problem) as caught:
        repositories.require(location, whose="run `r`")

    assert caught.value.kind in (ProblemKind.LOCAL_ARTIFACTS, ProblemKind.FOREIGN_ARTIFACTS)
    assert caught.value.message.startswith("the artifact location of run `r`, ")


@pytest.mark.parametrize("location", ["mlflow-artifacts:/1/models/m", "s3://bucket/1"])
def test_a_location_of_the_server_is_allowed(location: str) -> None:
    """
    Through the server, and in the storage that it uses.
    """
    repositories.require(location, whose="a run")


def test_a_store_of_ones_own_may_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A database is the caller's own: nobody else names locations in it.
    """
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")

    repositories.require("/anywhere", whose="a run")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a/../.."])
def test_a_listing_that_leads_out_of_its_folder_is_refused(path: str) -> None:
    """
    MLflow would write a download there.
    """
    listed = repositories._within(lambda *_: [SimpleNamespace(path="a/b"), SimpleNamespace(path=path)])

    with pytest.raises(Problem, match="outside of its folder"):
        listed("models")


def test_any_other_listing_is_as_the_store_has_it() -> None:
    """
    Also a name with dots.
    """
    entries = [SimpleNamespace(path=path) for path in ("a", "a/..b", "a/b.c")]
    given: list[Any] = []

    def listing(*arguments: Any) -> list[SimpleNamespace]:
        given.append(arguments)
        return entries

    assert (entries, [("x",)]) == (repositories._within(listing)("x"), given)


def test_a_verb_that_uses_no_store_imports_no_mlflow() -> None:
    """
    MLflow is not there in this test.
    """
    with repositories.checked("describe-environment"):
        pass


def test_a_link_to_itself_is_named_like_one_to_nothing(tmp_path: Path) -> None:
    """
    Looking for the link does not fail at it, as `Path.resolve` does.
    """
    inside, gone, loop = (tmp_path / name for name in ("inside", "gone", "loop"))
    (tmp_path / "file").write_text("")
    inside.symlink_to("file")
    gone.symlink_to("nothing")
    loop.symlink_to("loop")

    def fails(path: str) -> None:
        raise FileNotFoundError(path)

    with pytest.raises(Problem, match=r"`.*/gone` leads to `.*/nothing`, which is not there"):
        repositories._naming_links(fails, tmp_path)("gone")
    gone.unlink()
    with pytest.raises(Problem, match=r"`.*/loop` leads to `.*/loop`, which is not there"):
        repositories._naming_links(fails, tmp_path)("loop")
    assert [loop] == list(repositories.stray_links(tmp_path))
