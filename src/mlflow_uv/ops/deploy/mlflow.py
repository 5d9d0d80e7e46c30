"""
Deploys by a plugin of `mlflow.deployments`, through the interface that MLflow defines for all of them.

Plugins do not say which version a deployment runs, so the version is written down beside it in the registry: before the
plugin is called, and after. A new version replaces the old one in place, and is asked then.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from ...command.errors import BadInput, ToolFailed
from ...core.deploy.difference import DeploymentChange, Facts, changes_between
from ...core.deploy.plugin_settings import PluginSettings
from ...core.deploy.running import RUNNING
from ...core.security.child_environment import gives_rights
from ...core.security.documents import parse_json
from ...core.security.serve_env import ServeVariables
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.platforms import PluginAction
from ...payloads.messages.registry import SetTags
from ...payloads.messages.tags import PLUGIN_PREFIX
from ...tools.cloud.plugin import MlflowPlugin, Plugin, PredictedEndpoint
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from ..lineage.registry_client import RegistryClient
from .removal import require_gone
from .target import (
    MODEL,
    MODEL_DIGEST,
    NOT_DEPLOYED,
    STATE,
    VERSION,
    DeployedVersion,
    DeploymentOptions,
    WantedVersion,
    models_of,
    require_own_model,
    require_same_model,
)

_CHANGING, _REMOVED = "changing", "removed"
_PLUGIN, _CONFIG = "plugin", "config"


@lazy_dataclass
class PluginNote:
    """
    What a plugin was called to deploy: the facts of a version with their state, and the configuration given to it.

    `before` is what ran before, without what ran before that.
    """

    facts: Facts
    config: tuple[str, ...] = ()
    before: "PluginNote | None" = None


class PluginNotes(Protocol):
    """Where it is written down what a plugin runs."""

    def read(self) -> PluginNote | None:
        """The last note, None without one."""

    def write(self, note: PluginNote) -> None:
        """Write a note that replaces the last one."""


class RegistryNotes:
    """
    See PluginNotes: a tag on each version that the deployment runs or ran; the one with the highest number counts.

    The number is not a time, since the clocks of machines differ.
    """

    def __init__(self, registry: RegistryClient, model: str, deployment: str) -> None:
        self._registry = registry
        self._model = model
        self._key = f"{PLUGIN_PREFIX}{deployment}"

    def read(self) -> PluginNote | None:
        """See PluginNotes; a tag that is not one of ours is left out."""
        return self._last()[1]

    def _last(self) -> tuple[int, PluginNote | None]:
        notes = []
        for version in self._registry.client.find_versions(self._model):
            try:
                content = parse_json(version.tags.get(self._key, "null"))
                before = None if content["before"] is None else _note_in(content["before"])
                notes.append((int(content["number"]), replace(_note_in(content), before=before)))
            except (Unparsable, TypeError, KeyError, AttributeError, ValueError):
                continue
        return max(notes, key=lambda note: note[0], default=(0, None))

    def write(self, note: PluginNote) -> None:
        """See PluginNotes."""
        before = None if note.before is None else _content(note.before)
        text = json.dumps({"number": self._last()[0] + 1, **_content(note), "before": before}, sort_keys=True)
        version = (self._model, note.facts[VERSION])
        self._registry.client.set_tags(SetTags(tags={self._key: text}, version=version))


def _content(note: PluginNote) -> dict[str, Any]:
    return {"facts": dict(note.facts), "config": list(note.config)}


def _note_in(content: Any) -> PluginNote:
    facts = {str(name): str(value) for name, value in content["facts"].items()}
    return PluginNote(facts=facts, config=tuple(map(str, content["config"])))


class MlflowDeployment:
    """See target.DeploymentTarget."""

    def __init__(self, options: DeploymentOptions, plugin: Plugin, notes: PluginNotes | None, tools: Tools) -> None:
        """Without `notes` it is only looked at."""
        assert isinstance(options.settings, PluginSettings)  # noqa: S101  # those of its kind
        self._options = options
        self._settings = options.settings
        self._plugin = plugin
        self._notes = notes
        self._tools = tools
        self._wanted: PluginNote | None = None
        self._before: PluginNote | None = None
        self._applied = False
        self._begun = False
        self._there = False  # when it was planned

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget. Raises ToolFailed if nothing says which version runs."""
        found = self._plugin.do(PluginAction.FIND).deployment
        if found is None:
            return NOT_DEPLOYED
        if self._notes is None:
            raise ToolFailed(
                what=f"the plugin `{self._settings.plugin}` does not say which version it runs",
                why="MLflow's interface has no place for it",
            )
        note = self._notes.read()
        shown = f"{self._settings.plugin}: {self._options.name}"
        if note is None or note.facts.get(STATE) == _REMOVED:
            return DeployedVersion(endpoint=shown, leftovers=(shown,))
        return DeployedVersion(facts=note.facts, endpoint=shown, models=models_of(self._options, note.facts))

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget."""
        if wanted.serve_env.names:
            raise BadInput(
                what="a plugin does not take the variables of a model",
                why=f"the model needs {', '.join(wanted.serve_env.names)}, for which MLflow's interface has no place",
                fix="configure them where the plugin deploys, and log the model without `serve-env`",
            )
        now = self.observe()
        require_same_model(self._options.name, "of this plugin", now, wanted)
        self._require_ours(now)
        facts = {
            MODEL: wanted.model,
            VERSION: wanted.version,
            MODEL_DIGEST: wanted.record.model.sha256,
            STATE: RUNNING,
            _PLUGIN: str(self._settings.plugin),
            _CONFIG: ", ".join(self._settings.config) or "none",
        }
        self._there = bool(now.facts)
        self._before = self._earlier(facts) if now.facts else None
        self._wanted = PluginNote(facts=facts, config=self._settings.config, before=self._before)
        return changes_between(now.facts, facts)

    def _earlier(self, planned: Facts) -> PluginNote | None:
        """What ran before: not what a killed run began, unless nothing else is known, and not what is planned."""
        note = None if self._notes is None else self._notes.read()
        if note is None:
            return None
        begun = note.facts.get(STATE) != RUNNING or dict(note.facts) == planned
        return note.before if begun else replace(note, before=None)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget; it is deployed again, with the configuration that it had."""
        note = None if self._notes is None else self._notes.read()
        back = None if note is None else note.before
        if note is not None and note.facts.get(VERSION) == version and (back is None or note.facts[STATE] == RUNNING):
            back = note
        if back is None or back.facts.get(VERSION) != version:
            return False
        if back is not note or back.facts[STATE] != RUNNING:
            self._run(replace(back, facts={**back.facts, STATE: RUNNING}))
        return True

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; there is no place beside what runs."""
        del wanted  # planned
        self._applied = True

    def wait(self) -> None:
        """See DeploymentTarget; plugins return when a deployment is there, or it is asked until it answers."""

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget; it cannot be asked before it replaced what runs."""
        del expected
        return None

    def shift(self) -> None:
        """See DeploymentTarget."""
        assert self._wanted is not None  # noqa: S101  # planned
        self._require_ours(self.observe())  # somebody else may have made one after the plan
        self._begun = True
        self._run(self._wanted)

    @contextmanager
    def live(self) -> Iterator[Endpoint]:
        """See DeploymentTarget."""
        yield PredictedEndpoint(self._tools.web, self._plugin, self._options.name)

    def settle(self) -> None:
        """See DeploymentTarget; nothing is left beside what runs."""

    def undo(self) -> None:
        """See DeploymentTarget; what ran before is deployed again."""
        if self._applied and not self._begun:
            return
        if self._before is not None:
            self._run(replace(self._before, facts={**self._before.facts, STATE: RUNNING}))
        elif self._applied and not self._there:
            self.remove()
        else:  # a killed run led to what is there, and did not write down what ran before it
            raise ToolFailed(what="there is nothing to return to", why="the version that ran before is not known")

    def remove(self) -> None:
        """See DeploymentTarget."""
        assert self._notes is not None  # noqa: S101  # a run that changes something has a registry
        now, note = self.observe(), self._notes.read()
        self._require_ours(now)
        require_own_model(self._options, now)
        if note is None or note.facts.get(STATE) == _REMOVED:
            return
        if self._found():
            self._plugin.do(PluginAction.DELETE)
            require_gone(self._options, self._found, self._tools)
        self._notes.write(replace(note, facts={**note.facts, STATE: _REMOVED}))

    def _found(self) -> tuple[str, ...]:
        there = self._plugin.do(PluginAction.FIND).deployment is not None
        return (f"the deployment `{self._options.name}` of the plugin",) if there else ()

    def _require_ours(self, now: DeployedVersion) -> None:
        """Raise BadInput for a deployment of which nothing is written down, or only that it was removed."""
        if now.leftovers:
            raise BadInput(
                what=f"the plugin has a deployment `{self._options.name}` that was not made by `deploy`",
                why="it would be replaced or deleted",
                fix="give the deployment another name in pyproject.toml",
            )

    def _run(self, note: PluginNote) -> None:
        """Let the plugin run a version; a run that is killed meanwhile leaves a note that says so."""
        assert self._notes is not None  # noqa: S101  # as above
        there = bool(self._found())
        self._notes.write(replace(note, facts={**note.facts, STATE: _CHANGING}))
        config = dict(pair.split("=", 1) for pair in note.config)
        uri = f"models:/{note.facts[MODEL]}/{note.facts[VERSION]}"
        action = PluginAction.UPDATE if there else PluginAction.CREATE
        if self._plugin.do(action, model_uri=uri, config=config).deployment is None:
            why = "it does not list the deployment afterwards"
            raise ToolFailed(what=f"the plugin `{self._settings.plugin}` did not deploy {uri}", why=why)
        self._notes.write(note)


def open_target(options: DeploymentOptions, tools: Tools) -> MlflowDeployment:
    """See target.OpenTarget; the plugin runs in the project's environment, with the group that has it."""
    settings = options.settings
    assert isinstance(settings, PluginSettings)  # noqa: S101  # those of its kind
    require_plugin(settings)
    registry = options.registry
    if registry is None or registry.project is None:
        raise ToolFailed(
            what=f"the plugin `{settings.plugin}` does not say which version it runs",
            why="MLflow's interface has no place for it",
        )
    variables = tools.host.variables
    store = registry.client.store
    named = ServeVariables({name: variables[name] for name in settings.variables if variables.get(name)})
    groups = (*registry.selection.groups, *((settings.group,) if settings.group else ()))
    python = tools.environments.project(registry.project, replace(registry.selection, groups=groups))
    plugin = MlflowPlugin(
        mlflow=tools.mlflow,
        python=python,
        store=replace(store, handed=named),
        target=str(settings.plugin),
        name=options.name,
        deadline_s=options.deadline_s,
    )
    return MlflowDeployment(options, plugin, RegistryNotes(registry, options.model, options.name), tools)


def require_plugin(settings: PluginSettings) -> None:
    """Raise BadInput for settings without a plugin, and for a configuration or variable that it does not get."""
    if settings.plugin is None:
        raise BadInput(
            what="the deployment has no `plugin`",
            why="it is the target of a plugin of mlflow.deployments",
            fix='plugin = "NAME" in the table of the deployment',
        )
    if wrong := [pair for pair in settings.config if not pair.partition("=")[1] or pair.startswith("=")]:
        raise BadInput(what="`config` has an item that is not KEY=VALUE", why=f"it is {wrong[0]!r}", fix="KEY=VALUE")
    if refused := [name for name in settings.variables if gives_rights(name)]:
        raise BadInput(
            what=f"`variables` names {refused[0]}, which gives rights beyond the plugin",
            why="a plugin gets the credentials of stores and clouds anyway, and none of the CI platform",
            fix=f"remove {refused[0]} from `variables`",
        )
