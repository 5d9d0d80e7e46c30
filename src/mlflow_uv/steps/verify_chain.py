"""Verifies the signatures of a version, of an image or of a downloaded model, and everything that they vouch for."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import PublicKeyFile, RegistryInputs, SignerName, StrictInputs
from ..command.report import Report
from ..command.step import Doc, OneRun, Step
from ..command.wording import joined, option
from ..core.release.chain import LinkState, checked_links, merge_checks
from ..core.release.record import Record
from ..core.signing.trust_policy import TrustLevel
from ..ops.lineage.link_report import link_findings, link_table, links_summary
from ..ops.lineage.registry_client import connect, project_here
from ..ops.signing.subjects import SubjectChecks, checked_image, checked_model, checked_version
from ..ops.signing.trust import NOWHERE, TrustSettings, trust_in_key, trust_of
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.toolbox import Tools

_VERSION = "models:/"


@lazy_dataclass
class Inputs(RegistryInputs, StrictInputs):
    """Inputs of verify-chain: what is verified, and by which key and attestations."""

    artifact: Annotated[
        str,
        OneRun(),
        Doc("What to verify: models:/NAME@ALIAS, models:/NAME/NUMBER, an image, or the folder of a downloaded model."),
    ]
    public_key: PublicKeyFile = None
    attestations: Annotated[
        Path | None,
        OneRun(),
        Doc("File with one Sigstore bundle in each line, to verify an image or a folder with, without a store."),
    ] = None


@lazy_dataclass
class Outputs:
    """Outputs of verify-chain: who signed, and the links by state."""

    signer: SignerName
    signed_version: Annotated[str, Doc("URI of the version that was signed; empty if no signature is valid.")]
    holds: Annotated[tuple[str, ...], Doc("Names of the links of the chain that hold, such as lock or commit.")]
    broken: Annotated[tuple[str, ...], Doc("Names of the links of the chain that are broken.")]
    unverified: Annotated[tuple[str, ...], Doc("Names of the links of the chain that could not be verified here.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Verify signature, identity and digests; a link that does not hold is an error.

    Raises BadInput if nobody is trusted, or for another subject; ToolFailed, StoreUnreachable.
    """
    trust = _trust(inputs, tools)
    checked = _checked(inputs, trust, tools)
    links = merge_checks(checked.checks)
    states = {state: tuple(link.link for link in links if link.state is state) for state in LinkState}
    broken = states[LinkState.BROKEN]
    signer = "" if broken else joined(", ", checked.signers)
    signed = f"signed by {signer}" if signer else "needs no signature"
    summary = links_summary(states) if broken else f"{signed}, {links_summary(states)}"
    return Report(
        outputs=Outputs(
            signer=signer,
            signed_version=_uri(checked.record) if signer else "",
            holds=states[LinkState.HOLDS],
            broken=broken,
            unverified=states[LinkState.UNVERIFIED],
        ),
        summary=f"{checked.shown}: {summary} (trusted by {trust.origin})",
        findings=tuple(link_findings(links, checked.shown, strict=inputs.strict)),
        tables=(link_table(links),),
        chain=checked_links(checked.record, links),
    )


def _trust(inputs: Inputs, tools: Tools) -> TrustSettings:
    if inputs.public_key is not None:
        return trust_in_key(tools.host.folder / inputs.public_key)
    trust = trust_of(project_here(inputs.project), tools)
    if trust.policy.policy is TrustLevel.OFF:
        raise BadInput(
            what="nobody is trusted to sign",
            why="there are no trust settings" if trust.origin == NOWHERE else f"the policy in {trust.origin} is off",
            fix=option("public-key", "FILE"),
        )
    return replace(trust, policy=replace(trust.policy, policy=TrustLevel.REQUIRE))


def _checked(inputs: Inputs, trust: TrustSettings, tools: Tools) -> SubjectChecks:
    artifact = inputs.artifact
    attestations = None if inputs.attestations is None else tools.host.folder / inputs.attestations
    if artifact.startswith(_VERSION):
        if attestations is not None:
            raise BadInput(
                what="`attestations` is not for a registered version",
                why="its attestations are those of the store and the registry, which are asked for the rest anyway",
                fix=option("artifact", "FOLDER"),
            )
        return checked_version(artifact, trust, connect(inputs, tools))
    folder = tools.host.folder / artifact
    if folder.is_dir():
        if attestations is None:
            raise BadInput(
                what=f"`{artifact}` is a folder, and no attestations are given",
                why="a folder has none of its own",
                fix=option("attestations", "FILE"),
            )
        return checked_model(folder, attestations, trust, tools)
    if attestations is not None:
        return checked_image(artifact, attestations, trust, tools)
    image = checked_image(artifact, None, trust, tools)
    if any(check.state is LinkState.BROKEN for check in image.checks):
        return image
    version = checked_version(_uri(image.record), trust, connect(inputs, tools))
    return replace(version, shown=artifact, checks=(*image.checks, *version.checks))


def _uri(record: Record | None) -> str:
    version = record.version if record else None
    return f"{_VERSION}{version.name}/{version.version}" if version else ""


STEP: Step[Any, Any, Any] = Step(
    name="verify-chain",
    summary="Verify who signed a version, an image or a downloaded model, and every digest that was signed.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
