"""Which commands of a document run a program of the project."""

import pytest

from mlflow_uv.core.init.run_commands import (
    CommandDocument,
    is_named_after_other_work,
    is_named_after_training,
    run_commands,
)


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        ("\tuv run --extra cpu --no-sync python -u src/a.py --b c", [("src/a.py", False, ("--b", "c"))]),
        ("RUN uv run --group train -m pkg.a && echo", [("pkg.a", True, ())]),
        ("python3.12 -X utf8 -m pkg.a", [("pkg.a", True, ())]),
        ("$(UV) run python ./a.py", [("a.py", False, ())]),
        ("/opt/venv/bin/python a.py", [("a.py", False, ())]),
        ("torchrun a.py; accelerate launch --num_processes 1 b.py", [("a.py", False, ()), ("b.py", False, ())]),
        ("poetry run a.py", [("a.py", False, ())]),
        ('ENTRYPOINT ["uv", "run", "a.py", "--b"]', [("a.py", False, ("--b",))]),
        ("- [ 'python', '-m', 'a.b' ]", [("a.b", True, ())]),
        ("uv run wine-train --b", [("wine-train", False, ("--b",))]),
        ("uv run other", []),
        ("    run: wine-train conf/a.yaml", [("wine-train", False, ("conf/a.yaml",))]),
        ("the command wine-train trains", []),
        ("uv run wine-train --help", []),
        ("kedro run --pipeline a", [("kedro", False, ("run", "--pipeline", "a"))]),
        ("python -c 'import a'\npython\nuv run\npython -m", []),
        ("python a.py --b $(B)", [("a.py", False, None)]),
        ("python a.py --b ~/c", [("a.py", False, None)]),
        ("python a.py --b=~/c", [("a.py", False, None)]),
        ("python a.py --b %TEMP%", [("a.py", False, None)]),
        ("python a.py --b c~1 50%", [("a.py", False, ("--b", "c~1", "50%"))]),
        ("python a.py --b c  # d", [("a.py", False, ("--b", "c"))]),
        ("python a.py > log.txt", [("a.py", False, ())]),
        ("| `python a.py` | it trains |", [("a.py", False, ())]),
        ("MODE=x python a.py  \u8bad\u7ec3", [("a.py", False, ())]),
    ],
)
def test_a_command_is_read_in_every_form(text: str, programs: list[tuple[str, bool, tuple[str, ...] | None]]) -> None:
    """
    In a Makefile, a Dockerfile, a workflow or a sentence; options of Python and uv are no program.
    """
    commands = run_commands([CommandDocument(path="a", text=text)], ["wine-train"])

    assert programs == [(command.program, command.module, command.arguments) for command in commands]


@pytest.mark.parametrize(
    ("text", "trains"),
    [
        ("train: data\n\tpython a.py", True),
        ("train-all:\n\techo\n\tpython a.py", True),
        ("train:\n\techo\ntest:\n\tpython a.py", False),
        ("stages:\n  train:\n    cmd: python a.py", True),
        ("- name: Train the model\n  run: python a.py", True),
        ("## Training\n\n```sh\npython a.py\n```", True),
        ("# train\npython a.py", True),
        ("train = python a.py", True),
        ("all:\n\tpython a.py train --b", True),
        ("all:\n\tpython a.py data/train", False),
        ("trainer:\n\tpython a.py", False),
    ],
)
def test_the_target_above_a_command_says_what_it_is_for(text: str, trains: bool) -> None:
    """
    A target, a stage, a step, a heading or a comment; or the command that the program is given.
    """
    (command,) = run_commands([CommandDocument(path="a", text=text)])

    assert trains == command.trains


@pytest.mark.parametrize(
    ("name", "trains", "other"),
    [
        ("re-train", True, False),
        ("TrainModel", False, False),
        ("iqa-train-ae", True, False),
        ("Fit the model", True, False),
        ("train_and_evaluate", True, True),
        ("deployments", False, True),
        ("trainer", False, False),
    ],
)
def test_a_name_says_what_it_is_for(name: str, trains: bool, other: bool) -> None:
    """
    By its words, whatever joins them.
    """
    assert (trains, other) == (is_named_after_training(name), is_named_after_other_work(name))
