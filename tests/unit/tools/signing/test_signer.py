"""Tests what the program that signs is given: the key is on its standard input alone."""

import json
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.tools.signing.signer import KeptSignatures, SignedStatements, SigningKey, SigningProgram, TrustedKeys
from mlflow_uv.tools.system.commands import Command, Completed

SECRET = "MIGHAgEAMBMGByqGSM49AgEG"
KEY = SigningKey(shown="`release.pem`", pem=f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n")
NOTHING = KeptSignatures(bundles=(), model_signature="")
NOBODY = TrustedKeys(keys=(), authorities=(), identities=(), revoked=())


ANSWERED = {
    "payload": "",
    "signer": "",
    "problem": "it is not a Sigstore bundle",
    "statement": "5" * 64,
    "untrusted": True,
}


class Program:
    """A runner whose program answers what it is given; it keeps the command."""

    def __init__(self, answer: object, code: int = 0) -> None:
        self.answer, self.code = answer, code
        self.commands: list[Command] = []

    def run(self, command: Command) -> Completed:
        """See Runner."""
        self.commands.append(command)
        Path(command.argv[-1]).write_text(json.dumps(self.answer))
        return Completed(code=self.code, stdout="", stderr="Traceback\nValueError: broken")


def program(runner: Program) -> SigningProgram:
    """The program, for a caller that has a key and credentials in its variables."""
    variables = {"PATH": "/bin", "MLFLOW_UV_SIGNING_KEY": KEY.pem, "AWS_SECRET_ACCESS_KEY": "s"}
    host = Host.of(variables, folder=Path("/"), python=Path(sys.executable))
    return SigningProgram(runner=runner, host=host, python=Path("/env/bin/python"))  # type: ignore[arg-type]


def test_the_key_is_neither_in_arguments_nor_in_variables(tmp_path: Path) -> None:
    """
    Its lines are masked in everything that the program prints.
    """
    runner = Program({"value": {"signer": "key 1", "bundles": ["{}"], "model_signature": ""}})

    signed = program(runner).sign(("{}",), KEY, tmp_path, ignored=(), earlier=NOTHING)

    (command,) = runner.commands
    assert SignedStatements(signer="key 1", bundles=("{}",), model_signature="") == signed
    assert SECRET in str(command.stdin)
    assert (False, {"PATH", "PYTHONUNBUFFERED"}) == (SECRET in " ".join(command.argv), set(command.variables))
    assert ((SECRET,), False) == (command.secrets, SECRET in repr((command, KEY)))


@pytest.mark.parametrize(
    ("runner", "error", "why"),
    [
        (Program({"refused": "the key is encrypted with a password"}), BadInput, "the key is encrypted"),
        (Program({}, code=1), ToolFailed, "ValueError: broken"),
    ],
)
def test_a_refusal_is_not_a_failure(tmp_path: Path, runner: Program, error: type[Exception], why: str) -> None:
    """
    The first is about the key, and the second about the program.
    """
    with pytest.raises(error) as raised:
        program(runner).sign(("{}",), KEY, tmp_path, ignored=(), earlier=NOTHING)

    assert str(raised.value.why).startswith(why)  # type: ignore[attr-defined]


def test_bundles_are_verified_without_a_key() -> None:
    """
    Each with its own result.
    """
    runner = Program({"value": {"results": [ANSWERED]}})

    (found,) = program(runner).verify(("{",), NOBODY)

    assert ("it is not a Sigstore bundle", "5" * 64, True) == (found.problem, found.statement, found.untrusted)
    assert SECRET not in str(runner.commands[0].stdin)
