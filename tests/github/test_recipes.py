"""The recipes: each page embeds complete files, and their commands and settings exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.surfaces.cli import _parsed
from tests.house.files import ROOT, ours

RECIPES = ROOT / "examples/recipes"
COMMAND = re.compile(r"\bmlflow-uv ((?:[a-z]+(?:-[a-z]+)*)(?: (?:'[^'\n]*'|[^'\n|>&;])*)?)")
PAGES = ours(r"docs/recipes/.*\.md|docs/tutorial\.md")


def commands(text: str) -> list[str]:
    """The commands of a text that is code."""
    return [found.strip() for found in COMMAND.findall(text.replace("\\\n", " "))]


def parsed(command: str) -> bool:
    """Whether our own parser accepts a command; it ends the process, or raises, for a flag or a step that is none."""
    try:
        _parsed(shlex.split(command, comments=True))
    except (BadInput, SystemExit):
        return False
    return True


def test_each_file_is_in_a_recipe() -> None:
    """
    A file that no page shows is checked by nothing.
    """
    pages = "".join(path.read_text() for path in PAGES)

    assert [] == [path.name for path in RECIPES.iterdir() if f"<!-- examples/recipes/{path.name} -->" not in pages]


def test_each_recipe_is_listed() -> None:
    """
    The index names every page.
    """
    index = (ROOT / "docs/recipes/README.md").read_text()

    assert sorted(path.name for path in PAGES if path.parent.name == "recipes") == sorted(
        ["README.md", *re.findall(r"\]\(([\w-]+\.md)\)", index)]
    )


def test_commands_are_accepted() -> None:
    """
    Every command of a block, in all documents and in files for other systems, has a step and flags that exist.
    """
    code = [
        block
        for path in ours(r".*\.md")
        for block in re.findall(
            r"^```(?:sh|console|yaml|groovy)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL
        )
    ]
    found = [command for text in code for command in commands(text)]

    assert ([], True) == ([command for command in found if not parsed(command)], len(found) > 60)


@pytest.mark.parametrize("command", ["check-locks", "release --tracking-url x", "release --push --image"])
def test_a_mistake_in_a_command_is_found(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A step, a flag and a value that are missing.
    """
    assert not parsed(command)
    capsys.readouterr()


def test_the_pipeline_of_gitlab_keeps_to_its_schema(tmp_path: Path) -> None:
    """
    The published schema of GitLab, which refuses a key that is misspelt.
    """
    program = Path(sys.executable).with_name("check-jsonschema")
    wrong = tmp_path / "wrong.yml"
    wrong.write_text((RECIPES / "gitlab-ci.yml").read_text().replace("resource_group:", "resource-group:"))

    codes = [
        subprocess.run(
            [program, "--builtin-schema", "vendor.gitlab-ci", file], capture_output=True, check=False
        ).returncode
        for file in (RECIPES / "gitlab-ci.yml", wrong)
    ]

    assert [0, 1] == codes
