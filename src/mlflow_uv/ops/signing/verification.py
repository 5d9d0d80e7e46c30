"""Verifies that somebody whom the project trusts signed a version; every step that recomputes a chain asks here."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...command.errors import StepError
from ...command.report import first_names
from ...command.wording import Wording, joined
from ...core.lock.own_group import SIGNING
from ...core.release.chain import LinkCheck, LinkState
from ...core.release.record import Record
from ...core.signing.statement import (
    SignedChain,
    differing_files,
    differing_links,
    differing_resources,
    missing_statements,
    read_chain,
)
from ...core.signing.trust_policy import TrustLevel
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import RegisteredVersion
from ...tools.oci.repository import RegistryUnanswered
from ...tools.signing.signer import SigningProgram, VerifiedBundle
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ..image.group_environment import group_environment
from ..lineage.registry_client import RegistryClient
from .attestations import MODEL_SIGNATURE, in_store, with_image
from .trust import TrustSettings, signing_call

LINK = "signature"


@lazy_dataclass
class SignatureChecks:
    """
    The checks of the link, and the trusted signers whose attestation of this version was verified just now.

    There is no signer if nothing was verified, or if the version needs no signature.
    """

    checks: tuple[LinkCheck, ...]
    signers: tuple[str, ...] = ()


@lazy_dataclass
class SignedVersion:
    """A version as the store has it: its description, its record and the folder of its downloaded model."""

    description: RegisteredVersion
    record: Record | None
    model: Path

    @property
    def shown(self) -> str:
        """The version in messages."""
        return f"{self.description.name} version {self.description.version}"


def signing_program(tools: Tools) -> SigningProgram:
    """The program that signs and verifies, in an environment that is created when it is needed. Raises ToolFailed."""
    python = group_environment(SIGNING, tools.host.python, tools).python
    return SigningProgram(runner=tools.runner, host=tools.host, python=python)


def from_signature(version: SignedVersion, registry: RegistryClient, trust: TrustSettings) -> SignatureChecks:
    """
    Check the link `signature` as the policy requires.

    With `require`, a version without a valid signature, or whose signatures cannot be read, is broken; with `warn` it
    is unverified; with `off` there is no check. Raises BadInput for a trusted key that cannot be used, ToolFailed.
    """
    level = trust.policy.policy
    if level is TrustLevel.OFF:
        return SignatureChecks(checks=())
    record = version.record
    if record is not None and record.model.sha256 in trust.policy.unsigned:
        found = _exempt(record, trust)
    else:
        found = _recomputed(version, registry, trust)
    if level is TrustLevel.REQUIRE:
        return found
    return replace(
        found,
        checks=tuple(
            check if check.state is LinkState.HOLDS else replace(check, state=LinkState.UNVERIFIED)
            for check in found.checks
        ),
    )


def _exempt(record: Record, trust: TrustSettings) -> SignatureChecks:
    """A version without signatures, whose model `unsigned` lists: its image is another file, and listed by itself."""
    image = record.image
    named = "" if image is None else image.digest or (image.id if image.kind == "image" else "")
    digest = named.removeprefix("sha256:")
    if not digest or digest in trust.policy.unsigned:
        reason = f"the version is from before signing, as `unsigned` in {trust.origin} says"
        return SignatureChecks(checks=(LinkCheck(link=LINK, state=LinkState.HOLDS, reason=reason),))
    reason = f"`unsigned` in {trust.origin} lists the model and not its image {digest}"
    return _broken(reason)


def _recomputed(version: SignedVersion, registry: RegistryClient, trust: TrustSettings) -> SignatureChecks:
    """Verify the signatures of a version in each place where they have to be."""
    record = version.record
    if record is None:
        return _broken(f"{version.shown} has no release record that could be signed")
    try:
        stored = in_store(registry, version.description)
    except StepError as error:
        return _broken(f"the attestations in the store cannot be read: {error.why or error.what}")
    places = {"the store": stored.bundles}
    checks: list[LinkCheck] = []
    image = record.image
    if image is not None and image.digest:
        try:
            places[f"the registry, of {image.tag},"] = with_image(registry, image)
        except RegistryUnanswered as error:
            checks.extend(_broken(f"the attestations of {image.tag} cannot be read: {error}").checks)
    of_model = (stored.model_signature,) if stored.model_signature else ()
    bundles = tuple(dict.fromkeys((*(bundle for found in places.values() for bundle in found), *of_model)))
    program = signing_program(registry.tools)
    verified = dict(zip(bundles, program.verify(bundles, trust.keys), strict=True)) if bundles else {}
    signers: list[str] = []
    signing = signing_call(
        f"models:/{version.description.name}/{version.description.version}", trust, registry.tools.host
    )
    for place, found in places.items():
        attestations = tuple(verified[bundle] for bundle in found)
        signers.extend(valid_signers(attestations, version))
        if reason := place_problem(place, attestations, version):
            fix = _fix(attestations, signing, trust)
            checks.append(LinkCheck(link=LINK, state=LinkState.BROKEN, reason=reason, fix=fix))
    for bundle in (verified[text] for text in of_model):
        fix = _fix((bundle,), signing, trust)
        checks.extend(replace(check, fix=fix) for check in model_problems(bundle, version))
    holds = LinkCheck(link=LINK, state=LinkState.HOLDS)
    return SignatureChecks(checks=tuple(checks) or (holds,), signers=tuple(dict.fromkeys(signers)))


def _fix(found: tuple[VerifiedBundle, ...], signing: str, trust: TrustSettings) -> str:
    """The step that signs; where somebody else signed, it may also be that the wrong key is trusted."""
    if not any(bundle.untrusted for bundle in found):
        return signing
    return Wording(f"if another signer should be trusted than that of {trust.origin}, name it; else ", signing)


def valid_signers(found: tuple[VerifiedBundle, ...], version: SignedVersion) -> tuple[str, ...]:
    """Who signed a version: the signers of those attestations that are valid and about it."""
    return tuple(bundle.signer for bundle, chain in read_chains(found) if not _difference(chain, bundle, version))


def model_problems(found: VerifiedBundle, version: SignedVersion) -> Iterator[LinkCheck]:
    """
    What is wrong with the signature of the model's files, which other programs verify.

    That of a signer who is not trusted is unverified only: the last signer replaces it, and the attestations list the
    same files.
    """
    if found.untrusted:
        reason = f"{MODEL_SIGNATURE} in the store is not of a signer who is trusted: {found.problem}"
        yield LinkCheck(link=LINK, state=LinkState.UNVERIFIED, reason=reason)
        return
    reason = found.problem
    if not reason:
        try:
            differing = differing_resources(found.payload, digests_in(version.model))
            reason = f"it is of other files: {first_names(differing)}" if differing else ""
        except ValueError as error:
            reason = str(error)
    if reason:
        reason = f"{MODEL_SIGNATURE} in the store is not a signature of the model: {reason}"
        yield LinkCheck(link=LINK, state=LinkState.BROKEN, reason=reason)


def place_problem(place: str, found: tuple[VerifiedBundle, ...], version: SignedVersion) -> str:
    """What is wrong with the attestations in one place; empty if one of them is valid and about this version."""
    if not found:
        return f"{place} has no attestation of {version.shown}"
    chains = tuple(read_chains(found))
    differences = [_difference(chain, bundle, version) for bundle, chain in chains]
    if "" in differences:
        about = tuple(pair for pair, differs in zip(chains, differences, strict=True) if not differs)
        return _lost_statement(place, found, version) or absent_statement(place, about, found)
    if differences:
        return differences[-1]
    untrusted = [bundle.problem for bundle in found if bundle.problem]
    if untrusted:
        reasons = tuple(dict.fromkeys(untrusted))
        return f"{place} has no attestation of {version.shown} that is trusted: {joined('; ', reasons)}"
    return f"{place} has attestations, and none about the chain of {version.shown}"


def read_chains(found: tuple[VerifiedBundle, ...]) -> Iterator[tuple[VerifiedBundle, SignedChain]]:
    """The attestations about a chain that are trusted, each with what it says."""
    for bundle in found:
        if not bundle.problem:
            try:
                yield bundle, read_chain(bundle.payload)
            except ValueError:  # a statement of another kind, or one that contradicts itself
                continue


def absent_statement(
    place: str, chains: tuple[tuple[VerifiedBundle, SignedChain], ...], found: tuple[VerifiedBundle, ...]
) -> str:
    """Say which statement was signed with the chain and is not there; empty if one of the chains has all of its own."""
    trusted = {bundle.statement for bundle in found if not bundle.problem}
    absent = [(bundle, missing_statements(chain, trusted)) for bundle, chain in chains]
    if not all(kinds for _, kinds in absent):
        return ""
    bundle, kinds = absent[-1]
    return f"{place.rstrip(',')} has no attestation of {', '.join(kinds)} as {bundle.signer} signed it with the chain"


def _lost_statement(place: str, found: tuple[VerifiedBundle, ...], version: SignedVersion) -> str:
    """
    Say so if the release record leads to an attestation that is not there; that of any signer counts.

    Two signers sign two statements if a step added something to the record between them.
    """
    link = version.record.signature if version.record is not None else None
    if link is None or link.statement in {bundle.statement for bundle in found}:
        return ""
    return f"the release record names a statement of which {place.rstrip(',')} has no attestation"


def _difference(chain: SignedChain, bundle: VerifiedBundle, version: SignedVersion) -> str:
    """How a version differs from what was signed; empty if it does not."""
    assert version.record is not None  # noqa: S101  # _problems checked it
    signed, record = chain.record, version.record
    named = (version.description.name, version.description.version)
    if signed.version is None or (signed.version.name, signed.version.version) != named:
        return f"{bundle.signer} signed {chain.version}, and this is {version.shown}"
    if links := differing_links(signed, record):
        shown = ", ".join(f"`{name}`" for name in links)
        return f"{shown} of the release record is not what {bundle.signer} signed"
    if files := differing_files(chain.files, digests_in(version.model)):
        return f"`model` is not what {bundle.signer} signed: {first_names(files)}"
    return ""


def _broken(reason: str) -> SignatureChecks:
    return SignatureChecks(checks=(LinkCheck(link=LINK, state=LinkState.BROKEN, reason=reason),))
