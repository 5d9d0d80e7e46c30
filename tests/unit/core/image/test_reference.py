"""How the name of an image is read and completed."""

import pytest

from mlflow_uv.core.image.reference import ImageReference, image_reference, with_default_tag


@pytest.mark.parametrize(
    ("name", "host", "repository", "tag"),
    [
        ("wine", "docker.io", "library/wine", ""),
        ("wine:2", "docker.io", "library/wine", "2"),
        ("team/wine:2", "docker.io", "team/wine", "2"),
        ("docker.io/wine:2", "docker.io", "library/wine", "2"),
        ("ghcr.io/team/cellar/wine:2", "ghcr.io", "team/cellar/wine", "2"),
        ("localhost/wine", "localhost", "wine", ""),
        ("127.0.0.1:5000/wine:2", "127.0.0.1:5000", "wine", "2"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(name: str, host: str, repository: str, tag: str) -> None:
    """
    A first part with a dot or a colon is a registry; what has none is on Docker Hub.
    """
    assert ImageReference(host=host, repository=repository, tag=tag) == image_reference(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ghcr.io/team/wine", "ghcr.io/team/wine:7"),
        ("ghcr.io/Team/Wine", "ghcr.io/team/wine:7"),
        ("ghcr.io/Team/wine:RC1", "ghcr.io/team/wine:RC1"),
        ("127.0.0.1:5000/wine", "127.0.0.1:5000/wine:7"),
        ("wine", "wine:7"),
    ],
)
def test_a_name_without_a_tag_gets_the_version(name: str, expected: str) -> None:
    """
    Each version has a name of its own; capital letters of an owner are written small, those of a tag stay.
    """
    assert expected == with_default_tag(name, "7")
