"""Verifies a registered version, an image or the folder of a model against the attestations about it."""

import re
from collections.abc import Callable
from pathlib import Path

from ...command.errors import BadInput
from ...command.inputs import IMAGE
from ...command.report import first_names
from ...command.wording import option
from ...core.image.reference import image_reference
from ...core.release.chain import LinkCheck, LinkState
from ...core.release.digests import tree_digest
from ...core.release.record import Record
from ...core.signing.statement import SignedChain, differing_files
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.oci.repository import RegistryUnanswered
from ...tools.system.content import digests_in
from ...tools.system.named_file import read_named
from ...tools.toolbox import Tools
from ..lineage.audit import recomputed
from ..lineage.registry_client import RegistryClient
from ..lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from .attestations import BUNDLE_TYPE, BUNDLES_LIMIT, bundles_in
from .trust import TrustSettings
from .verification import LINK, SignedVersion, absent_statement, from_signature, read_chains, signing_program


@lazy_dataclass
class SubjectChecks:
    """
    The subject in messages, the checks of its links, its record, and who signed it.

    Signers are those whose signature was verified just now; the record is no evidence of them.
    """

    shown: str
    checks: tuple[LinkCheck, ...]
    record: Record | None
    signers: tuple[str, ...]


def checked_version(uri: str, trust: TrustSettings, registry: RegistryClient) -> SubjectChecks:
    """Recompute every link of a version, and its signatures in store and registry. Raises as `recomputed`."""
    name, number, alias = parsed_uri(uri)
    version = version_number(registry, name, alias or number, VERSION_URI)
    with recomputed(registry, name=name, version=version) as audit:
        signed = SignedVersion(description=audit.description, record=audit.record, model=audit.model)
        signature = from_signature(signed, registry, trust)
        checks = (*audit.checks, *signature.checks)
    shown = f"{name} version {version}"
    return SubjectChecks(shown=shown, checks=checks, record=audit.record, signers=signature.signers)


def checked_model(folder: Path, attestations: Path, trust: TrustSettings, tools: Tools) -> SubjectChecks:
    """Compare the files in a folder with what was signed, without a store. Raises BadInput, ToolFailed."""
    files = tuple(digests_in(folder))

    def difference(chain: SignedChain) -> str:
        changed = differing_files(chain.files, files)
        return f"`model` is not what was signed: {first_names(changed)}" if changed else ""

    digest = tree_digest(files)
    return _subject(f"the model {digest[:12]}", "model", _in_file(attestations), difference, (trust, tools))


def checked_image(name: str, attestations: Path | None, trust: TrustSettings, tools: Tools) -> SubjectChecks:
    """
    Compare the digest of an image with what was signed; its attestations are in a file, or in its registry.

    Raises BadInput for a name that is not one of an image, or that the registry does not have; ToolFailed.
    """
    if not re.fullmatch(IMAGE, name):
        why = "it is neither models:/NAME@ALIAS, models:/NAME/NUMBER, the reference of an image nor a folder"
        raise BadInput(what=f"`{name}` cannot be verified", why=why, fix=option("artifact", "models:/NAME@ALIAS"))
    place, _, digest = name.partition("@")
    try:
        digest = digest or tools.registries.digest_of_tag(place) or ""
        if not digest:
            host = image_reference(place).host
            raise BadInput(what=f"there is no image `{name}`", why=f"{host} does not have it")
        if attestations is None:
            found = tools.registries.attached(place, digest, BUNDLE_TYPE)
            bundles = tuple(content.decode(errors="replace") for content in found)
        else:
            bundles = _in_file(attestations)
    except RegistryUnanswered as error:
        raise BadInput(what=f"`{name}` cannot be verified", why=str(error)) from error

    def difference(chain: SignedChain) -> str:
        image = chain.record.image
        signed = (image.digest or image.id) if image else "no image"
        return "" if signed == digest else f"`image` is {digest}, and {chain.version} was signed with {signed}"

    return _subject(name, "image", bundles, difference, (trust, tools))


def _subject(
    shown: str,
    link: str,
    bundles: tuple[str, ...],
    difference: Callable[[SignedChain], str],
    trusted: tuple[TrustSettings, Tools],
) -> SubjectChecks:
    """The checks of a subject: its signature, and its `link` if one is valid."""
    trust, tools = trusted
    verified = signing_program(tools).verify(bundles, trust.keys) if bundles else ()
    chains = tuple(read_chains(verified))
    if not chains:
        problems = dict.fromkeys(bundle.problem for bundle in verified if bundle.problem)
        reason = "; ".join(problems) or f"there is no attestation of {shown}"
        check = LinkCheck(link=LINK, state=LinkState.BROKEN, reason=reason)
        return SubjectChecks(shown=shown, checks=(check,), record=None, signers=())
    place = "the file or the registry"
    differences = [difference(pair[1]) or absent_statement(place, (pair,), verified) for pair in chains]
    at = differences.index("") if "" in differences else len(differences) - 1
    state = LinkState.BROKEN if differences[at] else LinkState.HOLDS
    checks = (
        LinkCheck(link=LINK, state=LinkState.HOLDS),
        LinkCheck(link=link, state=state, reason=differences[at]),
    )
    signers = tuple(bundle.signer for (bundle, _), differs in zip(chains, differences, strict=True) if not differs)
    record = chains[at][1].record
    return SubjectChecks(shown=shown, checks=checks, record=record, signers=tuple(dict.fromkeys(signers)))


def _in_file(file: Path) -> tuple[str, ...]:
    return bundles_in(read_named(file, limit=BUNDLES_LIMIT).decode(errors="replace"))
