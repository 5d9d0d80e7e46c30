"""Creates, inspects and removes the containers of a deployment, with the client of an engine."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from ...command.errors import DeploymentBusy, ToolFailed
from ...core.security.documents import parse_json
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.partial_folders import scratch_folder
from ..system.process import Command
from .build_errors import engine_reason, start_error
from .client import Client
from .containers import CREATING, DEPLOYMENT, FACTS, PART, RUN, Container
from .engine import BuiltImage

PIDS_LIMIT = 4096
# What a Docker without the plugin says, by its release.
_NO_COMPOSE = ("unknown command: docker compose", "'compose' is not a docker command", "unknown flag: --project-name")
_TAKEN = "already in use"  # of a name, in both engines
_NO_PROCESS = "no such file or directory"  # of /proc/PID, as `podman top` says it
_CREATING_S = 300.0  # longer than it takes to create a container, its network and its volume
_KILLED = 137  # the exit code after SIGKILL
_SLACK_S = 60.0  # for the engine, beside the time that it is told to wait


@lazy_dataclass
class ContainerSpec:
    """
    A container of a deployment: `part` is its name within it, under which the others of its network find it.

    `facts` describe it, `settings` are variables with values that anybody may see, `publish` is ADDRESS:PORT:PORT, and
    `volume` the path in the container at which the volume of the deployment is. `run` tells what this run creates from
    what others do at the same time.
    """

    part: str
    image: str
    facts: Mapping[str, str]
    run: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    serve_env: ServeVariables = NO_VARIABLES
    memory_mib: int | None = None
    cpus: float | None = None
    publish: str = ""
    volume: str = ""
    user: str = ""
    command: tuple[str, ...] = ()


@lazy_dataclass
class DeployedContainer:
    """
    A container of a deployment, as the engine describes it; `published` is ADDRESS:PORT, empty without one.

    `restarts` says how often the engine started it again after it ended; `memory_mib` and `cpus` are its limits now.
    `variables` are those that the engine keeps for it, with their values. `id` is never that of another container,
    unlike the name. One that is not `startable` ended, and the engine starts it no more.
    """

    id: str
    name: str
    part: str
    image: str
    running: bool
    exit_code: int
    facts: Mapping[str, str]
    published: str = ""
    restarts: int = 0
    memory_mib: float | None = None
    cpus: float | None = None
    variables: ServeVariables = NO_VARIABLES
    run: str = ""
    startable: bool = True


class DeployedContainers(ABC):
    """The containers of one deployment on the machine of an engine."""

    engine: ClassVar[str]
    title: ClassVar[str]  # of what runs it

    def __init__(self, client: Client, deployment: str) -> None:
        self._client = client
        self._deployment = deployment

    @property
    def project(self) -> str:
        """The name of the group of containers, and of its network and its volume."""
        return f"mlflow-uv-{self._deployment}"

    def create(self, spec: ContainerSpec) -> str:
        """
        Create a container, its network and its volume; return its name. Raises ToolFailed, DeploymentBusy.

        One of the same part that another run created is not replaced, and may be the one of the name.
        """
        with self._alone(spec.image):
            return self._created(spec)

    @abstractmethod
    def _created(self, spec: ContainerSpec) -> str:
        """See create."""

    @contextmanager
    def _alone(self, image: str) -> Iterator[None]:
        """
        Keep other runs from creating containers meanwhile: Docker would make two networks of one name.

        The lock is a container that is never started, since an engine creates a name once.
        """
        label, name = f"{CREATING}={self._deployment}", f"{self.project}-creating"
        argv = ("create", "--name", name, "--network", "none", "--label", label, image)
        done = self._client.run(*argv)
        if done.code != 0 and _TAKEN in done.stderr and self._dropped(name):
            done = self._client.run(*argv)
        if done.code != 0 and _TAKEN in done.stderr:
            raise DeploymentBusy(
                what=f"another run changes the deployment `{self._deployment}` on this host",
                why=f"it has the container `{name}`, which a run that was killed keeps for {_CREATING_S:.0f} s",
                fix="run it again when the other one has ended",
            )
        if done.code != 0:
            raise ToolFailed(what=f"the container `{name}` cannot be created", why=engine_reason(done))
        try:
            yield
        finally:
            if lock := done.stdout.strip():
                self._client.run("rm", "--force", lock.splitlines()[-1])

    def _dropped(self, name: str) -> bool:
        """Remove the lock of a run that was killed, by its id; whether it was one."""
        done = self._client.run("inspect", "--type", "container", "--", name, verbatim=True)
        found = parse_json(done.stdout)[0] if done.code == 0 else {}
        try:  # with nanoseconds; Podman writes it in the time of the machine
            created = datetime.fromisoformat(str(found.get("Created")))
            age_s = (datetime.now(UTC) - created).total_seconds()
        except (ValueError, TypeError):  # TypeError for a time without its zone
            return False
        if age_s < _CREATING_S:
            return False
        self._client.run("rm", "--force", str(found["Id"]))
        return True

    def image(self, name: str) -> BuiltImage:
        """An image that the engine has or can pull. Raises NotPulled for another."""
        return self._client.image(name) or self._client.pull(name)

    def all(self) -> tuple[DeployedContainer, ...]:
        """Every container of the deployment, by its labels."""
        label = f"label={DEPLOYMENT}={self._deployment}"
        what = "the containers of the deployment cannot be listed"
        ids = self._client.require("ps", "--all", "--quiet", "--no-trunc", "--filter", label, what=what).stdout.split()
        if not ids:
            return ()
        done = self._client.run("inspect", "--type", "container", "--", *ids, verbatim=True)
        if done.code != 0:
            raise ToolFailed(what=what, why=done.last_line)
        return tuple(_described(details) for details in parse_json(done.stdout))

    def start(self, name: str) -> None:
        """Start a created or stopped container. Raises ToolFailed."""
        if (done := self._client.run("start", name)).code != 0:
            raise start_error(name, done)

    def server(self, name: str, serve_env: ServeVariables) -> Container:
        """The model server in a container, asked from inside of it."""
        return Container(self._client.run, name, hide=serve_env.masked, stopped=lambda: None)

    def log(self, name: str) -> str:
        """The last lines of a container's output."""
        done = self._client.run("logs", "--tail", "20", name)
        return done.stdout + done.stderr

    def lines(self, name: str, marker: str) -> tuple[str, ...]:
        """The lines of a container's output that begin with a marker, of its last hundred thousand."""
        done = self._client.run("logs", "--tail", "100000", name, verbatim=True)
        return tuple(line for line in done.stdout.splitlines() if line.startswith(marker))

    def write(self, name: str, path: str, text: str) -> None:
        """Write a file in the volume of a container, whether it runs or not. Raises ToolFailed."""
        with scratch_folder() as scratch:
            file = scratch / Path(path).name
            file.write_text(text, encoding="utf-8")
            file.chmod(0o644)
            self._client.require("cp", str(file), f"{name}:{path}", what=f"`{path}` cannot be written in `{name}`")

    def read(self, name: str, path: str) -> str | None:
        """A file in the volume of a container, None if it is not there."""
        with scratch_folder() as scratch:
            file = scratch / Path(path).name
            done = self._client.run("cp", f"{name}:{path}", str(file))
            return file.read_text(encoding="utf-8", errors="replace") if done.code == 0 and file.is_file() else None

    def check(self, name: str, *argv: str) -> None:
        """Run a program in a running container. Raises ToolFailed if it fails."""
        self._client.require("exec", name, *argv, what=f"`{argv[0]}` fails in `{name}`")

    def signal(self, name: str, number: str) -> None:
        """Send a signal to the first process of a container. Raises ToolFailed."""
        self._client.require("kill", "--signal", number, name, what=f"`{name}` does not take a signal")

    def processes(self, name: str) -> frozenset[str]:
        """The numbers of the processes in a container; none of one that does not run."""
        done = self._client.run("top", name)
        header, *rows = (done.stdout if done.code == 0 else "").splitlines() or [""]
        column = header.split().index("PID") if "PID" in header.split() else 0
        return frozenset(row.split()[column] for row in rows if row.strip())

    def stop(self, container: DeployedContainer, grace_s: int) -> None:
        """Let a container answer what it got, for at most this time, and remove it; safe to call twice."""
        self._client.run("stop", "--time", str(grace_s), container.id, timeout_s=grace_s + _SLACK_S)
        self._client.run("rm", "--force", "--volumes", container.id)

    def remove(self) -> None:
        """Remove the network and the volume, once there is no container; safe to call twice. Raises ToolFailed."""
        label = f"label={DEPLOYMENT}={self._deployment}"
        for kind in ("network", "volume"):
            listed = self._client.run(kind, "ls", "--quiet", "--filter", label).stdout.split()
            done = self._client.run(kind, "rm", *listed) if listed else None
            if done is not None and done.code != 0:
                raise ToolFailed(what=f"the {kind} of the deployment cannot be removed", why=engine_reason(done))

    def remnants(self) -> tuple[str, ...]:
        """The network and the volume of the deployment, which a removal that failed may have left."""
        label = f"label={DEPLOYMENT}={self._deployment}"
        listed = {
            kind: self._client.require(
                kind, "ls", "--quiet", "--filter", label, what=f"the {kind}s of the deployment cannot be listed"
            ).stdout.split()
            for kind in ("network", "volume")
        }
        return tuple(f"{kind} {name}" for kind, names in listed.items() for name in names)

    def labels(self, spec: ContainerSpec) -> dict[str, str]:
        """The labels of a container."""
        facts = json.dumps(spec.facts, sort_keys=True)
        return {DEPLOYMENT: self._deployment, PART: spec.part, FACTS: facts, RUN: spec.run}


class PodmanContainers(DeployedContainers):
    """Containers that Podman runs."""

    engine = "podman"
    title = "Podman"

    def all(self) -> tuple[DeployedContainer, ...]:
        """
        See DeployedContainers.

        If a container and its monitor (conmon) were killed, as when memory is out, Podman 4.3 says for ever that it
        runs: `start` does nothing then, and refuses to after `stop` and `kill`. Only its process is not there.
        """
        return tuple(map(self._observed, super().all()))

    def _observed(self, container: DeployedContainer) -> DeployedContainer:
        if not container.running:
            return container
        done = self._client.run("top", container.id)
        if done.code == 0 or _NO_PROCESS not in done.stderr:
            return container
        return replace(container, running=False, exit_code=_KILLED, startable=False)

    def _created(self, spec: ContainerSpec) -> str:
        """See DeployedContainers."""
        label, name = f"{DEPLOYMENT}={self._deployment}", f"{self.project}-{spec.part}"
        for kind in ("network", "volume"):
            if self._client.run(kind, "inspect", self.project).code != 0:
                what = f"the {kind} of the deployment cannot be created"
                self._client.require(kind, "create", "--label", label, self.project, what=what)
        argv = ("create", "--name", name, "--network", self.project, "--network-alias", spec.part, *self._flags(spec))
        command = self._client.command(*argv, spec.image, *spec.command[1:])
        done = self._client.execute(_with_variables(command, spec))
        if done.code != 0:
            raise ToolFailed(what=f"the container `{name}` cannot be created", why=done.last_line)
        return name

    def _flags(self, spec: ContainerSpec) -> Iterator[str]:
        yield from ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
        # `podman-restart`, which starts containers with the machine, looks for `always`; that of Podman 4 for no other.
        yield from (f"--pids-limit={PIDS_LIMIT}", "--restart=always", "--pull=never")
        yield from (f"--label={name}={value}" for name, value in self.labels(spec).items())
        yield from (f"--env={name}={value}" for name, value in spec.settings.items())
        yield from (f"--env={name}" for name in spec.serve_env.names)
        if spec.memory_mib is not None:
            yield from (f"--memory={spec.memory_mib}m", f"--memory-swap={spec.memory_mib}m")
        if spec.cpus is not None:
            yield f"--cpus={spec.cpus:g}"
        if spec.publish:
            yield f"--publish={spec.publish}"
        if spec.volume:
            yield f"--volume={self.project}:{spec.volume}"
        if spec.user:
            yield f"--user={spec.user}"
        if spec.command:
            yield f"--entrypoint={spec.command[0]}"


class ComposeContainers(DeployedContainers):
    """Containers that Docker Compose creates; `docker compose ls` lists the deployment."""

    engine = "docker"
    title = "Docker Compose"

    def _created(self, spec: ContainerSpec) -> str:
        """See DeployedContainers; the Compose file is sent on standard input and has this container alone."""
        # `.env` of the folder, and variables of the caller such as COMPOSE_FILE, are not read.
        argv = ("compose", "--project-name", self.project, "--project-directory", "/", "--env-file", "/dev/null")
        up = ("--file", "-", "up", "--no-start", "--no-deps", "--no-recreate", "--no-build", "--quiet-pull", spec.part)
        command = replace(self._client.command(*argv, *up), stdin=compose_file(spec, self.project, self.labels(spec)))
        command = replace(command, variables={**command.variables, "COMPOSE_IGNORE_ORPHANS": "1"})
        done = self._client.execute(_with_variables(command, spec))
        if any(words in done.stderr for words in _NO_COMPOSE):
            raise ToolFailed(
                what="this Docker has no Compose",
                why=done.last_line,
                fix="install the plugin: the package docker-compose-plugin, or docker-compose of Debian 13",
            )
        if done.code != 0:
            raise ToolFailed(what=f"Docker Compose cannot create `{spec.part}`", why=done.last_line)
        return next(container.name for container in self.all() if container.part == spec.part)


def compose_file(spec: ContainerSpec, project: str, labels: Mapping[str, str]) -> str:
    """A Compose file with one service, as JSON, which is YAML too; a `$` in it stands for itself."""
    deployment = {DEPLOYMENT: labels[DEPLOYMENT]}
    service: dict[str, Any] = {
        "image": spec.image,
        "labels": dict(labels),
        "environment": [*(f"{name}={value}" for name, value in spec.settings.items()), *spec.serve_env.names],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp"],  # noqa: S108  # in the container
        "pids_limit": PIDS_LIMIT,
        "restart": "unless-stopped",
        "pull_policy": "never",
        "networks": {"default": {"aliases": [spec.part]}},
    }
    if spec.memory_mib is not None:
        service |= {"mem_limit": f"{spec.memory_mib}m", "memswap_limit": f"{spec.memory_mib}m"}
    if spec.cpus is not None:
        service["cpus"] = spec.cpus
    if spec.publish:
        service["ports"] = [spec.publish]
    if spec.user:
        service["user"] = spec.user
    if spec.command:
        service |= {"entrypoint": [spec.command[0]], "command": list(spec.command[1:])}
    document: dict[str, Any] = {
        "name": project,
        "services": {spec.part: service},
        "networks": {"default": {"name": project, "labels": deployment}},
    }
    if spec.volume:
        service["volumes"] = [f"deployment:{spec.volume}"]
        document["volumes"] = {"deployment": {"name": project, "labels": deployment}}
    return json.dumps(document, indent=1).replace("$", "$$")


def _with_variables(command: Command, spec: ContainerSpec) -> Command:
    """The command with the variables in the client's environment; a command line is visible to other users."""
    given = spec.serve_env
    return replace(command, variables={**command.variables, **given.variables}, secrets=given.secrets)


def _described(details: Any) -> DeployedContainer:
    labels, state = details["Config"].get("Labels") or {}, details["State"]
    try:
        facts = {str(name): str(value) for name, value in parse_json(labels.get(FACTS, "{}")).items()}
    except (ValueError, AttributeError):
        facts = {}
    # Docker lists a port of IPv4 first; a stopped container has none.
    ports = (details.get("NetworkSettings") or {}).get("Ports") or {}
    bound = [place for places in ports.values() for place in places or ()]
    image, limits = str(details["Image"]), details.get("HostConfig") or {}
    variables = dict(str(text).partition("=")[::2] for text in details["Config"].get("Env") or ())
    return DeployedContainer(
        id=str(details["Id"]),
        name=str(details["Name"]).lstrip("/"),
        part=str(labels.get(PART, "")),
        image=image if image.startswith("sha256:") else f"sha256:{image}",
        running=bool(state.get("Running")) and not state.get("Restarting"),
        exit_code=int(state.get("ExitCode") or 0),
        facts=facts,
        restarts=int(details.get("RestartCount") or 0),
        memory_mib=limits["Memory"] / 2**20 if limits.get("Memory") else None,
        cpus=limits["NanoCpus"] / 1e9 if limits.get("NanoCpus") else None,
        published=f"{bound[0].get('HostIp') or '0.0.0.0'}:{bound[0]['HostPort']}" if bound else "",  # noqa: S104
        variables=ServeVariables(variables),
        run=str(labels.get(RUN, "")),
    )
