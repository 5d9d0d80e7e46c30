"""
Runs a version as a service on a host: a proxy leads requests to one of two containers.

The new container is created beside the old one, and asked before the proxy leads to it. The configuration of the proxy
is the only place that says which one has the traffic, so a run that was killed anywhere leaves a state that is clear.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...command.errors import BadInput, ChainBroken, NotServing, ToolFailed
from ...command.wording import Wording, local, option, step_call
from ...core.deploy.canary import SharedTraffic
from ...core.deploy.difference import DeploymentChange, changes_between
from ...core.deploy.proxy import (
    CHECK,
    COMMAND,
    FILE,
    FOLDER,
    PORT,
    ProxyTimes,
    proxy_config,
    recorded_times,
    served_requests,
    shared_config,
    slot_in,
)
from ...core.deploy.running import PROXIED, RUNNING
from ...core.deploy.served_containers import DRAIN_S, SLOTS, USER, limit_facts
from ...core.deploy.settings import LOOPBACK, HostSettings
from ...core.image.labels import MODEL as MODEL_LABEL
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.build_errors import NotPulled
from ...tools.engines.deployed import ContainerSpec, DeployedContainer, DeployedContainers
from ...tools.mlflow.model_requests import READY_S, readiness_request
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer, observe
from .own_containers import OwnContainers
from .target import (
    IMAGE,
    NOT_DEPLOYED,
    STATE,
    VERSION,
    DeployedVersion,
    DeploymentOptions,
    WantedVersion,
    models_of,
    require_own_model,
    require_same_model,
    wanted_facts,
)

PROXY = "proxy"
_POLL_S = 0.3
_RELOAD_S = 20.0
_PROXY_USER = f"{USER}:{USER}"  # it reads its configuration and listens on a port above 1023
_OK = 200
# Facts that every container has; the others are settings.
_TIMEOUT, _VARIABLES = "request timeout", "variables"
_DIVERTED = "another configuration"


@lazy_dataclass
class _Observed:
    """The containers of a deployment; `active` is the one that the proxy leads to, with the text `config`."""

    proxy: DeployedContainer | None
    active: DeployedContainer | None
    others: tuple[DeployedContainer, ...]
    config: str | None = None

    @property
    def parts(self) -> tuple[DeployedContainer, ...]:
        """All of them, the proxy first: it answers what it got, and takes no more."""
        return tuple(found for found in (self.proxy, self.active, *self.others) if found is not None)

    def slot_for_new(self) -> str:
        """The name for a new container."""
        return next(slot for slot in SLOTS if self.active is None or self.active.part != slot)


class HostService:
    """See target.DeploymentTarget."""

    def __init__(self, options: DeploymentOptions, containers: DeployedContainers, tools: Tools) -> None:
        assert isinstance(options.settings, HostSettings)  # noqa: S101  # those of its kind
        self._options = options
        self._settings = options.settings
        self._address = f"{options.settings.listen}:{'' if options.is_preview else options.settings.port}"
        self._containers = containers
        self._tools = tools
        self._times = ProxyTimes(request_s=options.answer_s)
        self._before = _Observed(proxy=None, active=None, others=())
        self._new: str | None = None  # the name of the new container
        self._slot = ""
        self._own = OwnContainers(containers, options, tools)
        self._begun = False
        self._marker = ""  # of the requests since the last share
        self._wanted: WantedVersion | None = None

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""
        return self._deployed(self._seen())

    def _deployed(self, seen: _Observed) -> DeployedVersion:
        active, proxy = seen.active, seen.proxy
        others = seen.others if proxy is None or active is not None else (*seen.others, proxy)
        leftovers = tuple(container.name for container in others)
        models = models_of(self._options, *(None if found is None else found.facts for found in (active, *others)))
        if active is None:
            leftovers = leftovers or self._containers.remnants()
            return DeployedVersion(leftovers=leftovers, models=models) if leftovers else NOT_DEPLOYED
        assert proxy is not None  # noqa: S101  # it leads to the active one
        state = RUNNING if active.running else f"ended with {active.exit_code}"
        facts = {**active.facts, **limit_facts(active.memory_mib, active.cpus), IMAGE: active.image, STATE: state}
        facts[PROXIED] = RUNNING if proxy.running else f"ended with {proxy.exit_code}"
        if proxy.running and seen.config != proxy_config(active.part, self._times_of(active)):
            facts[PROXIED] = _DIVERTED
        return DeployedVersion(facts=facts, endpoint=self._endpoint(proxy), leftovers=leftovers, models=models)

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget."""
        self._wanted, self._before = wanted, self._seen()
        self._own.plan(self._before.parts)
        now = self._deployed(self._before)
        self._require_ours(now, wanted)
        wanted_now = {**self._facts(wanted, self._image_id(wanted)), PROXIED: RUNNING}
        return changes_between({**now.facts, **self._rotated(now)}, wanted_now)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget."""
        seen = self._seen()
        backs = [part for part in seen.parts if part.startable and part.facts.get(VERSION) == version]
        if not backs or seen.proxy is None or self._wanted is None:
            return False
        planned = self._facts(self._wanted, self._image_id(self._wanted))
        # Of two with the version, the one that is not like the planned one ran before.
        self._lead_back(seen.proxy, min(backs, key=lambda found: found.facts == planned), seen.config)
        return True

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; what interrupted runs left is removed first."""
        self._begun = True
        try:
            image = self._containers.image(wanted.address)
        except NotPulled as error:
            what = f"{self._containers.title} has no image `{wanted.address}` and cannot pull it"
            fix = error.fix or step_call("release", push=True, image="REGISTRY/NAME")
            raise ToolFailed(what=what, why=error.why, fix=fix) from error
        link = wanted.record.image
        assert link is not None  # noqa: S101  # the step requires it
        if image.id != link.id or image.labels.get(MODEL_LABEL) != wanted.record.model.sha256:
            why = f"`{wanted.address}` is {image.id[:19]}, and the record says {link.id[:19]}"
            raise ChainBroken("image", why=why)
        if self._before.proxy is None or not self._before.proxy.startable:
            self._proxy_image()  # before anything is created
        self._own.drop(self._before.others, grace_s=1)
        self._slot = self._before.slot_for_new()
        self._new = self._own.create_first(
            ContainerSpec(
                part=self._slot,
                image=image.id,
                facts=self._facts(wanted, image.id),
                settings={"REQUEST_TIMEOUT": f"{self._options.answer_s:g}", **wanted.server_settings},
                serve_env=wanted.serve_env,
                memory_mib=self._settings.memory,
                cpus=self._settings.cpus,
            ),
            lambda: self._seen().config == self._before.config,
        )
        self._containers.start(self._new)
        if (started := self._container(self._new)) is None or started.image != link.id:
            observed = "nothing" if started is None else started.image[:19]
            raise ChainBroken("image", why=f"`{self._new}` runs {observed}, and the record says {link.id[:19]}")

    def wait(self) -> None:
        """See DeploymentTarget."""
        assert self._new is not None  # noqa: S101  # apply created it
        server = self._containers.server(self._new, self._serve_env)

        def is_healthy() -> bool:
            self._require_alive()
            reply = server.send(readiness_request("/ping", READY_S))
            return reply is not None and reply.status == _OK

        if not self._comes_true(is_healthy, self._options.deadline_s):
            raise NotServing(
                what=f"`{self._new}` was not healthy within {self._options.deadline_s:.0f} s",
                why=self._last_line(self._new),
                fix=Wording(option("deadline", "SECONDS"), " if it only needs longer"),
            )

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget."""
        assert self._new is not None  # noqa: S101  # apply created it
        observed = observe(self._containers.server(self._new, self._serve_env), expected, self._tools)
        self._require_alive()
        return observed

    def share(self, percent: int) -> None:
        """See TrafficSplit; the proxy logs the requests of both, after a marker of this share."""
        self._require_alive()
        proxy, active = self._before.proxy, self._before.active
        assert proxy and active  # noqa: PT018, S101  # a share needs a version before
        self._marker = f"mlflow-uv-{secrets.token_hex(8)}"
        config = shared_config(active.part, self._slot, percent, self._times, marker=self._marker)
        self._configure(proxy, config)

    def served(self) -> SharedTraffic:
        """See TrafficSplit."""
        proxy, active = self._before.proxy, self._before.active
        assert proxy and active  # noqa: PT018, S101  # as in `share`
        self._require_alive()
        lines = self._containers.lines(proxy.name, f"{self._marker} ")
        return SharedTraffic(before=served_requests(lines, active.part), new=served_requests(lines, self._slot))

    def shift(self) -> None:
        """See DeploymentTarget."""
        self._require_alive()
        proxy = self._before.proxy or self._create_proxy()
        self._configure(proxy, proxy_config(self._slot, self._times))

    @contextmanager
    def live(self) -> Iterator[str]:
        """See DeploymentTarget; the endpoint is asked where its clients ask it."""
        proxy = self._seen().proxy
        yield "" if proxy is None else self._endpoint(proxy)

    def settle(self) -> None:
        """See DeploymentTarget; the proxy's old worker ends once the old version has answered what it got."""
        seen = self._seen()
        if seen.proxy is not None and seen.others:
            proxy = seen.proxy.name
            self._comes_true(lambda: len(self._containers.processes(proxy)) <= 2, self._times.grace_s)  # noqa: PLR2004
        others = seen.others if self._wanted is None else filter(self._own.includes, seen.others)
        self._own.drop(others, grace_s=DRAIN_S)

    def undo(self) -> None:
        """See DeploymentTarget; what another run created meanwhile is not touched."""
        before, now = self._before, self._seen()
        if before.active is None:
            self._own.remove(filter(self._own.includes, now.parts))
            return
        if self._begun and self._new is None:  # nothing was led to
            self._own.drop(filter(self._own.made, now.others), grace_s=1)
            return
        back: DeployedContainer | None = before.active
        if self._new is None:  # an earlier run led to what is wrong, and was killed before it removed what ran before
            back = next((container for container in before.others if container.running), None)
        if back is None or now.proxy is None or all(found.id != back.id for found in now.parts):
            raise ToolFailed(what="there is nothing to return to", why="what ran before is gone")
        self._lead_back(now.proxy, back, now.config)
        self._own.drop(filter(self._own.includes, self._seen().others), grace_s=1)

    def remove(self) -> None:
        """See DeploymentTarget."""
        seen = self._seen()
        require_own_model(self._options, self._deployed(seen))
        self._own.remove(seen.parts)

    # what runs

    def _seen(self) -> _Observed:
        every = self._containers.all()
        proxy = next((container for container in every if container.part == PROXY), None)
        config = None if proxy is None else self._containers.read(proxy.name, FILE)
        slot = slot_in(config)
        active = next((container for container in every if container.part == slot), None)
        others = tuple(container for container in every if container not in (proxy, active))
        return _Observed(proxy=proxy, active=active, others=others, config=config)

    def _times_of(self, container: DeployedContainer) -> ProxyTimes:
        """The times with which the proxy leads to a container; those of this run where its label has none."""
        return recorded_times(container.facts.get(_TIMEOUT, "")) or self._times

    def _container(self, name: str) -> DeployedContainer | None:
        return next((found for found in self._containers.all() if found.name == name), None)

    @property
    def _serve_env(self) -> ServeVariables:
        return NO_VARIABLES if self._wanted is None else self._wanted.serve_env

    def _image_id(self, wanted: WantedVersion) -> str:
        return wanted.record.image.id if wanted.record.image else ""

    def _facts(self, wanted: WantedVersion, image: str) -> dict[str, str]:
        limits = {
            **limit_facts(self._settings.memory, self._settings.cpus),
            _TIMEOUT: self._times.recorded,
            _VARIABLES: ", ".join(wanted.serve_env.names) or "none",
        }
        return wanted_facts(wanted, image, limits)

    def _rotated(self, now: DeployedVersion) -> dict[str, str]:
        """What differs in the variables of the container that has the traffic, without a value; the engine has them."""
        active, wanted = self._before.active, self._serve_env.variables
        kept = {} if active is None else active.variables.variables
        names = sorted(name for name, value in wanted.items() if name in kept and kept[name] != value)
        shown = now.facts.get(_VARIABLES, "")
        return {_VARIABLES: f"{shown} ({', '.join(names)} with another value)"} if names else {}

    def _require_ours(self, now: DeployedVersion, wanted: WantedVersion) -> None:
        """Raise BadInput for a deployment of another model, or one at another address."""
        name = self._options.name
        require_same_model(name, "on this host", now, wanted)
        proxy = self._before.proxy
        moved = proxy is not None and proxy.running and proxy.published not in ("", self._address)
        if proxy is not None and moved and not self._options.is_preview:
            raise BadInput(
                what=f"the deployment `{name}` listens on {proxy.published}, and the settings say {self._address}",
                why="its address cannot change without a failing request",
                fix=Wording("deploy under another name, move the clients there, then ", option("remove")),
            )

    # changes

    def _proxy_image(self) -> str:
        """The id of the proxy's image. Raises ToolFailed without it."""
        name = self._options.proxy_image
        try:
            return self._containers.image(name).id
        except NotPulled as error:
            raise ToolFailed(
                what=f"the image of the proxy `{name}` is not present and cannot be pulled",
                why=f"HAProxy leads requests to the new version without losing one; {error.why}",
                fix=Wording(local(f"{self._containers.engine} pull {name}"), ", or ", option("proxy-image", "IMAGE")),
            ) from error

    def _create_proxy(self) -> DeployedContainer:
        name = self._own.create(
            ContainerSpec(
                part=PROXY,
                image=self._proxy_image(),
                facts={"image": self._options.proxy_image},
                publish=f"{self._address}:{PORT}",
                volume=FOLDER,
                user=_PROXY_USER,
                command=COMMAND,
            )
        )
        created = self._container(name)
        assert created is not None  # noqa: S101  # it was created
        return created

    def _lead_back(self, proxy: DeployedContainer, back: DeployedContainer, now: str | None) -> None:
        config = proxy_config(back.part, self._times_of(back))
        if now != config:
            if not back.running:
                self._own.start_again(back)
            self._configure(proxy, config)

    def _configure(self, proxy: DeployedContainer, config: str) -> None:
        """Let the proxy lead new requests as a configuration says; return once a worker does that."""
        name = proxy.name
        proxy = self._container(name) or proxy  # an earlier call may have started it
        if not proxy.startable:
            self._own.drop((proxy,), grace_s=0)
            proxy = self._create_proxy()  # with the volume; Podman copies no file of what it lost
        before = self._containers.read(name, FILE)
        self._containers.write(name, FILE, config)
        if not proxy.running:
            self._containers.start(name)
            if not self._comes_true(lambda: len(self._containers.processes(name)) > 1, _RELOAD_S):
                raise ToolFailed(what="the proxy does not start", why=self._last_line(name))
            return
        workers = self._containers.processes(name)
        try:
            self._containers.check(name, *CHECK)
        except ToolFailed:
            if before is not None:
                self._containers.write(name, FILE, before)
            raise
        self._containers.signal(name, "USR2")
        if not self._comes_true(lambda: bool(self._containers.processes(name) - workers), _RELOAD_S):
            raise ToolFailed(what="the proxy does not take its configuration", why=self._last_line(name))

    def _require_alive(self) -> None:
        """Raise NotServing if the new container ended, even if the engine started it again."""
        container = self._container(str(self._new))
        if container is None or not container.running or container.restarts:
            code = "" if container is None or container.restarts else f" with {container.exit_code}"
            raise NotServing(what=f"`{self._new}` ended{code}", why=self._last_line(str(self._new)))

    def _comes_true(self, condition: Callable[[], bool], within_s: float) -> bool:
        until = self._tools.clock.now_s() + within_s
        while not condition():
            if self._tools.clock.now_s() >= until:
                return False
            self._tools.clock.wait(_POLL_S)
        return True

    def _last_line(self, name: str) -> str:
        lines = [line.strip() for line in self._containers.log(name).splitlines() if line.strip()]
        return self._serve_env.masked(lines[-1]) if lines else "it printed nothing"

    def _endpoint(self, proxy: DeployedContainer) -> str:
        address, _, port = proxy.published.rpartition(":")
        return f"http://{LOOPBACK if address in ('', '0.0.0.0') else address}:{port}" if port else ""  # noqa: S104
