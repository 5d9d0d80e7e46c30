"""Settings of a repository: addresses, branches and paths that git or a shell would take for something else."""

import json

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.repository_settings import FileFormat, RepositorySettings

from .test_settings import read

BRANCHES = (
    "-x", "a..b", "x.lock", "x.lock/y", "a//b", "a/", "/a", ".a", "a/.b", "a.", "HEAD", "a b", "@{1}", "a:b", "+a",
    "a~1", "a^", "a*", "a?", "a[b", "a\\b", "a\nb", "é", "",
)  # fmt: skip


def text_of(values: dict[str, str]) -> str:
    """A deployment in a manifest."""
    lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
    return f"[tool.mlflow-uv.deploy.prod]\n{''.join(lines)}"


def test_every_setting_is_read() -> None:
    """
    An address by SSH has a user.
    """
    values = {
        "target": "gitops",
        "repository": "ssh://git@git.example:2222/o/r.git",
        "file": "apps/ü x/{name}.yaml",
        "format": "helm",
        "image": "serving.image",
        "branch": "release/1.2",
    }

    (settings,) = read(text_of(values)).values()

    assert isinstance(settings, RepositorySettings)
    assert (FileFormat.HELM, "release/1.2", "apps/ü x/{name}.yaml") == (settings.format, settings.branch, settings.file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("repository", value)
            for value in (
                "https://user:password@git.example/o/r",
                "https://token@git.example/o/r",
                "file:///srv/r.git",
                "ext::sh -c id",
                "/srv/r.git",
                "--upload-pack=id",
                "https://git.example/o/../r",
                "https://git.example/o/r?x",
                "ssh://-oProxyCommand=id/o/r",
            )
        ),
        *(("file", value) for value in ("../x", "/etc/x", "a/../b", ".git/config", "a\nb", "a//b", "./a", "")),
        *(("branch", value) for value in BRANCHES),
    ],
)
def test_what_leads_elsewhere_is_refused(name: str, value: str) -> None:
    """
    A login, another protocol, an option, and a path out of the repository.
    """
    with pytest.raises(BadInput, match=f"`{name}`"):
        read(text_of({"target": "gitops", name: value}))


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ("", True),
        ("image = 'blend'\n", True),
        ("format = 'manifest'\n", True),
        ("format = 'helm'\n", False),
        ("branch = 'next'\n", False),
        ("file = 'apps/{name}.yaml'\n", False),
    ],
)
def test_two_deployments_do_not_share_an_annotation(more: str, *, refused: bool) -> None:
    """
    It names the version of one of them; values of Helm have a version for each image.
    """
    own = "target = 'gitops'\nrepository = 'https://git.example/o/r'\n"
    second = own + more + ("" if "file" in more else "file = 'apps/prod.yaml'\n")
    text = f"[tool.mlflow-uv.deploy.prod]\n{own}file = 'apps/{{name}}.yaml'\n[tool.mlflow-uv.deploy.blend]\n{second}"

    if refused:
        with pytest.raises(BadInput, match="`prod` and `blend` have the same file"):
            read(text)
    else:
        assert 2 == len(read(text))
