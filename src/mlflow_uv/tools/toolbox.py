"""Collects the tools that a step may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..command.host import Host
from ..command.report import Console
from ..core.security.masking import secrets_in
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .engines.build_context import BuildContexts
from .engines.choice import Engines
from .engines.library_scanner import LibraryScanner
from .lock_toolbox import LockTools, locktools
from .mlflow.attempts import Attempts
from .mlflow.mlflow import Mlflow
from .mlflow.model_server import Servers
from .mlflow.records import Records
from .mlflow.store_login import StoreLogin
from .oci.logins import Logins
from .oci.registries import Registries
from .system.process import Runner
from .system.web import Web
from .uv.environments import Environments


@lazy_dataclass
class Tools(LockTools):
    """The tools of a step."""

    environments: Environments
    mlflow: Mlflow
    engines: Engines
    registries: Registries
    contexts: BuildContexts
    libraries: LibraryScanner
    servers: Servers
    records: Records
    attempts: Attempts
    web: Web

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of the caller, and those that were issued to this process."""
        return (*self.mlflow.login.secrets, *secrets_in(self.host.variables))


@contextmanager
def toolbox(host: Host, *, console: Console, uv: Path | None = None, runner: Runner | None = None) -> Iterator[Tools]:
    """The tools, with real processes unless `runner` is given; interpreters of payloads are stopped at the end."""
    with locktools(host, console=console, uv=uv, runner=runner) as basic:
        web = Web(host.variables)
        login = StoreLogin(host=host, web=web, clock=basic.clock, conceal=console.conceal)
        tools = Tools(
            console=console,
            host=host,
            runner=basic.runner,
            uv=basic.uv,
            git=basic.git,
            clock=basic.clock,
            environments=Environments(basic.uv, host=host, console=console),
            mlflow=Mlflow(basic.runner, host=host, login=login, on_line=console.foreign, say=console.say),
            engines=Engines(basic.runner, variables=host.variables, on_line=console.foreign),
            registries=Registries(web, Logins(basic.runner, variables=host.variables), basic.clock),
            contexts=BuildContexts(basic.uv, host=host),
            libraries=LibraryScanner(basic.runner, host=host),
            servers=Servers(basic.runner, host=host),
            records=Records(host),
            attempts=Attempts(host),
            web=web,
        )
        try:
            yield tools
        finally:
            tools.mlflow.close()
            tools.environments.close()
