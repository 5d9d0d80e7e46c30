"""
What each entry point imports, counted and not timed.

A hook runs at every commit, so it imports neither what it does not use nor what takes long. Everything else imports at
the top of a module: an import inside a function is allowed only for a module that a budget here keeps out.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import mlflow_uv
from mlflow_uv.core.lint.catalog import rules
from mlflow_uv.steps.catalog import NAMES, RELEASE_NAME

LOOK = """
import runpy, sys
module, *sys.argv = sys.argv[1:]
sys.argv = [module, *sys.argv]
try:
    runpy.run_module(module, run_name="__main__")
except SystemExit as ended:
    code = ended.code
print("\\nended", code, *sys.modules)
"""
# What no entry point needs before it does its work.
NEVER = frozenset(
    {
        "actions_toolkit",
        "asyncio",
        "jinja2",
        "mlflow",
        "mlflow_uv.surfaces.cells",
        "mlflow_uv.surfaces.durations",
        "mlflow_uv.surfaces.live_line",
        "mlflow_uv.surfaces.sarif",
        "multiprocessing",
        "requests",
        "rich",
        "xml",
    }
)
NETWORK = frozenset({"email", "http.client", "ssl", "urllib.request"})
# `packaging` costs a hook a fifth of its time: it imports `logging`, `platform` and `sysconfig`.
PARSERS = frozenset({"configparser", "difflib", "packaging", "sqlite3", "tarfile", "zipfile"})
THREADS = frozenset({"concurrent.futures", "logging", "traceback"})
OTHER_STEPS = frozenset({
    "mlflow_uv.steps.build_image", "mlflow_uv.steps.log_model", "mlflow_uv.steps.release", "mlflow_uv.tools.engines",
    "mlflow_uv.tools.oci", "mlflow_uv.tools.toolbox",
})  # fmt: skip
LOCK_STEP = NEVER | NETWORK | PARSERS | OTHER_STEPS
HOOK = LOCK_STEP | {"argparse", "mlflow_uv.core.model.budgets", "mlflow_uv.core.promotion.promote_policy"}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an entry point may import: nothing that is `kept_out`, and at most so many modules of ours."""

    argv: tuple[str, ...]
    kept_out: frozenset[str]
    ours: int


# What takes the time that the hook of a rule has: 40 ms more than Python's own start.
CHECKED = ("pyproject.toml", "uv.lock", "train.py")
QUICK = HOOK | THREADS | {"ast", "dataclasses", "inspect", "json", "pathlib", "tomli", "tomllib", "urllib.parse"}

# What a step needs only once it does its work.
LATER = NEVER | NETWORK | {
    "concurrent.futures", "csv", "gzip", "importlib.metadata", "mlflow_uv.tools.layers",
    "mlflow_uv.tools.cloud.workspace_identity",
    "mlflow_uv.tools.uv.environment_state", "packaging", "socket", "sqlite3", "tarfile", "zipfile", "zlib_ng",
    "zstandard",
}  # fmt: skip
# What a release needs only at its end, or if it verifies and reports.
AT_THE_END = frozenset(
    {"mlflow_uv.core.promotion", "mlflow_uv.ops.report", "mlflow_uv.ops.verify.ways", "mlflow_uv.ops.versions"}
)

BUDGETS = {
    "hook check-lock": Budget(argv=("mlflow_uv_hooks", "check-lock", "uv.lock"), kept_out=HOOK | THREADS, ours=105),
    "hook export": Budget(argv=("mlflow_uv_hooks", "export", "--check", "requirements.txt"), kept_out=HOOK, ours=109),
    "check-lock": Budget(argv=("mlflow_uv", "check-lock"), kept_out=LOCK_STEP | THREADS, ours=111),
    **{
        f"hook {rule.id}": Budget(argv=("mlflow_uv_hooks", rule.id, *CHECKED), kept_out=QUICK, ours=25)
        for rule in rules()
    },
    "lint": Budget(argv=("mlflow_uv", "lint"), kept_out=LOCK_STEP, ours=136),
    "export": Budget(argv=("mlflow_uv", "export"), kept_out=LOCK_STEP, ours=113),
    "check-targets": Budget(argv=("mlflow_uv", "check-targets"), kept_out=NEVER | NETWORK | OTHER_STEPS, ours=109),
    "--version": Budget(argv=("mlflow_uv", "--version"), kept_out=LOCK_STEP | THREADS, ours=96),
    RELEASE_NAME: Budget(argv=("mlflow_uv", RELEASE_NAME, "--help"), kept_out=LATER | AT_THE_END, ours=297),
    "--help": Budget(argv=("mlflow_uv", "--help"), kept_out=NEVER | {"concurrent.futures"}, ours=480),
}
# Of each step at most: our modules, dataclasses whose methods are made, compiled patterns of ours.
LOCK_STEPS = ("init", "check-lock", "check-targets", "lint", "compare-locks", "export", "report-issue")
# They compare two versions, as promote does.
COMPARING_STEPS = {"compare-versions": (135, 14, 2), "post-comment": (150, 14, 2)}
STEPS = {
    **{name: (131, 14, 2) if name in LOCK_STEPS else (238, 28, 2) for name in NAMES},
    **COMPARING_STEPS,
    RELEASE_NAME: (296, 38, 2),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_an_entry_point_imports_what_it_needs(root: Path, name: str) -> None:
    """
    On the way to its answer, in a project without mistakes, a machine without pip's settings, and no policy.
    """
    budget = BUDGETS[name]
    argv = (sys.executable, "-I", "-c", LOOK, *budget.argv)
    variables = {**os.environ, "PIP_CONFIG_FILE": os.devnull}

    done = subprocess.run(
        argv, cwd=root / "examples" / "wine", env=variables, capture_output=True, text=True, check=True
    )

    ended, code, *loaded = done.stdout.splitlines()[-1].split()
    ours = [module for module in loaded if module.startswith("mlflow_uv")]
    assert ("ended", True) == (ended, code in ("0", "1")), done.stderr
    assert set() == budget.kept_out & set(loaded)
    assert len(ours) <= budget.ours


# Counts our modules, the dataclasses whose methods were made, and the patterns of ours that were compiled.
COUNTED = f"""{LOOK}
import gc
from mlflow_uv.command.lazy_pattern import LazyPattern
modules = [module for name, module in sys.modules.items() if name.startswith("mlflow_uv.")]
kinds = {{value for module in modules for value in vars(module).values() if isinstance(value, type)}}
made = sum("__dataclass_params__" in vars(kind) for kind in kinds)
compiled = sum(isinstance(one, LazyPattern) and "_compiled" in vars(one) for one in gc.get_objects())
print(len(modules), made, compiled)
"""


@pytest.mark.parametrize("name", STEPS)
def test_a_step_starts_with_little(root: Path, name: str) -> None:
    """
    Modules, the methods of dataclasses, patterns and libraries take most of the time of a start.
    """
    argv = (sys.executable, "-I", "-c", COUNTED, "mlflow_uv", name, "--help")

    done = subprocess.run(argv, cwd=root / "examples" / "wine", capture_output=True, text=True, check=True)

    loaded = {*done.stdout.splitlines()[-2].split()[2:]}
    counts = [*map(int, done.stdout.splitlines()[-1].split())]
    assert set() == LATER & loaded
    assert [] == [pair for pair in zip(counts, STEPS[name], strict=True) if pair[0] > pair[1]]


def test_usual_requirements_and_ranges_take_no_packaging() -> None:
    """
    Those that uv and this program write; `packaging` takes a third of the time in which a step starts.
    """
    code = """
import sys
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.lock.version_ranges import in_range
written = parse_requirements("a==1 ; python_full_version < '3.12' and sys_platform == 'linux'").text
print(written == parse_requirements(written).text, in_range("0.13.8", ">=0.9,<1"), "packaging" in sys.modules)
"""

    done = subprocess.run((sys.executable, "-I", "-c", code), capture_output=True, text=True, check=True)

    assert ["True", "True", "False"] == done.stdout.split()


def test_what_is_made_on_first_use_can_be_made() -> None:
    """
    A mistake in a pattern or a dataclass would otherwise show in the one run that needs it.
    """
    code = """
import gc, importlib, pkgutil, sys
from dataclasses import fields, is_dataclass
import mlflow_uv
from mlflow_uv.command.lazy_pattern import LazyPattern
for module in pkgutil.walk_packages(mlflow_uv.__path__, "mlflow_uv."):
    if module.name.split(".")[1] not in sys.argv[1:] and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
patterns = [one.pattern for one in gc.get_objects() if isinstance(one, LazyPattern)]
kinds = {one for one in gc.get_objects() if isinstance(one, type) and one.__module__.startswith("mlflow_uv.")}
print(len(patterns), sum(len(fields(kind)) > 0 for kind in kinds if is_dataclass(kind)))
"""
    argv = (sys.executable, "-I", "-c", code, *STANDALONE, "edge", "signing", "ray_serve")

    done = subprocess.run(argv, capture_output=True, text=True, check=True)

    patterns, kinds = map(int, done.stdout.split())
    assert patterns > 150
    assert kinds > 300


# What the hook check-lock imports before it starts uv, and what it imports meanwhile. Each counts as 40 ms do at most.
BEFORE_UV = "import mlflow_uv_hooks.quick_lock"
MEANWHILE = f"{BEFORE_UV}; import mlflow_uv.command.settings, mlflow_uv.core.security.toml_documents"
SLOW = frozenset({"ast", "dataclasses", "inspect", "json", "pathlib", "subprocess", "tempfile", "threading", "urllib"})


@pytest.mark.parametrize(
    ("code", "kept_out", "ours"),
    [(BEFORE_UV, SLOW | {"enum", "functools", "re", "tomli", "typing"}, 24), (MEANWHILE, SLOW, 27)],
    ids=["before uv", "meanwhile"],
)
def test_a_fresh_lock_takes_few_imports(code: str, kept_out: frozenset[str], ours: int) -> None:
    """
    Of modules of ours, and of the standard library beside what Python itself has imported.
    """
    look = f"import sys; before = {{*sys.modules}}; {code}; print(*({{*sys.modules}} - before))"

    done = subprocess.run((sys.executable, "-I", "-c", look), capture_output=True, text=True, check=True)

    loaded = {*done.stdout.split()}
    assert set() == kept_out & loaded
    assert sum(module.startswith("mlflow_uv") for module in loaded) <= ours, loaded


def test_the_launcher_imports_little(root: Path) -> None:
    """
    It runs before every step, uncompiled; only where there is no environment yet does it import what makes one.
    """
    code = "import sys; sys.path.insert(0, 'bin'); import launcher; print(*sys.modules)"

    done = subprocess.run(
        (sys.executable, "-I", "-S", "-c", code), cwd=root, capture_output=True, text=True, check=True
    )

    loaded = {*done.stdout.split()}
    assert set() == (SLOW | {"re", "shutil", "tomllib", "typing"}) & loaded
    assert [] == [module for module in loaded if module.startswith("mlflow_uv") or module == "environment"]


# imports inside functions

PACKAGE = Path(mlflow_uv.__file__).parent
OPTIONAL = {"_ctypes", "ctypes"}  # some builds of Python lack it
STANDALONE = ("installing", "payloads", "serving")  # import what the environment of a model may lack


def late_imports(source: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each module that a function imports, with its package where the import is relative."""
    path = source.relative_to(PACKAGE.parent).parts
    for function in ast.walk(ast.parse(source.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from ((node.lineno, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    parts = path[: -node.level] if node.level else ()
                    yield node.lineno, ".".join((*parts, *(node.module or "").split(".")))


KEPT_OUT = {name for budget in BUDGETS.values() for name in budget.kept_out} | LATER


def is_kept_out(module: str) -> bool:
    """Whether a budget keeps out the module, or one that it imports."""
    if {module, module.partition(".")[0]} & KEPT_OUT:
        return True
    code = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code, module], capture_output=True, text=True, check=True)
    return not KEPT_OUT.isdisjoint(done.stdout.split())


def test_a_function_imports_only_what_a_budget_keeps_out(root: Path) -> None:
    """
    Every other import is at the top of its module, where readers and linters look for it.
    """
    sources = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in STANDALONE]
    late = {(path, line, name) for path in sources for line, name in late_imports(path) if name not in OPTIONAL}
    permitted = {name for name in {name for _, _, name in late} if is_kept_out(name)}

    needless = [
        f"{path.relative_to(root)}:{line}: {name}" for path, line, name in sorted(late) if name not in permitted
    ]

    assert [] == needless
