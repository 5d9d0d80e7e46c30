"""A project that uv cannot use is named with a correction that works, and the others keep their verdicts."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow_uv_hooks.hook import main

from tests import checkout, projects
from tests.contracts.lock_checks import check
from tests.indexes import index_of, served


@dataclass(frozen=True)
class Oddity:
    """What makes a project odd, what is said of it and where, and what a person does who follows the advice."""

    files: dict[str, str]
    place: str
    words: tuple[str, ...]
    corrected: dict[str, tuple[str, str]]
    rule: str


HEAD = '[project]\nname = "odd"\nversion = "0.1"\nrequires-python = ">=3.9"\n'
MEMBER = HEAD.replace("odd", "{}")
WORKSPACE = f'{HEAD}\n[tool.uv.workspace]\nmembers = ["m/*"]\n'
EXCLUDED = ('members = ["m/*"]', 'members = ["m/*"]\nexclude = ["m/y"]')
ODDITIES = {
    "a path dependency that is not there": Oddity(
        {"pyproject.toml": f'{HEAD}dependencies = ["lib"]\n[tool.uv.sources]\nlib = {{ path = "../gone" }}\n'},
        "pyproject.toml:7",
        ("`lib` is not at the path in pyproject.toml", "`../gone` does not exist", "correct line 7 of pyproject.toml"),
        {"pyproject.toml": ("../gone", "../lib")},
        "lock-source",
    ),
    "a path dependency that is no project": Oddity(
        {"pyproject.toml": f'{HEAD}dependencies = ["lib"]\n[tool.uv.sources]\nlib = {{ path = "m" }}\n', "m/x.txt": ""},
        "pyproject.toml:7",
        ("`lib` is not at the path in pyproject.toml", "`m` is not a Python project"),
        {"pyproject.toml": ('"m"', '"../lib"')},
        "lock-source",
    ),
    "two members of one name": Oddity(
        {
            "pyproject.toml": WORKSPACE,
            "m/x/pyproject.toml": MEMBER.format("same"),
            "m/y/pyproject.toml": MEMBER.format("same"),
        },
        "m/y/pyproject.toml:2",
        (
            "`same` is the name of two workspace members",
            "`m/x` and `m/y`",
            '`exclude = ["m/y"]` to [tool.uv.workspace]',
        ),
        {"pyproject.toml": EXCLUDED},
        "lock-member",
    ),
    "a member that is no project": Oddity(
        {"pyproject.toml": WORKSPACE, "m/x/pyproject.toml": MEMBER.format("x"), "m/y/pyproject.toml": "[tool.ruff]\n"},
        "pyproject.toml:7",
        ("`m/y` is a workspace member, but not a project", '`exclude = ["m/y"]` to [tool.uv.workspace]'),
        {"pyproject.toml": EXCLUDED},
        "lock-member",
    ),
    "a group that includes itself": Oddity(
        {
            "pyproject.toml": f'{HEAD}[dependency-groups]\nlint = []\na = [{{ include-group = "b" }}]\n'
            'b = [{ include-group = "a" }]\n'
        },
        "pyproject.toml:7",
        ("[dependency-groups] cannot be used", "`a` -> `b` -> `a`", "correct line 7 of pyproject.toml"),
        {"pyproject.toml": ('a = [{ include-group = "b" }]', "a = []")},
        "lock-group",
    ),
    "a group that includes one that is not there": Oddity(
        {"pyproject.toml": f'{HEAD}[dependency-groups]\nlint = []\na = [{{ include-group = "linz" }}]\n'},
        "pyproject.toml:7",
        ("[dependency-groups] cannot be used", "linz", "correct line 7 of pyproject.toml"),
        {"pyproject.toml": ("linz", "lint")},
        "lock-group",
    ),
    "a project that needs another uv": Oddity(
        {"pyproject.toml": f'{HEAD}[tool.uv]\nrequired-version = "<0.5"\n'},
        "pyproject.toml:6",
        ('no installed uv satisfies `required-version = "<0.5"`',),
        {"pyproject.toml": ("<0.5", ">=0.5")},
        "lock-unanswered",
    ),
    "an index with a wrong scheme": Oddity(
        {
            "pyproject.toml": f'{HEAD}dependencies = ["grape"]\n[[tool.uv.index]]\nurl = "htps://x.example/simple"\n'
            "default = true\n"
        },
        "pyproject.toml:7",
        ("`htps://x.example/simple` is not an index URL", "`htps` is not http, https or file"),
        {"pyproject.toml": ('"htps://x.example/simple"', '"../wheels"\nformat = "flat"')},
        "lock-index",
    ),
    "an index without a colon": Oddity(
        {
            "pyproject.toml": f'{HEAD}dependencies = ["grape"]\n[[tool.uv.index]]\nurl = "https//x.example/simple"\n'
            "default = true\n"
        },
        "pyproject.toml:7",
        ("`https//x.example/simple` is not an index URL", "it is read as a path that does not exist"),
        {"pyproject.toml": ('"https//x.example/simple"', '"../wheels"\nformat = "flat"')},
        "lock-index",
    ),
    "a folder of files that is not there": Oddity(
        {
            "pyproject.toml": f'{HEAD}dependencies = ["grape"]\n[[tool.uv.index]]\nurl = "../wheel"\nformat = "flat"\n'
            "default = true\n"
        },
        "pyproject.toml:7",
        ("`../wheel` is not an index URL", "it is read as a path that does not exist"),
        {"pyproject.toml": ('"../wheel"', '"../wheels"')},
        "lock-index",
    ),
}
EMPTY_LOCK = """\
version = 1
requires-python = ">=3.9"

[[package]]
name = "odd"
version = "0.1"
source = { virtual = "." }
"""


@pytest.mark.parametrize("name", ODDITIES)
def test_an_odd_project_is_named_and_the_others_keep_their_verdicts(tmp_path: Path, name: str) -> None:
    """
    One is fresh, one is stale at its line, the odd one is told at its own; who follows the advice has a fresh lock.
    """
    oddity, top = ODDITIES[name], tmp_path / "repo"
    projects.wheel(top / "wheels", "grape", "1.0")
    for project in ("fresh", "lib", "stale"):
        projects.lock(projects.project(top / project, name=project, wheels=top / "wheels"))
    projects.depend_on(top / "stale", "grape")
    for file, text in {"uv.lock": EMPTY_LOCK, **oddity.files}.items():
        (top / "odd" / file).parent.mkdir(parents=True, exist_ok=True)
        (top / "odd" / file).write_text(text)
    checkout.repository(top)

    answer = check(top)

    others = {name: verdict for name, verdict in answer.verdicts.items() if name != "odd"}
    assert {"fresh": "fresh", "lib": "fresh", "stale": "stale"} == others
    (reported,) = (error for error in answer.errors if error.path and error.path.is_relative_to(top / "odd"))
    place = f"{reported.path.relative_to(top / 'odd') if reported.path else ''}:{reported.line}"
    assert (oddity.rule, oddity.place) == (reported.rule, place), reported.text
    assert [True] * len(oddity.words) == [word in reported.text for word in oddity.words], reported.text

    for file, (old, new) in oddity.corrected.items():
        manifest = top / "odd" / file
        assert old in manifest.read_text()
        manifest.write_text(manifest.read_text().replace(old, new))
    projects.lock(top / "odd")
    assert "fresh" == check(top, Path("odd")).verdict


def test_a_project_that_uv_does_not_manage_is_told_so_where_it_is_asked_for(tmp_path: Path) -> None:
    """
    `uv lock` would not lock it: the line is named that keeps uv from it.
    """
    projects.project(tmp_path, more="[tool.uv]\nmanaged = false\n")
    answer = check(tmp_path)

    manifest = tmp_path / "pyproject.toml"
    lines = manifest.read_text().splitlines()
    assert f"remove line {answer.error.line} of pyproject.toml, then `uv lock`" == answer.error.fix
    assert "managed = false" == lines.pop(answer.error.line - 1)
    manifest.write_text("\n".join(lines))
    projects.lock(tmp_path)
    assert ("unreadable", "fresh") == (answer.verdict, check(tmp_path).verdict)


def test_a_name_that_the_index_does_not_have_may_be_its_address_s_fault(tmp_path: Path) -> None:
    """
    Nobody can tell which of the two is misspelt: both lines are named, and either correction will do.
    """
    grape = projects.wheel(tmp_path / "wheels", "grape", "1.0")
    with served(index_of(tmp_path / "index", grape)) as url:
        wrong = url.replace("simple", "smple")
        more = f'[[tool.uv.index]]\nname = "ours"\nurl = "{wrong}"\ndefault = true\n'
        wine = projects.project(tmp_path / "wine", "grape", more=more)
        (wine / "uv.lock").write_text(EMPTY_LOCK.replace("odd", "wine").replace("0.1", "0.1.0"))
        answer = check(wine, offline=False)
        line = (wine / "pyproject.toml").read_text().splitlines().index(f'url = "{wrong}"') + 1

    change = f"correct `grape`, or the address of the index at line {line} of pyproject.toml"
    assert ("unsolvable", f"{change}, then `uv lock`", 5) == (answer.verdict, answer.error.fix, answer.error.line)


# the hook


@pytest.fixture
def monorepo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app that uses a library of another folder, and a third project that was stale before; we stand at the top."""
    top = tmp_path / "repo"
    for name in ("grape", "yeast"):
        projects.wheel(top / "wheels", name, "1.0")
    projects.project(top / "libs" / "barrel", name="barrel", wheels=top / "wheels")
    source = '[tool.uv.sources]\nbarrel = { path = "../../libs/barrel", editable = true }\n'
    for name, more, needs in (("wine", source, "barrel"), ("beer", "", "grape")):
        folder = projects.project(top / "apps" / name, needs, name=name, wheels=top / "wheels", more=more)
        projects.lock(folder)
    projects.depend_on(top / "apps" / "beer", "grape", "yeast")
    checkout.repository(top)
    monkeypatch.chdir(top)
    return top


def test_the_hook_asks_who_was_locked_from_a_changed_folder(monorepo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A requirement that a library gains makes the app's lock stale, which nobody touched; the third is not asked.
    """
    manifest = "libs/barrel/pyproject.toml"
    assert 0 == main(["check-lock", "apps/wine/pyproject.toml"])
    projects.depend_on(monorepo / "libs" / "barrel", "yeast")

    code = main(["check-lock", manifest])

    output = capsys.readouterr().err
    assert (1, True) == (code, f"{manifest}:5: error: " in output), output
    assert "Fix: uv lock --project apps/wine" in output
    assert "beer" not in output


def test_the_hook_asks_who_inherits_changed_settings(monorepo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Settings above a project that has none are its own.
    """
    plain = projects.project(monorepo / "svc" / "plain", "grape", name="plain")
    settings = monorepo / "svc" / "uv.toml"
    settings.write_text('[[index]]\nname = "beside"\nurl = "../wheels"\nformat = "flat"\ndefault = true\n')
    projects.lock(plain)
    checkout.commit(monorepo)
    fresh = main(["check-lock", "svc/uv.toml"])
    shutil.copytree(monorepo / "wheels", monorepo / "others")
    settings.write_text(settings.read_text().replace("../wheels", "../others"))

    stale = main(["check-lock", "svc/uv.toml"])

    output = capsys.readouterr().err
    assert (0, 1, True) == (fresh, stale, "Fix: uv lock --project svc/plain" in output), output


def test_the_hook_says_nothing_of_a_manifest_that_is_no_project(
    monorepo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A manifest at the top that configures a linter: no commit is stopped for it.
    """
    (monorepo / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")

    code = main(["check-lock", "pyproject.toml", "apps/wine/uv.lock"])

    captured = capsys.readouterr()
    assert (0, "", "") == (code, captured.out, captured.err)


def test_the_hook_names_the_project_that_has_no_answer(monorepo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every other project of the commit is still asked.
    """
    wine = monorepo / "apps" / "wine" / "pyproject.toml"
    wine.write_text(f'{wine.read_text()}\n[tool.uv]\nrequired-version = "<0.5"\n')

    main(["check-lock", os.fspath(wine), "apps/beer/pyproject.toml"])

    output = capsys.readouterr().err
    lines = ("apps/wine/pyproject.toml:16: error: no installed uv", "Fix: uv lock --project apps/beer")
    assert [True, True] == [line in output for line in lines], output
