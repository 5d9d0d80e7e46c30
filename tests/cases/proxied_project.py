"""Runs steps in this process against a real server behind the fault-injecting proxy."""

import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mlflow_uv.command.errors import StepError, StoreUnreachable
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.payloads.messages.registry import AliasMove, Author, ExpectedVersion, PromoteVersion
from mlflow_uv.payloads.messages.tags import RECORD_DIGEST, STATE
from mlflow_uv.steps import log_model, register
from mlflow_uv.tools.mlflow.store_client import StoreClient
from mlflow_uv.tools.toolbox import Tools, toolbox
from tests.console import KeptConsole
from tests.proxy import Fault, Proxy
from tests.stores import Postgres

from .sample_project import SampleProject

EXPERIMENT = "faults"
LEASE_S = 15.0
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a step one of whose calls was spoiled; the complaints are what should not be so."""

    call: str
    fault: Fault
    lasting: bool
    injected: int
    survived: str
    complaints: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ProxiedProject:
    """A project with a saved model, and the tools that talk through the proxy."""

    sample: SampleProject
    proxy: Proxy
    database: Postgres
    tools: Tools
    scratch: Path
    console: KeptConsole
    made: list[str] = field(default_factory=list)
    dry: dict[str, list[str]] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        """Where the record lies."""
        return self.scratch / "record.json"

    def next_release(self) -> None:
        """Commit another input, so that what is logged next is another release."""
        (self.sample.folder / "input.txt").write_text(secrets.token_hex(8))
        self.sample.consumer.git("add", "input.txt")
        self.sample.consumer.git("commit", "--quiet", "--message", "x")

    def next_name(self) -> str:
        """A registered model that nobody has used yet."""
        self.made.append(f"model-{len(self.made)}")
        return self.made[-1]

    def log(self) -> Report[Any]:
        """Log the saved model, or find it again."""
        return log_model.run(
            log_model.Inputs(
                project=self.sample.folder,
                tracking_uri=self.proxy.uri,
                record=self.record,
                model=Path("saved"),
                experiment=EXPERIMENT,
            ),
            self.tools,
        )

    def register(self, name: str) -> Report[Any]:
        """Make it a version."""
        return register.run(
            register.Inputs(
                project=self.sample.folder, tracking_uri=self.proxy.uri, record=self.record, model_name=name
            ),
            self.tools,
        )

    def peak_mb(self) -> int:
        """The most memory that what talks to the server ever had."""
        peaks = []
        for worker in self.tools.mlflow._workers.values():
            status = Path(f"/proc/{worker._process.pid}/status").read_text()  # type: ignore[attr-defined]
            peaks.append(int(status.partition("VmHWM:")[2].split()[0]) >> 10)
        return max(peaks)

    def telling_calls(self, step: str) -> list[int]:
        """The numbers of a step's calls, without those between two of the same kind."""
        kinds = [re.sub(r"m-[0-9a-f]{32}.*|/artifacts/.*", "", call) for call in self._calls(step)]
        last = len(kinds) - 1
        return [n + 1 for n in range(len(kinds)) if n in (0, last) or not kinds[n - 1] == kinds[n] == kinds[n + 1]]

    def _calls(self, step: str) -> list[str]:
        """What a step asks, if nothing is spoiled."""
        for _ in range(0 if self.dry else 2):  # the first time, it asks what the server can do, too
            self.next_release()
            self.proxy.forget()
            self.log()
            self.dry["log-model"] = self.proxy.calls
            self.proxy.forget()
            self.register(self.next_name())
            self.dry["register"] = self.proxy.calls
        return self.dry[step]

    def spoil_log(self, fault: Fault, *, at: int | str, lasting: bool) -> Outcome:
        """Log another release while a call is spoiled, then again."""
        self.next_release()
        others = self.database.open_runs()

        def complaints(done: Report[Any] | None, again: Report[Any]) -> list[str]:
            left = self.database.open_runs() - others
            return self._complaints_of_model(done, again) + ([f"{len(left)} open runs"] if left else [])

        return self._spoiled(fault, at, self.log, complaints, lasting=lasting)

    def spoil_register(self, fault: Fault, *, at: int | str, lasting: bool) -> Outcome:
        """Register the model under another name while a call is spoiled, then again."""
        name = self.next_name()
        self.proxy.forget()
        self.log()
        return self._spoiled(
            fault, at, lambda: self.register(name), lambda *_: self._complaints_of_version(name), lasting=lasting
        )

    def two_versions(self) -> str:
        """A registered model with two versions of different models."""
        name = self.next_name()
        for _ in range(2):
            self.next_release()
            self.proxy.forget()
            self.log()
            self.register(name)
        return name

    def promote(self, name: str, version: str) -> AliasMove:
        """Let the champion's alias name a version, as the step does once every gate holds."""
        store = self.tools.mlflow.store(self.proxy.uri, embedded=False)
        python = self.tools.environments.registry_client(store, None, Selection())
        client = StoreClient(mlflow=self.tools.mlflow, python=python, store=store)
        tags = client.describe_version(name, version).tags
        expected = ExpectedVersion(
            alias_names=client.describe_name(name).aliases.get("champion"),
            record_sha256=tags[RECORD_DIGEST],
            state=tags[STATE],
        )
        entry = Author(who="alice", when="2026-11-21T00:00:00Z", run="")
        return client.promote(
            PromoteVersion(
                name=name, version=version, alias="champion", expected=expected, entry=entry, lease_s=LEASE_S
            )
        )

    def spoil_promote(self, name: str, version: str, fault: Fault, *, at: int | str, lasting: bool) -> Outcome:
        """Promote a version while a call is spoiled, then again."""

        def complaints(*_: object) -> list[str]:
            query = (
                "SELECT alias, version FROM registered_model_aliases WHERE name = :'name' AND alias = 'champion'"
                " UNION SELECT value, version FROM model_version_tags WHERE name = :'name' AND key = 'mlflow-uv.state'"
            )
            found = set(self.database.ask(query, name=name))
            other = "1" if version == "2" else "2"
            wanted = {f"champion|{version}", f"promoted|{version}", f"replaced|{other}"}
            return [] if found == wanted else [f"{found}"]

        return self._spoiled(fault, at, lambda: self.promote(name, version), complaints, lasting=lasting)

    def _spoiled(self, fault: Fault, at: int | str, attempt, complaints, *, lasting: bool) -> Outcome:
        self.proxy.inject(fault, at=at, lasting=lasting)
        done, error = outcome(attempt)
        injected, call = self.proxy.injected, self.proxy.spoiled
        self.proxy.forget()
        again, remaining = outcome(attempt)
        found = [f"first: {type(error).__name__}: {error}"] if error and not isinstance(error, StoreUnreachable) else []
        found += [f"again: {type(remaining).__name__}: {remaining}"] if remaining else complaints(done, again)
        return Outcome(
            call=call,
            fault=fault,
            lasting=lasting,
            injected=injected,
            survived="without a re-run" if done else "by a re-run",
            complaints=tuple(found),
        )

    def _complaints_of_model(self, done: Report[Any] | None, again: Report[Any]) -> list[str]:
        finished = self.database.finished_models(again.outputs.release_key)
        found = [f"{len(finished)} finished models"] if finished != [again.outputs.model_id] else []
        if done and not again.outputs.reused:
            found.append("not found again")
        return found

    def _complaints_of_version(self, name: str) -> list[str]:
        versions = self.database.versions(name)
        tags = set(self.database.ask("SELECT key FROM model_version_tags WHERE name = :'name'", name=name))
        found = [f"versions {versions}"] if versions != ["1"] else []
        return found + ([f"tags {tags}"] if not {"mlflow-uv.state", "mlflow-uv.record-sha256"} <= tags else [])


@contextmanager
def proxied_project_of(
    sample: SampleProject, proxy: Proxy, database: Postgres, scratch: Path, variables: Mapping[str, str]
) -> Iterator[ProxiedProject]:
    """Tools as a surface would make them, kept open."""
    console = KeptConsole()
    everything = {**sample.consumer.variables, "TMPDIR": str(sample.temporary), **variables}
    host = Host.of(everything, folder=sample.folder, python=Path(sys.executable))
    with toolbox(host, console=console) as tools:
        yield ProxiedProject(
            sample=sample, proxy=proxy, database=database, tools=tools, scratch=scratch, console=console
        )


def outcome(attempt: Callable[[], T]) -> tuple[T | None, StepError | None]:
    """How a step ended; anything but an answer or a StepError is an internal error, and raised."""
    try:
        return attempt(), None
    except StepError as error:
        return None, error
