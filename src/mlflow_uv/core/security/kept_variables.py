"""
Selects the caller's variables that uv and git get, and those that are set aside.

Imports little, for hooks; `child_environment` decides for every other child process.
"""

from collections.abc import Mapping

from .git_guard import GUARD, NO_NETWORK, as_variables

# uv variables that carry indexes, credentials, cache, network and trust, and those by which `uv run`, `uv tool` and
# actions that install uv note what they did: they stay. Every other UV_* is set aside.
_UV_KEPT_PREFIXES = ("UV_INDEX", "UV_HTTP_", "UV_CONCURRENT_", "UV_AZURE_", "UV_GCS_", "UV_S3_")
_UV_KEPT = frozenset({
    "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_CREDENTIALS_DIR", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
    "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_LINK_MODE", "UV_LOCK_TIMEOUT", "UV_NATIVE_TLS",
    "UV_NETRC", "UV_NO_PROGRESS", "UV_OFFLINE", "UV_PYPY_INSTALL_MIRROR", "UV_PYTHON_BIN_DIR", "UV_PYTHON_CACHE_DIR",
    "UV_PYTHON_DOWNLOADS", "UV_PYTHON_DOWNLOADS_JSON_URL", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR",
    "UV_REQUEST_TIMEOUT", "UV_RUN_RECURSION_DEPTH", "UV_SYSTEM_CERTS", "UV_TOOL_BIN_DIR", "UV_TOOL_DIR",
    "UV_TORCH_BACKEND",
})  # fmt: skip
# Variables of uv commands that are not used here; uv would pass them on to build backends.
UV_UNUSED = ("UV_PUBLISH_", "UV_GITHUB_TOKEN")
# What every child needs of the machine: programs, a home, a locale, the network and its certificates.
_MACHINE = frozenset({
    "ALL_PROXY", "CURL_CA_BUNDLE", "DYLD_LIBRARY_PATH", "GIT_SSL_CAINFO", "HOME", "HTTPS_PROXY", "HTTP_PROXY",
    "JAVA_HOME", "LANG", "LD_LIBRARY_PATH", "LOGNAME", "NETRC", "NO_PROXY", "PATH", "REQUESTS_CA_BUNDLE", "SHELL",
    "SSH_AUTH_SOCK", "SSL_CERT_DIR", "SSL_CERT_FILE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "USER",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
})  # fmt: skip
_GIT_SETTINGS = frozenset({"GIT_CONFIG_COUNT", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"})
_GIT_PAIRS = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
# What git sources of uv need for transport and authentication, and what keyring helpers read.
_FETCHING = frozenset({
    "DBUS_SESSION_BUS_ADDRESS", "GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAPATH",
    "GIT_TERMINAL_PROMPT", "KRB5CCNAME", "KRB5_CONFIG", "PYTHON_KEYRING_BACKEND", "SSH_AGENT_PID", "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE", "XDG_CONFIG_DIRS", *_GIT_SETTINGS,
})  # fmt: skip
_FETCHING_PREFIXES = ("ARTIFACTS_", "KEYRING_", "NUGET_CREDENTIALPROVIDER_", "VSS_NUGET_", *_GIT_PAIRS)
# Cloud credentials, needed by uv or its helpers if a keyring or an index in cloud storage is configured.
_CLOUD = ("AWS_", "AZURE_", "CLOUDSDK_", "GCLOUD_", "GOOGLE_")
_CLOUD_STORAGE = ("UV_AZURE_ENDPOINT_URL", "UV_GCS_ENDPOINT_URL", "UV_S3_ENDPOINT_URL")


def steers_uv(name: str) -> bool:
    """Whether a variable changes the result of a lock check, and is set aside."""
    return name.startswith("UV_") and name not in _UV_KEPT and not name.startswith((*_UV_KEPT_PREFIXES, *UV_UNUSED))


def _machine(name: str) -> bool:
    return name.upper() in _MACHINE or name.startswith("LC_")


def of_machine(variables: Mapping[str, str]) -> dict[str, str]:
    """The machine's variables. Empty and relative entries of PATH, which refer to the working folder, are removed."""
    kept = {name: value for name, value in variables.items() if _machine(name)}
    path = ":".join(entry for entry in kept.pop("PATH", "").split(":") if entry.startswith("/"))
    return kept | ({"PATH": path} if path else {})


def uv_variables(variables: Mapping[str, str], *, respect: bool, keyring: bool) -> dict[str, str]:
    """The variables for uv commands; see `child_environment.for_uv`."""
    cloud = keyring or _uses_cloud(variables)
    kept = of_machine(variables) | {
        name: value
        for name, value in variables.items()
        if (name.startswith("UV_") and (respect or not steers_uv(name)) and not name.startswith(UV_UNUSED))
        or name in _FETCHING
        or name.startswith(_FETCHING_PREFIXES)
        or (cloud and name.startswith(_CLOUD))
    }
    guard = as_variables(GUARD.items(), beside=kept)  # build backends start git in the checkout
    return kept | guard | {"UV_NO_PROGRESS": "1", "NO_COLOR": "1"}


def git_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables for git; see `child_environment.for_git`."""
    kept = of_machine(variables) | {
        name: value for name, value in variables.items() if name in _GIT_SETTINGS or name.startswith(_GIT_PAIRS)
    }
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"} | NO_NETWORK


def _uses_cloud(variables: Mapping[str, str]) -> bool:
    """Whether the caller's variables configure a helper or an index that may need cloud credentials."""
    if variables.get("UV_KEYRING_PROVIDER", "disabled") not in ("", "disabled"):
        return True
    helpers = (
        key.startswith("credential.") and key.endswith(".helper")
        for key in (value.lower() for name, value in variables.items() if name.startswith("GIT_CONFIG_KEY_"))
    )
    return any(variables.get(name) for name in _CLOUD_STORAGE) or any(helpers)
