"""Verifies that somebody whom the project trusts signed a version; every step that recomputes a chain asks here."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...command.errors import StepError
from ...command.wording import joined, step_call
from ...core.lock.own_group import SIGNING
from ...core.release.chain import LinkCheck, LinkState
from ...core.release.digests import sha256
from ...core.release.record import Record
from ...core.signing.statement import SignedChain, differing_files, differing_links, read_chain
from ...core.signing.trust_policy import TrustLevel
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import RegisteredVersion
from ...tools.oci.repository import RegistryUnanswered
from ...tools.signing.signer import SigningProgram, VerifiedBundle
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ..image.group_environment import group_environment
from ..lineage.registry_client import RegistryClient
from .attestations import in_store, with_image
from .trust import TrustSettings

LINK = "signature"
_SHOWN = 3


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


def from_signature(version: SignedVersion, registry: RegistryClient, trust: TrustSettings) -> tuple[LinkCheck, ...]:
    """
    Check the link `signature` as the policy requires.

    With `require`, a version without a valid signature, or whose signatures cannot be read, is broken; with `warn` it
    is unverified; with `off` there is no check. Raises BadInput for a trusted key that cannot be used, ToolFailed.
    """
    level = trust.policy.policy
    if level is TrustLevel.OFF:
        return ()
    record = version.record
    if record is not None and record.model.sha256 in trust.policy.unsigned:
        reason = f"the model is from before signing, as `unsigned` in {trust.origin} says"
        return (LinkCheck(link=LINK, state=LinkState.HOLDS, reason=reason),)
    state = LinkState.BROKEN if level is TrustLevel.REQUIRE else LinkState.UNVERIFIED
    problems = tuple(_problems(version, registry, trust))
    if not problems:
        return (LinkCheck(link=LINK, state=LinkState.HOLDS),)
    return tuple(replace(problem, state=state) for problem in problems)


def _problems(version: SignedVersion, registry: RegistryClient, trust: TrustSettings) -> Iterator[LinkCheck]:
    """Yield what is wrong with the signatures of a version in each place where they have to be."""
    record = version.record
    if record is None:
        yield _problem(f"{version.shown} has no release record that could be signed")
        return
    try:
        stored = in_store(registry, version.description).bundles
    except StepError as error:
        yield _problem(f"the attestations in the store cannot be read: {error.why or error.what}")
        return
    places = {"the store": stored}
    image = record.image
    if image is not None and image.digest:
        try:
            places[f"the registry, of {image.tag},"] = with_image(registry, image)
        except RegistryUnanswered as error:
            yield _problem(f"the attestations of {image.tag} cannot be read: {error}")
    program = signing_program(registry.tools)
    bundles = tuple(dict.fromkeys(bundle for found in places.values() for bundle in found))
    verified = dict(zip(bundles, program.verify(bundles, trust.keys), strict=True)) if bundles else {}
    for place, found in places.items():
        reason = place_problem(place, tuple(verified[bundle] for bundle in found), version)
        if reason:
            fix = step_call("sign", version_uri=f"models:/{version.description.name}/{version.description.version}")
            yield LinkCheck(link=LINK, state=LinkState.BROKEN, reason=reason, fix=fix)


def place_problem(place: str, found: tuple[VerifiedBundle, ...], version: SignedVersion) -> str:
    """What is wrong with the attestations in one place; empty if one of them is valid and about this version."""
    if not found:
        return f"{place} has no attestation of {version.shown}"
    chains, untrusted = [], []
    for bundle in found:
        if bundle.problem:
            untrusted.append(bundle.problem)
            continue
        try:
            chains.append((bundle, read_chain(bundle.payload)))
        except ValueError:  # a statement of another kind, or one that contradicts itself
            continue
    differences = [_difference(chain, bundle, version) for bundle, chain in chains]
    if "" in differences:
        return ""
    if differences:
        return differences[-1]
    if untrusted:
        reasons = tuple(dict.fromkeys(untrusted))
        return f"{place} has no attestation of {version.shown} that is trusted: {joined('; ', reasons)}"
    return f"{place} has attestations, and none about the chain of {version.shown}"


def _difference(chain: SignedChain, bundle: VerifiedBundle, version: SignedVersion) -> str:
    """How a version differs from what was signed; empty if it does not."""
    assert version.record is not None  # noqa: S101  # _problems checked it
    link = version.record.signature
    signed, record = chain.record, version.record
    named = (version.description.name, version.description.version)
    if signed.version is None or (signed.version.name, signed.version.version) != named:
        return f"{bundle.signer} signed {chain.version}, and this is {version.shown}"
    if links := differing_links(signed, record):
        shown = ", ".join(f"`{name}`" for name in links)
        return f"{shown} of the release record is not what {bundle.signer} signed"
    if files := differing_files(chain.files, digests_in(version.model)):
        return f"`model` is not what {bundle.signer} signed: {some_of(files)}"
    if link is not None and link.statement != sha256(bundle.payload.encode()):
        return f"the release record names another statement than that of {bundle.signer}"
    return ""


def some_of(files: tuple[str, ...]) -> str:
    """The first names of a list, for messages."""
    return ", ".join((*files[:_SHOWN], *(("…",) if len(files) > _SHOWN else ())))


def _problem(reason: str) -> LinkCheck:
    return LinkCheck(link=LINK, state=LinkState.BROKEN, reason=reason)
