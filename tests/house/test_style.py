"""The rules of the project that tools can enforce, and proof that violations are found."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.files import ROOT, ours, shown

LONGEST = 400
PACKAGES = ("src/mlflow_uv", "hooks/mlflow_uv_hooks")
# The brackets keep this line from holding what it forbids.
FORBIDDEN = re.compile(r"/wor[k]/|pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.(?:org|com)|artifactor[y]", re.IGNORECASE)


def run(*argv: str, folder: Path = ROOT, text: str | None = None) -> str:
    """Run a tool of our lock; what it complains of, empty where it does not."""
    done = subprocess.run(argv, cwd=folder, input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "argv",
    [
        ("ruff", "check", "--no-fix", "--quiet", "--output-format=concise", "."),
        ("ruff", "format", "--diff", "--quiet", "."),
        ("mypy", "--no-error-summary"),
        ("lint-imports",),
    ],
    ids=" ".join,
)
def test_tools_have_nothing_to_say(argv: tuple[str, ...]) -> None:
    """
    Linter, formatter, type checker and the direction of imports: clean.
    """
    complaint = run(*argv)

    assert "" == complaint


@pytest.mark.parametrize(
    ("place", "line", "law"),
    [
        ("src/mlflow_uv/core/x.py", "print(1)", "T201"),
        ("src/mlflow_uv/tools/x.py", "A = os.environ", "TID251"),
        ("src/mlflow_uv/steps/x.py", "A = os.getenv('A')", "TID251"),
        ("src/mlflow_uv/steps/x.py", "os.system('x')", "TID251"),
        ("src/mlflow_uv/tools/system/process.py", "A = os.environ", "TID251"),
    ],
)
def test_printing_and_the_environment_belong_to_surfaces(place: str, line: str, law: str) -> None:
    """
    A step that prints or reads the environment is found.
    """
    source = f'"""States it."""\n\nimport os\n\n{line}\n'

    complaint = run("ruff", "check", "--output-format=concise", "--stdin-filename", place, "-", text=source)

    assert law in complaint


def test_surfaces_may_print_and_read_the_environment() -> None:
    """
    The law has its exceptions where it says so.
    """
    source = '"""States it."""\n\nimport os\n\nprint(os.environ)\n'

    complaint = run("ruff", "check", "--stdin-filename", "src/mlflow_uv/surfaces/x.py", "-", text=source)

    assert "" == complaint


@pytest.mark.parametrize(
    ("module", "line", "law"),
    [
        ("mlflow_uv/steps/x.py", "import subprocess", "Only tools/system/process.py starts processes"),
        ("mlflow_uv/steps/x.py", "import mlflow", "Only the islands import mlflow"),
        ("mlflow_uv/core/x.py", "from mlflow_uv.tools import files", "Imports run one way"),
        ("mlflow_uv/tools/x.py", "from mlflow_uv.payloads import dispatch", "Nobody imports the islands"),
        ("mlflow_uv/payloads/x.py", "from mlflow_uv.command import errors", "The islands import nothing of ours"),
        ("mlflow_uv/surfaces/x.py", "import mlflow_uv_hooks", "Nothing knows the hooks"),
        ("mlflow_uv/drawer.py", "A = 1", "Imports run one way"),
    ],
)  # fmt: skip
def test_an_import_in_the_wrong_direction_is_found(tmp_path: Path, module: str, line: str, law: str) -> None:
    """
    Every contract of imports breaks when somebody breaks it, a module that has no place included.
    """
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / module).write_text(f'"""States it."""\n\n{line}\n')

    complaint = run("lint-imports", "--no-cache", folder=tmp_path)

    assert re.search(rf"{re.escape(law)} BROKEN|{re.escape(law)}\n", complaint)


def test_no_file_is_too_long() -> None:
    """
    A file over 400 lines is two files.
    """
    lengths = {shown(path): len(path.read_text().splitlines()) for path in ours(r"(src|hooks|bin)/.*")}

    too_long = {name: length for name, length in lengths.items() if length > LONGEST}

    assert {} == too_long


def test_nothing_of_the_machine_it_was_written_on_is_in_a_file() -> None:
    """
    Paths of somebody's workplace and hosts of registries appear in locks alone.
    """
    found = {shown(path): match[0] for path in ours() if (match := FORBIDDEN.search(path.read_text(errors="replace")))}

    assert {} == found


def test_no_pattern_repeats_a_group_possessively() -> None:
    """
    Python before 3.11.5 does not go back to where a failed repetition began; `(?>(?:...)*)` has the same meaning.
    """
    patterns = re.compile(r"""(?<!\\)\)[*?+}]\+""")
    found = {
        f"{shown(path)}:{node.lineno}": node.value
        for path in ours(r"(src|hooks|bin)/.*\.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and patterns.search(node.value)
    }

    assert {} == found


def written() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every test that we wrote, with its place."""
    for path in ours(r"tests/.*test_[^/]*\.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{shown(path)}:{node.lineno}", node


def test_every_test_states_a_behaviour() -> None:
    """
    A docstring in whole sentences, so that a failure can be read without the code.
    """
    silent = [place for place, node in written() if not (ast.get_docstring(node) or "").endswith((".", ":"))]

    assert [] == silent


def test_no_test_replaces_our_code_or_waits_for_a_while() -> None:
    """
    What a test would patch should be a parameter; who waits asks again and again for what it waits for.
    """
    guilty = []
    for path in ours(r"tests/.*\.py"):
        tree = ast.parse(path.read_text())
        asking = {inner for loop in ast.walk(tree) if isinstance(loop, ast.While) for inner in ast.walk(loop)}
        for node in ast.walk(tree):
            match node:
                case ast.ImportFrom(module="unittest.mock" | "mock") | ast.alias(name="unittest.mock" | "mock"):
                    guilty.append(f"{shown(path)}: mock")
                case ast.Call(func=ast.Attribute(attr="setattr", value=ast.Name(id="monkeypatch"))):
                    guilty.append(f"{shown(path)}:{node.lineno}: setattr")
                case ast.Call(func=ast.Attribute(attr="sleep", value=ast.Name(id="time"))) if node not in asking:
                    guilty.append(f"{shown(path)}:{node.lineno}: sleep")
                case _:
                    pass

    assert [] == guilty


def test_values_that_change_with_time_have_names_of_their_own() -> None:
    """
    Several processes run the tests, and each collects the same names only if no value in them has a time or a chance.
    """
    changing = re.compile(r"\b(gzip\.compress|time\.\w+|datetime\.now|uuid4|token_\w+|urandom)\(")
    nameless = [
        f"{shown(path)}:{call.lineno}"
        for path in ours(r"tests/.*\.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize"
        if "ids" not in {keyword.arg for keyword in call.keywords} and changing.search(ast.unparse(call))
    ]

    assert [] == nameless


def test_tests_are_skipped_for_an_engine_for_real_locks_or_for_their_length_alone() -> None:
    """
    A test that is skipped elsewhere proves nothing there: conftest.py alone may skip.
    """
    words = re.compile(r"pytest\.(skip|importorskip|xfail)\b|mark\.(skip|skipif|xfail)\b")
    skipping = [shown(path) for path in ours(r"tests/.*\.py") if words.search(path.read_text())]

    assert {"tests/conftest.py", "tests/corpus/conftest.py", "tests/house/test_style.py"} >= set(skipping)
