"""Which script of a project trains, and the command that runs it."""

import time

import pytest

from mlflow_uv.core.init.run_commands import CommandDocument
from mlflow_uv.core.init.training_scripts import run_recorders, training_command, training_scripts
from tests.work_limits import assert_linear

GUARD = 'if __name__ == "__main__":\n    main()\n'
LOGS = "import mlflow\n\ndef main():\n    mlflow.sklearn.log_model(model, name='m')\n\n"
LIBRARY = "import mlflow\n\ndef keep(model):\n    mlflow.sklearn.log_model(model, name='m')\n"
FLAT = "import mlflow\nmlflow.lightgbm.autolog()\n"


def documents(*texts: str) -> list[CommandDocument]:
    """Documents of a project with these texts."""
    return [CommandDocument(path=f"Makefile{number}", text=text) for number, text in enumerate(texts)]


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
    assert ["src/wine/train.py"] == paths(
        src__wine__registry=LIBRARY, src__wine__train="from wine.registry import keep\n" + GUARD
    )


@pytest.mark.parametrize(
    "command", ["uv run python flows/b.py --force", "$(UV) run python -m flows.b", "python3 ./flows/b.py"]
)
def test_a_command_of_a_makefile_decides(command: str) -> None:
    """
    Of two scripts that are equally likely, the one that the project's own documents run.
    """
    files = [("flows/a.py", LOGS + GUARD), ("flows/b.py", LOGS + GUARD)]

    assert [["flows/a.py", "flows/b.py"], ["flows/b.py", "flows/a.py"]] == [
        [script.path for script in training_scripts(files, given)] for given in ([], documents(f"all:\n\t{command}\n"))
    ]


def test_a_script_that_reaches_a_log_is_found() -> None:
    """
    Through other modules of the project, also in a circle; one that a document runs is more likely.
    """
    files = [
        ("src/wine/track.py", LIBRARY),
        ("src/wine/loop.py", "import wine.run\nfrom wine.track import keep\n"),
        ("src/wine/run.py", "from wine import loop\n"),
        ("scripts/run.py", "from wine import x\nfrom wine.loop import main\n" + GUARD),
        ("scripts/same.py", "from wine.loop import main\n" + GUARD),
        ("scripts/other.py", "import json\n" + GUARD),
    ]
    readme = "python scripts/same.py\npython scripts/other.py\npython -m wine.loop\n"

    found, guessed = (training_scripts(files, given) for given in (documents(readme), []))

    assert [("scripts/same.py", "sklearn"), ("scripts/run.py", "sklearn")] == [(one.path, one.flavor) for one in found]
    assert {"scripts/run.py", "scripts/same.py"} == {script.path for script in guessed}


def test_an_entry_that_is_named_after_training_runs_its_module() -> None:
    """
    Without a `__main__` block; an entry of another name less so, and one whose module logs nothing is none.
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
        commands.append([(training_command(script, frozenset()), script.score) for script in scripts])

    assert [[("wine-train", 4)], [("wine", 1)], [("wine", 1)], [], []] == commands


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
        ('CMD ["python", "train.py", "--data", "a.csv"]', "python train.py --data a.csv"),
        ("python train.py \\\n  --data a.csv\n", "python train.py --data a.csv"),
        ("python train.py `\n  --data a.csv\n", "python train.py --data a.csv"),
        ("Run `python train.py --data a.csv` first.", "python train.py --data a.csv"),
        ("`python train.py` reads data", "python train.py"),
        (
            "check:\n\tpython train.py --data b.csv\ntrain:\n\tpython train.py --data a.csv",
            "python train.py --data a.csv",
        ),
    ],
)
def test_required_arguments_are_those_of_a_documented_command(document: str, command: str) -> None:
    """
    Unless they are placeholders. The target that is named after training is more likely than another one.
    """
    required = f'{LOGS}parser.add_argument("--data", required=True)\n{GUARD}'
    (found,) = training_scripts([("train.py", required)], documents(document))

    assert (command, command == "python train.py") == (training_command(found, frozenset()), bool(found.lacks))


@pytest.mark.parametrize(
    ("document", "decides", "command"),
    [
        ("python train.py --epochs 50", True, "python train.py --epochs 50"),
        ("python train.py\npython train.py --epochs 50", True, "python train.py"),
        ("python train.py --help", True, "python train.py"),
        ("python train.py --epochs 1", False, "python train.py"),
    ],
)
def test_arguments_that_are_not_required_are_those_of_every_documented_command(
    document: str, decides: bool, command: str
) -> None:
    """
    The command of a workflow may be a short check: its arguments are not taken.
    """
    text = CommandDocument(path="README.md", text=document, decides=decides)

    (script,) = training_scripts([("train.py", LOGS + GUARD)], [text])

    assert command == training_command(script, frozenset())


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('parser.add_argument("--enable-mlflow", action="store_true")', "python train.py --enable-mlflow"),
        ('parser.add_argument("--no-mlflow", action="store_true")', "python train.py"),
        ('parser.add_argument("--mlflow", default="a")', "python train.py"),
        ("from metaflow import FlowSpec\nclass Flow(FlowSpec): ...", "python train.py run"),
        ("@app.command()\ndef train(): ...\n@app.command('show')\ndef x(): ...", "python train.py train"),
        ("@app.command\ndef fit_all(): ...\n@app.command('show')\ndef x(): ...", "python train.py fit-all"),
        ("@app.command()\ndef train(): ...", "python train.py"),
        ("@click.command()\ndef train(): ...\n@click.command()\ndef x(): ...", "python train.py"),
        ("a = subparsers.add_parser('train')\nb = subparsers.add_parser('serve')", "python train.py train"),
        ("a = subparsers.add_parser('load')\nb = subparsers.add_parser('serve')", "python train.py"),
    ],
)
def test_what_a_script_needs_to_train_is_added(text: str, command: str) -> None:
    """
    The command of one with several, `run` of a flow of Metaflow, and the flag without which MLflow is not used.
    """
    (script,) = training_scripts([("train.py", f"{LOGS}{text}\n{GUARD}")])

    assert command == training_command(script, frozenset())


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("from src.wine.track import keep\n", "python -m src.jobs.train"),
        ("import sys\nsys.path.append('.')\nfrom src.wine.track import keep\n", "python src/jobs/train.py"),
        ("from track import keep\n", "python src/jobs/train.py"),
        ("from wine.track import keep\n", "python src/jobs/train.py"),
        ("from src.wine import (\n    other,  # a\n    track as t,\n)\n", "python -m src.jobs.train"),
    ],
)
def test_a_script_that_imports_from_the_top_is_run_as_a_module(text: str, command: str) -> None:
    """
    Python looks for its imports in the folder of the script, and with `-m` in the one of the project.
    """
    files = [("src/wine/track.py", LIBRARY), ("src/jobs/track.py", LIBRARY), ("src/jobs/train.py", text + GUARD)]

    (script,) = training_scripts(files)

    assert command == training_command(script, frozenset())


@pytest.mark.parametrize("name", ["it's", "train it", "-x", "A=b", "größe", "a;b", ""])
def test_an_entry_that_has_to_be_quoted_is_no_command(name: str) -> None:
    """
    TOML allows any text as a name, and a command line would read it as something else.
    """
    text = LOGS + GUARD

    (found,) = training_scripts([("fit.py", text)], entries={name: "fit:main"})

    assert "python fit.py" == training_command(found, frozenset(), text)


def test_a_script_whose_name_is_like_an_option_is_run_as_a_file() -> None:
    """
    Python would read it as its own option.
    """
    (found,) = training_scripts([("-train.py", LOGS + GUARD)])

    assert "python ./-train.py" == training_command(found, frozenset())


def test_a_file_that_traces_logs_no_model() -> None:
    """
    `autolog` of a flavor for language models records calls.
    """
    assert [] == paths(agent="import mlflow\nmlflow.langchain.autolog()\n" + GUARD)
    assert ["agent.py"] == paths(agent="import mlflow\nmlflow.langchain.log_model(m)\n" + GUARD)


def test_a_script_that_only_has_the_name_is_none_where_others_log() -> None:
    """
    Where none does, the name and a use of MLflow are what is known; with Hydra a configuration may have the use.
    """
    named = "import mlflow\nmlflow.start_run()\n" + GUARD
    hydra = [("train.py", "@hydra.main\ndef main(): ...\n" + GUARD)]

    assert ["run.py"] == paths(train=named, run=LOGS + GUARD)
    assert [("train.py", False)] == [(script.path, script.logs) for script in training_scripts([("train.py", named)])]
    assert [0, 1] == [
        len(training_scripts([("a.py", "import mlflow\n"), *hydra], configured=on)) for on in (False, True)
    ]


def test_a_script_that_only_imports_mlflow_is_none() -> None:
    """
    Its name alone says nothing about a run.
    """
    assert [] == paths(training="import mlflow\n" + GUARD)


def test_scripts_of_another_project_are_none_and_are_imported() -> None:
    """
    A member of a workspace is set up on its own.
    """
    files = [
        ("libs/a/src/a/track.py", LIBRARY),
        ("libs/a/train.py", LOGS + GUARD),
        ("jobs/fit.py", "from a.track import keep\n" + GUARD),
    ]

    assert ["jobs/fit.py"] == [script.path for script in training_scripts(files, apart=["libs/a/"])]


def test_scripts_that_record_runs_without_a_model_are_named() -> None:
    """
    Those that can be run, themselves or through what they import.
    """
    files = [
        ("track.py", "import mlflow\nmlflow.start_run()\n"),
        ("jobs/fit.py", "from track import a\n" + GUARD),
        ("run.py", "import mlflow\nmlflow.set_experiment('a')\n" + GUARD),
        ("evaluate.py", "import mlflow\nmlflow.start_run()\n" + GUARD),
        ("other.py", GUARD),
    ]

    assert ("run.py", "jobs/fit.py") == run_recorders(files)


def test_the_name_that_an_imported_file_registers_is_known() -> None:
    """
    Also the flavor, if the imported files name one alone.
    """
    track = "import mlflow\nmlflow.xgboost.log_model(m, registered_model_name='red')\n"
    files = [("track.py", track), ("train.py", "import track\n" + GUARD)]

    (script,) = (one for one in training_scripts(files) if one.path == "train.py")

    assert ("red", False, "xgboost") == (script.registers, script.name_unclear, script.flavor)


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
    (script,) = training_scripts([(path, text)], (), {"wine-fit": "wine.fit:main"})

    assert command == training_command(script, every, text)


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

    assert_linear(lambda text: training_scripts([*scripts, ("other.py", text)], documents(text)), start, unit)
