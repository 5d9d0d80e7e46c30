"""How the name of an image is read and completed."""

from types import SimpleNamespace

import pytest

from mlflow_uv.core.image.reference import (
    ImageReference,
    TlsProblem,
    digest_under,
    image_reference,
    reach_fix,
    registry_fix,
    with_default_tag,
)


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


ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.mark.parametrize(
    ("name", "repository", "local_host"),
    [
        ("python:3.11-slim", "python", ""),
        ("python:3.11-slim", "docker.io/library/python", "localhost"),
        ("docker.io/python", "python", ""),
        ("team/base:1", "docker.io/team/base", "localhost"),
        ("127.0.0.1:5000/base:1", "127.0.0.1:5000/base", "localhost"),
        ("localhost:5000/base:1", "localhost:5000/base", "localhost"),
        ("localhost/base:1", "localhost/base", ""),
        (f"ghcr.io/team/base:1@{ONE}", "ghcr.io/team/base", ""),
    ],
)
def test_an_image_has_a_digest_under_its_name(name: str, repository: str, local_host: str) -> None:
    """
    An engine may shorten the name of Docker Hub, and lists other repositories that have the image.
    """
    others = (f"mirror.example/base@{TWO}", f"{repository}@{ONE}", f"zoo.example/base@{TWO}")

    assert ONE == digest_under(name, others, local_host=local_host)


@pytest.mark.parametrize(
    ("name", "repository", "local_host"),
    [
        ("python:3.11-slim", "mirror.example/library/python", ""),
        ("python:3.11-slim", "docker.io/team/python", ""),
        ("127.0.0.1:5000/base", "127.0.0.1:5001/base", ""),
        ("127.0.0.1:5000/base", "127.0.0.1/base", ""),
        ("base:1", "localhost/base", "localhost"),
        ("localhost/base:1", "localhost/base", "localhost"),
        (ONE, "python", ""),
        ("1" * 64, "python", ""),
    ],
)
def test_an_image_that_only_another_repository_has_is_in_none_by_its_name(
    name: str, repository: str, local_host: str
) -> None:
    """
    It was pushed there, pulled from there and tagged, or Podman lists the names of an image that it built.
    """
    assert not digest_under(name, (f"{repository}@{ONE}",), local_host=local_host)


def test_of_two_digests_in_one_repository_the_named_one_counts() -> None:
    """
    Of an index and its image, for example; without one in the name it is the first.
    """
    digests = (f"base@{ONE}", f"base@{TWO}")

    found = [
        digest_under(name, digests, local_host="") for name in (f"base@{TWO}", "base", f"base:1@sha256:{'3' * 64}")
    ]

    assert [TWO, ONE, ONE] == found


def test_a_certificate_is_named_where_it_is_missing_alone() -> None:
    """
    A registry that is down is reached in another way.
    """
    name = "10.0.0.7:5000/wine:1"

    assert "reach 10.0.0.7:5000 from here" == reach_fix(name, None)
    assert reach_fix(name, TlsProblem.UNTRUSTED).startswith(
        "reach 10.0.0.7:5000 from here by HTTPS, with the certificate"
    )


@pytest.mark.parametrize(
    ("denied", "reached", "fix"),
    [
        (False, False, "reach r.example:5000 from here"),
        (False, True, "find the reason in the log of r.example:5000"),
        (True, True, "podman login r.example:5000"),
        (True, False, "podman login r.example:5000"),
    ],
)
def test_the_fix_of_an_unusable_response_is_for_its_kind(*, denied: bool, reached: bool, fix: str) -> None:
    """
    A registry that responds with 400, or with something that is no image, can be reached from here.
    """
    request = SimpleNamespace(denied=denied, reached=reached, tls=None)

    assert fix == str(registry_fix("r.example:5000/wine:1", request, program="podman"))
