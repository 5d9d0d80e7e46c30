"""Collects package indexes, proxies and certificates; no image layer, label or command line may keep them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...core.security.documents import parse_json
from ...core.security.url_credentials import without_user
from ..project.files import table_of

_NAMES = (
    "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INSECURE_HOST", "HTTP_PROXY",
    "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
)  # fmt: skip
_CREDENTIALS = lazy_pattern(r"UV_INDEX_\w+_(USERNAME|PASSWORD)")
_TRUSTED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


def indexes_of(*manifests: Mapping[str, Any]) -> str:
    """The `[[tool.uv.index]]` tables of manifests as JSON, without credentials and without local folders."""
    indexes = []
    for manifest in manifests:
        for index in _declared(table_of(manifest, "tool", "uv")):
            url = without_user(str(index.get("url", "")))
            entry = {"name": str(index.get("name", "")), "url": url, "default": bool(index.get("default", False))}
            if "://" in url and entry not in indexes:
                indexes.append(entry)
    return json.dumps(indexes, indent=1) + "\n"


def _declared(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The tables of indexes, and those of the deprecated keys `index-url` and `extra-index-url`."""
    yield from table.get("index", ())
    if url := table.get("index-url"):
        yield {"url": url, "default": True}
    yield from ({"url": url} for url in table.get("extra-index-url", ()))


def index_variables(indexes: str, caller: Mapping[str, str], *, hashed: bool) -> dict[str, str]:
    """
    Variables that name the indexes of a lock to uv, except those that the caller sets.

    With hashes, any index may serve any package. `uv pip` has no other option to use an explicit index.
    """
    entries = parse_json(indexes)
    default = next((index["url"] for index in entries if index["default"]), None)
    others = " ".join(
        f"{index['name']}={index['url']}" if index["name"] else index["url"]
        for index in entries
        if not index["default"]
    )
    variables = {"UV_DEFAULT_INDEX": default or "", "UV_INDEX": others}
    if hashed and others:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in variables.items() if value and not caller.get(name)}


def build_secrets(folder: Path, caller: Mapping[str, str], more: Mapping[str, str]) -> Mapping[str, Path]:
    """Write network settings, certificates and netrc for a build to files, which it gets as secrets."""
    variables = {name: caller[name] for name in _NAMES if caller.get(name)}
    variables |= {name: value for name, value in caller.items() if _CREDENTIALS.fullmatch(name)}
    secrets = {"network": folder / "network"}
    secrets["network"].touch(mode=0o600)
    secrets["network"].write_text(json.dumps({**variables, **more}))
    netrc = Path(caller.get("NETRC") or f"{caller.get('HOME', '')}/.netrc")
    bundle = next((Path(caller[name]) for name in _TRUSTED if caller.get(name)), None)
    secrets |= {name: path for name, path in (("ca", bundle), ("netrc", netrc)) if path is not None and path.is_file()}
    return secrets
