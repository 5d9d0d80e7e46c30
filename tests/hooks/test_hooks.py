"""The hooks work in repositories of users, under pre-commit and under prek."""

from pathlib import Path

import pytest

from tests import checkout, projects, traps
from tests.hooks.conftest import Monorepo

RUNNERS = ("pre-commit", "prek")
EVERYTHING = ("run", "--all-files")


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("runner", "hook"),
    [
        ("prek", "check-lock"),
        *(
            pytest.param(*pair, marks=pytest.mark.extended)
            for pair in (("pre-commit", "export"), ("pre-commit", "check-lock"), ("prek", "export"))
        ),
    ],
)
def test_a_hook_can_be_tried_without_configuration(monorepo: Monorepo, runner: str, hook: str) -> None:
    """
    `try-repo` is how somebody looks at a hook: it finds the manifest, installs us, and runs.
    """
    for folder in (monorepo.wine, monorepo.beer):
        (folder / "requirements.txt").write_text("")
    checkout.commit(monorepo.folder)

    done = monorepo.run(runner, "try-repo", str(monorepo.ours.folder), hook, "--all-files")

    expected = {"check-lock": (0, "Passed"), "export": (1, "Failed")}[hook]
    assert expected == (done.code, "Passed" if "Passed" in done.text else "Failed"), done.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_manifest_is_one(monorepo: Monorepo, runner: str) -> None:
    """
    Both programs read our .pre-commit-hooks.yaml without a complaint.
    """
    done = monorepo.run(runner, "validate-manifest", str(monorepo.ours.folder / ".pre-commit-hooks.yaml"))

    assert (0, False) == (done.code, "warning" in done.text.lower()), done.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_fresh_locks_pass_without_a_word(monorepo: Monorepo, runner: str) -> None:
    """
    A hook that has nothing to say says nothing, and changes nothing.
    """
    monorepo.configure("check-lock")

    done = monorepo.run(runner, *EVERYTHING, "--verbose")

    lines = [line for line in done.text.splitlines() if "error" in line or "notice" in line]
    assert (0, [], "") == (done.code, lines, monorepo.status()), done.text


@pytest.mark.parametrize("runner", ["prek", pytest.param("pre-commit", marks=pytest.mark.extended)])
def test_one_stale_project_among_two_is_named(monorepo: Monorepo, runner: str) -> None:
    """
    The line names the lock of the one project, what changed, and the command that mends it.
    """
    monorepo.configure("check-lock")
    projects.depend_on(monorepo.beer, "yeast", "grape")

    done = monorepo.run(runner, *EVERYTHING)

    errors = [line.strip() for line in done.text.splitlines() if ": error: " in line]
    assert 1 == len(errors), done.text
    assert errors[0].startswith("modèles/bière/pyproject.toml:5: error: `grape` in [project] dependencies is not in ")
    assert errors[0].endswith(". Fix: uv lock --project 'modèles/bière'")
    assert (1, "M modèles/bière/pyproject.toml") == (done.code, monorepo.status())


@pytest.mark.parametrize("runner", RUNNERS)
def test_without_a_network_a_lock_is_fresh_or_its_difference_is_named(monorepo: Monorepo, runner: str) -> None:
    """
    A hosted service gives hooks no network at all: the answer and its place are the same as with one.
    """
    monorepo.configure("check-lock")
    monorepo.without_network = True

    fresh = monorepo.run(runner, *EVERYTHING, "--verbose")
    projects.depend_on(monorepo.beer, "yeast", "grape")
    stale = monorepo.run(runner, *EVERYTHING)

    errors = [line.strip() for line in stale.text.splitlines() if ": error: " in line]
    assert (0, 1) == (fresh.code, stale.code), fresh.text + stale.text
    assert ["modèles/bière/pyproject.toml:5"] == [line.partition(": error: ")[0] for line in errors], stale.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_only_projects_of_changed_files_are_asked(monorepo: Monorepo, runner: str) -> None:
    """
    A commit that touches one project is not stopped by another that was stale before.
    """
    monorepo.configure("check-lock")
    projects.depend_on(monorepo.beer, "yeast", "grape")
    checkout.commit(monorepo.folder)
    with (monorepo.wine / "pyproject.toml").open("a") as file:
        file.write("# a comment\n")
    checkout.git(monorepo.folder, "add", "--all")

    done = monorepo.run(runner, "run")

    assert 0 == done.code, done.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_commit_without_projects_does_not_wake_it(monorepo: Monorepo, runner: str) -> None:
    """
    Most commits change no lock: the hook is not even started.
    """
    monorepo.configure("check-lock")

    done = monorepo.run(runner, "run", "--files", "README.md")

    assert (0, True) == (done.code, "no files to check" in done.text), done.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_export_writes_what_the_lock_says_and_asks_to_stage_it(monorepo: Monorepo, runner: str) -> None:
    """
    The first run writes and fails, as hooks that change files do; the second has nothing to do.
    """
    monorepo.configure("export")

    first = monorepo.run(runner, *EVERYTHING)
    new = [line.removeprefix("?? ").strip('"') for line in sorted(monorepo.status().splitlines())]
    checkout.commit(monorepo.folder)
    second = monorepo.run(runner, *EVERYTHING)

    assert (1, 0) == (first.code, second.code), first.text + second.text
    assert ["mein modell/requirements.txt", "modèles/bière/requirements.txt"] == new
    written = (monorepo.wine / "requirements.txt").read_text()
    assert "--no-index\n--find-links ../wheels\ngrape==1.0\nyeast==2.0\n" == written
    assert "stage it and commit again" in first.text
    assert "" == monorepo.status()


@pytest.mark.parametrize("runner", RUNNERS)
def test_export_can_check_instead_of_writing(monorepo: Monorepo, runner: str) -> None:
    """
    `args: [--check]` is for those who want to be told, in a file of their own name.
    """
    monorepo.configure("export", "--check", "--requirements-file", "requirements-prod.txt")

    done = monorepo.run(runner, *EVERYTHING)

    assert (1, "") == (done.code, monorepo.status()), done.text
    assert "requirements-prod.txt does not match uv.lock" in done.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_merge_conflict_is_said_and_is_no_crash(monorepo: Monorepo, runner: str) -> None:
    """
    A manifest in the middle of a merge is not TOML: the line is named, and the other project is still asked.
    """
    monorepo.configure("check-lock")
    (monorepo.wine / "pyproject.toml").write_text("[project]\n<<<<<<< HEAD\nname = 'a'\n")
    projects.depend_on(monorepo.beer, "yeast", "grape")

    done = monorepo.run(runner, *EVERYTHING)

    assert 1 == done.code
    assert "mein modell/pyproject.toml:2: error: " in done.text, done.text
    assert "modèles/bière/pyproject.toml:5: error: " in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_caller_s_environment_neither_steers_nor_suffers(monorepo: Monorepo, runner: str, tmp_path: Path) -> None:
    """
    Traps in every variable that uv and Python read: the answer is the same, and nothing of theirs is touched.
    """
    monorepo.configure("check-lock")
    # pre-commit is Python itself, and would step on these before we are started.
    modules = traps.MODULES if runner == "prek" else ("mlflow_uv", "mlflow_uv_hooks", "tomli", "packaging")
    laid = traps.lay(tmp_path / "traps", modules)
    monorepo.variables = laid.variables

    done = monorepo.run(runner, *EVERYTHING, "--verbose")

    assert (0, [], "") == (done.code, laid.sprung(), monorepo.status()), done.text
    assert "notice: UV_EXCLUDE_NEWER, " in done.text


def test_a_uv_of_the_user_s_choice_is_used(monorepo: Monorepo, tmp_path: Path) -> None:
    """
    `args: [--uv, PATH]` names the program, as on the command line.
    """
    monorepo.configure("check-lock", "--uv", str(tmp_path / "no" / "such" / "uv"))

    done = monorepo.run("prek", *EVERYTHING)

    assert (1, True) == (done.code, "is not uv: it prints no version" in done.text), done.text


@pytest.mark.parametrize("runner", ["pre-commit", pytest.param("prek", marks=pytest.mark.extended)])
def test_the_hook_of_a_rule_corrects_a_file_once(monorepo: Monorepo, runner: str) -> None:
    """
    The commit is stopped because a file changed; after that there is nothing to do, and the other project is unchanged.
    """
    monorepo.configure("lint-requirements-drift", "--fix")
    (monorepo.wine / "requirements.txt").write_text("grape==0.9  # why\n")
    (monorepo.beer / "requirements.txt").write_text("yeast==2.0\n")
    checkout.commit(monorepo.folder)

    first = monorepo.run(runner, *EVERYTHING)
    second = monorepo.run(runner, *EVERYTHING)

    texts = [(folder / "requirements.txt").read_text() for folder in (monorepo.wine, monorepo.beer)]
    assert ["grape==1.0  # why\n", "yeast==2.0\n"] == texts, first.text
    assert (1, 0) == (first.code, second.code), first.text + second.text


@pytest.mark.parametrize("runner", ["prek", pytest.param("pre-commit", marks=pytest.mark.extended)])
def test_the_hook_of_a_rule_names_the_place(monorepo: Monorepo, runner: str) -> None:
    """
    Of the changed file, and with the rule, so that it can be silenced.
    """
    monorepo.configure("lint-tracking-uri")
    (monorepo.beer / "train.py").write_text('mlflow.set_tracking_uri("http://localhost:5000")\n')
    checkout.git(monorepo.folder, "add", "--all")

    done = monorepo.run(runner, "run")

    assert "modèles/bière/train.py:1: error: the tracking URI is written into the code [tracking-uri]" in done.text
    assert 1 == done.code
