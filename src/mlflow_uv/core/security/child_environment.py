"""Decides which of the caller's environment variables each kind of child process gets."""

from collections.abc import Mapping

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .git_guard import GUARD, as_variables
from .kept_variables import UV_UNUSED, git_variables, of_machine, steers_uv, uv_variables
from .masking import is_secret_name, secrets_in

_CLOUD_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_")
_STORE_PREFIXES = ("MLFLOW_", *_CLOUD_PREFIXES, "DATABRICKS_", "BOTO_", "S3_")
# MLflow variables that would make payloads use another run, model or requirements than the given ones.
_MLFLOW_STEERING = frozenset({
    "MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_ENV_ROOT", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_CONTEXT", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI",
    "MLFLOW_UV_COMMAND", "MLFLOW_UV_IDENTITY_TOKEN", "MLFLOW_UV_INPUTS", "MLFLOW_UV_SIGNING_KEY",
    "MLFLOW_UV_SIGNING_PIN",
})  # fmt: skip
# Variables of stores that are credentials or lead to credentials: by a word in the name, or by the whole name.
_CREDENTIAL_WORDS = ("TOKEN", "PASSWORD", "SECRET", "CREDENTIAL", "PRIVATE_KEY", "ACCESS_KEY", "ACCOUNT_KEY", "API_KEY")
_STORE_CREDENTIALS = frozenset({
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_PROFILE",
    "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_STORAGE_CONNECTION_STRING", "DATABRICKS_CONFIG_FILE",
    "DATABRICKS_CONFIG_PROFILE", "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH", "MLFLOW_TRACKING_USERNAME",
})  # fmt: skip
# The private key of the step that signs, which no child gets in its variables.
SIGNING_KEY = "MLFLOW_UV_SIGNING_KEY"
# The token that says who signs without a key, which no child gets in its variables either.
IDENTITY_TOKEN = "MLFLOW_UV_IDENTITY_TOKEN"  # noqa: S105  # the name of a variable
# The secret that opens a device for signatures.
SIGNING_PIN = "MLFLOW_UV_SIGNING_PIN"
# Variables that parts of mlflow-uv pass to each other, and those three.
_OURS = frozenset({"MLFLOW_UV_COMMAND", "MLFLOW_UV_INPUTS", SIGNING_KEY, IDENTITY_TOKEN, SIGNING_PIN})
_ENGINE_PREFIXES = ("DOCKER_", "BUILDX_", "BUILDKIT_", "CONTAINERS_", "CONTAINER_", "BUILDAH_", "REGISTRY_AUTH_")
# Variables that lead uv to packages, and may make a lock look as if it was made for another index.
INDEX_VARIABLES = frozenset(
    {"UV_CONFIG_FILE", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX", "UV_INDEX_URL"}
)
# Command files of a CI runner: whoever writes to them sets variables and outputs of later steps.
COMMAND_FILES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
# Rights on the repository, the CI and package indexes, which training gets only if they are named explicitly.
_CI_PREFIXES = ("ACTIONS_", "CI_JOB_JWT", "TWINE_", *UV_UNUSED)
_CI = frozenset({
    "BITBUCKET_STEP_OIDC_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN", "CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2",
    "CI_DEPLOY_PASSWORD", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "FORGEJO_TOKEN", "GH_ENTERPRISE_TOKEN", "GH_TOKEN",
    "GITEA_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GITHUB_TOKEN", "SYSTEM_ACCESSTOKEN",
})  # fmt: skip
# Variables of the machine that give access beyond the user's files.
_SOCKETS = frozenset({"NETRC", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"})
_INDEX_USER = lazy_pattern(r"UV_INDEX_.+_USERNAME")
_MLFLOW_STORE = ("MLFLOW_TRACKING_", "MLFLOW_REGISTRY_", "MLFLOW_S3_", "MLFLOW_UV_")


@lazy_dataclass
class ChildEnvironment:
    """
    The variables of a child process.

    `set_aside` are the names of ignored variables that would change a result, `withheld` the names of those that would
    give the child rights that it does not need.
    """

    variables: Mapping[str, str]
    set_aside: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()


def for_uv(variables: Mapping[str, str], *, respect: bool, keyring: bool = False) -> ChildEnvironment:
    """
    Return the variables for uv commands on a lock or an environment; see the table in docs/identity.md.

    With `respect`, the caller's `UV_*` variables that change the result are kept. Cloud credentials are kept if uv may
    need them: for a keyring helper (`keyring`), a git credential helper, or an index in cloud storage. uv passes its
    variables on to build backends.
    """
    set_aside = () if respect else tuple(sorted(filter(steers_uv, variables)))
    return ChildEnvironment(variables=uv_variables(variables, respect=respect, keyring=keyring), set_aside=set_aside)


def for_payload(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for payloads in the user's interpreter: the machine's, and access to a tracking server."""
    kept = of_machine(variables) | {
        name: value
        for name, value in variables.items()
        if name.startswith(_STORE_PREFIXES) and name not in _MLFLOW_STEERING
    }
    guard = as_variables(GUARD.items(), beside={})  # MLflow runs git to read the commit
    return ChildEnvironment(variables=kept | guard | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})


def for_model(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for a payload that loads a model: the machine's and MLflow's, without credentials and stores."""
    kept = of_machine(variables) | {
        name: value
        for name, value in variables.items()
        if name.startswith("MLFLOW_") and not name.startswith(_MLFLOW_STORE) and name not in _MLFLOW_STEERING
    }
    secret_names = {name for name, value in kept.items() if is_secret_name(name) or secrets_in({name: value})}
    kept = {name: value for name, value in kept.items() if name not in secret_names and name.upper() not in _SOCKETS}
    guard = as_variables(GUARD.items(), beside={})
    return ChildEnvironment(variables=kept | guard | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})


def for_training(variables: Mapping[str, str], *, respect: bool, allowed: tuple[str, ...] = ()) -> ChildEnvironment:
    """
    Return the variables for training: the caller's, without `UV_*` variables that would make `uv run` reject the lock.

    With `respect`, those are kept. Variables that control the CI runner or give rights on the repository are withheld,
    unless `allowed` names them.
    """
    set_aside = frozenset() if respect else frozenset(name for name in variables if steers_uv(name))
    hidden = set_aside | _OURS | {"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "MLFLOW_RUN_ID", "PYTHONHOME"}
    rights = {name for name in variables if name in _CI or name.startswith(_CI_PREFIXES)} - {*allowed}
    command_files = {*COMMAND_FILES} - {*allowed}
    kept = {name: value for name, value in variables.items() if name not in hidden | rights | command_files}
    return ChildEnvironment(variables=kept, set_aside=tuple(sorted(set_aside)), withheld=tuple(sorted(rights)))


def for_engine(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for a container engine's client: the machine's and the engine's, without a default platform."""
    return ChildEnvironment(
        variables=of_machine(variables)
        | {
            name: value
            for name, value in variables.items()
            if name.startswith(_ENGINE_PREFIXES) and name != "DOCKER_DEFAULT_PLATFORM"
        }
    )


def for_kubectl(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for kubectl: the machine's, those that name clusters, and those of a cloud, for its logins."""
    kept = {name: value for name, value in variables.items() if name.startswith(("KUBE", *_CLOUD_PREFIXES))}
    return ChildEnvironment(variables=of_machine(variables) | kept)


def for_signer(variables: Mapping[str, str]) -> ChildEnvironment:
    """
    The variables for what signs with a key elsewhere: the caller's, without those of this program, stores and indexes.

    Rights on the CI stay: with the identity of its job such a program logs in to a service. Modules of devices read
    variables of their own.
    """
    ours = _OURS | {*COMMAND_FILES}
    kept = {
        name: value
        for name, value in variables.items()
        if name not in ours and not name.startswith(("PYTHON", "UV_", *_MLFLOW_STORE))
    }
    return ChildEnvironment(variables=kept)


def for_git(variables: Mapping[str, str]) -> ChildEnvironment:
    """
    Return the variables for git: the machine's, and the caller's git settings.

    GIT_DIR and GIT_INDEX_FILE, which hooks have and which refer to another tree, and variables that name programs are
    left out.
    """
    return ChildEnvironment(variables=git_variables(variables))


def for_source_build(variables: Mapping[str, str], *, home: str) -> ChildEnvironment:
    """
    Return the variables for uv while it builds a package that it fetched before; uv passes them on to build backends.

    They are the machine's and uv's, without credentials, without programs and sockets that have some, and with an empty
    `home`. Proxies are kept, for compilers that download.
    """
    kept = of_machine(variables) | {name: value for name, value in variables.items() if name.startswith("UV_")}
    withheld = {name for name in kept if is_secret_name(name) or _INDEX_USER.fullmatch(name)} | _SOCKETS
    kept = {name: value for name, value in kept.items() if name not in withheld and not name.startswith("XDG_")}
    guard = as_variables(GUARD.items(), beside={})
    return ChildEnvironment(variables=kept | guard | {"HOME": home, "NO_COLOR": "1"})


def for_server(variables: Mapping[str, str]) -> ChildEnvironment:
    """The variables for a model server in a local process: only those that an image has, too."""
    kept = {name: variables[name] for name in ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in variables}
    return ChildEnvironment(variables=kept | {"PYTHONUNBUFFERED": "1"})


def gives_rights(name: str) -> bool:
    """Whether a variable of this name gives rights on the CI, its runner, a package index or a store."""
    ci = name in _CI or name.startswith(_CI_PREFIXES) or name in COMMAND_FILES
    return ci or bool(store_credentials_in({name: "given"}))


def store_credentials_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The sorted names of the variables with credentials for a tracking server, a registry or an artifact store."""
    return tuple(
        sorted(
            name
            for name, value in variables.items()
            if value
            and name.startswith(_STORE_PREFIXES)
            and not name.startswith("MLFLOW_UV_")
            and (name in _STORE_CREDENTIALS or any(word in name for word in _CREDENTIAL_WORDS))
        )
    )
