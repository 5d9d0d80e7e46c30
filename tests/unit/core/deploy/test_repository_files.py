"""Files that name an image: what changes in them, and what is refused."""

import json

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.repository_files import (
    NamedVersion,
    file_naming,
    file_naming_as,
    named_version,
    names_the_same,
)
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
            f"- newName: r.example:5000/wine\r\n  digest: {DIGEST}\r\n  name: wine   # ours\r\n  newTag: ''\r\n"
        ),
    ),
    "kustomize, with a tag": (
        settings("kustomize", "wine"),
        "commonAnnotations: {}\nimages:\n- name: wine\n  newTag: v1 # first\n  newName: x\n  digest: y\n",
        (
            'commonAnnotations: {mlflow-uv.model-version: wine/3}\nimages:\n- name: wine\n  newTag: "" # first\n'
            f"  newName: r.example:5000/wine\n  digest: {DIGEST}\n"
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
    "the object in a List": (
        settings("manifest", "model"),
        (
            "kind: List\nmetadata: {}\nitems:\n- kind: Service\n- kind: Deployment\n"
            "  metadata:\n    name: x\n  spec:\n"
            "    template:\n      metadata: {}\n      spec:\n        containers:\n"
            "        - name: model\n          image: y\n"
        ),
        (
            "kind: List\nmetadata: {}\nitems:\n- kind: Service\n- kind: Deployment\n"
            "  metadata:\n    annotations:\n      mlflow-uv.model-version: wine/3\n    name: x\n  spec:\n"
            "    template:\n      metadata: {}\n      spec:\n        containers:\n"
            f"        - name: model\n          image: r.example:5000/wine@{DIGEST}\n"
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
        (settings("kustomize", "wine"), "images: [{name: wine}, {name: wine}]\n", "2 items"),
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
        (settings("helm", "image"), "image: {digest: d, digest: e}\n", "is there twice"),
        (settings("helm", "image"), "image: {}\nimage: {}\n", "is there twice"),
        (settings("helm", "image"), "other: {a: 1, a: 2}\nimage: {}\n", "is there twice"),
        (settings("helm", "s.image"), "s: {image: &i {digest: d}}\nt: {image: *i}\n", "cannot be changed alone"),
        (settings("helm", "s.image"), "s: {image: &i {digest: d}}\nt: {<<: *i}\n", "cannot be changed alone"),
        (settings("helm", "s.image"), "s: &s {image: {digest: d}}\nt: {u: [*s]}\n", "cannot be changed alone"),
        (settings("helm", "image"), "base: &b {digest: d}\nimage: *b\n", "cannot be changed alone"),
        (settings("helm", "image"), "base: &b {digest: d}\nimage: {<<: *b}\n", "comes from a merge"),
        (settings("helm", "s.image"), "b: &b {image: {}}\ns: {<<: *b, image: {}}\n", "comes from a merge"),
        (settings("helm", "image"), "image: {digest, repository: x}\n", "has no value"),
        (settings("helm", "image"), "image: {x: 1, digest}\n", "has no value"),
        (settings("kustomize", "wine"), "images: [&w {name: wine}, {<<: *w, name: a}]\n", "cannot be changed alone"),
        (settings("kustomize", "wine"), "commonAnnotations: &a {}\nl: *a\nimages:\n- name: wine\n", "changed alone"),
        (settings("manifest", "m"), "metadata: &m {}\nx: *m\ncontainers: [{name: m}]\n", "cannot be changed alone"),
        (settings("manifest", "m"), "metadata: {}\ncontainers: &c [{name: m}]\nx: *c\n", "cannot be changed alone"),
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


@pytest.mark.parametrize("case", CASES)
def test_what_a_file_named_before_is_written_back(case: str) -> None:
    """
    Whatever was there, and wherever nothing was: every byte is as before, and a line of others stays.
    """
    own, before, _ = CASES[case]
    after = file_naming(before.encode(), WANTED, own, "f.yaml")
    theirs = after + f"{'---' if own.format is FileFormat.MANIFEST else ''}\nz: [{{of: others}}]\n".encode()

    returned = file_naming_as(theirs, before.encode(), own, "f.yaml")

    assert before == file_naming_as(after, before.encode(), own, "f.yaml").decode()
    assert before + theirs[len(after) :].decode() == returned.decode()
    assert (False, True) == (
        names_the_same(after, before.encode(), own, "f.yaml"),
        names_the_same(returned, before.encode(), own, "f.yaml"),
    )


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("own", "document"),
    [
        (settings("kustomize", "wine"), {"images": [{"name": "wine", "digest": None}], "a": "\u00fc"}),
        (settings("manifest", "m"), {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "m", "image": "y"}]}}),
        (settings("manifest", "m"), {"metadata": {}, "containers": [{"name": "m"}]}),
        (settings("helm", "a.image"), {"a": {"image": {}}}),
    ],
)
def test_json_stays_json(own: RepositorySettings, document: dict[str, object], indent: int | None) -> None:
    """
    It is YAML, too, but whoever reads the file may not know: keys and values are quoted.
    """
    before = json.dumps(document, indent=indent).encode()

    after = file_naming(before, WANTED, own, "f.json")
    back = file_naming_as(after, before, own, "f.json")

    assert WANTED == named_version(after, own, "f.json")
    assert {*document} <= {*json.loads(after)}
    assert document == json.loads(back)


def test_references_that_multiply_do_not_take_long() -> None:
    """
    Each mapping is looked at once: there would be 3**30 of them.
    """
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30))]
    text = "\n".join([*lines, "metadata: {}", "containers:", "- name: m", "  image: x", ""])

    changed = file_naming(text.encode(), WANTED, settings("manifest", "m"), "f").decode()

    assert f"  image: r.example:5000/wine@{DIGEST}\n" in changed
