"""Chooses where an evaluated version runs: in a container of its image without network, or in a local process."""

from pathlib import Path

from ...command.errors import ChainBroken, NoEngine, ToolFailed
from ...command.inputs import Isolation
from ...command.wording import Wording, option
from ...core.image.labels import MODEL
from ...core.image.reference import image_reference
from ...core.release.digests import tree_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import MODEL_DIGEST, RECORD_DIGEST
from ...tools.engines.build_errors import NotPulled
from ...tools.engines.engine import Engine
from ...tools.system.content import digests_in
from ..lineage.audit import record_of
from ..lineage.registry_client import RegistryClient


@lazy_dataclass
class EvaluatedVersion:
    """A version to evaluate, the folder with its files, and the SHA-256 of those."""

    name: str
    version: str
    model_id: str | None
    run_id: str | None
    model: Path
    sha256: str

    @property
    def id(self) -> str:
        """The id in its runs: the logged model id, else the URI of the version."""
        return self.model_id or self.uri

    @property
    def uri(self) -> str:
        """The URI of the version."""
        return f"models:/{self.name}/{self.version}"

    @property
    def shown(self) -> str:
        """The version as text."""
        return f"{self.name} version {self.version}"


@lazy_dataclass
class ExecutionPlace:
    """
    An engine and the id of an image in it; without them `reason` says why a process is used.

    `recorded` is the id of the image in the release record: another engine may have another one for the same image.
    """

    engine: Engine | None = None
    image: str = ""
    recorded: str = ""
    reason: str = ""


def download_version(store: RegistryClient, name: str, version: str, model: Path) -> EvaluatedVersion:
    """Download a version. Raises ChainBroken for files other than the registered ones."""
    description = store.client.describe_version(name, version)
    store.client.download_version(description, model)
    digest = tree_digest(digests_in(model))
    recorded = description.tags.get(MODEL_DIGEST, digest)
    if recorded != digest:
        why = f"the tag of {name} version {version} has {recorded[:12]}, its files in the store have {digest[:12]}"
        raise ChainBroken("model", why=why)
    return EvaluatedVersion(
        name=name,
        version=version,
        model_id=description.model_id,
        run_id=description.run_id,
        model=model,
        sha256=digest,
    )


def choose_isolation(
    store: RegistryClient,
    subject: EvaluatedVersion,
    isolation: Isolation,
    scratch: Path,
    *,
    any_serving: bool = False,
) -> ExecutionPlace:
    """
    Return where to run a version; `scratch` is a path for a temporary file.

    With `any_serving`, an image with only the packages that serving needs is taken, too. Raises ToolFailed if
    `isolation` is image and there is none.
    """
    if isolation is Isolation.PROCESS:
        return ExecutionPlace(reason="a process was requested")
    try:
        place = _image_of(store, subject, scratch, any_serving=any_serving)
    except (NoEngine, ToolFailed) as error:
        place = ExecutionPlace(reason=error.why or error.what)
    if place.engine is None and isolation is Isolation.IMAGE:
        what = f"{subject.shown} cannot be run in a container"
        fix = Wording(option("isolation", "auto"), ", which takes a process instead")
        raise ToolFailed(what=what, why=place.reason, fix=fix)
    return place


def _image_of(store: RegistryClient, subject: EvaluatedVersion, scratch: Path, *, any_serving: bool) -> ExecutionPlace:
    description = store.client.describe_version(subject.name, subject.version)
    record = record_of(store, description, scratch)
    if record is None or record.image is None:
        return ExecutionPlace(reason="its record names no image")
    if record.sha256 != description.tags.get(RECORD_DIGEST):
        return ExecutionPlace(reason="its record does not match the digest in the version's tag")
    image = record.image
    if image.kind != "image":
        return ExecutionPlace(reason=f"it has no image: {image.reason}")
    if image.serving != "locked" and not any_serving:
        return ExecutionPlace(reason=f"its image has only the packages that serving needs (`serving: {image.serving}`)")
    engine = store.tools.engines.named(image.engine)
    local_image = engine.image(image.id)
    if local_image is None:
        absent = f"{engine.name} has no {image.tag} here"
        if not image.digest:
            return ExecutionPlace(reason=f"{absent}, and it was never pushed")
        try:
            local_image = engine.pull(image_reference(image.tag).at(image.digest))
        except NotPulled as error:
            return ExecutionPlace(reason=f"{absent}, and it cannot be pulled: {error.why}")
    if local_image.labels.get(MODEL) != subject.sha256:
        return ExecutionPlace(reason=f"the image {image.tag} was made from another model")
    return ExecutionPlace(engine=engine, image=local_image.id, recorded=image.id)
