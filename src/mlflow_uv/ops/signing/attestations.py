"""Keeps the attestations of a version: in its run, beside the release record, and with its image in the registry."""

from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ...command.errors import ToolFailed
from ...core.release.record import ImageLink
from ...core.security.documents import parse_json
from ...core.signing.statement import predicate_type
from ...payloads.messages.registry import RegisteredVersion
from ...tools.mlflow.errors import NotInStore
from ...tools.oci.referrers import Attachment
from ...tools.signing.signer import KeptSignatures
from ...tools.system.untrusted_file import read_untrusted
from ..lineage.publication import record_artifact
from ..lineage.registry_client import RegistryClient

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ATTESTATIONS = "attestations.jsonl"
MODEL_SIGNATURE = "model.sig"
BUNDLES_LIMIT = 64 << 20
_WAITS_S = (1.0, 1.0, 2.0, 4.0, 8.0)  # longer than another signer takes from reading the file to writing it


def signature_artifact(version: RegisteredVersion, file: str) -> str:
    """The artifact path of a file with signatures, in the run of the version's model, beside its release record."""
    record = PurePosixPath(record_artifact(str(version.model_id), version.name, version.version))
    return str(record.parent / "signature" / file)


def in_store(registry: RegistryClient, version: RegisteredVersion) -> KeptSignatures:
    """What the store has. Raises StoreUnreachable, ToolFailed, and BadInput for files that are too large."""
    if not version.run_id or not version.model_id:
        return KeptSignatures(bundles=(), model_signature="")
    texts = [_downloaded(registry, version, file) for file in (ATTESTATIONS, MODEL_SIGNATURE)]
    return KeptSignatures(bundles=bundles_in(texts[0]), model_signature=texts[1].strip())


def add_to_store(registry: RegistryClient, version: RegisteredVersion, signed: KeptSignatures) -> int:
    """
    Add signatures to those that the store has at this moment; return the number of bytes that were written.

    The signature of the model is replaced, by an empty file if the signer made none: it is that of the last signer.
    Raises StoreUnreachable, ToolFailed, and BadInput for files that are too large.
    """
    kept = in_store(registry, version)
    if {*signed.bundles} <= {*kept.bundles} and signed.model_signature == kept.model_signature:
        return 0
    bundles = (*(bundle for bundle in kept.bundles if bundle not in signed.bundles), *signed.bundles)
    contents = {ATTESTATIONS: "".join(f"{bundle}\n" for bundle in bundles)}
    if signed.model_signature != kept.model_signature:
        contents[MODEL_SIGNATURE] = signed.model_signature or "\n"  # some stores do not take an empty file
    with TemporaryDirectory(prefix="mlflow-uv-signature-") as scratch:
        for name, content in contents.items():
            file = Path(scratch) / name
            file.write_text(content, encoding="utf-8")
            path = signature_artifact(version, name)
            registry.client.log_record(str(version.run_id), file=file, path=path)
    return sum(len(content.encode()) for content in contents.values())


def require_kept(
    registry: RegistryClient, version: RegisteredVersion, image: ImageLink | None, signed: KeptSignatures, again: str
) -> None:
    """
    Read what the store and the registry have, and add what another signer overwrote at the same time.

    Neither can add to a file at once: of two signers that read it before either wrote, one is lost, and sees that here.
    `again` is the call of the step that signs with the same key or identity.
    Raises ToolFailed if it is lost again each time, StoreUnreachable, RegistryUnanswered.
    """
    for wait_s in _WAITS_S:
        registry.tools.clock.wait(wait_s)
        in_registry = with_image(registry, image) if image is not None else signed.bundles
        if {*signed.bundles} <= {*in_store(registry, version).bundles} & {*in_registry}:
            return
        add_to_store(registry, version, signed)
        if image is not None:
            attach_to_image(registry, image, signed.bundles)
    raise ToolFailed(
        what=f"the attestations of {version.name} version {version.version} are not kept",
        why="other signers overwrite them at the same time",
        fix=again,
    )


def with_image(registry: RegistryClient, image: ImageLink) -> tuple[str, ...]:
    """The bundles that the registry has of a pushed image. Raises RegistryUnanswered."""
    found = registry.tools.registries.attached(image.tag, image.digest, BUNDLE_TYPE)
    return tuple(content.decode(errors="replace") for content in found)


def attach_to_image(registry: RegistryClient, image: ImageLink, bundles: Iterable[str]) -> int:
    """Attach bundles to a pushed image; return the number of bytes that were sent. Raises RegistryUnanswered."""
    return sum(
        registry.tools.registries.attach(
            image.tag,
            image.digest,
            Attachment(media_type=BUNDLE_TYPE, content=bundle.encode(), annotations=_annotations(bundle)),
        )
        for bundle in bundles
    )


def bundles_in(text: str) -> tuple[str, ...]:
    """The bundles in a file that has one in each line."""
    return tuple(dict.fromkeys(line for line in text.splitlines() if line.strip()))


def predicate_in(bundle: str) -> str:
    """The predicate type of the statement in a bundle; empty for a text that is no bundle with one."""
    try:
        return predicate_type(b64decode(parse_json(bundle)["dsseEnvelope"]["payload"]).decode())
    except (ValueError, KeyError, TypeError):
        return ""


def _annotations(bundle: str) -> dict[str, str]:
    """The annotations by which other tools select a bundle."""
    payload = b64decode(parse_json(bundle)["dsseEnvelope"]["payload"]).decode()
    return {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": predicate_type(payload),
    }


def _downloaded(registry: RegistryClient, version: RegisteredVersion, file: str) -> str:
    with TemporaryDirectory(prefix="mlflow-uv-signature-") as scratch:
        target = Path(scratch) / file
        try:
            registry.client.download_record(
                str(version.run_id), path=signature_artifact(version, file), destination=target
            )
        except NotInStore:
            return ""
        return read_untrusted(target, limit=BUNDLES_LIMIT).decode(errors="replace")
