"""The runner of these tests behaves like GitHub's where the tests depend on it."""

from pathlib import Path

from tests.github.act import ACTION, Annotation, Consumer, published

WORKFLOW = """
on: push
permissions: {}
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - id: theirs
        uses: ./.github/actions/theirs
        with: {the-input: given}
      - id: answered
        shell: bash
        run: |
          echo '::warning title=t,file=a b.py,line=3::one%0Atwo'
          echo 'text ##[error]old'
          printf 'x=1\\ny<<END\\na\\nb\\nEND\\n' >> "$GITHUB_OUTPUT"
          echo '# Summary' >> "$GITHUB_STEP_SUMMARY"
          echo "PATH has $(command -v uv)"
          env > left-behind
      - id: failed
        run: exit 3
        continue-on-error: true
"""
THEIRS = """
name: theirs
description: prints what it gets
inputs: {the-input: {description: an input, required: true}}
runs:
  using: composite
  steps:
    - shell: bash
      run: env | grep INPUT > inputs || true
"""


def test_what_a_workflow_did_can_be_asked(consumer: Consumer) -> None:
    """
    Annotations as GitHub reads them, outputs, summary, results, and the folder as the job left it.
    """
    run = consumer.run(WORKFLOW, files={".github/actions/theirs/action.yml": THEIRS}, env={"JOB_WIDE": "yes"})

    assert run.ok, run.log
    old, new = sorted(run.annotations, key=lambda annotation: annotation.level)
    assert Annotation("warning", "one\ntwo", title="t", file="a b.py", line=3) == new
    assert Annotation("error", "old") == old
    assert {"x": "1", "y": "a\nb"} == run.outputs["answered"]
    assert "# Summary\n" == run.summary
    assert "failure" == run.results["failed"]
    assert "JOB_WIDE=yes\n" in (run.workspace / "left-behind").read_text()


def test_composite_actions_get_no_variables_for_their_inputs(consumer: Consumer) -> None:
    """
    A real runner gives them none, so an action that works here works there.
    """
    run = consumer.run(WORKFLOW, files={".github/actions/theirs/action.yml": THEIRS})

    assert "" == (run.workspace / "inputs").read_text()


def test_nothing_of_this_machine_leaks_into_a_step(consumer: Consumer) -> None:
    """
    What steers our tests does not steer a user's workflow.
    """
    run = consumer.run(WORKFLOW, files={".github/actions/theirs/action.yml": THEIRS})

    variables = (run.workspace / "left-behind").read_text()
    leaked = [line for line in variables.splitlines() if line.startswith(("MLFLOW_UV_HOME=", "PYTEST_", "GIT_CONFIG"))]
    assert [] == leaked
    assert f"HOME={consumer.home}\n" in variables


def test_our_own_repository_is_named_for_act(tmp_path: Path) -> None:
    """
    `uses: $/x` means ourselves at the caller's pin; where act runs, it is spelled out.
    """
    found = published(tmp_path / "copy")

    spelled = [path for path in found.rglob("*.yml") if "uses: $/" in path.read_text()]
    assert [] == spelled
    assert (found / "bin" / "mlflow-uv").stat().st_mode & 0o111
    assert "someone/mlflow-uv-action" == ACTION
