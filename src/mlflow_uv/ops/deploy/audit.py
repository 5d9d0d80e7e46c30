"""Compares the deployments that are recorded on a version with what they run."""

from collections.abc import Iterator

from ...command.errors import BadInput, StepError, sentence
from ...command.server_inputs import ANSWER_S
from ...core.deploy.running import deployment_checks, image_check, unverified
from ...core.deploy.settings import read_deployments
from ...core.deploy.target_settings import TargetSettings
from ...core.release.chain import LinkCheck
from ...payloads.messages.deployments import DEPLOYED, DeploymentEntry, entries_in
from ...tools.project.policy_table import policy_tables
from ..image.lookup import address_of
from ..lineage.audit import Audited
from ..lineage.registry_client import RegistryClient
from .catalog import open_target
from .target import DeploymentOptions


def checked_deployments(registry: RegistryClient, audit: Audited) -> Iterator[LinkCheck]:
    """Yield the checks of each deployment that runs the version by its entry; a target is only looked at."""
    entries = tuple(entry for entry in entries_in(audit.tags) if entry.state == DEPLOYED)
    if not entries:
        return
    image = audit.record.image if audit.record is not None else None
    # A target names an image by its id, or by its reference in a registry.
    images = () if image is None or image.kind != "image" else (image.id, address_of(image))
    try:
        settings = _settings(registry)
    except BadInput as error:
        yield from (unverified(entry, why=sentence(error.what, error.why, ""), fix=error.fix) for entry in entries)
        yield from filter(None, (image_check(entry, images) for entry in entries))
        return
    for entry in entries:
        if (released_again := image_check(entry, images)) is not None:
            yield released_again
        own = _settings_of(entry, settings)
        if own is None or own.target != entry.target:
            why = f"pyproject.toml here has no deployment `{entry.deployment}` with target {entry.target}"
            yield unverified(entry, why=why, fix="run audit in the project that deployed it")
        else:
            yield from _looked_at(registry, entry, own)


def _looked_at(registry: RegistryClient, entry: DeploymentEntry, settings: TargetSettings) -> Iterator[LinkCheck]:
    options = DeploymentOptions(
        name=entry.deployment, settings=settings, is_preview=False, proxy_image="", deadline_s=0, answer_s=ANSWER_S
    )
    try:
        deployed = open_target(options, registry.tools).observe()
    except StepError as error:
        yield unverified(entry, why=sentence(error.what, error.why, ""), fix=error.fix)
        return
    yield from deployment_checks(entry, deployed.facts)


def _settings(registry: RegistryClient) -> dict[str, TargetSettings]:
    if registry.project is None:
        return {}
    tables = policy_tables(registry.project, "deploy", where=registry.tools.host.folder)
    return dict(read_deployments(tables))


def _settings_of(entry: DeploymentEntry, settings: dict[str, TargetSettings]) -> TargetSettings | None:
    """The settings of a deployment; those of a preview are the ones of the deployment before its name."""
    names = (name for name in settings if entry.deployment == name or entry.deployment.startswith(f"{name}-"))
    return settings.get(max(names, key=len, default=""))
