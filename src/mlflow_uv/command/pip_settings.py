"""Reads pip's network settings from variables and configuration files, and translates them for uv."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..payloads.messages.lazy_dataclass import lazy_dataclass

# Variables that set the certificates of uv.
TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
# The message of uv for an untrusted certificate.
DISTRUST = "invalid peer certificate"
# Both names: uv before 0.11 knows only the second, and newer versions accept it beside the first.
MACHINE_STORE = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}


@lazy_dataclass
class PipSettings:
    """pip's network settings, empty if not set; URLs may contain credentials."""

    cert: str = ""
    proxy: str = ""
    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()

    @classmethod
    def read(cls, variables: Mapping[str, str], *, prefix: Path, machine: Path = Path("/etc")) -> "PipSettings":
        """Read variables, which have precedence, and the files that pip reads for a Python with this prefix."""
        settings = {key: value for file in _files(variables, prefix, machine) for key, value in _settings_in(file)}
        settings |= {
            name.removeprefix("PIP_").lower().replace("_", "-"): value
            for name, value in variables.items()
            if name.startswith("PIP_") and value
        }
        cert = settings.get("cert", "")
        home = variables.get("HOME", "~")
        return cls(
            cert=str(Path(home + cert[1:] if cert.startswith("~/") else cert).absolute()) if cert else "",
            proxy=settings.get("proxy", ""),
            index_url=settings.get("index-url", ""),
            extra_index_urls=tuple(settings.get("extra-index-url", "").split()),
            trusted_hosts=tuple(settings.get("trusted-host", "").split()),
        )

    def network(self, variables: Mapping[str, str]) -> dict[str, str]:
        """
        pip's certificates and proxy as variables of uv, except those that `variables` set already.

        As with pip, the bundle replaces the built-in one.
        """
        added = {}
        bundle = self.cert or variables.get("REQUESTS_CA_BUNDLE") or variables.get("CURL_CA_BUNDLE")
        if bundle and not any(variables.get(name) for name in TRUST):
            added["SSL_CERT_DIR" if Path(bundle).is_dir() else "SSL_CERT_FILE"] = bundle
        if self.proxy and not any(variables.get(name) for name in _PROXIES):
            proxy = self.proxy if "://" in self.proxy else f"http://{self.proxy}"
            added |= {name: proxy for name in ("HTTPS_PROXY", "HTTP_PROXY") if not variables.get(name)}
        return added

    def mirror(self, variables: Mapping[str, str]) -> dict[str, str]:
        """
        Variables that configure a mirror of the public index for uv; empty if there is none.

        They are only for installations by hash, not for checks of a lock, which another index would make stale.
        """
        if any(variables.get(name) for name in _INDEXES):
            return {name: variables[name] for name in _INDEXES if variables.get(name)}
        if not self.index_url:
            return {}
        variables = {
            "UV_DEFAULT_INDEX": self.index_url,
            "UV_INDEX": " ".join(self.extra_index_urls),
            "UV_INDEX_STRATEGY": "unsafe-best-match",
            "UV_INSECURE_HOST": " ".join(self.trusted_hosts),
        }
        return {name: value for name, value in variables.items() if value}


def _files(variables: Mapping[str, str], prefix: Path, machine: Path) -> Iterator[Path]:
    """The files that pip reads, in its order: later ones have precedence (pip's `configuration.py`)."""
    own = variables.get("PIP_CONFIG_FILE", "")
    if own == "/dev/null":
        return
    home = Path(variables.get("HOME") or "/nonexistent")
    if sys.platform == "darwin":
        yield Path("/Library/Application Support/pip/pip.conf")
    else:
        for folder in (variables.get("XDG_CONFIG_DIRS") or str(machine / "xdg")).split(":"):
            yield Path(folder, "pip", "pip.conf")
        yield machine / "pip.conf"
    if not (own and Path(own).exists()):
        yield home / ".pip" / "pip.conf"
        support = home / "Library" / "Application Support" / "pip"
        if sys.platform == "darwin" and support.is_dir():
            yield support / "pip.conf"
        else:
            yield Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield prefix / "pip.conf"
    if own:
        yield Path(own)


def _settings_in(file: Path) -> Iterator[tuple[str, str]]:
    """The settings of a file for `pip install`; none if pip could not read it either."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    import configparser  # noqa: PLC0415  # few have such a file

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section in ("global", "install"):
        if parser.has_section(section):
            yield from ((key.replace("_", "-"), value) for key, value in parser.items(section) if value)
