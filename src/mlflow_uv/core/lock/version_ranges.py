"""Decides whether a version is in a range (PEP 440)."""


def in_range(version: str, text: str) -> bool:
    """Whether a version, which may be a pre-release, is in a range such as `>=0.9,<1`. Raises ValueError for others."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415  # most hooks meet no range

    return SpecifierSet(text).contains(version, prereleases=True)
