"""Which command lines a program can be started with without a shell."""

import pytest

from mlflow_uv.command.shell_words import NeedsShell, refuse_operators, shell_command, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python train.py", ("python", "train.py")),
        ("python 'train me.py' --name \"a b\"", ("python", "train me.py", "--name", "a b")),
        ("python train.py --where 'x > 3 && y'", ("python", "train.py", "--where", "x > 3 && y")),
        ('python train.py --url "http://x/?a=1&b=2;c"', ("python", "train.py", "--url", "http://x/?a=1&b=2;c")),
        (r"python train.py --either a\|b", ("python", "train.py", "--either", "a|b")),
        ("python train.py 'dir=${now:%Y}'", ("python", "train.py", "dir=${now:%Y}")),
        ("python train.py lr=0.1 price=5$", ("python", "train.py", "lr=0.1", "price=5$")),
        ("python train.py \\\n  --epochs 3\n", ("python", "train.py", "--epochs", "3")),
        ("python train.py\n  --epochs 3\n", ("python", "train.py", "--epochs", "3")),
    ],
)
def test_what_is_quoted_is_a_word(text: str, words: tuple[str, ...]) -> None:
    """
    Signs of a shell between quotes are letters, here as in a shell, and a long command may go on in the next line.
    """
    assert words == split(text)


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("python a.py && python b.py", "&&"),
        ("python a.py&&python b.py", "&&"),
        ("python a.py || true", "||"),
        ("python a.py; python b.py", ";"),
        ("python a.py | tee log", "|"),
        ("python a.py > log", ">"),
        ("python a.py 2>&1", ">"),
        ("python a.py >> log", ">>"),
        ("python a.py < data.csv", "<"),
        ("python a.py &", "&"),
        ("python a.py `date`", "`"),
        ("python a.py --day $(date)", "$("),
        ('python a.py --day "$(date)"', "$("),
        ("python a.py --data $DATA/x", "$DATA"),
        ('python a.py --data "${DATA}/x"', "${"),
        ("SEED=1 python a.py", "SEED="),
        ("python a.py\npython b.py", "a line break"),
    ],
)
def test_what_only_a_shell_understands_is_refused(text: str, sign: str) -> None:
    """
    It would be handed to the program as an argument, and what stands behind it would never run.
    """
    with pytest.raises(NeedsShell) as caught:
        split(text)

    assert sign == caught.value.sign


@pytest.mark.parametrize("sign", ["&&", "||", "|", ";", ">", ">>", "2>&1", "&", "<"])
def test_an_operator_in_a_list_of_words_is_refused(sign: str) -> None:
    """
    A list says its words exactly, and none of them is an operator.
    """
    with pytest.raises(NeedsShell) as caught:
        refuse_operators(("python", "train me.py", sign, "x"))

    assert (sign, f"python 'train me.py' {sign} x") == (caught.value.sign, caught.value.command)


def test_a_list_may_hold_signs_inside_of_words() -> None:
    """
    Only a word that is an operator, and nothing else, cannot be meant.
    """
    refuse_operators(("sh", "-c", "python a.py && python b.py", "x > 3", "$HOME"))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("python a.py && python b.py", "sh -c 'python a.py && python b.py'"),
        ("python a.py; python b.py", "sh -ec 'python a.py; python b.py'"),
        ("python a.py\npython b.py", "sh -ec 'python a.py\npython b.py'"),
    ],
)
def test_the_shell_that_is_named_reads_it(text: str, command: str) -> None:
    """
    What is advised are words again, and a first command that fails ends the training.
    """
    with pytest.raises(NeedsShell) as caught:
        split(text)

    assert (command, text) == (shell_command(caught.value), split(command)[2])
