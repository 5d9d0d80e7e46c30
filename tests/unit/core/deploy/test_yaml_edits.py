"""Values of a YAML text: found by their keys, each once."""

from ruamel.yaml.nodes import MappingNode

from mlflow_uv.core.deploy.yaml_edits import mappings_in, named_item, parsed_yaml, text_at, value_at, with_values

TEXT = """a: {b: [{name: x, c: 1}, {name: y, c: &c 2}], d: *c}
e:
- &f {name: z}
- *f
"""


def test_values_are_found_by_their_keys() -> None:
    """
    What is not there is empty, and a mapping has no text.
    """
    (root,) = parsed_yaml(TEXT.encode(), "f").documents

    item = named_item(value_at(root, ("a", "b")), "y")

    assert ("2", "2", "", "", None) == (
        text_at(item, "c"),
        text_at(root, "a", "d"),
        text_at(root, "a"),
        text_at(root, "a", "d", "x"),
        named_item(value_at(root, ("a", "b")), "z"),
    )


def test_a_mapping_that_is_referred_to_is_listed_once() -> None:
    """
    In the order of the text.
    """
    (root,) = parsed_yaml(TEXT.encode(), "f").documents

    names = [text_at(found, "name") for found in mappings_in(root)]

    assert ["", "", "x", "y", "z"] == names


def test_a_value_that_is_the_same_already_is_left_as_it_is_written() -> None:
    """
    Its quotes stay.
    """
    parsed = parsed_yaml(b"a: 'x'\nb: \"y\"\n", "f")
    (root,) = parsed.documents
    assert isinstance(root, MappingNode)

    assert "a: 'x'\nb: \"z 1\"\n" == with_values(parsed, root, (("a", "x"), ("b", "z 1")), "f")
