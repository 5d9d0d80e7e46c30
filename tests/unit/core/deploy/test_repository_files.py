"""Files that name an image: what changes in them, and what is refused."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.repository_files import NamedVersion, file_naming, named_version
from mlflow_uv.core.deploy.repository_settings import FileFormat, RepositorySettings

DIGEST = f"sha256:{'1' * 64}"
WANTED = NamedVersion(model="wine", version="3", image=f"r.example:5000/wine@{DIGEST}")


def settings(file_format: str, image: str) -> RepositorySettings:
    """Settings of a file."""
    return RepositorySettings(target="gitops", format=FileFormat(file_format), image=image)


CASES = {
    "kustomize, with Windows line ends": (
        settings("kustomize", "wine"),
        "# top\r\nresources: [a.yaml]\r\nimages:\r\n- name: wine   # ours\r\n  newTag: '1'\r\n",
        (
            "# top\r\ncommonAnnotations:\r\n  mlflow-uv.model-version: wine/3\r\nresources: [a.yaml]\r\nimages:\r\n"
            f"- newName: r.example:5000/wine\r\n  digest: {DIGEST}\r\n  name: wine   # ours\r\n  newTag: '1'\r\n"
        ),
    ),
    "kustomize, in braces": (
        settings("kustomize", "wine"),
        'commonAnnotations: {a: b}\nimages:\n  - {name: wine, digest: , newName: "x"}\n',
        (
            "commonAnnotations: {mlflow-uv.model-version: wine/3, a: b}\n"
            f'images:\n  - {{name: wine, digest: {DIGEST} , newName: "r.example:5000/wine"}}\n'
        ),
    ),
    "kustomize, with empty values": (
        settings("kustomize", "wine"),
        "commonAnnotations: {}\nimages:\n  - name: wine\n    digest:   # none\n    newName:\n",
        (
            "commonAnnotations: {mlflow-uv.model-version: wine/3}\n"
            f"images:\n  - name: wine\n    digest: {DIGEST}   # none\n    newName: r.example:5000/wine\n"
        ),
    ),
    "the container of the second object": (
        settings("manifest", "model"),
        (
            "---\n# \u00fc \U0001f600\nkind: Service\n---\nmetadata:\n  name: x\nspec:\n  containers:\n"
            "  - image: 'old' # c\n    name: model\n  - {name: other, image: old}\n"
        ),
        (
            "---\n# \u00fc \U0001f600\nkind: Service\n---\nmetadata:\n  annotations:\n"
            "    mlflow-uv.model-version: wine/3\n  name: x\nspec:\n  containers:\n"
            f"  - image: 'r.example:5000/wine@{DIGEST}' # c\n    name: model\n  - {{name: other, image: old}}\n"
        ),
    ),
    "values of Helm": (
        settings("helm", "serving.image"),
        "a: &x 1\nserving:\n   image:\n      repository: x\n      digest: 'sha256:1'\nb: *x\n",
        (
            "a: &x 1\nserving:\n   image:\n      modelVersion: wine/3\n      repository: r.example:5000/wine\n"
            f"      digest: '{DIGEST}'\nb: *x\n"
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_version_is_written_and_every_other_byte_stays(case: str) -> None:
    """
    Comments, quotes, order and line ends are those of the author; a second change changes nothing.
    """
    own, before, expected = CASES[case]

    after = file_naming(before.encode(), WANTED, own, "f.yaml")

    assert expected == after.decode()
    assert WANTED == named_version(after, own, "f.yaml")
    assert after == file_naming(after, WANTED, own, "f.yaml")


@pytest.mark.parametrize("model", ["a # b", "- x", "\u00fc/\u00e4", 'say "x": y', "true", "1"])
def test_a_model_of_any_name_is_read_back(model: str) -> None:
    """
    What YAML would take for something else is quoted.
    """
    wanted = NamedVersion(model=model, version="1", image=WANTED.image)
    own = settings("helm", "image")

    assert wanted == named_version(file_naming(b"image: {repository: x}\n", wanted, own, "f"), own, "f")


@pytest.mark.parametrize(
    ("own", "text", "message"),
    [
        (settings("kustomize", "wine"), "images:\n- name: cats\n", "no item with `name: wine`"),
        (settings("kustomize", "wine"), "images: []\n---\na: 1\n", "is not one mapping"),
        (settings("kustomize", "wine"), "commonAnnotations: 1\nimages:\n- name: wine\n", "is not a mapping"),
        (settings("manifest", "m"), "containers: [{name: m}]\n---\ncontainers: [{name: m}]\n", "2 containers"),
        (settings("manifest", "m"), "containers: [{name: m, image: x}]\n", "no `metadata`"),
        (settings("helm", "image"), "image: wine:1\n", "no mapping `image`"),
        (settings("helm", "image"), "{{ if x }}\nimage: 1\n", "cannot be read as YAML"),
        (settings("helm", "image"), "image: [\n", "cannot be read as YAML"),
        (settings("helm", "image"), "\ufeffimage: {}\n", "byte order mark"),
        (settings("helm", "image"), "a: &d x\nimage:\n  digest: *d\n", "is not a value of its own"),
        (settings("helm", "image"), "image:\n  digest: &d x\nb: *d\n", "is not a value of its own"),
        (settings("helm", "image"), "image:\n  digest: [x]\n", "is not a value of its own"),
        (settings("helm", "image"), "image:\n  digest: |\n    x\n", "several lines"),
        (settings("helm", "image"), "a: " + "[" * 70 + "]" * 70, "levels deep"),
        (settings("helm", "image"), "#" * (1 << 20) + "\n", "too large"),
    ],
)
def test_a_file_that_cannot_be_changed_alone_is_refused(own: RepositorySettings, text: str, message: str) -> None:
    """
    The message has the file, the reason and, where there is one, the line.
    """
    with pytest.raises(BadInput, match=message):
        file_naming(text.encode(), WANTED, own, "f.yaml")


def test_references_that_multiply_do_not_take_long() -> None:
    """
    Each mapping is looked at once: there would be 3**30 of them.
    """
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30))]
    text = "\n".join([*lines, "metadata: {}", "containers:", "- name: m", "  image: x", ""])

    changed = file_naming(text.encode(), WANTED, settings("manifest", "m"), "f").decode()

    assert f"  image: r.example:5000/wine@{DIGEST}\n" in changed
