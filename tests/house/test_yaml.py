"""The actions and workflows are safe to run."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlflow_uv.command.host import Host
from mlflow_uv.steps import deploy
from tests.house.files import ROOT, ours, shown

ACTIONS = r"(.*/)?action\.ya?ml"
WORKFLOWS = r"\.github/workflows/.*\.ya?ml"
MOST_LINES = 3


def documents(pattern: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Our YAML files, read."""
    for path in ours(pattern):
        yield shown(path), yaml.safe_load(path.read_text())


def steps(value: object) -> Iterator[dict[str, Any]]:
    """Every step, or job that uses a workflow, anywhere in a document."""
    if isinstance(value, dict):
        if "run" in value or "uses" in value:
            yield value
        for inner in value.values():
            yield from steps(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from steps(inner)


def everywhere() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step of every action and workflow."""
    for name, document in documents(f"{ACTIONS}|{WORKFLOWS}"):
        for step in steps(document):
            yield name, step


def test_no_expression_is_pasted_into_a_script() -> None:
    """
    What stands in `${{ }}` inside `run` becomes part of the script, whatever it holds.
    """
    guilty = [(name, step["run"]) for name, step in everywhere() if "${{" in str(step.get("run", ""))]

    assert [] == guilty


def test_scripts_are_short() -> None:
    """
    At most three lines of shell; longer than that is Python.
    """
    long = [
        (name, step["run"]) for name, step in everywhere() if len(str(step.get("run", "")).splitlines()) > MOST_LINES
    ]

    assert [] == long


def test_what_we_use_is_pinned() -> None:
    """
    Somebody else's code is named by its commit, with the version as a comment; ours by its path.
    """
    guilty = []
    for path in ours(f"{ACTIONS}|{WORKFLOWS}"):
        for found in re.finditer(r"^\s*(?:-\s+)?uses:\s*(\S+)(.*)$", path.read_text(), re.MULTILINE):
            name, rest = found[1].strip("'\""), found[2]
            if name.startswith(("./", "$/")):
                continue
            if not re.fullmatch(r"[^@]+@[0-9a-f]{40}", name) or not re.match(r"\s+# v?\d", rest):
                guilty.append((shown(path), found[0].strip()))

    assert [] == guilty


def test_every_pin_is_updated() -> None:
    """
    Dependabot reads the workflows of `/`, and of any other folder what is in it, not below it.
    """
    entries = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    (known,) = (entry["directories"] for entry in entries if entry["package-ecosystem"] == "github-actions")
    pinned = {
        f"/{path.parent.relative_to(ROOT).as_posix()}"
        for path in ours(r".*\.ya?ml")
        if re.search(r"uses: (?!org/)[^$.\s]+@[0-9a-f]{40}", path.read_text())
    }

    assert {"/" if folder in {"/.", "/.github/workflows"} else folder for folder in pinned} == set(known)


def test_workflows_start_without_permissions() -> None:
    """
    `permissions: {}` first, then each job what it needs.
    """
    guilty = [name for name, document in documents(WORKFLOWS) if document.get("permissions") != {}]

    assert [] == guilty


def test_checkouts_do_not_leave_a_token_behind() -> None:
    """
    A token in `.git/config` is read by whatever runs later.
    """
    guilty = [
        name
        for name, step in everywhere()
        if str(step.get("uses", "")).startswith("actions/checkout@")
        and step.get("with", {}).get("persist-credentials") is not False
    ]

    assert [] == guilty


@pytest.mark.parametrize(
    ("schema", "pattern"), [("vendor.github-actions", ACTIONS), ("vendor.github-workflows", WORKFLOWS)]
)
def test_files_keep_to_their_schema(schema: str, pattern: str) -> None:
    """
    The published schemas of actions and workflows.
    """
    files = [str(path) for path in ours(pattern)]

    complaint = checked("check-jsonschema", "--builtin-schema", schema, *files) if files else ""

    assert "" == complaint


def test_a_security_audit_has_nothing_to_say() -> None:
    """
    zizmor in its strictest persona.
    """
    complaint = checked("zizmor", "--offline", "--quiet", "--no-progress", "--persona", "pedantic", ".")

    assert "" == complaint


def caches() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step that uses a cache of GitHub's."""
    return ((name, step) for name, step in everywhere() if str(step.get("uses", "")).startswith("actions/cache"))


def test_a_pull_request_writes_no_cache() -> None:
    """
    It reads what the default branch wrote; the action that does both is not used, because it always writes.

    Events that write are listed: `pull_request_target` and `workflow_run` run with the cache of the default branch.
    """
    writers = '&& contains(fromJSON(\'["push", "schedule", "workflow_dispatch"]\'), github.event_name) &&'
    uses = {re.sub(r"@.*", "", step["uses"]) for _, step in caches()}
    guilty = [
        name
        for name, step in caches()
        if "/save@" in step["uses"] and (writers not in step.get("if", "") or "||" in step["if"])
    ]

    assert ({"actions/cache/restore", "actions/cache/save"}, []) == (uses, guilty)


def test_only_the_check_reads_a_cache() -> None:
    """
    uv does not verify the files in its cache again: what a job wrote there must not reach a release or a promotion.
    """
    restore = "$/.github/restore-cache"
    readers = {name for name, step in everywhere() if step.get("uses") == restore}

    assert {".github/restore-cache/action.yml", ".github/workflows/check.yml"} == {name for name, _ in caches()}
    assert {".github/workflows/check.yml"} == readers


def test_the_cache_of_a_check_depends_on_this_program() -> None:
    """
    A new version of this program makes another environment: with the old key it would be made again in each run.
    """
    keys = [step["with"]["key"] for name, step in caches() if name == ".github/restore-cache/action.yml"]

    parts = [sorted(re.findall(r"\{ (\S+(?:hash|\))) \}", key)) for key in keys]
    assert [["hashFiles('**/uv.lock')", "steps.program.outputs.hash"]] * 2 == parts


def test_layers_are_cached_for_exactly_what_they_were_made_for() -> None:
    """
    No other key is restored, and a path that is saved is one that is restored.
    """
    layers = [step["with"] for _, step in caches() if "layers" in step["with"]["path"]]

    runner = Host.of({"HOME": "/home/runner"}, folder=ROOT, python=ROOT)
    kept = str(runner.cache / "layers").replace("/home/runner", "~")
    assert ["~/.cache/mlflow-uv/layers"] * 2 == [kept] * 2 == [each["path"] for each in layers]
    assert [False, False] == ["restore-keys" in each for each in layers]


def test_artifacts_of_a_matrix_have_names_of_their_own() -> None:
    """
    A name that is constant belongs to one job of a run: the second job would replace what the first one uploaded.

    Of the comparison there is one, which the comment finds by its name; it takes the versions of all jobs.
    """
    uploads = [
        (name, step["with"].get("name") or step["with"]["pattern"])
        for name, step in everywhere()
        if re.match(r"actions/(up|down)load-artifact@", str(step.get("uses", "")))
    ]

    constant = {(name, artifact) for name, artifact in uploads if "${{" not in artifact}
    comparison = {(f".github/workflows/{name}.yml", "mlflow-uv-comparison") for name in ("check", "comment")}
    versions = {(".github/workflows/comment.yml", "mlflow-uv-release-*")}
    assert (16, comparison | versions) == (len(uploads), constant)


def test_the_workflow_that_deploys_passes_on_what_its_step_alone_declares() -> None:
    """
    Both jobs do, since the plan is one of the same deployment; a file of the plan would be one of another machine.
    """
    own = {name.replace("_", "-") for name in deploy.Inputs.__annotations__} - {"plan-file"}
    jobs = dict(documents(r"\.github/workflows/deploy\.yml"))[".github/workflows/deploy.yml"]["jobs"]

    passed = [set(step["with"]) for step in steps(jobs) if step.get("uses") == "$/actions/deploy"]

    assert [set(), set()] == [own - names for names in passed]


def checked(*argv: str, folder: Path = ROOT) -> str:
    """What a checker complains of, empty where it does not."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}"
