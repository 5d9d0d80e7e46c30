"""Reads whom a project trusts to sign its versions; one place decides it for every step."""

from pathlib import Path, PurePath

from ...command.errors import BadInput
from ...command.host import Host
from ...command.wording import step_call
from ...core.lock.toml_lines import key_lines
from ...core.policy.table import PolicyTable
from ...core.security.child_environment import SIGNING_KEY
from ...core.security.documents import parse_json
from ...core.security.size_limits import MANIFEST_LIMIT
from ...core.security.toml_documents import Unparsable, parse_toml
from ...core.signing.trust_policy import PEM, TABLE, TrustLevel, TrustPolicy, read_trust_policy
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import Project, leads_out, read_project, repository_of
from ...tools.project.policy_table import policy_table
from ...tools.signing.signer import PUBLIC_SIGSTORE, TrustedKeys
from ...tools.system.named_file import read_named
from ...tools.system.untrusted_file import read_untrusted
from ...tools.toolbox import Tools

# The text of the table, as TOML; a pull request cannot change the variables of a job.
VARIABLE = "MLFLOW_UV_TRUST"
# A value of the variable: the table of the checkout counts, which also does if there is no variable.
CHECKOUT = "checkout"
PEM_LIMIT = 1 << 20
_PEM_END = "-----END "
NOWHERE = "neither MLFLOW_UV_TRUST nor [tool.mlflow-uv.trust]"


@lazy_dataclass
class TrustSettings:
    """The policy, the keys that it names, and where it comes from, for messages."""

    policy: TrustPolicy
    keys: TrustedKeys
    origin: str


def trust_of(project: Project | None, tools: Tools) -> TrustSettings:
    """
    The trust settings of the variable MLFLOW_UV_TRUST, else those of [tool.mlflow-uv.trust], else none.

    The table of the root of a workspace counts for all members, whichever of them is named; without it, a member has
    its own.

    Raises BadInput for settings that are wrong, also for a variable that is empty, and for a file of a key that cannot
    be read.
    """
    text = tools.host.variables.get(VARIABLE, CHECKOUT)
    if not text.strip():
        raise BadInput(
            what=f"{VARIABLE} is empty",
            why="it says neither whom the project trusts nor that the checkout does; a variable that GitHub does not"
            " have is empty, too",
            fix=f'the content of [tool.mlflow-uv.{TABLE}], policy = "off", or the word {CHECKOUT}',
        )
    if text.strip() != CHECKOUT:
        return _resolved(read_trust_policy(_variable_table(text)).policy, VARIABLE, None)
    project = _deciding(project)
    if project is None or TABLE not in project.settings:
        return _resolved(TrustPolicy(policy=TrustLevel.OFF), NOWHERE, None)
    table = policy_table(project, TABLE, where=tools.host.folder)
    return _resolved(read_trust_policy(table).policy, f"{table.heading} of {table.shown}", project)


def _deciding(project: Project | None) -> Project | None:
    """The project whose table counts: the root of the workspace if it has one."""
    if project is None or project.folder == project.root:
        return project
    root = read_project(project.root)
    return root if TABLE in root.settings else project


def trust_in_key(file: Path) -> TrustSettings:
    """Trust in one public key or, if the file has a certificate, in nobody. Raises BadInput."""
    key = require_pem(read_named(file, limit=PEM_LIMIT), f"`{file}`")
    return _resolved(TrustPolicy(keys=(key,)), f"`{file}`", None)


def signing_call(version_uri: str, trust: TrustSettings, host: Host) -> str:
    """The step that signs a version as somebody who is trusted: with a key, or without one."""
    keys = trust.keys
    if not keys.sigstore or keys.keys or keys.authorities:
        return call_with_key(version_uri, host)
    return call_without_key(version_uri, sigstore=PUBLIC_SIGSTORE if keys.sigstore == PUBLIC_SIGSTORE else "FILE")


def call_with_key(version_uri: str, host: Host) -> str:
    """The step that signs a version with the key that the job has in a variable, else with one in a file."""
    given = {} if host.variables.get(SIGNING_KEY, "").strip() else {"signing_key": "FILE"}
    return step_call("sign", version_uri=version_uri, **given)


def call_without_key(version_uri: str, *, sigstore: str) -> str:
    """The step that signs a version with the identity of a job; FILE is a client trust configuration."""
    return step_call("sign", version_uri=version_uri, sigstore=sigstore)


def require_pem(content: bytes, shown: str) -> str:
    """The text of a file with keys or certificates. Raises BadInput for another one."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if PEM not in text:
        raise BadInput(what=f"{shown} has no key or certificate in PEM", why=f"it has no line `{PEM}…`")
    if _PEM_END not in text:
        why = f"it has no line `{_PEM_END}…`: it was cut off, or is being written"
        raise BadInput(what=f"{shown} has no whole key or certificate in PEM", why=why)
    return text


def _variable_table(text: str) -> PolicyTable:
    try:
        value = parse_toml(text.encode(), limit=MANIFEST_LIMIT)
    except Unparsable as error:
        why = f"line {error.line}: {error}"
        raise BadInput(what=f"{VARIABLE} is not TOML", why=why, fix='policy = "require" and keys = [PEM]') from error
    lines = {("tool", "mlflow-uv", TABLE, *path): line for path, line in key_lines(text).items()}
    return PolicyTable(name=TABLE, value=value, lines=lines, manifest=PurePath(VARIABLE), shown=VARIABLE)


def _resolved(policy: TrustPolicy, origin: str, project: Project | None) -> TrustSettings:
    off = policy.policy is TrustLevel.OFF
    shown: dict[str, str] = {}

    def contents(values: tuple[str, ...], name: str) -> tuple[str, ...]:
        what = f"`{name}` in {origin}"
        pems = () if off else tuple(_content(value, what, project) for value in values)
        for value, pem in zip(values, pems, strict=False):
            shown[pem] = what if value == pem else f"{what}: `{value}`"
        return pems

    return TrustSettings(
        policy=policy,
        keys=TrustedKeys(
            keys=contents(policy.keys, "keys"),
            authorities=contents(policy.authorities, "authorities"),
            identities=policy.identities,
            revoked=policy.revoked,
            sigstore="" if off else _sigstore(policy.sigstore, origin, project),
            issuers=policy.issuers,
            repositories=policy.repositories,
            refs=policy.refs,
            workflows=policy.workflows,
            timestamp_authorities=contents(policy.timestamp_authorities, "timestamp-authorities"),
            shown=shown,
        ),
        origin=origin,
    )


def _sigstore(value: str, origin: str, project: Project | None) -> str:
    """The word for the public Sigstore, or the JSON of another one, which may be in a file."""
    if value in ("", PUBLIC_SIGSTORE) or value.lstrip().startswith("{"):
        return value
    what = f"`sigstore` in {origin}"
    return require_json(read_untrusted(_path(value, what, project), limit=PEM_LIMIT), f"{what}: `{value}`")


def require_json(content: bytes, shown: str) -> str:
    """The text of a file about a Sigstore. Raises BadInput for another one."""
    try:
        text = content.decode()
        parse_json(text)
    except ValueError as error:
        raise BadInput(what=f"{shown} is not the JSON of a Sigstore", why=str(error)) from None
    return text


def _content(value: str, what: str, project: Project | None) -> str:
    """The PEM text of a value: the text itself, or the file that it names in the project."""
    if value.lstrip().startswith(PEM):
        return value
    return _pem(_path(value, what, project), what)


def _path(value: str, what: str, project: Project | None) -> Path:
    """The file that a value names, in the repository of the project. Raises BadInput."""
    if project is None:
        if not Path(value).is_absolute():
            raise BadInput(what=f"{what} names `{value}`", why="a path is absolute there, or the text itself")
        return Path(value)
    path = project.folder / value
    if leads_out(path, repository_of(project.folder) or project.root):
        raise BadInput(what=f"{what} names `{value}`", why="it leads out of the repository")
    return path


def _pem(path: Path, what: str) -> str:
    return require_pem(read_untrusted(path, limit=PEM_LIMIT), f"{what}: `{path}`")
