"""An input that changes while training runs; in real repositories."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from mlflow_uv.command.errors import InputsChanged
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.digests import lock_digest
from mlflow_uv.core.release.record import LockLink
from mlflow_uv.ops.model.input_changes import require_settled, require_unchanged, unchanged_lock
from mlflow_uv.ops.model.release_key import left_behind, parts_of
from mlflow_uv.ops.model.source import ModelSource, ModelSourceKind
from mlflow_uv.ops.model.training import Job
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.project.files import read_project

from .test_release_key import Repository, repository_in

TRAIN = ModelSource(kind=ModelSourceKind.TRAIN, words=("python", "train.py"))
FOLDER = ModelSource(kind=ModelSourceKind.FOLDER, words=("saved.tmp",))
INPUTS: Mapping[str, str] = MappingProxyType({
    "apps/wine/params.json": '{"C": 0.5}', "apps/wine/metrics.json": "{}", "apps/wine/mlflow.db": "a",
})  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """A repository with parameters, metrics and a store in git."""
    with repository_in(tmp_path) as made:
        for name, content in INPUTS.items():
            made.write(name, content)
        made.git("add", "--all")
        made.git("commit", "--quiet", "--message=two")
        yield made


def job(repository: Repository, source: ModelSource = TRAIN, *, uri: str = "http://127.0.0.1:9") -> Job:
    """A training of the project as it is now."""
    project = read_project(repository.project)
    return Job(
        project=project,
        source=source,
        mlflow=repository.tools.mlflow,
        python=repository.top.parent / "environment" / "bin" / "python",
        store=Store(uri=uri, kind=StoreKind.SERVER, variables={}),
        experiment="wine",
        commit=Commit(sha="a" * 40, project="apps/wine", dirty=None),
        lock=LockLink(sha256=lock_digest(project.lock.read_bytes()), uv="1"),
        local=(),
        respect_env=False,
    )


def removed(name: str) -> Callable[[Repository], None]:
    """A change that removes a file."""
    return lambda repository: (repository.top / name).unlink()


def edited(name: str) -> Callable[[Repository], None]:
    """A change that writes another content."""
    return lambda repository: repository.write(name, "x = 2\n")


@pytest.mark.parametrize(
    ("change", "what", "fix"),
    [
        (edited("apps/wine/params.json"), "params.json changed", '`not-inputs = ["/params.json"]`'),
        (removed("apps/wine/params.json"), "params.json was removed", '`not-inputs = ["/params.json"]`'),
        (edited("apps/wine/train.py"), "train.py changed", "nothing write"),
        (edited("libs/liba/liba.py"), "../../libs/liba/liba.py changed", '`not-inputs = ["/liba.py"]`'),
        (edited("apps/wine/uv.lock"), "uv.lock changed", "nothing write uv.lock"),
        (removed("apps/wine/uv.lock"), "uv.lock was removed", "nothing write uv.lock"),
    ],
    ids=["file", "removed file", "program", "library", "lock", "removed lock"],
)
def test_an_input_that_changes_is_an_error(
    repository: Repository, change: Callable[[Repository], None], what: str, fix: str
) -> None:
    """
    It is named, with what to do if training itself writes it; for the program that trains this is no way out.
    """
    training, key = job(repository), repository.key()
    require_unchanged(training, key, repository.tools)
    change(repository)

    with pytest.raises(InputsChanged) as caught:
        require_unchanged(training, key, repository.tools)

    assert f"{what} while training ran, so its model is not used" == caught.value.what
    assert fix in str(caught.value.fix)
    assert ("not-inputs" in fix) == ("not-inputs" in str(caught.value.fix))


def test_what_is_no_input_may_change(repository: Repository) -> None:
    """
    New files are only warned of, as before; metrics in `not-inputs`, documentation and settings count for nothing.
    """
    training, key = job(repository), repository.key("/metrics.json")
    manifest = (repository.project / "pyproject.toml").read_text().replace('name = "wine"\n\n', 'name = "beer"\n\n')
    repository.write("apps/wine/metrics.json", '{"a": 1}')
    repository.write("apps/wine/README.md", "# Beer\n")
    repository.write("apps/wine/pyproject.toml", f"{manifest}# a comment\n")
    repository.write("apps/wine/outputs/new.txt", "new")

    require_unchanged(training, key, repository.tools)

    (finding,) = left_behind(key, repository.tools)
    assert "training left files that git does not ignore: outputs/new.txt" == finding.what


@pytest.mark.parametrize("kind", ["sqlite", "other sqlite"])
def test_only_the_store_that_the_release_uses_may_change(repository: Repository, kind: str) -> None:
    """
    MLflow writes it while a training runs; another database is an input like any file.
    """
    name = "mlflow.db" if kind == "sqlite" else "other.db"
    training, key = job(repository, uri=f"sqlite:///{repository.project / name}"), repository.key()
    repository.write("apps/wine/mlflow.db", "b")

    if kind == "sqlite":
        require_unchanged(training, key, repository.tools)
    else:
        with pytest.raises(InputsChanged):
            require_unchanged(training, key, repository.tools)


def test_a_model_folder_that_changes_while_it_is_logged_is_an_error(repository: Repository) -> None:
    """
    Git ignores it, and it counts all the same.
    """
    repository.write("apps/wine/saved.tmp/MLmodel", "a")
    logging = job(repository, FOLDER)
    key = repository.key(parts=parts_of(logging, Selection(), {}, {}, python="3.11.1"))
    require_unchanged(logging, key, repository.tools)
    repository.write("apps/wine/saved.tmp/MLmodel", "b")

    with pytest.raises(InputsChanged) as caught:
        require_unchanged(logging, key, repository.tools)

    assert caught.value.what.startswith("files of `saved.tmp` changed")


def test_the_lock_is_compared_by_its_normalised_content(repository: Repository) -> None:
    """
    Other line ends are the same lock, as everywhere; the bytes that are returned are those of the file.
    """
    training = job(repository)
    lock = repository.project / "uv.lock"
    lock.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))

    assert lock.read_bytes() == unchanged_lock(training)


@pytest.fixture
def outside(repository: Repository) -> Path:
    """A local package beside the repository, with what a build and an editor leave in it."""
    folder = repository.top.parent / "lib outside"
    for name in ("lib.py", "README.md", "build/lib.py", ".venv/lib.py", "lib.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a = 1\n")
    lock = (repository.project / "uv.lock").read_text().replace("../../libs/liba", "../../../lib outside")
    repository.write("apps/wine/uv.lock", lock)
    return folder


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("lib.py", True),
        ("README.md", False),
        ("new.py", False),
        ("build/lib.py", False),
        (".venv/lib.py", False),
        ("lib.pyc", False),
    ],
)
@pytest.mark.parametrize("versioned", [False, True], ids=["folder", "repository"])
def test_a_local_package_outside_of_the_repository_is_compared_too(
    repository: Repository, outside: Path, name: str, *, changes: bool, versioned: bool
) -> None:
    """
    The commit does not know it; what another repository ignores there, and what builds leave, is no input.
    """
    if versioned:
        (outside / ".gitignore").write_text("build\n.venv\n")
        subprocess.run(("git", "init", "--quiet"), cwd=outside, check=True)
    key = repository.key()
    before = replace(key, outside=key.scope.outside(repository.tools))
    training = job(repository)
    require_unchanged(training, before, repository.tools)
    (outside / name).write_text("a = 2\n")

    if not changes:
        require_unchanged(training, before, repository.tools)
        return
    with pytest.raises(InputsChanged) as caught:
        require_unchanged(training, before, repository.tools)

    assert "../../../lib outside/lib.py changed while training ran, so its model is not used" == caught.value.what


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (edited("apps/wine/params.json"), "params.json changed while training was prepared"),
        (removed("libs/liba/liba.py"), "../../libs/liba/liba.py was removed while training was prepared"),
        (edited("apps/wine/README.md"), ""),
        (edited("apps/wine/new.py"), ""),
        (edited("apps/wine/mlflow.db"), ""),
    ],
    ids=["file", "library", "documentation", "new file", "store"],
)
def test_inputs_that_change_before_the_key_is_computed_are_an_error(
    repository: Repository, change: Callable[[Repository], None], what: str
) -> None:
    """
    Wheels and the environment were made from what was there before, and the commit may be that of neither.
    """
    training = job(repository, uri=f"sqlite:///{repository.project / 'mlflow.db'}")
    before = repository.key().inputs.files
    require_settled(before, training, repository.key(), repository.tools)
    change(repository)
    key = repository.key()

    if not what:
        require_settled(before, training, key, repository.tools)
        return
    with pytest.raises(InputsChanged) as caught:
        require_settled(before, training, key, repository.tools)

    assert what == caught.value.what
