"""Builds the in-toto statements about a version from its release record, and reads the one about its chain."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ... import __version__
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..image.reference import image_reference
from ..release.commit import UNKNOWN
from ..release.digests import ADDED_ON_DOWNLOAD, canonical, sha256, tree_digest
from ..release.record import LINKS, MEASURED, OPTIONAL, Record, from_json
from ..security.documents import parse_json

_HOME = "https://github.com/org/mlflow-uv-action"
STATEMENT = "https://in-toto.io/Statement/v1"
CHAIN = f"{_HOME}/attestation/chain/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
SBOM = "https://cyclonedx.org/bom"  # also of the ML-BOM, which is a document of the same format
MODEL_CARD = f"{_HOME}/attestation/model-card/v1"
# What OpenSSF Model Signing signs, and what it leaves out by default.
MODEL_FILES = "https://model_signing/signature/v1.0"
NOT_IN_RESOURCES = (".git", ".gitignore", ".gitattributes", ".github")
_BUILD_TYPE = f"{_HOME}/release/v1"
# Links that later steps change or add: an alias moves, verify, export-model and sign add theirs.
UNSIGNED = OPTIONAL | {"alias"}


@lazy_dataclass
class SignedChain:
    """
    What a statement about a chain says: the record, and the SHA-256 of each file of the model by its path.

    `statements` are the predicate type and the SHA-256 of each other statement that was signed with it; there are none
    in a statement of an earlier release.
    """

    record: Record
    files: Mapping[str, str]
    statements: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> str:
        """The version that was signed, for messages."""
        version = self.record.version
        return f"{version.name} version {version.version}" if version else "a model without a version"


def statements(
    record: Record, files: Iterable[tuple[PurePosixPath, str]], documents: Iterable[tuple[str, Any]]
) -> tuple[str, ...]:
    """
    The statements about a version as JSON texts: its chain, its provenance, and documents with their predicate types.

    Each has the model and the image as its subjects, and that about the chain lists the others, so that none of them
    can be missing. Equal arguments give equal texts.
    """
    subjects = _subjects(record)

    def statement(kind: str, predicate: Any) -> str:
        content = {"_type": STATEMENT, "subject": subjects, "predicateType": kind, "predicate": predicate}
        return canonical(content).decode()

    predicates = ((PROVENANCE, _provenance(record)), *documents)
    others = [(kind, statement(kind, predicate)) for kind, predicate in predicates]
    listed = [{"predicateType": kind, "sha256": sha256(text.encode())} for kind, text in others]
    chain = {**_chain(record, files), "statements": listed}
    return (statement(CHAIN, chain), *(text for _, text in others))


def predicate_type(statement: str) -> str:
    """The type of a statement's predicate. Raises ValueError for a text that is not a statement."""
    content = parse_json(statement)
    kind = content.get("predicateType") if isinstance(content, dict) else None
    if not isinstance(kind, str) or content.get("_type") != STATEMENT:
        raise ValueError("it is not an in-toto statement")
    return kind


def read_chain(statement: str) -> SignedChain:
    """
    Read a statement about a chain.

    Raises ValueError for another one, and for one whose subjects are not those of its record, or whose files do not
    have the digest of its model.
    """
    content = parse_json(statement)
    if predicate_type(statement) != CHAIN:
        raise ValueError("it is not about a chain")
    predicate = content.get("predicate")
    files = predicate.get("files") if isinstance(predicate, dict) else None
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise ValueError("it does not list the files of a model")
    record = from_json(predicate.get("record"))
    if content.get("subject") != _subjects(record):
        raise ValueError("its subjects are not the model and the image of its record")
    if tree_digest((PurePosixPath(path), digest) for path, digest in files.items()) != record.model.sha256:
        raise ValueError("the files that it lists do not have the digest of its model")
    return SignedChain(record=record, files=files, statements=_listed(predicate.get("statements", [])))


def missing_statements(chain: SignedChain, found: Collection[str]) -> tuple[str, ...]:
    """The predicate types of the statements that a chain lists, and whose SHA-256 is not among those found."""
    return tuple(kind for kind, digest in chain.statements if digest not in found)


def _listed(content: Any) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((str(one["predicateType"]), str(one["sha256"])) for one in content)
    except (TypeError, KeyError):
        raise ValueError("it does not list the statements that were signed with it") from None


def differing_links(signed: Record, current: Record) -> tuple[str, ...]:
    """The names of the signed links that are not those of the current record."""
    names = (name for name in LINKS if name not in UNSIGNED)
    return tuple(name for name in names if getattr(signed, name) != getattr(current, name))


def differing_files(signed: Mapping[str, str], stored: Iterable[tuple[PurePosixPath, str]]) -> tuple[str, ...]:
    """The paths of the files of a model that were changed, added or removed since it was signed."""
    found = {path.as_posix(): digest for path, digest in stored if path.as_posix() not in ADDED_ON_DOWNLOAD}
    return tuple(sorted(path for path in signed.keys() | found.keys() if signed.get(path) != found.get(path)))


def differing_resources(statement: str, stored: Iterable[tuple[PurePosixPath, str]]) -> tuple[str, ...]:
    """
    The paths of the files of a model that are not those of a statement of OpenSSF Model Signing.

    The files that sign leaves out, as that format does, are not compared. Raises ValueError for another statement.
    """
    content = parse_json(statement)
    if predicate_type(statement) != MODEL_FILES:
        raise ValueError("it is not about the files of a model")
    predicate = content.get("predicate")
    resources = predicate.get("resources") if isinstance(predicate, dict) else None
    if not isinstance(resources, list) or not all(isinstance(resource, dict) for resource in resources):
        raise ValueError("it does not list the files of a model")
    signed = {
        str(resource.get("name")): str(resource.get("digest"))
        for resource in resources
        if resource.get("algorithm") == "sha256"
    }
    return differing_files(signed, ((path, digest) for path, digest in stored if path.parts[0] not in NOT_IN_RESOURCES))


def attested_links(record: Record) -> dict[str, Any]:
    """The links of a record that its signature covers, as JSON: without those that later steps change or add."""
    attested = LINKS.keys() - UNSIGNED
    return {name: value for name, value in record.to_json().items() if name in attested}


def _subjects(record: Record) -> list[dict[str, Any]]:
    version, image = record.version, record.image
    name = f"models:/{version.name}/{version.version}" if version else record.model.uri
    subjects = [{"name": name, "digest": {"sha256": record.model.sha256}}]
    if image is not None and image.kind == "image":
        reference = image_reference(image.tag)
        digest = (image.digest or image.id).removeprefix("sha256:")
        subjects.append({"name": f"{reference.host}/{reference.repository}", "digest": {"sha256": digest}})
    return subjects


def _chain(record: Record, files: Iterable[tuple[PurePosixPath, str]]) -> dict[str, Any]:
    listed = {path.as_posix(): digest for path, digest in files if path.as_posix() not in ADDED_ON_DOWNLOAD}
    unsigned = replace(record, signature=None).to_json()  # the same statement when it is signed again
    content = {name: value for name, value in unsigned.items() if name not in MEASURED}
    return {"record": content, "files": listed}


def _provenance(record: Record) -> dict[str, Any]:
    """The predicate of SLSA: what was built, from what, and by which programs."""
    version = record.version
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "externalParameters": {
                "commit": record.commit.sha,
                "project": record.commit.project,
                "dirty": record.commit.dirty or "",
                "selection": {
                    "package": record.selection.package,
                    "extras": list(record.selection.extras),
                    "groups": list(record.selection.groups),
                },
                "model": version.name if version else record.model.name,
            },
            "internalParameters": {
                "uv": record.lock.uv,
                "python": record.model.python,
                "mlflow": record.model.mlflow,
                "release-key": record.release_key,
            },
            "resolvedDependencies": list(_materials(record)),
        },
        "runDetails": {
            "builder": {"id": f"{_HOME}/builder", "version": {"mlflow-uv": __version__}},
            "metadata": {"invocationId": record.model.run_id},
        },
    }


def _materials(record: Record) -> Iterable[dict[str, Any]]:
    if record.commit.sha != UNKNOWN:
        yield {"name": "commit", "digest": {"gitCommit": record.commit.sha}}
    yield {"name": "uv.lock", "digest": {"sha256": record.lock.sha256}}
    yield {"name": "requirements", "digest": {"sha256": record.requirements.sha256}}
    for wheel in record.requirements.wheels:
        yield {"name": wheel.file, "digest": {"sha256": wheel.sha256}}
    image = record.image
    if image is not None and image.base_digest.startswith("sha256:"):
        yield {"name": image.base, "digest": {"sha256": image.base_digest.removeprefix("sha256:")}}
