"""What uv says of settings that it ignores, and of a lock that an older uv cannot read."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import LockNotFresh, ToolMissing
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Severity
from mlflow_uv.ops.lock.freshness import Freshness, examine, require_fresh
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.messages import LockState
from tests import exports, projects
from tests.console import KeptConsole

SETTINGS = '[tool.uv]\n{}\n[[tool.uv.index]]\nname = "beside"\nurl = "../wheels"\nformat = "flat"\ndefault = true\n'
# Word for word what uv 0.8.5 says of such a setting and of such a lock.
OLD = """\
#!/bin/sh
[ "$1" = --version ] && echo "uv 0.8.5" && exit
cat >&2 <<'WORDS'
warning: Failed to parse `pyproject.toml` during settings discovery:
  TOML parse error at line 7, column 34
     |
   7 | exclude-newer-package = {grape = false}
     |                                  ^^^^^
  invalid type: boolean `false`, expected a timestamp string

WORDS
"""
UNREADABLE = """\
#!/bin/sh
[ "$1" = --version ] && echo "uv 0.8.5" && exit
cat >&2 <<'WORDS'
error: Failed to parse `uv.lock`
  Caused by: TOML parse error at line 8, column 9
   |
 8 | grape = false
   |         ^^^^^
invalid type: boolean `false`, expected a timestamp string
WORDS
exit 2
"""
OLDER = """\
#!/bin/sh
[ "$1" = --version ] && echo "uv 0.4.10" && exit
printf "error: unexpected argument '--check' found\\n\\nUsage: uv lock [OPTIONS]\\n" >&2
exit 2
"""


def tools_in(folder: Path, *, uv: Path | None = None):
    """Real tools for a caller who stands in the folder."""
    host = Host.of(os.environ, folder=folder, python=Path(sys.executable))
    return locktools(host, console=KeptConsole(), uv=uv)


def asked(folder: Path, *, uv: Path | None = None) -> Freshness:
    """What is found out about a lock without a network."""
    with tools_in(folder, uv=uv) as tools:
        return examine(read_project(folder), tools, respect_env=False, offline=True)


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    """A locked project with settings."""
    for version in ("1.0", "1.1"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    folder = projects.project(tmp_path / "wine", "grape", more=SETTINGS.format('prerelease = "allow"'))
    projects.lock(folder)
    return folder


def change(folder: Path, old: str, new: str, file: str = "pyproject.toml") -> None:
    """Write something else in a file."""
    (folder / file).write_text((folder / file).read_text().replace(old, new))


def program(folder: Path, text: str) -> Path:
    """A uv that says what an old one says."""
    path = folder.parent / "old" / "uv"
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o755)
    return path


# a typo


@pytest.mark.parametrize(
    ("typo", "why"),
    [
        ('prerelease = "alow"', "unknown variant `alow`, perhaps `allow`"),
        ('prerelase = "allow"', "unknown field `prerelase`, perhaps `prerelease`"),
        ('prerelease = "allow"\nsomething-else = 1', "unknown field `something-else`"),
    ],
    ids=["value", "key", "unknown"],
)
def test_a_typo_in_the_settings_is_told_on_its_line(wine: Path, typo: str, why: str) -> None:
    """
    uv warns, and goes on without the whole table: without the index, too, so that all that it says is of another lock.
    """
    change(wine, 'prerelease = "allow"', typo)

    found = asked(wine)
    with tools_in(wine) as tools, pytest.raises(LockNotFresh) as caught:
        require_fresh(read_project(wine), tools, respect_env=False)

    (finding,) = found.findings
    assert (LockState.UNREADABLE, "lock-settings", Severity.ERROR) == (found.state, finding.rule, finding.severity)
    row = (wine / "pyproject.toml").read_text().splitlines()[finding.line - 1]
    assert (typo.splitlines()[-1], "uv ignores the whole of [tool.uv]") == (row, finding.what)
    assert why == finding.why
    assert f"correct line {finding.line} of pyproject.toml" == finding.fix == caught.value.fix
    change(wine, typo, 'prerelease = "allow"')
    assert (LockState.FRESH, ()) == ((again := asked(wine)).state, again.findings)


def test_a_lock_that_is_fresh_without_the_settings_is_not_called_fresh(wine: Path) -> None:
    """
    The lock was made while uv ignored the table.
    """
    change(wine, 'prerelease = "allow"', 'resolution = "lowst"')
    (wine / "uv.toml").write_text("")
    change(wine, SETTINGS.format('resolution = "lowst"'), '[tool.uv]\nresolution = "lowst"\n')
    (wine / "uv.toml").unlink()
    subprocess.run(
        ["uv", "lock", "--quiet", "--offline", "--no-index", "--find-links", "../wheels"], cwd=wine, check=True
    )
    projects.depend_on(wine)
    subprocess.run(["uv", "lock", "--quiet", "--offline"], cwd=wine, check=True)

    found = asked(wine)

    assert (LockState.UNREADABLE, ["lock-settings"]) == (found.state, [one.rule for one in found.findings])


def test_a_typo_in_settings_above_the_project_is_told_there(wine: Path) -> None:
    """
    uv says it with the path of the file above, and takes the next one above that.
    """
    above = wine.parent / "pyproject.toml"
    above.write_text('[project]\nname = "above"\nversion = "1"\n[tool.uv]\nprerelease = "alow"\n')
    change(wine, SETTINGS.format('prerelease = "allow"'), "")

    (finding,) = asked(wine).findings

    assert ("lock-settings", above, 5) == (finding.rule, finding.path, finding.line)
    assert f"correct line 5 of {above}" == finding.fix


def test_a_typo_in_a_uv_toml_is_told_on_its_line(wine: Path) -> None:
    """
    There uv refuses to go on.
    """
    (wine / "uv.toml").write_text('resolution = "highest"\nprerelase = "allow"\n')

    (finding,) = asked(wine).findings

    assert (wine / "uv.toml", 2) == (finding.path, finding.line)
    assert "unknown field `prerelase`" in finding.why


def test_settings_beside_a_uv_toml_are_told_as_ignored(wine: Path) -> None:
    """
    The lock is fresh, and a key stands there to no effect; moved as the fix says, it has one.
    """
    text = SETTINGS.format("").replace("[tool.uv]\n", "").replace("[[tool.uv.index]]", "[[index]]")
    (wine / "uv.toml").write_text(f'prerelease = "allow"\n{text}')
    change(wine, SETTINGS.format('prerelease = "allow"'), '[tool.uv]\nresolution = "lowest"\n')

    found = asked(wine)

    (finding,) = found.findings
    row = (wine / "pyproject.toml").read_text().splitlines()[finding.line - 1]
    assert (LockState.FRESH, Severity.WARNING, 'resolution = "lowest"') == (found.state, finding.severity, row)
    assert ("uv ignores `resolution` in [tool.uv]", "move it into uv.toml") == (finding.what, finding.fix)
    change(wine, '[tool.uv]\nresolution = "lowest"\n', "")
    (wine / "uv.toml").write_text(f'resolution = "lowest"\n{(wine / "uv.toml").read_text()}')
    assert ["lock-option"] == [one.rule for one in asked(wine).findings]


# an old uv


def test_a_uv_that_is_too_old_for_the_lock_is_told_as_such(wine: Path) -> None:
    """
    The lock is well, and bringing an older one back would not help: our own uv reads it.
    """
    old = program(wine, UNREADABLE)

    found = asked(wine, uv=old)

    (finding,) = found.findings
    assert (LockState.UNREADABLE, "lock-format", 8) == (found.state, finding.rule, finding.line)
    assert "uv 0.8.5 is too old to read uv.lock" == finding.what
    assert ("uv self update, or --uv PATH of a newer", True) == (str(finding.fix), "reads it" in finding.why)
    assert LockState.FRESH is asked(wine, uv=exports.PROGRAM).state


def test_a_lock_that_no_uv_reads_is_not_blamed_on_the_uv(wine: Path) -> None:
    """
    Our own, which is newer, cannot read it either.
    """
    change(wine, "[[package]]", "[[package", "uv.lock")

    (finding,) = asked(wine, uv=program(wine, UNREADABLE)).findings

    assert "uv.lock cannot be read" == finding.what


def test_a_uv_that_is_too_old_for_a_setting_is_told_as_such(wine: Path) -> None:
    """
    The setting is well, too.
    """
    change(wine, 'prerelease = "allow"', "exclude-newer-package = {grape = false}")
    projects.lock(wine)

    (finding,) = asked(wine, uv=program(wine, f'{OLD}echo "Resolved 2 packages in 1ms" >&2\n')).findings

    assert ("lock-settings", "uv 0.8.5 is too old for [tool.uv] and ignores it") == (finding.rule, finding.what)
    assert "uv self update, or --uv PATH of a newer" == str(finding.fix)
    assert LockState.FRESH is asked(wine, uv=exports.PROGRAM).state


def test_a_uv_that_does_not_know_how_it_is_asked_is_too_old(wine: Path) -> None:
    """
    Before 0.5 there was no `uv lock --check`.
    """
    with pytest.raises(ToolMissing) as caught:
        asked(wine, uv=program(wine, OLDER))

    assert ("uv 0.4.10 is too old", "it does not know `--check`") == (caught.value.what, caught.value.why)


@pytest.mark.extended
def test_a_real_old_uv_says_what_is_believed(wine: Path, tmp_path: Path) -> None:
    """
    uv 0.8.5 knows no exception from `exclude-newer`, neither in the settings nor in a lock.
    """
    target = tmp_path / "target"
    argv: list[Any] = [exports.PROGRAM, "pip", "install", "--quiet", "--no-deps", "--target", target, "uv==0.8.5"]
    subprocess.run([*argv, "--python", sys.executable], check=True)
    old = target / "bin" / "uv"
    change(wine, 'prerelease = "allow"', "exclude-newer-package = {grape = false}")
    projects.lock(wine)

    (setting,) = asked(wine, uv=old).findings
    change(wine, "exclude-newer-package = {grape = false}", "")
    (lock,) = asked(wine, uv=old).findings

    assert "uv 0.8.5 is too old for [tool.uv] and ignores it" == setting.what
    assert "uv 0.8.5 is too old to read uv.lock" == lock.what
