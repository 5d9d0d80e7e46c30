"""What trains again, what does not, and what is said of it; in real repositories."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Finding
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.security.control_characters import visible
from mlflow_uv.ops.model.release_key import Key, key_of, left_behind, reason_to_train, trained_from
from mlflow_uv.payloads.messages.models import LoggedModelDescription
from mlflow_uv.payloads.messages.tags import COMMIT
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.toolbox import Tools, toolbox
from tests.console import KeptConsole
from tests.messages import MODEL

IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false")
MANIFEST = """\
[project]
name = "wine"
version = "1"
dependencies = ["liba"]

[tool.ruff]
line-length = 100

[tool.mlflow-uv]
train = "python train.py"
model-name = "wine"

[tool.uv.sources]
liba = { path = "../../libs/liba" }
"""
LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "liba"
version = "1"
source = { directory = "../../libs/liba" }

[[package]]
name = "wine"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "liba" }]
"""
PARTS: Mapping[str, object] = MappingProxyType({
    "uv.lock": "1", "the Python": "3.11", "`train`": ["train", "python", "train.py"], "package liba": "1",
    "`logged-model`": None,
})  # fmt: skip
FILES = {
    "apps/wine/pyproject.toml": MANIFEST,
    "apps/wine/uv.lock": LOCK,
    "apps/wine/train.py": "import data\n",
    "apps/wine/src/wine/labels.json": "{}\n",
    "apps/wine/prompts/README.md": "You are a taster.\n",
    "apps/wine/README.md": "# Wine\n",
    "apps/wine/docs/index.md": "# Wine\n",
    "apps/wine/notebooks/look.ipynb": "{}\n",
    "apps/beer/train.py": "import beer\n",
    "libs/liba/pyproject.toml": '[project]\nname = "liba"\nversion = "1"\n',
    "libs/liba/liba.py": "A = 1\n",
    ".gitignore": "*.tmp\n",
}


@dataclass(frozen=True)
class Repository:
    """A repository with two projects and a library beside them."""

    top: Path
    tools: Tools

    @property
    def project(self) -> Path:
        """The folder of the project that is trained."""
        return self.top / "apps" / "wine"

    def git(self, *argv: str) -> str:
        """Run git in it."""
        return subprocess.run(
            ("git", *IDENTITY, *argv), cwd=self.top, check=True, capture_output=True, text=True
        ).stdout

    def write(self, name: str, content: str) -> None:
        """Write a file."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def key(self, *not_inputs: str, parts: Mapping[str, object] = PARTS) -> Key:
        """The key of the project as it lies here."""
        return key_of(read_project(self.project), not_inputs, parts, self.tools)

    def model(self, *not_inputs: str) -> LoggedModelDescription:
        """A model that is trained now."""
        commit = self.tools.git.commit(self.project)
        lineage = {"mlflow-uv.commit": commit.sha, "mlflow-uv.dirty": "true" if commit.dirty else "false"}
        return replace(MODEL, tags={**lineage, **self.key(*not_inputs).tags})


@contextmanager
def repository_in(folder: Path) -> Iterator[Repository]:
    """A clean repository with one commit."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "MLFLOW_UV_HOME": str(folder / "private")}
    host = Host.of(variables, folder=folder, python=Path(sys.executable))
    with toolbox(host, console=KeptConsole()) as tools:
        repository = Repository(top=folder / "mein Repo ü", tools=tools)
        repository.top.mkdir()
        for name, content in FILES.items():
            repository.write(name, content)
        (repository.project / "latest").symlink_to("train.py")
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.git("add", "--all")
        repository.git("commit", "--quiet", "--message=one")
        yield repository


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """A clean repository with one commit."""
    with repository_in(tmp_path) as made:
        yield made


def written(name: str, content: str) -> Callable[[Repository], None]:
    """A change that writes a file."""
    return lambda repository: repository.write(name, content)


def relinked(repository: Repository) -> None:
    """A link that leads to another file."""
    (repository.project / "latest").unlink()
    (repository.project / "latest").symlink_to("uv.lock")


def unseen(repository: Repository) -> None:
    """An edit of a file that git was told not to look at."""
    repository.git("update-index", "--assume-unchanged", "apps/wine/train.py")
    repository.write("apps/wine/train.py", "import other\n")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(written("apps/wine/train.py", "import other\n"), id="source file"),
        pytest.param(written("apps/wine/src/wine/labels.json", "[]\n"), id="package data"),
        pytest.param(written("apps/wine/prompts/README.md", "You are a critic.\n"), id="a prompt called README"),
        pytest.param(written("apps/wine/extra.py", "x = 1\n"), id="new file that git does not know"),
        pytest.param(lambda repository: (repository.project / "train.py").unlink(), id="deleted file"),
        pytest.param(written("libs/liba/liba.py", "A = 2\n"), id="local package beside the project"),
        pytest.param(
            written("apps/wine/pyproject.toml", MANIFEST.replace('version = "1"', 'version = "2"')), id="manifest"
        ),
        pytest.param(written("apps/wine/.python-version", "3.12\n"), id="Python that is asked for"),
        pytest.param(relinked, id="target of a link"),
        pytest.param(unseen, id="file that git does not look at"),
    ],
)
def test_a_change_of_an_input_makes_another_release(
    repository: Repository, change: Callable[[Repository], None]
) -> None:
    """
    Uncommitted and committed, and the same for both: what was trained before the commit is found after it.
    """
    before = repository.key().inputs.key

    change(repository)
    uncommitted = repository.key().inputs.key
    repository.git("update-index", "--no-assume-unchanged", "apps/wine/train.py")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=two")

    assert before != uncommitted
    assert uncommitted == repository.key().inputs.key


def linked(repository: Repository, name: str, target: str) -> None:
    """A committed link in the project that leads to a file or folder elsewhere in the repository."""
    repository.write("shared/data/wines.csv", "1\n")
    (repository.project / name).symlink_to(target)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=link")


@pytest.mark.parametrize("target", ["../../shared/data/wines.csv", "../../shared/data", "../../shared"])
def test_what_a_link_leads_to_elsewhere_in_the_repository_is_an_input(repository: Repository, target: str) -> None:
    """
    A training reads through the link, so that a change there must train; the reason names the file.
    """
    linked(repository, "data", target)
    before, trained = repository.key().inputs.key, repository.model()
    assert before == repository.key().inputs.key

    repository.write("shared/data/wines.csv", "2\n")

    assert before != repository.key().inputs.key
    reason = reason_to_train(repository.key(), trained, repository.tools, wanted=False)
    assert reason.endswith("these inputs changed: ../../shared/data/wines.csv")


def test_a_link_that_is_no_input_is_not_followed(repository: Repository) -> None:
    """
    `not-inputs` names the link.
    """
    linked(repository, "data", "../../shared")
    before = repository.key("/data").inputs.key

    repository.write("shared/data/wines.csv", "2\n")

    assert before == repository.key("/data").inputs.key


def test_a_package_in_a_folder_of_a_submodule_is_an_input(repository: Repository) -> None:
    """
    The repository lists nothing in a submodule: its commit and what differs from it count. A clean one is no change.
    """
    other = repository.top.parent / "other"
    (other / "liba").mkdir(parents=True)
    (other / "liba" / "liba.py").write_text("A = 1\n")
    for argv in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message=one")):
        subprocess.run(("git", *IDENTITY, *argv), cwd=other, check=True)
    repository.git("rm", "-r", "--quiet", "libs/liba")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "libs")
    repository.git("commit", "--quiet", "--message=submodule")
    before, trained = repository.key().inputs.key, repository.model()

    repository.write("libs/liba/liba.py", "A = 2\n")
    changed = repository.key()
    repository.write("libs/liba/liba.py", "A = 1\n")

    assert before != changed.inputs.key
    assert before == repository.key().inputs.key
    assert reason_to_train(changed, trained, repository.tools, wanted=False).endswith("inputs changed: ../../libs")


@pytest.mark.parametrize("stored", ["version https://git-lfs.github.com/spec/v1\n", "\0GITCRYPT\0"])
def test_a_file_that_lies_there_as_git_keeps_it_is_another_input(repository: Repository, stored: str) -> None:
    """
    A checkout without Git LFS has pointers in place of data: once the data is there, a release must train.
    """
    repository.write("apps/wine/.gitattributes", "*.csv filter=kept\n")
    repository.write("apps/wine/kept", stored)
    kept = ("-c", "filter.kept.clean=cat apps/wine/kept")
    repository.write("apps/wine/data.csv", "1,2\n")
    os.utime(repository.project / "data.csv", (1, 1))
    repository.git(*kept, "add", "--all")
    repository.git(*kept, "commit", "--quiet", "--message=data")
    with_data = repository.key().inputs.key

    repository.write("apps/wine/data.csv", stored)
    os.utime(repository.project / "data.csv", (1, 1))
    repository.git("add", "--all")

    assert "" == repository.git("diff-files", "--name-only")
    assert with_data != repository.key().inputs.key


@pytest.mark.parametrize(
    "changed",
    [
        {"uv.lock": "2"},
        {"the Python": "3.12"},
        {"`train`": ["train", "python", "train.py", "--fast"]},
        {"package liba": "2"},
        {"`logged-model`": "best"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_lock_python_setting_or_package_makes_another_release(
    repository: Repository, changed: dict[str, object]
) -> None:
    """
    What no file tells is a part of the key by its own name.
    """
    found = repository.key(parts={**PARTS, **changed})

    assert repository.key().inputs.key != found.inputs.key
    assert tuple(changed) == found.inputs.changed_parts(repository.key().inputs.tag)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(written("apps/wine/README.md", "# Vino\n"), id="README"),
        pytest.param(written("apps/wine/mlflow-uv-report.html", "<html>"), id="the page of the step report"),
        pytest.param(written("apps/wine/LICENSE", "MIT\n"), id="licence"),
        pytest.param(written("apps/wine/docs/index.md", "# Vino\n"), id="documentation"),
        pytest.param(written("apps/wine/.github/workflows/x.yml", "on: push\n"), id="workflow"),
        pytest.param(
            written("apps/wine/pyproject.toml", f"{MANIFEST}\n[tool.mlflow-uv.promote]\nallow-dirty = true\n"),
            id="gates",
        ),
        pytest.param(written("apps/wine/pyproject.toml", f"# a comment\n{MANIFEST}"), id="comment in the manifest"),
        pytest.param(written("apps/wine/pyproject.toml", MANIFEST.replace("100", "120")), id="linter"),
        pytest.param(written("apps/wine/notebooks/look.ipynb", "[]\n"), id="what not-inputs names"),
        pytest.param(written("apps/wine/x.tmp", "x\n"), id="what git ignores"),
        pytest.param(written("apps/beer/train.py", "import ale\n"), id="another project"),
        pytest.param(lambda repository: os.utime(repository.project / "train.py", (1, 1)), id="time of a file"),
    ],
)
def test_a_change_of_what_is_no_input_makes_the_same_release(
    repository: Repository, change: Callable[[Repository], None]
) -> None:
    """
    Documentation, gates, settings of linters, other projects: nothing is trained again.
    """
    before = repository.key("notebooks/").inputs.key

    change(repository)

    assert before == repository.key("notebooks/").inputs.key


def test_a_file_that_people_read_is_an_input_where_the_setting_says_so(repository: Repository) -> None:
    """
    Whoever trains on the documentation takes it back with `!`.
    """
    before = repository.key("!/docs/").inputs.key

    repository.write("apps/wine/docs/index.md", "# Vino\n")

    assert before != repository.key("!/docs/").inputs.key


def test_the_reason_names_files_and_settings(repository: Repository) -> None:
    """
    A few of them, as they are called in the project's folder.
    """
    before = repository.model()
    repository.write("apps/wine/train.py", "import other\n")
    repository.write("libs/liba/liba.py", "A = 2\n")
    repository.write("apps/wine/README.md", "# Vino\n")

    found = reason_to_train(repository.key(), before, repository.tools, wanted=False)
    more = reason_to_train(
        repository.key(parts={**PARTS, "uv.lock": "2", "the Python": "3.12"}), before, repository.tools, wanted=False
    )

    assert "trained again: since model m-1 these inputs changed: train.py, ../../libs/liba/liba.py" == found
    assert f"{found}, uv.lock, the Python" == more


def test_the_reason_is_told_where_nothing_can_be_compared(repository: Repository) -> None:
    """
    No model of before, one of a release that kept no inputs, a commit that is not here, and a tree that was dirty.
    """
    unknown = replace(MODEL, model_id="m-0", tags={})
    elsewhere = replace(repository.model(), tags={**repository.model().tags, COMMIT: "d" * 40})
    repository.write("apps/wine/train.py", "import other\n")
    dirty = repository.model()
    repository.write("apps/wine/train.py", FILES["apps/wine/train.py"])

    reasons = [
        reason_to_train(repository.key(), before, repository.tools, wanted=False)
        for before in (None, unknown, elsewhere, dirty)
    ]
    repository.write("apps/wine/train.py", "import third\n")

    sha = repository.git("rev-parse", "HEAD")[:12]
    since = "trained again: since model {} these inputs changed: "
    assert [
        "trained: the store has no released model of this project",
        f"{since.format('m-0')}the release before recorded no inputs",
        "trained again: model m-1, which has the same inputs, cannot be used",
        f"{since.format('m-1')}files that differed from commit {sha} then",
    ] == reasons
    missing = reason_to_train(repository.key(), elsewhere, repository.tools, wanted=False)
    assert f"{since.format('m-1')}files (commit {'d' * 12} is not here to compare)" == missing


def mended_by(finding: Finding, repository: Repository) -> tuple[Key, Key]:
    """The key with each of the two fixes that a finding prints: with the setting, and after the command."""
    command, _, setting = visible(str(finding.fix)).partition(", or `")
    named = repository.key(*tomllib.loads(setting.rpartition("` in [tool.mlflow-uv]")[0])["not-inputs"])
    subprocess.run(command, shell=True, check=True, cwd=repository.project)
    return named, repository.key()


def test_what_training_leaves_is_named_and_the_fix_mends_it(repository: Repository) -> None:
    """
    New files count from then on; with each of the two fixes the next release is the same again.
    """
    key = repository.key()
    repository.write("apps/wine/outputs/it's.json", "{}\n")
    repository.write("apps/wine/metrics.json", "{}\n")
    repository.write("apps/wine/cache.tmp", "{}\n")

    (finding,) = left_behind(key, repository.tools)
    again = repository.key()
    named, ignored = mended_by(finding, repository)

    assert "training left files that git does not ignore: metrics.json, outputs/it's.json" == finding.what
    assert "printf '%s\\n' /metrics.json /outputs/ >> .gitignore, or `not-inputs = [" in str(finding.fix)
    assert key.inputs.key != again.inputs.key
    assert (key.inputs.key, key.inputs.key) == (named.inputs.key, ignored.inputs.key)
    assert "outputs/it's.json" in reason_to_train(again, repository.model("/outputs/"), repository.tools, wanted=False)


@pytest.mark.parametrize(
    "name",
    [
        *("it's.txt", 'a "b".txt', "-rf", "a\nb", "ä ö.txt", "[ab]*?.txt", "back\\slash", "end ", "#a", "!a", "$(id)"),
        *("a\u202eb", "a`b", os.fsdecode(b"a\xff"), "日本/語", "a [b]/c"),
    ],
)
def test_a_file_of_any_name_is_mended_by_the_fix(repository: Repository, name: str) -> None:
    """
    The command is one for a shell, the line one for git, and the setting TOML, also as a console shows them.
    """
    key = repository.key()
    repository.write(f"apps/wine/{name}", "{}\n")

    (finding,) = left_behind(key, repository.tools)
    named, ignored = mended_by(finding, repository)

    assert (key.inputs.key, key.inputs.key) == (named.inputs.key, ignored.inputs.key)


def test_the_fix_ignores_no_folder_that_had_files_before(repository: Repository) -> None:
    """
    They would be no inputs any more, so that a release after a change of the code would reuse a model.

    A file that is there for its folder, such as `.gitkeep`, is none of these.
    """
    repository.write("apps/wine/outputs/.gitkeep", "")
    repository.git("add", "--all")
    key = repository.key()
    for name in ("src/wine/cache.json", "src/new/a/b.json", "outputs/c.json"):
        repository.write(f"apps/wine/{name}", "{}\n")

    (finding,) = left_behind(key, repository.tools)
    named, ignored = mended_by(finding, repository)
    repository.write("apps/wine/src/wine/labels.json", '{"a": 1}\n')

    assert "printf '%s\\n' /outputs/ /src/new/ /src/wine/cache.json >> .gitignore, or" in str(finding.fix)
    assert key.inputs.files.keys() - {"apps/wine/outputs/.gitkeep"} == named.inputs.files.keys()
    assert key.inputs.key == ignored.inputs.key
    assert key.inputs.key != repository.key("/outputs/", "/src/new/", "/src/wine/cache.json").inputs.key


def test_the_fix_keeps_what_is_configured(repository: Repository) -> None:
    """
    The other patterns of the setting, and the last line of a `.gitignore` that has no end.
    """
    repository.write("apps/wine/.gitignore", "/scratch")
    key = repository.key("/notebooks/")
    repository.write("apps/wine/metrics.json", "{}\n")

    (finding,) = left_behind(key, repository.tools)
    mended_by(finding, repository)
    repository.write("apps/wine/scratch", "")

    assert '`not-inputs = ["/notebooks/", "/metrics.json"]`' in str(finding.fix)
    assert key.files.keys() == repository.key("/notebooks/").files.keys()


def test_a_file_in_the_folder_of_a_local_package_is_mended_there(repository: Repository) -> None:
    """
    A pattern of the project's own `.gitignore` has no effect on it.
    """
    key = repository.key()
    repository.write("libs/liba/cache.json", "{}\n")

    (finding,) = left_behind(key, repository.tools)
    named, ignored = mended_by(finding, repository)

    assert "printf '%s\\n' /cache.json >> ../../libs/liba/.gitignore, or" in str(finding.fix)
    assert (key.inputs.key, key.inputs.key) == (named.inputs.key, ignored.inputs.key)


def test_what_training_changed_is_not_to_be_ignored(repository: Repository) -> None:
    """
    As after a training that failed, while somebody edited its code: git knows the file, and it stays an input.
    """
    repository.write("apps/wine/new.py", "x = 1\n")
    key = repository.key()
    repository.write("apps/wine/train.py", "import other\n")
    repository.write("apps/wine/new.py", "x = 2\n")
    (repository.top / "apps/wine/src/wine/labels.json").unlink()

    assert () == left_behind(key, repository.tools)


def test_a_training_that_leaves_nothing_is_not_spoken_of(repository: Repository) -> None:
    """
    What git ignores, and the files that were new before the training, are not its doing.
    """
    repository.write("apps/wine/new.py", "x = 1\n")
    key = repository.key()
    repository.write("apps/wine/cache.tmp", "{}\n")

    assert () == left_behind(key, repository.tools)


@pytest.mark.parametrize(
    ("tags", "sha"),
    [
        ({"mlflow-uv.commit": "a" * 40, "mlflow-uv.dirty": "false"}, "a" * 40),
        ({"mlflow-uv.commit": "a" * 40, "mlflow-uv.dirty": "true"}, "b" * 40),
        ({}, "b" * 40),
    ],
    ids=["clean", "dirty", "unknown"],
)
def test_a_model_that_is_found_again_has_the_commit_that_trained_it(tags: dict[str, str], sha: str) -> None:
    """
    Where the tree was dirty then, the commit that is here has the same inputs, and says more.
    """
    here = Commit(sha="b" * 40, project=".", dirty=None)

    assert sha == trained_from(tags, here).sha
