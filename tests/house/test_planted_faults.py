"""The page of planted faults has the faults that are declared, and each is named once."""

from tests.planted_faults import FAULTS, PAGE, PlantedFault, declared, page, rows


def test_the_page_has_a_row_for_each_declared_fault() -> None:
    """
    Who declares a fault, or another rule for it, runs the tests and writes the page again.
    """
    text = PAGE.read_text()

    assert declared(FAULTS) == rows(text)


def test_each_fault_has_a_name_of_its_own() -> None:
    """
    The name is the value of a variable, and the key of the result.
    """
    keys = [fault.key for fault in FAULTS]

    assert len(set(keys)) == len(keys)


def test_a_result_with_another_rule_is_not_what_was_declared() -> None:
    """
    The rule and the exit code of a row are those of the run.
    """
    seen = {fault.name: {"rule": fault.rule, "code": fault.code, "message": "a | b"} for fault in FAULTS}
    other: PlantedFault = FAULTS[0]

    text = page({**seen, other.name: {"rule": "another-rule", "code": 0, "message": "all equal"}})

    assert declared(FAULTS)[1:] == rows(text)[1:]
    assert ("`another-rule`", "0") == rows(text)[0][3:]
