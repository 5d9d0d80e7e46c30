"""Runs what signs with a key that is elsewhere: a program of the user, or a key management service."""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.errors import ToolFailed
from ...command.host import Host
from ...core.security.child_environment import for_signer
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Runner, TooSlow
from .signer import RefusedRequest, SigningInterpreter

# Of one signature: a device may wait for somebody to touch it.
PROGRAM_TIMEOUT_S = 120.0
_LONGEST = 8192  # characters of a signature in Base64


@lazy_dataclass
class SignerProgram:
    """A program that reads what is to be signed from its standard input, and prints the signature in Base64."""

    argv: tuple[str, ...]
    runner: Runner
    host: Host
    say: Callable[[str], None] = field(repr=False)
    timeout_s: float = PROGRAM_TIMEOUT_S

    @property
    def shown(self) -> str:
        """The program in messages, without its arguments."""
        return f"the program `{Path(self.argv[0]).name}`"

    def signatures(self, contents: tuple[str, ...]) -> tuple[str, ...]:
        """A signature of each text in Base64. Raises ToolFailed, ToolMissing."""
        return tuple(self._signature(content) for content in contents)

    def _signature(self, content: str) -> str:
        with TemporaryDirectory(prefix="mlflow-uv-signer-") as scratch:
            command = Command(
                argv=self.argv,
                folder=Path(scratch),
                variables=for_signer(self.host.variables).variables,
                stdin=content,
                timeout_s=self.timeout_s,
                foreign=True,
            )
            try:
                done = self.runner.run(command)
            except TooSlow as error:
                self._show(error.stderr)
                raise
        self._show(done.stderr)
        failed = f"{self.shown} signs nothing"
        if done.code != 0:
            raise ToolFailed(what=failed, why=f"it ended with exit code {done.code}; its messages are above")
        signature = "".join(done.stdout.split())
        try:
            if not b64decode(signature, validate=True) or len(signature) > _LONGEST:
                raise ValueError
        except ValueError:  # what it printed may be anything, also a secret
            raise ToolFailed(what=failed, why="what it printed is not one signature in Base64") from None
        return signature

    def _show(self, messages: str) -> None:
        for line in messages.splitlines():
            self.say(line)


@lazy_dataclass
class ServiceKey:
    """A key that a URI names in a service or a device; `python` has the packages of the service."""

    uri: str
    public_key: str
    pin: str = field(repr=False)
    python: Path
    runner: Runner
    host: Host

    @property
    def shown(self) -> str:
        """The key in messages."""
        return f"the key `{self.uri}`"

    def signatures(self, contents: tuple[str, ...]) -> tuple[str, ...]:
        """A signature of each text in Base64. Raises ToolFailed."""
        request = {
            "verb": "sign-by-service", "uri": self.uri, "public_key": self.public_key, "pin": self.pin,
            "contents": contents,
        }  # fmt: skip
        variables = for_signer(self.host.variables).variables
        program = SigningInterpreter(python=self.python, runner=self.runner, variables=variables)
        try:
            answer = program.ask(request, secrets=(self.pin,) if self.pin else ())
        except RefusedRequest as refused:
            raise ToolFailed(what=f"{self.shown} signs nothing", why=str(refused)) from None
        return tuple(map(str, answer["signatures"]))
