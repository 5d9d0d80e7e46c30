"""Chooses the certificates that uv trusts: those set for uv, else pip's, else the machine's."""

from collections.abc import Mapping
from dataclasses import replace

from ...command.pip_settings import DISTRUST, MACHINE_STORE, TRUST, PipSettings
from ..system.process import Command, Completed, Runner


class TrustingRunner:
    """Runs uv; if it rejects a certificate, again with those of the machine, which are kept if they help."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], pip: PipSettings) -> None:
        self.variables = {**variables, **pip.network(variables)}
        self._runner = runner
        self._machine_store = False
        self._untried = not any(variables.get(name) for name in TRUST)

    def run(self, command: Command) -> Completed:
        """See Runner; the command's variables derive from `self.variables`."""
        done = self._runner.run(self._trusting(command))
        if not self._untried or not certificate_rejected(done):
            return done
        self._untried, self._machine_store = False, True
        again = self._runner.run(self._trusting(command))
        self._machine_store = not certificate_rejected(again)
        return again if self._machine_store else done

    def _trusting(self, command: Command) -> Command:
        if not self._machine_store:
            return command
        kept = {name: value for name, value in command.variables.items() if name not in TRUST}
        return replace(command, variables=kept | MACHINE_STORE)


def certificate_rejected(done: Completed) -> bool:
    """Whether uv rejected a certificate."""
    return done.code != 0 and DISTRUST in done.stderr
