"""Reads and changes objects of a Kubernetes cluster by kubectl, in the context that the user has chosen."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from ...command.errors import PlanOutdated, ToolFailed, ToolMissing
from ...command.lazy_pattern import lazy_pattern
from ...core.security.child_environment import for_kubectl
from ...core.security.documents import parse_json
from ..system.process import Command, Completed, Runner

Object = Mapping[str, Any]
_ANSWER_S = 60.0
_FORWARDING = lazy_pattern(r"Forwarding from 127\.0\.0\.1:(\d+)")
# One field is named in the line of its owner; several are in lines of their own after it.
_CONFLICT = lazy_pattern(r"conflicts? with \"")
_POLL_S = 0.1


class Cluster(Protocol):
    """The objects of a namespace."""

    def find(self, kinds: str, label: str) -> tuple[Object, ...]:
        """The objects of these kinds (`deployments,services`) with a label. Raises ToolFailed."""

    def revision(self, kind: str, name: str) -> str:
        """The resource version of an object, without reading the rest of it here; empty if it cannot be read."""

    def apply(self, objects: Sequence[Object]) -> None:
        """
        Apply objects on the server, as the owner of exactly their fields.

        Raises PlanOutdated if another owner has one of the fields, ToolFailed.
        """

    def delete(self, kinds: str, label: str) -> None:
        """Delete the objects of these kinds with a label; some are still there afterwards. Raises ToolFailed."""

    def forwarded(self, place: str, port: int) -> AbstractContextManager[int]:
        """A port of this machine that leads to one of an object (`service/prod`) while a block runs."""


class Kubectl:
    """See Cluster."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], namespace: str, manager: str) -> None:
        self._runner = runner
        self._variables = for_kubectl(variables).variables
        self._namespace = namespace
        self._manager = manager

    def require_installed(self) -> None:
        """Raise ToolMissing without kubectl, and ToolFailed if it does not run; no cluster is asked."""
        self._run("version", "--client", "--output=json", what="kubectl does not run")

    def find(self, kinds: str, label: str) -> tuple[Object, ...]:
        """See Cluster."""
        argv = ("get", kinds, "--selector", label, "--output=json")
        done = self._run(*argv, what=f"the {kinds} of the namespace `{self._namespace}` cannot be read", verbatim=True)
        return tuple(parse_json(done.stdout).get("items") or ())

    def revision(self, kind: str, name: str) -> str:
        """See Cluster."""
        done = self._runner.run(self._command("get", kind, name, "--output=jsonpath={.metadata.resourceVersion}"))
        return done.stdout.strip() if done.code == 0 and done.stdout.strip().isdigit() else ""

    def apply(self, objects: Sequence[Object]) -> None:
        """See Cluster."""
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        argv = ("apply", "--server-side", f"--field-manager={self._manager}", "--validate=strict", "--filename=-")
        done = self._runner.run(self._command(*argv, stdin=document))
        if done.code == 0:
            return
        if _CONFLICT.search(done.stderr):
            raise PlanOutdated(
                what="somebody else owns a field that the deployment sets",
                why=_conflict_in(done.stderr),
                fix="let the other owner give it up, or change it there",
            )
        raise ToolFailed(
            what="the manifests cannot be applied",
            why=done.last_line,
            fix=f"check what the login may do with `kubectl auth can-i --list --namespace {self._namespace}`",
        )

    def delete(self, kinds: str, label: str) -> None:
        """See Cluster."""
        argv = ("delete", kinds, "--selector", label, "--ignore-not-found", "--wait=false")
        self._run(*argv, what=f"the {kinds} cannot be deleted")

    @contextmanager
    def forwarded(self, place: str, port: int) -> Iterator[int]:
        """See Cluster."""
        running = self._runner.start(self._command("port-forward", "--address=127.0.0.1", place, f":{port}"))
        try:
            until = time.monotonic() + _ANSWER_S
            while (match := _FORWARDING.search(running.log())) is None:
                if running.code() is not None or time.monotonic() >= until:
                    lines = running.log().strip().splitlines() or ["it printed nothing"]
                    raise ToolFailed(
                        what=f"no port leads to {place}",
                        why=lines[-1],
                        fix=f"look at it with `kubectl describe {place} --namespace {self._namespace}`",
                    )
                time.sleep(_POLL_S)
            yield int(match[1])
        finally:
            running.stop()

    def _run(self, *argv: str, what: str, verbatim: bool = False, timeout_s: float = _ANSWER_S) -> Completed:
        command = self._command(*argv, verbatim=verbatim, timeout_s=timeout_s)
        try:
            done = self._runner.run(command)
        except ToolMissing as error:
            raise ToolMissing(
                what="kubectl is not installed",
                why=str(error),
                fix="install kubectl, and let KUBECONFIG name the cluster",
            ) from error
        if done.code != 0:
            raise ToolFailed(what=what, why=done.last_line, fix="check the access with `kubectl auth whoami`")
        return done

    def _command(self, *argv: str, stdin: str = "", verbatim: bool = False, timeout_s: float | None = None) -> Command:
        return Command(
            argv=("kubectl", "--namespace", self._namespace, *argv),
            variables=self._variables,
            folder=Path("/"),
            stdin=stdin,
            verbatim=verbatim,
            timeout_s=timeout_s,
        )


def _conflict_in(text: str) -> str:
    """The lines about owners and their fields."""
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if _CONFLICT.search(line) or line.startswith("- ."))[:500]
