"""GitHub's own parsers accept the actions, the workflows, and the workflows in the documentation."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.files import ROOT, ours, shown

SERVICE = Path(__file__).parent / "language-service"
REPOSITORY = "mlflow-uv-action"
ACTIONS = r"(.*/)?action\.ya?ml"
WORKFLOWS = r"\.github/workflows/.*\.ya?ml"
OLDEST_NODE = 20


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
    """Installed once per machine and lock, in a folder of ours outside the checkout."""
    _require_node()
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(SERVICE.iterdir()) if path.is_file()))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlflow-uv"
    folder = cache / f"language-service-{key.hexdigest()[:16]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        making = cache / f"{folder.name}.{os.getpid()}"
        shutil.copytree(SERVICE, making, ignore=shutil.ignore_patterns("node_modules"))
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(argv, cwd=making, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"`npm ci` failed in {making}:\n{done.stdout}{done.stderr}"
        _put(making, folder)
    return Service(folder)


def _require_node() -> None:
    fix = f"Fix: install Node {OLDEST_NODE} or newer, with npm"
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    assert not missing, f"{' and '.join(missing)} not installed, GitHub's language service needs it. {fix}"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    assert int(version.removeprefix("v").partition(".")[0]) >= OLDEST_NODE, f"Node is {version}. {fix}"


def _put(making: Path, folder: Path) -> None:
    """Two runs may install at once: whoever is second throws its own away."""
    try:
        making.rename(folder)
    except OSError:
        shutil.rmtree(making)


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
