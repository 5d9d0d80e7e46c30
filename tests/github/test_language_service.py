"""GitHub's own parsers accept the actions, the workflows, and the workflows in the documentation."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.github.npm_packages import SERVICE, installed
from tests.house.files import ROOT, ours, shown

REPOSITORY = "mlflow-uv-action"
ACTIONS = r"(.*/)?action\.ya?ml"
WORKFLOWS = r"\.github/workflows/.*\.ya?ml"


@dataclass(frozen=True)
class Service:
    """GitHub's language service, installed."""

    folder: Path

    def complaints(self, documents: dict[str, str]) -> list[str]:
        """What it says of documents, given by path; `uses:` of our repository means this checkout."""
        files = {shown(path): path.read_text() for path in ours(f"{ACTIONS}|{WORKFLOWS}")}
        question = {
            "repository": REPOSITORY,
            "files": files,
            "documents": [{"path": path, "text": text} for path, text in documents.items()],
        }
        done = subprocess.run(
            ["node", "check.mjs"],
            cwd=self.folder, input=json.dumps(question), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [f"{one['path']}:{one['line']}: {one['message']}" for one in json.loads(done.stdout)]


@pytest.fixture(scope="session")
def service() -> Service:
    """GitHub's language service."""
    return Service(installed())


def snippets() -> dict[str, str]:
    """Every workflow in our documents, padded so that its lines are those of the document."""
    found = {}
    for path in ours(r"README\.md|docs/.*\.md"):
        text = path.read_text()
        for match in re.finditer(r"^```ya?ml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            if not re.search(r"^jobs:", match[1], re.MULTILINE):
                continue
            before = text[: match.start(1)].count("\n")
            found[f".github/workflows/{shown(path)}-{before}.yml"] = "#\n" * before + match[1]
    return found


def test_our_actions_and_workflows_are_understood(service: Service) -> None:
    """
    Keys, expressions, outputs of steps, inputs of the actions and workflows that they use.
    """
    documents = {shown(path): path.read_text() for path in ours(f"{ACTIONS}|{WORKFLOWS}")}

    found = service.complaints(documents)

    assert [] == found


def test_workflows_in_our_documents_are_understood(service: Service) -> None:
    """
    What somebody copies from README.md or docs/ works: every input exists, and none is missing.
    """
    found = service.complaints(snippets())

    assert [] == found


def test_there_are_workflows_in_our_documents() -> None:
    """
    The test above looks at something.
    """
    found = {name.split("/")[2].split("-")[0] for name in snippets()}

    assert "README.md" in found


WORKFLOW = """on: push
permissions: {}
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - uses: org/mlflow-uv-action/actions/export@v1
        with: {INPUT: x}
      - run: echo "$A"
        env: {A: "${{ EXPRESSION }}"}
"""


@pytest.mark.parametrize(
    ("given", "expression", "complaint"),
    [
        ("package", "github.sha", ""),
        ("pakage", "github.sha", ":8: Invalid action input 'pakage'"),
        ("package", "github.shaa", ":10: Context access might be invalid: shaa"),
        ("package", "nothing.x", ":10: Unrecognized named-value: 'nothing'"),
    ],
)
def test_a_mistake_in_a_workflow_is_found(service: Service, given: str, expression: str, complaint: str) -> None:
    """
    The checks above bite: a misspelt input of ours, and an expression that means nothing.
    """
    workflow = WORKFLOW.replace("INPUT", given).replace("EXPRESSION", expression)

    found = service.complaints({".github/workflows/x.yml": workflow})

    assert bool(complaint) == bool(found)
    assert all(complaint in one for one in found), found


def test_a_folder_that_is_no_action_of_ours_is_found(service: Service) -> None:
    """
    A document may not send anybody to an action that does not exist.
    """
    workflow = WORKFLOW.replace("actions/export", "actions/no-such")

    found = service.complaints({".github/workflows/x.yml": workflow.replace("EXPRESSION", "github.sha")})

    assert any("Unable to resolve action" in one for one in found), found


def test_the_folder_of_the_service_holds_no_packages() -> None:
    """
    What npm installs lies outside the checkout.
    """
    assert not (SERVICE / "node_modules").exists()
    assert (ROOT / "tests" / "github" / "language-service" / "package-lock.json").is_file()
