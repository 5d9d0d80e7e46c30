"""A description holds no secrets and no control characters, and says `unknown` where nothing is known."""

from dataclasses import replace

from mlflow_uv.core.card.description import cleaned, elements, safe_parameters
from mlflow_uv.core.card.statements import CardStatements

from .described import DESCRIBED, HOSTILE


def test_every_text_is_masked_and_visible() -> None:
    """
    At any depth: names, parameters, packages and statements.
    """
    secret = "tok-123456"  # an example
    statements = CardStatements(limitations=(f"needs {secret}",))
    parameters = ((f"url {secret}", f"postgres://user:pa55word@host/{secret}"),)
    packages = {"components": [{"name": secret, "properties": [{"value": f"x\x1b{secret}"}]}]}
    description = replace(DESCRIBED, name=HOSTILE, parameters=parameters, packages=packages, statements=statements)

    clean = cleaned(description, (secret,))

    assert [False, False] == [word in repr(clean) for word in (secret, "pa55word")]
    assert ("needs ***",) == clean.statements.limitations
    assert [False, False] == [sign in clean.name + str(clean.packages) for sign in ("\x1b", "\n")]


def test_a_parameter_with_the_name_of_a_secret_is_masked() -> None:
    """
    Its value may not be among the variables of the process that writes the card.
    """
    assert (("api_key", "***"), ("depth", "3")) == safe_parameters({"depth": "3", "api_key": "zzz"})


def test_no_element_is_left_out() -> None:
    """
    A version of which little is known has the same elements as one with everything.
    """
    poor = replace(
        DESCRIBED, description="", license="", producers=(), datasets=(), metrics=(), image=None, inputs=(), outputs=()
    )

    assert [row[:2] for row in elements(DESCRIBED)] == [row[:2] for row in elements(poor)]
    assert {"Metadata", "System Level Properties", "Models", "Dataset Properties", "Infrastructure",
            "Security Properties", "Key Performance Indicators"} == {row[0] for row in elements(poor)}  # fmt: skip
    values = {row[1]: row[2] for row in elements(poor)}
    assert ("unknown", "unknown", "unknown") == (
        values["Model license"],
        values["Dataset hash"],
        values["Model producer"],
    )
