"""Describes a value of a checkout's setting, and rejects build caches and variables that it may not name."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.step import Field
from ...command.wording import option
from ...core.lock.toml_lines import key_lines, line_at
from ...core.security.child_environment import gives_rights

_CACHE_REFERENCE = lazy_pattern(r"[A-Za-z0-9][\w.\-/:@]*")
_CACHE_TYPES = frozenset({"registry", "inline", "gha"})
_CACHE_KEYS = frozenset({
    "type", "ref", "mode", "scope", "compression", "compression-level", "force-compression", "image-manifest",
    "oci-mediatypes", "ignore-error", "timeout",
})  # fmt: skip


class SettingClaim(NamedTuple):
    """A value, its input, its source for messages, and the manifest that contains it, if any."""

    field: Field
    value: Any
    source: str
    manifest: Path | None = None

    @property
    def line(self) -> str:
        """Its line and file in parentheses; empty for a flag."""
        if self.manifest is None:
            return ""
        lines = key_lines(self.manifest.read_text(encoding="utf-8", errors="replace"))
        return f" (line {line_at(lines, ('tool', 'mlflow-uv', self.field.kebab))} of {self.manifest.name})"


def require_own_variables(claim: SettingClaim) -> None:
    """Raise BadInput for variables that grant access to the repository, the CI or a store."""
    if rights := [name for name in claim.value if gives_rights(name)]:
        raise BadInput(
            what=f"{claim.source} names {', '.join(rights)}, which a checkout may not pass to a model",
            why=f"they grant access to the repository, the CI or a store{claim.line}",
            fix=option(claim.field.kebab, ",".join(claim.value)),
        )


def require_harmless_cache(claim: SettingClaim) -> None:
    """Raise BadInput for a build cache in a folder or on a named server; references and three types are allowed."""
    value = str(claim.value)
    if _CACHE_REFERENCE.fullmatch(value):
        return
    words = [word.partition("=") for word in value.split(",")]
    kinds = [text for name, _, text in words if name == "type"]
    known = all(name in _CACHE_KEYS and re.fullmatch(r"[\w.\-/:@]+", text) for name, _, text in words)
    if not known or len(kinds) != 1 or kinds[0] not in _CACHE_TYPES:
        raise BadInput(
            what=f"{claim.source} is not a build cache that a checkout may name",
            why=f"it is `{value}`{claim.line}; a setting names a reference, or type=registry, inline or gha",
            fix=option(claim.field.kebab, value),
        )
