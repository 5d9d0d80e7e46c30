"""Signs a version whose chain holds, and keeps the attestations with its image, its model and its record."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ...command.errors import BadInput, ChainBroken, StepError, ToolFailed
from ...command.wording import local, option
from ...core.image.reference import registry_fix
from ...core.release.digests import ADDED_ON_DOWNLOAD, sha256
from ...core.release.record import Record, SignatureLink
from ...core.security.child_environment import IDENTITY_TOKEN, SIGNING_KEY
from ...core.security.documents import parse_json
from ...core.signing.statement import MODEL_CARD, SBOM, attested_links, statements
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.oci.repository import RegistryUnanswered
from ...tools.signing.signer import PUBLIC_SIGSTORE, ExternalKey, KeptSignatures, SigningKey, WorkflowIdentity
from ...tools.system.content import digests_in
from ...tools.system.named_file import read_named
from ...tools.toolbox import Tools
from ..image.sbom import locked_sbom
from ..lineage.audit import Audited
from ..lineage.record_update import update_published
from ..lineage.registry_client import RegistryClient, project_here
from .attestations import add_to_store, attach_to_image, in_store, require_kept, with_image
from .trust import PEM_LIMIT, require_json, require_pem, trust_of
from .verification import signing_program

VersionSigner = SigningKey | ExternalKey | WorkflowIdentity
T = TypeVar("T")
# The audience that Fulcio requires of a token.
_AUDIENCE = "sigstore"
# The alias whose metrics the documents have, which is the default of model-card.
_CHAMPION = "champion"


@lazy_dataclass
class Signed:
    """The signer, the bundles, whether any of them is new, and the number of bytes in store and registry."""

    signer: str
    bundles: tuple[str, ...]
    new: bool
    stored: int
    sent: int
    model_signed: bool


@lazy_dataclass
class KeyInputs:
    """What a caller names to sign with a key: its file or what has it, its public key, and what is beside it."""

    file: Path | None
    signer: tuple[str, ...]
    public_key: Path | None
    certificate: Path | None
    timestamp_authority: str
    project: Path


def key_signer(given: KeyInputs, tools: Tools) -> SigningKey | ExternalKey:
    """
    What signs: a program or a service, else the private key in a file, else that in MLFLOW_UV_SIGNING_KEY.

    Raises BadInput without any of them, ToolFailed.
    """
    certificates = "" if given.certificate is None else _pem_of(tools.host.folder / given.certificate)
    if given.signer:
        return _external_key(given, certificates, tools)
    if given.public_key is not None:
        why = "it is that of a `signer`, and none is given"
        raise BadInput(what="`public-key` has no effect", why=why, fix=option("signer", "PROGRAM"))
    text = tools.host.variables.get(SIGNING_KEY, "")
    if given.file is not None:
        shown, pem = f"`{given.file}`", _pem_of(tools.host.folder / given.file)
    elif text.strip():
        shown, pem = SIGNING_KEY, text
    else:
        raise BadInput(
            what="no key to sign with is given",
            why=f"`signing-key` names no file, and {SIGNING_KEY} is not set",
            fix=option("signing-key", "FILE"),
        )
    return SigningKey(
        shown=shown,
        pem=pem,
        certificates=certificates,
        timestamp_authority=given.timestamp_authority,
        timestamp_roots=_timestamp_roots(given, tools),
    )


def _timestamp_roots(given: KeyInputs, tools: Tools) -> tuple[str, ...]:
    """The authorities whose time counts where the trust settings name some. Raises BadInput."""
    if not given.timestamp_authority:
        return ()
    return trust_of(project_here(given.project), tools).keys.timestamp_authorities


def _external_key(given: KeyInputs, certificates: str, tools: Tools) -> ExternalKey:
    # No other part of signing needs it.
    from .external_keys import key_elsewhere  # noqa: PLC0415

    if given.file is not None:
        raise BadInput(
            what="`signer` signs without a file of a key",
            why="`signing-key` is given, too",
            fix=option("signer", "PROGRAM"),
        )
    if given.public_key is None:
        raise BadInput(
            what="`signer` has no public key",
            why="what it returns must be a signature of a key that is known",
            fix=option("public-key", "FILE"),
        )
    public_key = _pem_of(tools.host.folder / given.public_key)
    return ExternalKey(
        signer=key_elsewhere(given.signer, public_key, given.project, tools),
        public_key=public_key,
        certificates=certificates,
        timestamp_authority=given.timestamp_authority,
        timestamp_roots=_timestamp_roots(given, tools),
    )


def workflow_signer(sigstore: str, tools: Tools) -> WorkflowIdentity:
    """
    The token in the variable MLFLOW_UV_IDENTITY_TOKEN, else that of this job of GitHub, for a Sigstore.

    `sigstore` is `public`, or the file of a client trust configuration. Raises BadInput without a token, ToolFailed.
    """
    # No other part of signing needs it.
    from ...tools.cloud.id_token import has_workflow_identity, workflow_identity  # noqa: PLC0415

    config = sigstore
    if sigstore != PUBLIC_SIGSTORE:
        config = require_json(read_named(tools.host.folder / sigstore, limit=PEM_LIMIT), f"`{sigstore}`")
    variables = tools.host.variables
    if token := variables.get(IDENTITY_TOKEN, "").strip():
        return WorkflowIdentity(shown=IDENTITY_TOKEN, token=token, sigstore=config)
    if has_workflow_identity(variables):
        token = workflow_identity(tools.web, variables, _AUDIENCE)
        return WorkflowIdentity(shown="this job of GitHub", token=token, sigstore=config)
    raise BadInput(
        what="there is no identity to sign with instead of a key",
        why=f"{IDENTITY_TOKEN} is not set, and this is no job of GitHub with the permission `id-token: write`",
        fix=local(f"a token for the audience {_AUDIENCE} in {IDENTITY_TOKEN}", "permissions: id-token: write"),
    )


def version_statements(audit: Audited, registry: RegistryClient) -> tuple[str, ...]:
    """The statements about a version: chain, provenance, the SBOM of its lock if uv can write one, and its card."""
    assert audit.record is not None  # noqa: S101  # sign checked it
    return statements(audit.record, digests_in(audit.model), tuple(_documents(audit, audit.record, registry)))


def _documents(audit: Audited, record: Record, registry: RegistryClient) -> Iterator[tuple[str, Any]]:
    """The SBOM, the ML-BOM and the model card with their predicate types; each says why if it cannot be written."""
    # Modules of the steps that describe a version, which no other part of signing needs.
    from ...core.card.ml_bom import render_ml_bom  # noqa: PLC0415
    from ...core.card.readme import render_readme  # noqa: PLC0415
    from ..card.described_version import describe_audited  # noqa: PLC0415

    if sbom := _sbom(record, audit.model, registry.tools):
        yield SBOM, parse_json(sbom)
    try:
        described = describe_audited(audit, registry, champion=_CHAMPION)
    except BadInput as error:
        registry.tools.console.say(f"  no model card is signed: {error}")
        return
    yield SBOM, parse_json(render_ml_bom(described))
    yield MODEL_CARD, {"mediaType": "text/markdown", "content": render_readme(described)}


def sign_version(audit: Audited, signer: VersionSigner, project: Path, registry: RegistryClient, again: str) -> Signed:
    """
    Sign the statements about a version, and keep them with its pushed image, beside its record and in it.

    What the same signer signed before is not signed again, and attestations of others are kept, also of somebody who
    signs at the same time. `again` is the call of the step that signs with the same key or identity. Raises BadInput
    for a key that cannot be used, ToolFailed, StoreUnreachable.
    """
    record, tools = audit.record, registry.tools
    assert record is not None  # noqa: S101  # sign checked it
    kept = in_store(registry, audit.description)
    image = record.image if record.image is not None and record.image.digest else None
    attached = _answered(lambda: with_image(registry, image), image.tag) if image is not None else ()
    about = version_statements(audit, registry)
    ignored = tuple(sorted(ADDED_ON_DOWNLOAD))
    earlier = KeptSignatures(
        bundles=tuple(dict.fromkeys((*kept.bundles, *attached))), model_signature=kept.model_signature
    )
    program = signing_program(tools)
    match signer:
        case SigningKey():
            signed = program.sign(about, signer, audit.model, ignored=ignored, earlier=earlier)
        case ExternalKey():
            signed = program.sign_elsewhere(about, signer, audit.model, ignored=ignored, earlier=earlier)
        case WorkflowIdentity():
            signed = program.sign_keyless(about, signer, audit.model, ignored=ignored, earlier=earlier)
    sent = _answered(lambda: attach_to_image(registry, image, signed.bundles), image.tag) if image is not None else 0
    keeping = KeptSignatures(bundles=signed.bundles, model_signature=signed.model_signature)
    stored = add_to_store(registry, audit.description, keeping)
    link = SignatureLink(signer=signed.signer, statement=sha256(about[0].encode()))
    update_published(
        (audit.name, audit.version),
        lambda current: with_signature(current, record, link, again),
        (tools.records.path(None, project),),
        registry,
    )
    if stored or sent:
        _answered(lambda: require_kept(registry, audit.description, image, keeping, again), image.tag if image else "")
    return Signed(
        signer=signed.signer,
        bundles=signed.bundles,
        new=bool(stored or sent),
        stored=stored,
        sent=sent,
        model_signed=bool(signed.model_signature),
    )


def with_signature(current: Record, signed: Record, link: SignatureLink, again: str) -> Record:
    """
    Return the published record with the link of a signature; `signed` is the record that the statements are about.

    Raises ChainBroken if another step changed what was signed.
    """
    if attested_links(current) != attested_links(signed):
        why = "another step changed the record while the version was signed"
        raise ChainBroken("record", why=why, fix=again)
    return replace(current, signature=link)


def _answered(request: Callable[[], T], name: str) -> T:
    """What a registry answers. Raises ToolFailed."""
    try:
        return request()
    except RegistryUnanswered as error:
        what = f"the attestations cannot be kept with `{name}`"
        raise ToolFailed(what=what, why=str(error), fix=registry_fix(name, error)) from error


def _sbom(record: Record, model: Path, tools: Tools) -> str:
    """The SBOM of the packages in the model's lock, empty if the model has none."""
    try:
        return locked_sbom(model, record, tools)
    except (StepError, ValueError) as error:
        tools.console.say(f"  no SBOM is signed: {error}")
        return ""


def _pem_of(file: Path) -> str:
    return require_pem(read_named(file, limit=PEM_LIMIT), f"`{file}`")
