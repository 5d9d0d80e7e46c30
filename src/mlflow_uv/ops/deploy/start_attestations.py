"""Reads the attestations that the server of a deployed image verifies its model with when it starts."""

from ...command.errors import BadInput
from ...command.wording import step_call
from ...core.deploy.target_settings import TargetSettings
from ...core.image.dockerfile import LONGEST_VARIABLE
from ...core.signing.statement import CHAIN
from ..lineage.audit import Audited
from ..lineage.registry_client import RegistryClient
from ..signing.attestations import in_store, predicate_in
from ..signing.trust import call_with_key, call_without_key


def start_attestations(audit: Audited, registry: RegistryClient, settings: TargetSettings) -> str:
    """
    Return the attestations of the chain of a version, one a line, if the server of its image verifies its model.

    A target that does not run the image needs none. Raises BadInput if there are none, or the target does not give
    any to its servers; StoreUnreachable, ToolFailed.
    """
    record = audit.record
    if not settings.runs_image or record is None or record.image is None or not record.image.verify:
        return ""
    if settings.starts_unattested:
        fix = step_call("release", verify_at_start=False)
        raise _refused(audit, f"the target {settings.target} has no place for them", fix)
    bundles = in_store(registry, audit.description).bundles
    chains = "\n".join(bundle for bundle in bundles if predicate_in(bundle) == CHAIN)
    if not chains:
        uri = f"models:/{audit.name}/{audit.version}"
        raise _refused(audit, "the store has none", _signing(uri, record.image.verify, registry))
    if len(chains) > LONGEST_VARIABLE:
        why = f"they have {len(chains)} characters, and a variable of a container at most {LONGEST_VARIABLE}"
        raise _refused(audit, why, step_call("release", verify_at_start=False))
    return chains


def _signing(uri: str, policy: str, registry: RegistryClient) -> str:
    """The step that signs a version for the policy of an image: it has keys in PEM, or one about identities in JSON."""
    if policy.startswith("{"):
        return call_without_key(uri, sigstore="FILE")
    return call_with_key(uri, registry.tools.host)


def _refused(audit: Audited, why: str, fix: str) -> BadInput:
    return BadInput(
        what=f"{audit.name} version {audit.version} is not deployed",
        why=f"the server of its image needs attestations of the model, and {why}",
        fix=fix,
    )
