"""Which script of a project trains, and the command that runs it."""

import time

import pytest

from mlflow_uv.core.init.training_scripts import training_command, training_scripts
from tests.work_limits import assert_linear

GUARD = 'if __name__ == "__main__":\n    main()\n'
LOGS = "import mlflow\n\ndef main():\n    mlflow.sklearn.log_model(model, name='m')\n\n"
LIBRARY = "import mlflow\n\ndef keep(model):\n    mlflow.sklearn.log_model(model, name='m')\n"
FLAT = "import mlflow\nmlflow.lightgbm.autolog()\n"


def paths(**files: str) -> list[str]:
    """The scripts of a project by their paths, which have `/` for `__`, the most likely first."""
    named = {f"{name.replace('__', '/')}.py": text for name, text in files.items()}
    return [script.path for script in training_scripts(named.items())]


def test_the_script_that_logs_a_model_is_found() -> None:
    """
    With a `__main__` block or without one, and the flavor that it names.
    """
    found = training_scripts([("fit.py", LOGS + GUARD), ("flat.py", FLAT), ("a.py", "print()\n" + GUARD)])

    assert [("fit.py", "sklearn"), ("flat.py", "lightgbm")] == [(script.path, script.flavor) for script in found]


@pytest.mark.parametrize(
    "line",
    ["import sys, mlflow", "import os; import mlflow", "import numpy as n, mlflow.sklearn as m", "from mlflow import x",
     "try: import mlflow\nexcept ImportError: raise", "import mlflow\nprint 'another Python'"],
)  # fmt: skip
def test_mlflow_is_imported_in_any_form(line: str) -> None:
    """
    Also in a file that this Python cannot read; a comment or a text is no import.
    """
    rest = "\nmlflow.lightgbm.autolog()\n"

    assert ["train.py"] == paths(train=line + rest)
    assert [] == paths(train='"""\nimport mlflow\n"""\nimport mlflowers' + rest)


def test_a_module_that_is_only_imported_is_no_script() -> None:
    """
    The model is logged there, and another script, named after training, runs it.
    """
    assert ["src/wine/train.py"] == paths(src__wine__registry=LIBRARY, src__wine__train="import wine\n" + GUARD)


@pytest.mark.parametrize(
    "command", ["uv run python flows/b.py --force", "$(UV) run python -m flows.b", "python3 ./flows/b.py"]
)
def test_a_command_of_a_makefile_decides(command: str) -> None:
    """
    Of two scripts that are equally likely, the one that the project's own documents run.
    """
    files = [("flows/a.py", LOGS + GUARD), ("flows/b.py", LOGS + GUARD)]

    assert [["flows/a.py", "flows/b.py"], ["flows/b.py", "flows/a.py"]] == [
        [script.path for script in training_scripts(files, documents)] for documents in ([], [f"all:\n\t{command}\n"])
    ]


def test_a_script_that_is_run_and_reaches_a_log_is_found() -> None:
    """
    Through other modules of the project, also in a circle; without a command all that reach one are equally likely.
    """
    files = [
        ("src/wine/track.py", LIBRARY),
        ("src/wine/loop.py", "import wine.run\nfrom wine.track import keep\n"),
        ("scripts/run.py", "from wine import x\nfrom wine.loop import main\n" + GUARD),
        ("scripts/same.py", "from wine.loop import main\n" + GUARD),
        ("scripts/other.py", "import json\n" + GUARD),
    ]
    readme = "python scripts/run.py\npython scripts/other.py\npython -m wine.loop\n"

    found, guessed = (training_scripts(files, documents) for documents in ([readme], []))

    assert ["scripts/run.py"] == [script.path for script in found]
    assert [("scripts/run.py", 0), ("scripts/same.py", 0)] == [(script.path, script.score) for script in guessed]


def test_an_entry_that_is_named_after_training_runs_its_module() -> None:
    """
    Without a `__main__` block; an entry of another name says nothing, and one whose module logs nothing neither.
    """
    files = [("src/wine/cli.py", "from wine.track import keep\n"), ("src/wine/track.py", LIBRARY)]

    commands = []
    for entries in (
        {"wine-train": "wine.cli:main"},
        {"wine": "wine.cli:train_all"},
        {"wine": "wine.cli:main"},
        {"train": "wine.other:main"},
        {"train": 1},
    ):
        scripts = training_scripts(files, (), entries)
        commands.append([training_command(script, frozenset(), entries) for script in scripts])

    assert [["wine-train"], ["wine"], [], [], []] == commands


def test_a_script_without_functions_is_one_if_it_is_named_after_training() -> None:
    """
    What it imports logs the model; a module that only sets libraries up, and a script of another name, train nothing.
    """
    begin = "from wine.track import keep\n"
    run = f"{begin}model = keep(1)\nmodel.train()\n"
    files = {
        "train_wine.py": run,
        "src/wine/train.py": f"{begin}load_dotenv()\nlogging.basicConfig()\ndef train():\n    keep(1)\n",
        "make_wine.py": run,
        "src/wine/track.py": LIBRARY,
    }

    assert ["train_wine.py"] == [script.path for script in training_scripts(files.items())]


@pytest.mark.parametrize(
    ("arguments", "required"),
    [
        ('parser.add_argument("data", type=Path)', ("data",)),
        ('parser.add_argument("-d", "--data", required=True, type=partial(f, 1))', ("--data",)),
        ('parser.add_argument("data", nargs="?")', ()),
        ('parser.add_argument("--data", default="a")\nadd_argument("--b", required=False)', ()),
        ('@click.option("--data", required=True)\n@click.argument("out")\ndef f(): ...', ("--data", "out")),
        ('@click.argument("out", required=False)\ndef f(): ...', ()),
        ('from click import argument as given\n@given("out")\ndef f(): ...', ("out",)),
        ('# parser.add_argument("data")\na = "parser.add_argument(\'data\')"', ()),
        ('argparse.ArgumentParser().add_argument("--data", help=f"a ({b}) (c (d))", required=True)', ("--data",)),
        ('parser.add_argument("--" + name, required=True)', ()),
        ("x: str = typer.Option(...)\ny: str = typer.Option('b')", ("an argument",)),
        ("x: str = typer.Option(..., '-x', '--data')", ("--data",)),
    ],
)
def test_arguments_that_a_script_requires_are_known(arguments: str, required: tuple[str, ...]) -> None:
    """
    With argparse, click and typer; a default makes one optional.
    """
    (script,) = training_scripts([("train.py", f"{LOGS}{arguments}\n{GUARD}")])

    assert (required, required) == (script.required, script.lacks)


@pytest.mark.parametrize(
    ("document", "command"),
    [
        ("train:\n\tuv run python train.py --data data/a.csv # all\n", "python train.py --data data/a.csv"),
        ("uv run train.py --data a.csv && echo", "python train.py --data a.csv"),
        ("python -u train.py\npython train.py --data b.csv", "python train.py --data b.csv"),
        ("python train.py --data <file>", "python train.py"),
        ("python train.py --data $(DATA)", "python train.py"),
        ("python other.py --data b.csv", "python train.py"),
    ],
)
def test_required_arguments_are_those_of_a_documented_command(document: str, command: str) -> None:
    """
    Unless they are placeholders. A script that requires none is run without any.
    """
    required = f'{LOGS}parser.add_argument("--data", required=True)\n{GUARD}'
    found, plain = (training_scripts([("train.py", text)], [document])[0] for text in (required, LOGS + GUARD))

    assert (command, command == "python train.py") == (training_command(found, frozenset(), {}), bool(found.lacks))
    assert "python train.py" == training_command(plain, frozenset(), {})


def test_many_blank_lines_take_no_time() -> None:
    """
    The time grows with the length of a file, and not with its square.
    """
    begun = time.process_time()

    scripts = training_scripts((("train.py", "\n" * 60_000 + "import mlflow\nmlflow.autolog()\n"),))

    assert (["train.py"], True) == ([script.path for script in scripts], time.process_time() - begun < 5)


def test_without_mlflow_there_is_no_script() -> None:
    """
    A project that trains and logs no model is not set up by a guess.
    """
    assert [] == paths(train="import sklearn\n" + GUARD)


@pytest.mark.parametrize("other", ["evaluate", "serve", "tests__test_train", "docs__train", "examples__train", "app"])
def test_a_script_for_another_purpose_is_less_likely(other: str) -> None:
    """
    Evaluation, serving, tests and examples log models, too.
    """
    assert "model.py" == paths(**{other: LOGS + GUARD, "model": LOGS + GUARD})[0]


@pytest.mark.parametrize(
    ("path", "text", "command"),
    [
        ("train.py", LOGS + GUARD, "python train.py"),
        ("scripts/train.py", LOGS + GUARD, "python scripts/train.py"),
        ("train wine.py", LOGS + GUARD, "python 'train wine.py'"),
        ("src/wine/train.py", LOGS + GUARD, "python -m wine.train"),
        ("wine/train.py", "from . import data\n" + LOGS + GUARD, "python -m wine.train"),
        ("wine/train.py", LOGS + GUARD, "python wine/train.py"),
        ("src/wine/__main__.py", LOGS, "python -m wine"),
        ("src/wine/fit.py", LOGS + GUARD, "wine-fit"),
        ("other/train.py", "from . import data\n" + LOGS + GUARD, "python other/train.py"),
    ],
)
def test_a_module_of_a_package_is_run_by_its_name(path: str, text: str, command: str) -> None:
    """
    In `src`, or with relative imports; an entry of `[project.scripts]` is its name, and a file is run by its path.
    """
    every = frozenset({path, "src/wine/__init__.py", "wine/__init__.py"})
    (script,) = training_scripts([(path, text)])

    assert command == training_command(script, every, {"wine-fit": "wine.fit:main"})


@pytest.mark.parametrize(
    "unit",
    ["\n", " ", "\t", "\n ", "x", ".", "from ", "import mlflow.", "python -m ", "if ", "add_argument(", "(", "uv run "],
)
@pytest.mark.parametrize(
    "start",
    ["", "add_argument('a'", "uv run", "import mlflow\n", "from", "mlflow.log_model", "mlflow.x", "if", "python"],
)
def test_each_character_of_a_file_is_read_a_few_times(start: str, unit: str) -> None:
    """
    Blank lines, spaces or one long line of a megabyte take no more than linear work, in a script and a document.
    """
    scripts = [("train.py", "import mlflow\n")]

    assert_linear(lambda text: training_scripts([*scripts, ("other.py", text)], (text,)), start, unit)
