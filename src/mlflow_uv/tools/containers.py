"""How does a container say where it listens, whether it runs, and what it printed?"""

import re
from collections.abc import Callable

from ..core.dockerfile import PORT
from .process import Completed

OURS = "mlflow-uv.smoke-test"  # label of every container we start


class Container:
    """A container we started; see engine.Served. `ask` puts one question to the engine."""

    def __init__(self, ask: Callable[..., Completed], name: str) -> None:
        self._ask = ask
        self._name = name
        self._final: str | None = None

    @property
    def url(self) -> str:
        """See Served."""
        done = self._ask("port", self._name, str(PORT))
        found = re.search(r"127\.0\.0\.1:(\d+)", done.stdout)
        return f"http://127.0.0.1:{found[1] if found else 0}"

    def code(self) -> int | None:
        """See Served."""
        done = self._ask("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", self._name)
        running, _, code = done.stdout.strip().partition(" ")
        return None if running == "true" else int(code or 1)

    def log(self) -> str:
        """See Served."""
        if self._final is not None:
            return self._final
        done = self._ask("logs", self._name)
        return done.stdout + done.stderr

    def stop(self) -> None:
        """See Served."""
        if self._final is None:
            self._final = self.log()
            self._ask("rm", "--force", "--volumes", self._name)
