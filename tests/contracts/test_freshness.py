"""Real uv calls stale what the comparison explains, and fresh what it accepts. No network: all packages are local."""

import shutil
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.core.freshness.staleness import differences
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.ops.lock.freshness import examine
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.project.manifests import read_workspace
from mlflow_uv.tools.uv.messages import LockState
from tests import projects

from .lock_examination import examined, tools_in

PROGRAM = Path(sys.executable).parent / "uv"

ROOT = """\
[project]
name = "wine"
version = "0.1.0"
requires-python = ">=3.9"
dependencies = [
    "grape>=1.0,<2",
    "yeast ; sys_platform == 'linux'",
    "barrel",
]

[project.optional-dependencies]
serve = ["cork>=3"]
fast = [
    "hop",
]

[dependency-groups]
dev = [
    "malt",
    { include-group = "lint" },
]
lint = ["oak"]

[tool.uv]
constraint-dependencies = ["cork<9"]
override-dependencies = ["malt>=1"]
build-constraint-dependencies = ["setuptools>60"]
exclude-dependencies = ["mould"]
prerelease = "allow"

[tool.uv.workspace]
members = ["libs/*"]

[tool.uv.sources]
barrel = { workspace = true }
hop = { index = "other" }

[[tool.uv.index]]
name = "beside"
url = "../wheels"
format = "flat"
default = true

[[tool.uv.index]]
name = "other"
url = "../other"
format = "flat"
explicit = true
"""
MEMBER = """\
[project]
name = "barrel"
version = "1.0"
dependencies = ["oak>=1"]
"""
WHEELS = {"wheels": ("grape", "yeast", "cork", "malt", "oak", "hop"), "other": ("hop", "grape")}


@pytest.fixture(scope="module")
def projects_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A locked workspace that uses what a lock records, and the folders its packages come from."""
    folder = tmp_path_factory.mktemp("cellar")
    for place, names in WHEELS.items():
        for name in names:
            for version in ("1.0", "1.5", "3.1"):
                projects.wheel(folder / place, name, version)
    shutil.copytree(folder / "wheels", folder / "third")
    shutil.copytree(folder / "other", folder / "fourth")
    (folder / "wine" / "libs" / "barrel").mkdir(parents=True)
    (folder / "wine" / "pyproject.toml").write_text(ROOT)
    (folder / "wine" / "libs" / "barrel" / "pyproject.toml").write_text(MEMBER)
    projects.lock(folder / "wine")
    shutil.copytree(folder / "wine", folder / "as it was")
    return folder


@pytest.fixture
def wine(projects_folder: Path) -> Path:
    """It as it was, to change; where it was, for uv records the folder of an index that a source names as a whole."""
    shutil.rmtree(projects_folder / "wine")
    return Path(shutil.copytree(projects_folder / "as it was", projects_folder / "wine"))


def changed(folder: Path, file: str, old: str, new: str) -> None:
    """Change one place of a file; an old text that is empty is the end."""
    path = folder / file
    text = path.read_text() if path.exists() else ""
    assert text.count(old) == 1 or not old, f"{old!r} is not once in {file}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(old, new) if old else text + new)


def line_with(path: Path, needle: str) -> int:
    """The one line that begins with a text, or holds it."""
    lines = path.read_text().splitlines()
    (found,) = [at for at, line in enumerate(lines, 1) if line.startswith(needle)] or [
        at for at, line in enumerate(lines, 1) if needle in line
    ]
    return found


def test_the_cellar_is_fresh(wine: Path) -> None:
    """
    What the mutations below start from.
    """
    found = examined(wine)

    assert (LockState.FRESH, (), ()) == (found.state, found.findings, found.changes)


R, M = "pyproject.toml", "libs/barrel/pyproject.toml"
# file, old, new, cause, the file and a text of the line that the finding is on
MUTATIONS = {
    "added": (R, '    "barrel",\n', '    "barrel",\n    "oak",\n', "requirement-added", R, '    "oak",'),
    "removed": (R, "    \"yeast ; sys_platform == 'linux'\",\n", "", "requirement-removed", R, "dependencies = [\n"),
    "changed": (R, "grape>=1.0,<2", "grape>=1.5,<2", "requirement-changed", R, "grape>=1.5"),
    "marker": (R, "'linux'", "'win32'", "requirement-changed", R, "win32"),
    "an extra of a requirement": (R, "cork>=3", "cork[x]>=3", "requirement-changed", R, "cork[x]"),
    "added to an extra": (R, '"cork>=3"', '"cork>=3", "oak"', "requirement-added", R, "serve ="),
    "changed in an extra": (R, "cork>=3", "cork>=3.1", "requirement-changed", R, "cork>=3.1"),
    "removed from an extra": (R, '    "hop",\n', "", "requirement-removed", R, "fast = ["),
    "new extra": (R, "fast = [", 'new = ["oak"]\nfast = [', "requirement-added", R, 'new = ["oak"]'),
    "new empty extra": (R, "fast = [", "new = []\nfast = [", "requirement-added", R, "new = []"),
    "extra gone": (R, 'serve = ["cork>=3"]\n', "", "requirement-removed", R, "[project.optional-dependencies]"),
    "added to a group": (R, '    "malt",\n', '    "malt",\n    "cork",\n', "requirement-added", R, '    "cork",'),
    "changed in a group": (R, '"malt",', '"malt<2",', "requirement-changed", R, '"malt<2"'),
    "changed in an included group": (R, '["oak"]', '["oak<2"]', "requirement-changed", R, "oak<2"),
    "group no longer included": (R, '    { include-group = "lint" },\n', "", "requirement-removed", R, "dev = ["),
    "new group": (R, "lint =", 'docs = ["cork"]\nlint =', "requirement-added", R, "docs ="),
    "new empty group": (R, "lint =", "docs = []\nlint =", "requirement-added", R, "docs ="),
    "dev-dependencies": (
        R,
        "[tool.uv]\n",
        '[tool.uv]\ndev-dependencies = ["cork"]\n',
        "requirement-added",
        R,
        "dev-dep",
    ),
    "of a member": (M, "oak>=1", "oak>=3", "requirement-changed", M, "oak>=3"),
    "group of a member": (
        M,
        "",
        '[dependency-groups]\ntest = [\n    "cork",\n]\n',
        "requirement-added",
        M,
        '    "cork"',
    ),
    "override": (R, "malt>=1", "malt>=1.5", "override", R, "override-dep"),
    "override gone": (R, '"malt>=1"', "", "override", R, "override-dep"),
    "override added": (R, '"malt>=1"', '"malt>=1",\n  "oak>=1"', "override", R, '  "oak>=1"'),
    "constraint": (R, "cork<9", "cork<8", "constraint", R, 'constraint-dependencies = ["cork'),
    "constraint added": (R, '"cork<9"', '"cork<9",\n  "oak<9"', "constraint", R, '  "oak<9"'),
    "build constraint": (R, "setuptools>60", "setuptools>61", "build-constraint", R, "setuptools>61"),
    "exclusion": (R, '"mould"', '"mould",\n  "oak"', "exclude", R, '  "oak"'),
    "exclusion gone": (R, '"mould"', "", "exclude", R, "exclude-dep"),
    "another index for a source": (
        R,
        'hop = { index = "other" }',
        'hop = { index = "beside" }',
        "source",
        R,
        "hop = {",
    ),
    "source added": (
        R,
        "[tool.uv.sources]\n",
        '[tool.uv.sources]\ngrape = { index = "other" }\n',
        "source",
        R,
        "grape = {",
    ),
    "source gone": (R, 'hop = { index = "other" }\n', "", "source", R, '"hop",'),
    "source for a platform": (R, 'x = "other" }', "", "source", R, "hop = {"),
    "git": (R, 'hop = { index = "other" }', 'hop = { git = "https://git.invalid/hop" }', "source", R, "hop = {"),
    "url": (
        R,
        'hop = { index = "other" }',
        'hop = { url = "https://x.invalid/hop-1.0-py3-none-any.whl" }',
        "source",
        R,
        "hop = {",
    ),
    "path": (
        R,
        'hop = { index = "other" }',
        'hop = { path = "../other/hop-1.0-py3-none-any.whl" }',
        "source",
        R,
        "hop = {",
    ),
    "editable": (R, "workspace = true", "workspace = true, editable = false", "source", R, "barrel = {"),
    "direct reference": (R, '"grape>=1.0,<2"', '"grape @ git+https://git.invalid/grape@v1"', "source", R, "grape @"),
    "index moved": (R, "../other", "../fourth", "index", R, "../fourth"),
    "default index moved": (R, "../wheels", "../third", "index", R, "../third"),
    "python": (R, ">=3.9", ">=3.10", "requires-python", R, "requires-python"),
    "python of a member": (
        M,
        'version = "1.0"\n',
        'version = "1.0"\nrequires-python = ">=3.10,<4"\n',
        "requires-python",
        M,
        "requires-python",
    ),
    "python gone": (
        R,
        'requires-python = ">=3.9"\n',
        'requires-python = ">=3.8"\n',
        "requires-python",
        R,
        "requires-python",
    ),
    "new member": (
        "libs/stave/pyproject.toml",
        "",
        '[project]\nname = "stave"\nversion = "1"\n',
        "member",
        "libs/stave/pyproject.toml",
        "name =",
    ),
    "name": (R, '"wine"', '"vine"', "option", R, 'name = "vine'),
    "version": (R, "0.1.0", "0.2.0", "option", R, "0.2.0"),
    "version of a member": (M, '"1.0"', '"1.1"', "option", M, '"1.1"'),
    "packaged": (R, "", '[build-system]\nrequires = []\nbuild-backend = "none"\n', "option", R, "[build-system]"),
    "resolution": (R, "prerelease", 'resolution = "lowest"\nprerelease', "option", R, "resolution"),
    "prerelease": (R, '"allow"', '"disallow"', "option", R, "prerelease"),
    "prerelease gone": (R, 'prerelease = "allow"\n', "", "option", R, "[tool.uv]\n"),
    "fork strategy": (R, "prerelease", 'fork-strategy = "fewest"\nprerelease', "option", R, "fork-strategy"),
    "exclude-newer": (
        R,
        "prerelease",
        'exclude-newer = "2031-02-03T00:00:00Z"\nprerelease',
        "option",
        R,
        "exclude-newer",
    ),
    "exclude-newer span": (R, "prerelease", 'exclude-newer = "3 days"\nprerelease', "option", R, "exclude-newer"),
    "exclude-newer of a package": (
        R,
        "",
        "[tool.uv.exclude-newer-package]\nHop = '2031-01-01'\n",
        "option",
        R,
        "Hop =",
    ),
    "environments": (
        R,
        "prerelease",
        "environments = [\"sys_platform == 'linux'\"]\nprerelease",
        "option",
        R,
        "environments",
    ),
    "required environments": (
        R,
        "prerelease",
        "required-environments = [\"sys_platform == 'linux'\"]\nprerelease",
        "option",
        R,
        "required-env",
    ),
    "conflicts": (
        R,
        "prerelease",
        'conflicts = [\n  [{ extra = "serve" }, { extra = "fast" }],\n]\nprerelease',
        "option",
        R,
        '"serve" }',
    ),
    "static metadata": (
        R,
        "",
        '[[tool.uv.dependency-metadata]]\nname = "oak"\nversion = "3.1"\n',
        "option",
        R,
        "dependency-metadata",
    ),
    "default groups": (R, "prerelease", 'default-groups = ["lint"]\nprerelease', "option", R, "default-groups"),
}


@pytest.mark.core_variants(20)
@pytest.mark.parametrize("kind", MUTATIONS)
def test_every_kind_of_change_is_told_on_its_own_line(wine: Path, kind: str) -> None:
    """
    uv does not take the lock any more; we say by which class of cause, in which file, on which line.
    """
    file, old, new, cause, where, needle = MUTATIONS[kind]
    if kind == "source for a platform":
        old, new = '"other" }', '"other", marker = "sys_platform == \'linux\'" }'
    changed(wine, file, old, new)

    found = examined(wine)

    assert LockState.STALE is found.state
    line = line_with(wine / where, needle.rstrip("\n"))
    assert [(f"lock-{cause}", wine / where, line)] == [(one.rule, one.path, one.line) for one in found.findings]
    assert {Severity.ERROR} == {one.severity for one in found.findings}


EQUAL = {
    "order": (
        R,
        '    "grape>=1.0,<2",\n    "yeast ; sys_platform == \'linux\'",\n',
        '    "yeast ; sys_platform == \'linux\'",\n    "grape>=1.0,<2",\n',
    ),
    "a space in a range": (R, "grape>=1.0,<2", "grape >= 1.0, < 2"),
    "order in a range": (R, "grape>=1.0,<2", "grape<2,>=1.0"),
    "a compatible release": (R, "grape>=1.0,<2", "grape~=1.0"),
    "a zero": (R, "grape>=1.0,<2", "grape>=1.0.0,<2.0"),
    "in two": (R, '"grape>=1.0,<2"', '"grape>=1.0", "grape<2"'),
    "case": (R, "grape>=1.0,<2", "Grape>=1.0,<2"),
    "quotes": (R, "\"yeast ; sys_platform == 'linux'\"", "'yeast; sys_platform==\"linux\"'"),
    "turned marker": (R, "sys_platform == 'linux'", "'linux' == sys_platform"),
    "another name of a platform": (R, "sys_platform == 'linux'", "platform_system == 'Linux'"),
    "what always holds": (R, "sys_platform == 'linux'", "sys_platform == 'linux' and python_version >= '3.8'"),
    "comment": (R, "[tool.uv]\n", "# a comment\n[tool.uv] # another\n"),
    "white space": (R, 'dependencies = [\n    "grape', 'dependencies  =  [\n\n\n  "grape'),
    "name": (R, '"wine"', '"Wine"'),
    "version": (R, "0.1.0", "0.1"),
    "extra": (R, "fast = [", "Fast = ["),
    "group": (R, '{ include-group = "lint" }', '{ include-group = "Lint" }'),
    "flattened": (R, '    { include-group = "lint" },\n', '    "oak",\n'),
    "description": (R, 'version = "0.1.0"\n', 'version = "0.1.0"\ndescription = "red"\n'),
    "python": (R, ">=3.9", ">=3.9.0"),
    "members": (R, 'members = ["libs/*"]', 'members = ["libs/barrel"]'),
    "index by another path": (R, "../other", "../wine/../other"),
    "default resolution": (R, "prerelease", 'resolution = "highest"\nprerelease'),
    "exclusion of what nothing needs": (R, '"mould"', '"mould", "rot"'),
    "metadata of what nothing needs": (R, "", '[[tool.uv.dependency-metadata]]\nname = "x"\nversion = "1"\n'),
    "an exception to nothing": (R, "", "[tool.uv.exclude-newer-package]\nHop = false\n"),
    "dotted": (R, "barrel = { workspace = true }", "barrel.workspace = true"),
}


@pytest.mark.parametrize(("version", "cause"), [('"2"', "lock-option"), ('"1.0"', None)])
def test_locked_metadata_of_what_nothing_needs_has_to_stay(wine: Path, version: str, cause: str | None) -> None:
    """
    uv ignores static metadata that is added for an absent package, not that an entry of the lock was changed.
    """
    changed(wine, "pyproject.toml", "", '[[tool.uv.dependency-metadata]]\nname = "peat"\nversion = "1"\n')
    (wine / "uv.lock").unlink()  # uv would keep it as it is
    projects.lock(wine)
    changed(wine, "pyproject.toml", 'name = "peat"\nversion = "1"', f'name = "peat"\nversion = {version}')

    found = examined(wine)

    assert ([cause] if cause else []) == [one.rule for one in found.findings]


@pytest.mark.parametrize("kind", EQUAL)
def test_another_way_of_writing_the_same_is_no_difference(wine: Path, kind: str) -> None:
    """
    uv calls it fresh, and our comparison, which it then does not need, finds nothing either.
    """
    changed(wine, *EQUAL[kind])

    found = examined(wine)

    lock = read_lockfile((wine / "uv.lock").read_bytes())
    assert (LockState.FRESH, ()) == (found.state, found.findings)
    assert () == differences(lock, read_workspace(read_project(wine), lock))


# other shapes


def index(path: str) -> str:
    """The table of an index that is a folder."""
    return f'[[tool.uv.index]]\nname = "beside"\nurl = "{path}"\nformat = "flat"\ndefault = true\n'


PLAIN = f'[project]\nname = "wine"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = []\n{index("../wheels")}'
CASK = '[project]\nname = "cask"\nversion = "1"\ndependencies = ["oak"]\n'
SHAPES = {
    "group of a virtual root": (
        {
            R: f'[dependency-groups]\ndev = ["oak"]\n[tool.uv.workspace]\nmembers = ["cask"]\n{index("../wheels")}',
            "cask/pyproject.toml": CASK,
        },
        (R, '["oak"]', '["oak>=3"]'),
        "requirement-changed",
        R,
        "dev =",
    ),
    "a project that is only a path": (
        {
            R: PLAIN.replace("[]", '["cask"]') + '[tool.uv.sources]\ncask = { path = "cask" }\n',
            "cask/pyproject.toml": CASK,
        },
        ("cask/pyproject.toml", '"oak"', '"cork"'),
        "requirement-removed",
        "cask/pyproject.toml",
        "dependencies",
    ),
    "a source for a platform": (
        {
            R: PLAIN.replace("[]", '["hop"]')
            + '[tool.uv.sources]\nhop = [{ index = "beside", marker = "sys_platform == \'linux\'" }]\n'
        },
        (R, "'linux'", "'win32'"),
        "source",
        R,
        "hop = [",
    ),
    "a group for some Pythons": (
        {
            R: PLAIN
            + '[dependency-groups]\ndev = ["oak"]\n[tool.uv.dependency-groups]\ndev = { requires-python = ">=3.11" }\n'
        },
        (R, ">=3.11", ">=3.12"),
        "requirement-changed",
        R,
        'dev = ["oak"]',
    ),
    "an extra of extras": (
        {R: PLAIN + '[project.optional-dependencies]\na = ["oak"]\nb = ["cork"]\nall = ["wine[a]"]\n'},
        (R, "wine[a]", "wine[a,b]"),
        "requirement-changed",
        R,
        "all =",
    ),
    "conflicts of a group that another includes": (
        {
            R: PLAIN + '[project.optional-dependencies]\na = ["oak"]\n'
            '[dependency-groups]\nx = ["cork"]\ny = [{ include-group = "x" }]\n'
            '[tool.uv]\nconflicts = [\n  [{ extra = "a" }, { group = "x" }],\n]\n'
        },
        (R, '{ group = "x" }', '{ group = "y" }'),
        "option",
        R,
        "conflicts",
    ),
    "uv.toml": (
        {
            R: PLAIN.replace(index("../wheels"), ""),
            "uv.toml": f'resolution = "highest"\n{index("../wheels").replace("tool.uv.", "")}',
        },
        ("uv.toml", "highest", "lowest"),
        "option",
        "uv.toml",
        "resolution",
    ),
    "index in uv.toml": (
        {
            R: PLAIN.replace(index("../wheels"), "").replace("[]", '["oak"]'),
            "uv.toml": index("../wheels").replace("tool.uv.", ""),
        },
        ("uv.toml", "../wheels", "../third"),
        "index",
        "uv.toml",
        "url",
    ),
}


@pytest.fixture
def shaped(projects_folder: Path, tmp_path: Path):
    """Make a locked project of these files, beside the packages."""

    def make(files: dict[str, str]) -> Path:
        for place in ("wheels", "third"):
            shutil.copytree(projects_folder / place, tmp_path / place)
        for name, text in files.items():
            (tmp_path / "wine" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "wine" / name).write_text(text)
        projects.lock(tmp_path / "wine")
        return tmp_path / "wine"

    return make


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_are_told_on_their_own_line_too(shaped, shape: str) -> None:
    """
    Fresh as it was made; after the change stale, by its class and on its line alone.
    """
    files, change, cause, where, needle = SHAPES[shape]
    folder = shaped(files)
    before = examined(folder)
    changed(folder, *change)

    found = examined(folder)

    assert (LockState.FRESH, LockState.STALE) == (before.state, found.state)
    rules = [(one.rule, one.path, one.line) for one in found.findings if one.rule != "lock-requirement-added"]
    assert [(f"lock-{cause}", folder / where, line_with(folder / where, needle))] == rules


def test_a_member_that_is_gone_is_told_where_members_are_listed(shaped) -> None:
    """
    There is no manifest left to point at.
    """
    folder = shaped({R: PLAIN + '[tool.uv.workspace]\nmembers = ["libs/*"]\n', "libs/cask/pyproject.toml": CASK})
    shutil.rmtree(folder / "libs" / "cask")

    (finding,) = examined(folder).findings

    assert ("lock-member", line_with(folder / R, "members")) == (finding.rule, finding.line)


def test_several_differences_are_several_findings(wine: Path) -> None:
    """
    Each on its own line, in the member or in the root; what locking would do stands with the first.
    """
    changed(wine, R, "grape>=1.0,<2", "grape>=3")
    changed(wine, M, "oak>=1", "oak>=3")

    found = examined(wine)

    places = [(one.rule, one.path) for one in found.findings]
    assert [("lock-requirement-changed", wine / R), ("lock-requirement-changed", wine / M)] == places
    assert ("Update grape v1.5 -> v3.1",) == found.changes
    assert found.findings[0].why.endswith("; `uv lock` would update grape v1.5 -> v3.1")


def test_a_finding_says_what_is_so_why_and_the_command_that_helps(wine: Path) -> None:
    """
    From where the caller stands.
    """
    changed(wine, R, "grape>=1.0,<2", "grape>=3")
    with tools_in(wine.parent) as tools:
        (finding,) = examine(read_project(wine), tools, respect_env=False, offline=True).findings

    text = finding.text.partition("; ")[0]

    assert text == (
        "`grape>=3` in [project] dependencies is not what uv.lock was made from: the lock was made from `grape>=1.0,<2`"
    )
    assert finding.fix == "uv lock --project wine"
