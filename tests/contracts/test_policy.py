"""Rules of a policy, kept and broken by locks that real uv wrote, in repositories of real git."""

import functools
import hashlib
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.ops.lock.policy import policy_findings
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import read_project
from tests import projects

PROGRAM = Path(sys.executable).parent / "uv"
NOON = 1_780_315_200  # 2026-06-01T12:00:00Z
DAY = 86_400
PACKAGED = '[build-system]\nrequires = []\nbuild-backend = "none"\nbackend-path = ["."]\n'


@dataclass(frozen=True)
class At:
    """A clock that stands still."""

    date: float

    def now_s(self) -> float:
        """See Clock."""
        return 0.0

    def date_s(self) -> float:
        """See Clock."""
        return self.date

    def wait(self, seconds: float) -> None:
        """See Clock."""


def findings_in(folder: Path, *, now: float = NOON, where: Path | None = None) -> tuple[Finding, ...]:
    """What is to be said of the policy of a project, called from its folder."""
    host = Host.of(os.environ, folder=where or folder, python=Path(sys.executable))
    with locktools(host, console=terminal(), uv=PROGRAM) as tools:
        return policy_findings(read_project(folder), replace(tools, clock=At(now)))


def places(findings: tuple[Finding, ...]) -> list[tuple[str, str, int]]:
    """Rule, file and line of each."""
    return [(one.rule, one.path.name, one.line) for one in findings if one.path is not None]


def ruled(folder: Path, *rules: str) -> Path:
    """Write a policy into a manifest that is locked already."""
    with (folder / "pyproject.toml").open("a") as file:
        file.write("".join(f"{line}\n" for line in ("[tool.mlflow-uv.policy]", *rules)))
    return folder


def line_in(file: Path, text: str, *, before: int = 0) -> int:
    """The line that is this text, or the one so many above it."""
    return file.read_text().splitlines().index(text) + 1 - before


def locked_at(folder: Path, name: str) -> int:
    """Where a package begins in the lock."""
    return line_in(folder / "uv.lock", f'name = "{name}"', before=1)


def git(folder: Path, *argv: str, date: float = NOON) -> None:
    """Run git, on a certain day."""
    variables = {**os.environ, "GIT_COMMITTER_DATE": f"{date:.0f} +0000", "GIT_AUTHOR_DATE": f"{date:.0f} +0000"}
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *argv], cwd=folder, check=True, env=variables, capture_output=True)


def committed(folder: Path, *, date: float = NOON) -> Path:
    """Commit everything in a folder, on a certain day."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=x", date=date)
    return folder


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages beside the projects."""
    folder = tmp_path / "wheels"
    projects.wheel(folder, "grape", "1.0", ("yeast",))
    projects.wheel(folder, "yeast", "1.0")
    projects.wheel(folder, "yeast", "2.0")
    projects.wheel(folder, "cork", "3.0")
    return folder


@pytest.fixture
def wine(tmp_path: Path, wheels: Path) -> Path:
    """A locked project."""
    folder = projects.project(tmp_path / "wine", "grape", "cork", wheels=wheels)
    projects.lock(folder)
    return folder


@dataclass(frozen=True)
class Site:
    """An index on loopback, and what else lies there."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A simple index (PEP 503) that tells the hash of `grape` and not that of `yeast`, and a file elsewhere."""
    folder = tmp_path / "site"
    for name, requires, hashed in (("grape", (), True), ("cork", (), True), ("yeast", ("grape",), False)):
        wheel = projects.wheel(folder / "simple" / name, name, "1.0", requires)
        fragment = f"#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}" if hashed else ""
        (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}{fragment}">{wheel.name}</a>')
    projects.wheel(folder / "files", "label", "1.0", ("grape",))

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(server.server_port, folder)
    server.shutdown()
    server.server_close()


def online(folder: Path) -> Path:
    """Lock with what is on loopback."""
    subprocess.run(["uv", "lock", "--quiet"], cwd=folder, check=True)
    return folder


def index(url: str, *, name: str = "site", more: str = "default = true") -> str:
    """An index of a project."""
    return f'[[tool.uv.index]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


# nothing to say


def test_a_lock_that_keeps_every_rule_has_no_finding(tmp_path: Path, site: Site) -> None:
    """
    All rules on, none broken.
    """
    folder = projects.project(tmp_path / "wine", "grape", "cork", more=index(f"{site.url}/simple"))
    ruled(
        online(folder),
        f'allowed-indexes = ["{site.url}/simple"]',
        'allowed-sources = ["registry"]',
        "require-hashes = true",
        'minimum-uv = "0.9"',
        'excluded = ["grape<1", "yeast"]',
        "maximum-age-days = 90",
    )

    findings = findings_in(committed(folder, date=NOON - DAY))

    assert () == findings


def test_without_a_policy_nothing_is_looked_at(tmp_path: Path) -> None:
    """
    Neither lock nor git nor uv is asked about rules that nobody wrote.
    """
    folder = projects.project(tmp_path / "wine")
    (folder / "uv.lock").write_text("not a lock")

    findings = policy_findings(read_project(folder), None)  # type: ignore[arg-type]

    assert () == findings


def test_without_a_policy_nothing_is_imported(tmp_path: Path) -> None:
    """
    A hook does not pay for rules that nobody wrote.
    """
    projects.project(tmp_path)
    code = """
import sys
from pathlib import Path
from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.lock.policy import policy_findings
from mlflow_uv.tools.project.files import read_project
policy_findings(read_project(Path(sys.argv[1])), None)
print(*sorted(sys.modules))
"""
    argv = [sys.executable, "-I", "-c", code, str(tmp_path)]

    done = subprocess.run(argv, capture_output=True, text=True, check=True)

    names = (
        "lock.closure", "lock.served_packages", "lock.targets", "policy.policy", "policy.rules", "policy.violations",
    )  # fmt: skip
    rules = {f"mlflow_uv.core.{name}" for name in names}
    assert set() == {*rules, "mlflow_uv.ops.lock.policy_violations"} & set(done.stdout.split())


def test_a_wrong_policy_is_told_from_where_the_caller_is(tmp_path: Path, workspace: Path) -> None:
    """
    In a tree of many manifests: which, and where in it.
    """
    ruled(workspace / "red", "excluded = 3")

    with pytest.raises(BadInput) as caught:
        findings_in(workspace, where=tmp_path)

    line = line_in(workspace / "red" / "pyproject.toml", "excluded = 3")
    assert f"(line {line} of cellar/red/pyproject.toml) must be" in caught.value.what


# allowed-indexes


def test_a_package_of_another_index_is_found_where_it_is_locked(tmp_path: Path, wine: Path) -> None:
    """
    One finding for an index, on the first of its packages, with how many there are.
    """
    projects.wheel(tmp_path / "attic", "label", "1.0", ("stamp",))
    projects.wheel(tmp_path / "attic", "stamp", "1.0")
    with (wine / "pyproject.toml").open("a") as file:
        file.write(index("../attic", name="attic", more='format = "flat"'))
    projects.depend_on(wine, "grape", "cork", "label")
    projects.lock(wine)

    findings = findings_in(ruled(wine, 'allowed-indexes = ["../wheels"]'))

    assert [("policy-allowed-indexes", "uv.lock", locked_at(wine, "label"))] == places(findings)
    assert "2 packages from `../attic`" == findings[0].what


@pytest.mark.core_variants(3)
@pytest.mark.parametrize(
    ("allowed", "count"),
    [
        ("http://127.0.0.1:{port}/simple", 0),
        ("http://me:secret@127.0.0.1:{port}/simple/", 0),
        ("HTTP://127.0.0.1:{port}/simple", 0),
        ("https://127.0.0.1:{port}/simple", 1),
        ("http://127.0.0.1:{port}/simpl", 1),
        ("http://127.0.0.1:{port}", 1),
        ("http://127.0.0.1/simple", 1),
        ("http://127.0.0.1:{port}@elsewhere.example/simple", 1),
    ],
)
def test_an_index_is_the_same_however_it_is_written_and_no_other(
    tmp_path: Path, site: Site, allowed: str, count: int
) -> None:
    """
    Slash, credentials and case of the host do not matter; scheme, host, port and path do.
    """
    folder = projects.project(tmp_path / "wine", "grape", more=index(f"{site.url}/simple/"))
    ruled(online(folder), f'allowed-indexes = ["{allowed.format(port=site.port)}"]')

    findings = findings_in(folder)

    assert count == len(findings)
    assert not any("secret" in one.text for one in findings)


# allowed-sources


def packaged(folder: Path, name: str, *dependencies: str, more: str = "") -> Path:
    """A project that is a package, so that others can depend on it."""
    return projects.project(folder, *dependencies, name=name, more=PACKAGED + more)


@pytest.fixture
def sourced(tmp_path: Path, site: Site) -> Path:
    """A locked workspace that takes one package from every kind of source, each of them by another way."""
    committed(packaged(tmp_path / "label", "bygit"))
    packaged(tmp_path / "folder", "bydirectory")
    bygit = f'bygit = {{ git = "file://{tmp_path}/label" }}\n'
    packaged(tmp_path / "edit", "byeditable", "bygit", more=f"[tool.uv.sources]\n{bygit}")
    projects.wheel(tmp_path / "files", "bypath", "1.0")
    projects.wheel(site.folder / "files", "byurl", "1.0")
    sources = f"""[tool.uv.sources]
{bygit}byurl = {{ url = "{site.url}/files/byurl-1.0-py3-none-any.whl" }}
bypath = {{ path = "../files/bypath-1.0-py3-none-any.whl" }}
bydirectory = {{ path = "../folder" }}
byeditable = {{ path = "../edit", editable = true }}
byworkspace = {{ workspace = true }}
[tool.uv.workspace]
members = ["member"]
"""
    listed = ("bypath", "bydirectory", "byeditable", "byworkspace", "grape", "bygit", "byurl")
    folder = projects.project(tmp_path / "wine", *listed, more=index(f"{site.url}/simple") + sources)
    packaged(folder / "member", "byworkspace")
    return online(folder)


KINDS = ("directory", "editable", "git", "path", "registry", "url", "workspace")


@pytest.mark.core_variants(3)
@pytest.mark.parametrize("missing", KINDS)
def test_each_kind_of_source_is_told_from_the_others(sourced: Path, missing: str) -> None:
    """
    Of a lock with every kind, the one that is not allowed is found on its package, and nothing else is.
    """
    allowed = ", ".join(f'"{kind}"' for kind in KINDS if kind != missing)

    findings = findings_in(ruled(sourced, f"allowed-sources = [{allowed}]"))

    name = "grape" if missing == "registry" else f"by{missing}"
    assert [("policy-allowed-sources", "uv.lock", locked_at(sourced, name))] == places(findings)


def test_the_way_to_a_source_is_told(sourced: Path) -> None:
    """
    Nobody has to search what pulls it in.
    """
    projects.depend_on(sourced, "byeditable")
    online(sourced)

    findings = findings_in(ruled(sourced, 'allowed-sources = ["editable"]'))

    assert ["`bygit` comes from a git repository"] == [one.what for one in findings]
    assert "`wine → byeditable → bygit` is served" in findings[0].why


OPTIONAL = """[project.optional-dependencies]
plain = ["yeast==1.0"]
folder = ["yeast", "shelf"]
[dependency-groups]
dev = ["shelf"]
[tool.uv]
conflicts = [[{ extra = "plain" }, { extra = "folder" }]]
[tool.uv.sources]
yeast = { path = "../yeast", extra = "folder" }
shelf = { path = "../shelf" }
"""


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("", []),
        ('extras = ["plain"]', []),
        ('extras = ["Folder"]', ["shelf", "yeast"]),
        ('groups = ["dev"]', ["shelf"]),
    ],
    ids=["nothing", "one extra", "the other extra", "group"],
)
def test_only_what_is_served_counts(tmp_path: Path, wheels: Path, selection: str, names: list[str]) -> None:
    """
    What another extra or group brings is no concern of this rule, also where `conflicts` set them apart; uv agrees.
    """
    for name in ("yeast", "shelf"):
        packaged(tmp_path / name, name)
    folder = projects.project(tmp_path / "wine", "grape", wheels=wheels, more=OPTIONAL)
    projects.lock(folder)
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f"[tool.mlflow-uv]\n{selection}\n")
    ruled(folder, 'allowed-sources = ["registry"]')
    flags = shlex.split(selection.replace("s = [", " ").replace("]", ""))
    argv = ["uv", "export", "--frozen", "--offline", "--quiet", "--no-default-groups", "--no-hashes", "--no-header"]
    exported = subprocess.run(
        [*argv, *(f"--{flags[0]}={flags[1].lower()}" for _ in flags[:1])],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip

    findings = findings_in(folder)

    assert names == sorted(one.what.split("`")[1] for one in findings)
    assert names == sorted({line.removeprefix("../") for line in exported.splitlines() if line.startswith("../")})


def test_a_source_of_one_platform_counts_on_every_machine(tmp_path: Path, wine: Path) -> None:
    """
    The rule is about what may be served, not about where it is asked.
    """
    packaged(tmp_path / "folder", "folder")
    with (wine / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.sources]\nfolder = { path = "../folder" }\n')
    projects.depend_on(wine, "grape", "folder; sys_platform == 'win32'")
    projects.lock(wine)

    findings = findings_in(ruled(wine, 'allowed-sources = ["registry"]'))

    assert [("policy-allowed-sources", "uv.lock", locked_at(wine, "folder"))] == places(findings)


# require-hashes


def test_files_without_a_hash_are_found_on_the_first_of_their_packages(tmp_path: Path, site: Site) -> None:
    """
    Of one index, those packages alone whose files have none; a file by its URL is hashed by uv, a commit is a hash.
    """
    committed(packaged(tmp_path / "press", "press"))
    sources = f"""[tool.uv.sources]
label = {{ url = "{site.url}/files/label-1.0-py3-none-any.whl" }}
press = {{ git = "file://{tmp_path}/press" }}
"""
    more = index(f"{site.url}/simple") + sources
    folder = projects.project(tmp_path / "wine", "grape", "cork", "yeast", "label", "press", more=more)

    findings = findings_in(ruled(online(folder), "require-hashes = true"))

    assert [("policy-require-hashes", "uv.lock", locked_at(folder, "yeast"))] == places(findings)
    assert f"1 package from `{site.url}/simple` without a hash for every file" == findings[0].what


def test_a_folder_of_wheels_has_no_hashes(wine: Path) -> None:
    """
    uv does not record those of a flat index on disk.
    """
    findings = findings_in(ruled(wine, "require-hashes = true"))

    assert [("policy-require-hashes", "uv.lock", locked_at(wine, "cork"))] == places(findings)
    assert "3 packages from `../wheels` without a hash for every file" == findings[0].what


# minimum-uv


@pytest.mark.parametrize(("least", "kept"), [("0.9", True), ("0", True), ("0.100", False), ("99.0.1", False)])
def test_the_uv_that_answers_is_compared_by_its_numbers(wine: Path, least: str, kept: bool) -> None:
    """
    0.13 is newer than 0.9; the finding stands where the rule is written.
    """
    ruled(wine, "require-hashes = false", f'minimum-uv = "{least}"')
    line = line_in(wine / "pyproject.toml", f'minimum-uv = "{least}"')

    findings = findings_in(wine)

    assert ([] if kept else [("policy-minimum-uv", "pyproject.toml", line)]) == places(findings)


# excluded


@pytest.mark.parametrize(
    ("entry", "barred"),
    [
        ("yeast", True),
        ("Yeast==2.0", True),
        ("yeast>1", True),
        ("yeast>=1.5,<3", True),
        ("yeast==2.0.1", False),
        ("yeast<2", False),
        ("yeas", False),
        ("east", False),
    ],
)
def test_an_excluded_package_is_found_where_it_is_locked(wine: Path, entry: str, barred: bool) -> None:
    """
    By its whole name and its version; with what needs it.
    """
    findings = findings_in(ruled(wine, f'excluded = ["bottle", "{entry}"]'))

    assert ([("policy-excluded", "uv.lock", locked_at(wine, "yeast"))] if barred else []) == places(findings)
    assert all("`wine → grape` needs it" in one.why for one in findings)


@pytest.mark.parametrize("entry", ["yeast==2.0", "yeast>=2", "yeast>1.5", "yeast!=1.0"])
def test_the_command_takes_what_is_excluded_out_of_the_lock(tmp_path: Path, wine: Path, entry: str) -> None:
    """
    The fix works as it stands, from where the caller is, and afterwards the lock stays as it is.
    """
    ruled(wine, f'excluded = ["{entry}"]')
    (finding,) = findings_in(wine, where=tmp_path)

    subprocess.run([*shlex.split(finding.fix), "--offline", "--quiet"], cwd=tmp_path, check=True)
    projects.lock(wine)

    assert () == findings_in(wine)


# maximum-age-days


@pytest.mark.parametrize(
    ("days", "kept"), [(0, True), (90, True), (90.99, True), (91, False), (400, False), (-3, True)]
)
def test_a_lock_is_as_old_as_its_last_commit(wine: Path, days: float, kept: bool) -> None:
    """
    Whole days count; a clock that is behind makes no lock old.
    """
    committed(ruled(wine, "maximum-age-days = 90"), date=NOON - days * DAY)

    findings = findings_in(wine)

    assert ([] if kept else [("policy-maximum-age-days", "uv.lock", 1)]) == places(findings)


def test_another_change_does_not_make_a_lock_younger(wine: Path) -> None:
    """
    Only what touches uv.lock counts, in the folder of the project.
    """
    committed(ruled(wine, "maximum-age-days = 90"), date=NOON - 100 * DAY)
    (wine / "uv.lock.txt").touch()
    (wine / "other").mkdir()
    (wine / "other" / "uv.lock").touch()
    committed(wine)

    findings = findings_in(wine)

    assert ["uv.lock is 100 days old"] == [one.what for one in findings]
    assert "uv lock --upgrade" == findings[0].fix


@pytest.mark.parametrize("staged", [False, True])
def test_a_lock_that_is_being_changed_is_new(wine: Path, staged: bool) -> None:
    """
    Who updates it now must not be told to.
    """
    committed(ruled(wine, "maximum-age-days = 90"), date=NOON - 100 * DAY)
    projects.depend_on(wine, "grape")
    projects.lock(wine)
    if staged:
        git(wine, "add", "uv.lock")

    findings = findings_in(wine)

    assert () == findings


def test_a_lock_that_was_never_committed_is_new(wine: Path) -> None:
    """
    Also in a repository without any commit.
    """
    git(wine, "init", "--quiet")

    findings = findings_in(ruled(wine, "maximum-age-days = 0"))

    assert () == findings


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (lambda _: None, "not a git repository"),
        (lambda folder: ((folder / ".gitignore").write_text("uv.lock\n"), committed(folder)), "git ignores it"),
    ],
    ids=["no repository", "ignored"],
)
def test_an_age_that_nobody_knows_is_a_notice(wine: Path, prepare, why: str) -> None:
    """
    Nothing fails for what cannot be told, and nobody believes that it was checked.
    """
    prepare(ruled(wine, "maximum-age-days = 0"))

    findings = findings_in(wine)

    assert [("policy-age-unknown", "uv.lock", 1)] == places(findings)
    assert (Severity.NOTICE, True) == (findings[0].severity, why in findings[0].why)


@pytest.fixture
def history(wine: Path) -> Path:
    """A lock of 200 days, and two commits that are younger and leave it alone."""
    committed(ruled(wine, "maximum-age-days = 90"), date=NOON - 200 * DAY)
    for days in (100, 10):
        (wine / f"{days}.txt").touch()
        committed(wine, date=NOON - days * DAY)
    return wine


@pytest.mark.parametrize(
    ("depth", "rule", "what"),
    [
        (1, "policy-age-unknown", "the age of uv.lock cannot be determined here"),
        (2, "policy-maximum-age-days", "uv.lock is at least 100 days old"),
        (3, "policy-maximum-age-days", "uv.lock is 200 days old"),
    ],
)
def test_a_shallow_clone_tells_no_more_than_it_knows(
    tmp_path: Path, history: Path, depth: int, rule: str, what: str
) -> None:
    """
    Its oldest commit seems to have added every file: the lock is at least that old, and perhaps older.
    """
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", f"--depth={depth}", f"file://{history}", str(clone))

    findings = findings_in(clone)

    assert [(rule, what)] == [(one.rule, one.what) for one in findings]


def test_a_shallow_clone_knows_what_changed_since(tmp_path: Path, history: Path) -> None:
    """
    A commit within the clone that touches the lock is the answer, as everywhere.
    """
    projects.depend_on(history, "grape")
    projects.lock(history)
    committed(history, date=NOON - 5 * DAY)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{history}", str(clone))

    findings = findings_in(clone)

    assert () == findings


# workspaces, weights


@pytest.fixture
def workspace(tmp_path: Path, wheels: Path) -> Path:
    """A locked workspace whose two members serve different things; the root is no package."""
    folder = tmp_path / "cellar"
    folder.mkdir()
    text = projects.INDEX.format(wheels=f"../{wheels.name}") + '[tool.uv.workspace]\nmembers = ["red", "white"]\n'
    (folder / "pyproject.toml").write_text(text)
    projects.project(folder / "red", "grape", name="red")
    projects.project(folder / "white", "cork", name="white")
    projects.lock(folder)
    return folder


def test_the_policy_of_a_root_is_about_the_whole_lock(workspace: Path) -> None:
    """
    Every member keeps it, whether it has settings of its own or not.
    """
    findings = findings_in(ruled(workspace, 'excluded = ["yeast", "cork"]'))

    lines = [locked_at(workspace, name) for name in ("cork", "yeast")]
    assert [("policy-excluded", "uv.lock", line) for line in lines] == places(findings)


@pytest.mark.parametrize("asked", [".", "red"])
def test_the_policy_of_a_member_is_about_what_it_serves(workspace: Path, asked: str) -> None:
    """
    Asked for the workspace or for the member: its rules do not concern what its neighbour serves.
    """
    ruled(workspace / "red", 'excluded = ["yeast", "cork"]')

    findings = findings_in(workspace / asked)

    assert [("policy-excluded", "uv.lock", locked_at(workspace, "yeast"))] == places(findings)


def test_what_a_member_serves_is_judged_by_the_root(tmp_path: Path, workspace: Path) -> None:
    """
    A source that nobody allows is found, whichever member serves it, by its own selection.
    """
    packaged(tmp_path / "folder", "folder")
    more = '[dependency-groups]\nserve = ["folder"]\n[tool.uv.sources]\nfolder = { path = "../../folder" }\n'
    projects.project(workspace / "white", "cork", name="white", more=f'{more}[tool.mlflow-uv]\ngroups = ["serve"]\n')
    projects.lock(workspace)

    findings = findings_in(ruled(workspace, 'allowed-sources = ["registry"]'))

    assert [("policy-allowed-sources", "uv.lock", locked_at(workspace, "folder"))] == places(findings)


@pytest.mark.parametrize(("group", "served"), [("dev", True), ("empty", False)])
def test_a_group_of_a_root_without_a_package_is_served_where_it_is_selected(
    tmp_path: Path, workspace: Path, group: str, served: bool
) -> None:
    """
    With the extras that it asks for; uv keeps such groups apart from the packages.
    """
    packaged(tmp_path / "folder", "folder")
    more = (
        '[project.optional-dependencies]\nshelf = ["folder"]\n[tool.uv.sources]\nfolder = { path = "../../folder" }\n'
    )
    projects.project(workspace / "white", "cork", name="white", more=more)
    with (workspace / "pyproject.toml").open("a") as file:
        file.write("[tool.uv.sources]\nwhite = { workspace = true }\n")
        file.write(f'[dependency-groups]\ndev = ["white[shelf]"]\nempty = []\n[tool.mlflow-uv]\ngroups = ["{group}"]\n')
    projects.lock(workspace)

    findings = findings_in(ruled(workspace, 'allowed-sources = ["registry", "workspace"]'))

    line = locked_at(workspace, "folder")
    assert [("policy-allowed-sources", "uv.lock", line)] * served == places(findings)


def test_a_rule_may_only_warn(wine: Path) -> None:
    """
    A team that begins with a rule is warned, and fails by the others.
    """
    ruled(wine, 'excluded = ["yeast"]', "require-hashes = true", 'warn = ["excluded"]')

    findings = findings_in(wine)

    severities = {one.rule: one.severity for one in findings}
    assert {"policy-excluded": Severity.WARNING, "policy-require-hashes": Severity.ERROR} == severities


def test_a_lock_that_cannot_be_read_keeps_no_rule(wine: Path) -> None:
    """
    Nobody can tell, and so it does not pass.
    """
    ruled(wine, "require-hashes = true")
    lock = wine / "uv.lock"
    lock.write_text(lock.read_text().replace("[[package]]", "<<<<<<< HEAD\n[[package]]", 1))

    findings = findings_in(wine)

    assert [("policy-unknown", "uv.lock", line_in(lock, "<<<<<<< HEAD"))] == places(findings)


def test_a_selection_that_the_lock_does_not_have_keeps_no_rule(wine: Path) -> None:
    """
    The same for what is served.
    """
    with (wine / "pyproject.toml").open("a") as file:
        file.write('[tool.mlflow-uv]\nextras = ["gpu"]\n')
    ruled(wine, 'allowed-sources = ["registry"]')

    findings = findings_in(wine)

    line = line_in(wine / "pyproject.toml", 'allowed-sources = ["registry"]', before=1)
    assert [("policy-unknown", "pyproject.toml", line)] == places(findings)


# keep-exclude-newer


class Dated(SimpleHTTPRequestHandler):
    """An index that says when its files were uploaded (PEP 700)."""

    def do_GET(self) -> None:
        """The page of `grape`, or a file."""
        if self.path.endswith(".whl"):
            super().do_GET()
            return
        files = [
            {
                "filename": path.name,
                "url": f"/{path.name}",
                "hashes": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
                "upload-time": f"2026-0{number}-01T00:00:00Z",
            }
            for number, path in enumerate(sorted(Path(self.directory).glob("*.whl")), start=1)
        ]
        page = {"meta": {"api-version": "1.1"}, "name": "grape", "versions": ["1.0", "1.1"], "files": files}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_a_file_that_was_uploaded_too_late_is_told_and_its_mend_takes_an_older_one(tmp_path: Path) -> None:
    """
    1.0 is of January, 1.1 of February, and the lock takes nothing from the middle of January on: uv calls it fresh.
    """
    for version in ("1.0", "1.1"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Dated, directory=str(tmp_path / "wheels")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        index = f'[[tool.uv.index]]\nurl = "http://127.0.0.1:{server.server_port}/simple"\ndefault = true\n'
        policy = "[tool.mlflow-uv.policy]\nkeep-exclude-newer = true\n"
        folder = projects.project(tmp_path / "wine", "grape", more=index + policy)
        subprocess.run([PROGRAM, "lock", "--quiet", "--no-cache"], cwd=folder, check=True)
        moment = 'exclude-newer = "2026-01-15T00:00:00Z"'
        manifest, lock = folder / "pyproject.toml", folder / "uv.lock"
        manifest.write_text(f"{manifest.read_text()}[tool.uv]\n{moment}\n")
        lock.write_text(lock.read_text().replace("\n[[package]]", f"\n[options]\n{moment}\n\n[[package]]", 1))
        fresh = subprocess.run([PROGRAM, "lock", "--check", "--quiet", "--offline"], cwd=folder, check=False)

        (finding,) = findings_in(folder)
        subprocess.run([PROGRAM, *shlex.split(finding.fix)[1:], "--quiet", "--no-cache"], cwd=folder, check=True)
    finally:
        server.shutdown()
        server.server_close()

    assert (0, "policy-keep-exclude-newer") == (fresh.returncode, finding.rule)
    assert ("`grape` 1.1 was uploaded after `exclude-newer`", ()) == (finding.what, findings_in(folder))
    assert 'version = "1.0"' in lock.read_text()
