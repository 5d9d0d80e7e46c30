"""Signs a registered version: attestations of its chain, provenance and SBOM, and a signature of its model's files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import (
    DryRunInputs,
    PublicKeyFile,
    RegistryInputs,
    SignerName,
    StrictInputs,
    VersionInputs,
    VersionNumber,
)
from ..command.report import Finding, Report, Severity, counted
from ..command.step import Doc, Matching, OneRun, Step, Words, fields_of
from ..command.wording import option, step_call
from ..core.release.chain import checked_links, merge_checks, require_unbroken
from ..core.security.url_credentials import without_user
from ..ops.lineage.audit import Audited, recomputed
from ..ops.lineage.link_report import link_findings
from ..ops.lineage.registry_client import connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..ops.signing.signing import (
    KeyInputs,
    Signed,
    VersionSigner,
    key_signer,
    sign_version,
    version_statements,
    workflow_signer,
)
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.tags import STATE, TESTED
from ..tools.signing.signer import ExternalKey, SigningKey
from ..tools.toolbox import Tools

# The inputs that say who signs, and with what.
_OF_SIGNER = ("signing_key", "signer", "public_key", "sigstore", "certificate", "timestamp_authority")


@lazy_dataclass
class Inputs(RegistryInputs, VersionInputs, StrictInputs, DryRunInputs):
    """Inputs of sign: the version, and the key, whose text may be in MLFLOW_UV_SIGNING_KEY instead, or a Sigstore."""

    signing_key: Annotated[
        Path | None,
        OneRun(),
        Doc("File of the private key in PEM (ECDSA or Ed25519); without it `MLFLOW_UV_SIGNING_KEY` holds the key."),
    ] = None
    signer: Annotated[
        tuple[str, ...],
        Words(),
        OneRun(),
        Doc(
            "Program outside of the checkout, or URI such as `awskms:KEY`, that signs with a key that is not in a file;"
            " needs `public-key`."
        ),
    ] = ()
    public_key: PublicKeyFile = None
    sigstore: Annotated[
        str | None,
        OneRun(),
        Doc(
            "Sigstore to sign with instead of a key: `public`, or a client trust configuration; the identity is that of"
            " the job, or a token in `MLFLOW_UV_IDENTITY_TOKEN`."
        ),
    ] = None
    certificate: Annotated[
        Path | None,
        OneRun(),
        Doc("File of the certificate of the key in PEM, followed by those between it and the trusted authority."),
    ] = None
    timestamp_authority: Annotated[
        str,
        Matching(r"(https?://[^\s]+)?", "the address of an authority for timestamps"),
        OneRun(),
        Doc("URL of an authority for timestamps (RFC 3161), whose time counts once the certificate has expired."),
    ] = ""


@lazy_dataclass
class Outputs:
    """Outputs of sign: who signed, and what."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    signer: SignerName
    signed: Annotated[bool, Doc("Whether this run added a signature; false if the same signer signed it before.")]
    attestation_count: Annotated[int, Doc("Number of statements that are signed, or would be in a dry run.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Recompute every link of a version, and sign it only if all of them hold and its smoke test passed.

    Raises BadInput, ChainBroken, ToolFailed, StoreUnreachable.
    """
    name, number, alias = parsed_uri(inputs.version_uri)
    signer = None if inputs.dry_run else _signer(inputs, tools)
    registry = connect(inputs, tools)
    version = version_number(registry, name, alias or number, VERSION_URI)
    shown = f"{name} version {version}"
    signed: Signed | None = None
    with recomputed(registry, name=name, version=version) as audit:
        links = merge_checks(require_unbroken(audit.checks))
        _require_tested(audit, shown)
        findings = (
            *link_findings(links, shown, strict=inputs.strict),
            *unverified_timestamps(signer, strict=inputs.strict),
        )
        count = len(version_statements(audit, registry)) if signer is None else 0
        if signer is not None and all(finding.severity is not Severity.ERROR for finding in findings):
            with tools.console.group(f"sign {shown}"):
                again = _again(inputs, f"models:/{name}/{version}")
                signed = sign_version(audit, signer, inputs.project, registry, again)
            count = len(signed.bundles)
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            signer=signed.signer if signed else "",
            signed=signed is not None and signed.new,
            attestation_count=count,
        ),
        summary=_summary(shown, signed, count, dry_run=inputs.dry_run),
        findings=(*findings, *_unsigned_model(signed)),
        chain=checked_links(audit.record, links),
    )


def _signer(inputs: Inputs, tools: Tools) -> VersionSigner:
    """The key, what has it, or the identity if a Sigstore is named. Raises BadInput, ToolFailed."""
    given = KeyInputs(
        file=inputs.signing_key,
        signer=inputs.signer,
        public_key=inputs.public_key,
        certificate=inputs.certificate,
        timestamp_authority=inputs.timestamp_authority,
        project=inputs.project,
    )
    if inputs.sigstore is None:
        return key_signer(given, tools)
    if any((given.file, given.signer, given.public_key, given.certificate, given.timestamp_authority)):
        raise BadInput(
            what="`sigstore` signs without a key",
            why="a key, a signer, a certificate or an authority for timestamps is given, too",
            fix=option("sigstore", "public"),
        )
    return workflow_signer(inputs.sigstore, tools)


def _again(inputs: Inputs, version_uri: str) -> str:
    """The call of this step that signs a version with the same key or identity."""
    fields = (field for field in fields_of(Inputs) if field.name in _OF_SIGNER)
    given = {field.name: without_user(field.text(getattr(inputs, field.name))) for field in fields}
    return step_call("sign", version_uri=version_uri, **{name: text for name, text in given.items() if text})


def _require_tested(audit: Audited, shown: str) -> None:
    state = audit.tags.get(STATE, "none")
    if audit.record is None or audit.record.version is None:
        raise BadInput(
            what=f"{shown} is not signed", why="it has no release record that says what it is", fix=step_call("release")
        )
    if state not in TESTED:
        why = f"its state is {state}, and only a version whose smoke test passed is signed"
        raise BadInput(what=f"{shown} is not signed", why=why, fix=step_call("release"))


def unverified_timestamps(signer: VersionSigner | None, *, strict: bool) -> Iterator[Finding]:
    """Yield a warning, with `strict` an error, if nobody verifies who made the timestamps that are asked for."""
    if isinstance(signer, (SigningKey, ExternalKey)) and signer.timestamp_authority and not signer.timestamp_roots:
        yield Finding(
            rule="timestamp-unverified",
            severity=Severity.ERROR if strict else Severity.WARNING,
            what=f"nobody verifies that the timestamps are those of {without_user(signer.timestamp_authority)}",
            why="the trust settings name no `timestamp-authorities`, without which no timestamp counts later",
            fix='timestamp-authorities = ["FILE.crt"] in [tool.mlflow-uv.trust]',
        )


def _unsigned_model(signed: Signed | None) -> Iterator[Finding]:
    if signed is not None and not signed.model_signed:
        yield Finding(
            rule="model-signature",
            severity=Severity.NOTICE,
            what="the files of the model have no OpenSSF signature of their own",
            why="the format has none for Ed25519; the attestation of the chain lists their digests",
            fix="sign with an ECDSA key",
        )


def _summary(shown: str, signed: Signed | None, count: int, *, dry_run: bool) -> str:
    attestations = counted(count, "attestation")
    if signed is None:
        return f"{shown}: {attestations} would be signed" if dry_run else f"{shown} is not signed"
    if not signed.new:
        return f"{shown} was signed by {signed.signer} before"
    kept = f"{signed.stored:,} bytes in the store"
    sent = f", {signed.sent:,} with the image" if signed.sent else ""
    return f"{shown}: {attestations} signed by {signed.signer}, {kept}{sent}"


STEP: Step[Any, Any, Any] = Step(
    name="sign",
    summary="Sign a tested version: attestations of its chain, provenance and SBOM, and a signature of its model.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
