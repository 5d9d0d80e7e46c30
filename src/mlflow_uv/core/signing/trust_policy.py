"""Parses whom a project trusts to sign its versions, in [tool.mlflow-uv.trust] or in a variable of the job."""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.step import Doc
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..policy.table import PolicySource, PolicyTable

TABLE = "trust"
PEM = "-----BEGIN "
GITHUB = "https://token.actions.githubusercontent.com"
_LISTS = ("identities", "issuers", "repositories", "refs", "workflows")
_DIGESTS = ("revoked", "unsigned")
_PATHS = ("keys", "authorities", "timestamp-authorities")
_DIGEST = lazy_pattern(r"[0-9a-f]{64}")


class TrustLevel(Enum):
    """What happens to a version that nobody whom the project trusts signed."""

    OFF = "off"
    WARN = "warn"
    REQUIRE = "require"


@lazy_dataclass
class TrustPolicy:
    """Whom a project trusts, as it is written; without keys and authorities nobody is trusted."""

    policy: Annotated[
        TrustLevel,
        Doc(
            "What happens to a version without a valid signature: `require` refuses it, `warn` reports it, `off` does"
            " not look."
        ),
    ] = TrustLevel.REQUIRE
    keys: Annotated[
        tuple[str, ...], Doc("Public keys that are trusted: files in the project, or keys in PEM (SPKI).")
    ] = ()
    authorities: Annotated[
        tuple[str, ...], Doc("Root certificates that are trusted: files in the project, or certificates in PEM.")
    ] = ()
    identities: Annotated[
        tuple[str, ...],
        Doc("Alternative names of certificates that are trusted, each an address, a URI or a host name."),
    ] = ()
    timestamp_authorities: Annotated[
        tuple[str, ...],
        Doc(
            "Root certificates of authorities for timestamps, whose time counts for a certificate of `authorities` that"
            " has expired: files in the project, or certificates in PEM."
        ),
    ] = ()
    sigstore: Annotated[
        str,
        Doc(
            "Sigstore whose certificates and log are trusted: `public`, a file in the project with a trusted root or a"
            " client trust configuration, or the JSON of one."
        ),
    ] = ""
    issuers: Annotated[
        tuple[str, ...], Doc("Issuers of the identities to which that Sigstore gives certificates; by default GitHub.")
    ] = (GITHUB,)
    repositories: Annotated[
        tuple[str, ...], Doc("Repositories whose workflows are trusted, as OWNER/NAME on GitHub or as URIs.")
    ] = ()
    refs: Annotated[
        tuple[str, ...], Doc("Branches and tags of these repositories, such as `refs/heads/main` or `refs/tags/v*`.")
    ] = ()
    workflows: Annotated[
        tuple[str, ...],
        Doc("Workflows that may sign, as OWNER/NAME/.github/workflows/FILE with or without `@REF`; by default any."),
    ] = ()
    revoked: Annotated[
        tuple[str, ...], Doc("Ids of keys whose signatures no longer count, also those of certificates.")
    ] = ()
    unsigned: Annotated[
        tuple[str, ...], Doc("Digests of the models and images from before signing, which need no signature.")
    ] = ()


def read_trust_policy(table: PolicyTable) -> PolicySource[TrustPolicy]:
    """Parse the table. Raises BadInput with the key and its line."""
    rules = table.rules(TrustPolicy)
    for key in (*_DIGESTS, *_PATHS, *_LISTS):
        value = rules.get(key)
        if isinstance(value, str):  # PEM has spaces, at which a text would be split
            raise BadInput(what=f"{table.describe(key)} is not a list", why="it is text", fix=f'{key} = ["…"]')
    source = table.parse(TrustPolicy)
    for problem in _problems(source.policy, table):
        raise problem
    return source


def _problems(policy: TrustPolicy, table: PolicyTable) -> Iterator[BadInput]:
    for key in _DIGESTS:
        for position, value in enumerate(getattr(policy, key)):
            if not _DIGEST.fullmatch(value):
                what = f"{table.describe(key, position)} is not a digest"
                yield BadInput(what=what, why=f"it is {value!r}, and not 64 hexadecimal digits")
    if policy.policy is not TrustLevel.OFF and not (policy.keys or policy.authorities or policy.sigstore):
        yield BadInput(
            what=f"{table.heading} of {table.shown} trusts nobody",
            why="it names neither `keys`, `authorities` nor `sigstore`, so no signature could ever be valid",
            fix='keys = ["FILE.pub"], or policy = "off"',
        )
    if policy.authorities and not policy.identities:
        yield BadInput(
            what=f"{table.describe('authorities')} trusts everybody to whom it gave a certificate",
            why="`identities` names nobody",
            fix='identities = ["release@example.com"]',
        )
    if policy.timestamp_authorities and not policy.authorities:
        yield BadInput(
            what=f"{table.describe('timestamp-authorities')} has no effect",
            why="only certificates of `authorities` expire, and there are none",
            fix='authorities = ["FILE.crt"]',
        )
    if policy.sigstore and not policy.identities and not policy.repositories:
        yield BadInput(
            what=f"{table.describe('sigstore')} trusts everybody to whom it gave a certificate",
            why="neither `identities` nor `repositories` names anybody",
            fix='repositories = ["OWNER/NAME"] and refs = ["refs/heads/main"]',
        )
    if policy.repositories and not policy.refs:
        yield BadInput(
            what=f"{table.describe('repositories')} trusts every branch of them",
            why="`refs` is missing, so whoever may push any branch, or change its workflows there, could sign",
            fix='refs = ["refs/heads/main"]',
        )
    if not policy.sigstore and (policy.repositories or policy.workflows or policy.refs):
        key = next(name for name in ("repositories", "workflows", "refs") if getattr(policy, name))
        yield BadInput(
            what=f"{table.describe(key)} has no effect",
            why="only certificates of a Sigstore name repositories, and `sigstore` is missing",
            fix='sigstore = "public"',
        )
