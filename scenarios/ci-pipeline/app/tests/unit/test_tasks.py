"""The rules of a task, without a database or a network."""

import pytest

from taskflow.tasks import LONGEST_TEXT, NEXT_STATUSES, Conflict, InvalidInput, changes, check_transition, new_task


def test_a_new_task_gets_the_default_priority():
    assert new_task({"project": "home", "title": "Sweep"}) == {
        "project": "home",
        "title": "Sweep",
        "priority": "normal",
    }


def test_surrounding_space_is_removed():
    assert new_task({"project": " home ", "title": "\tSweep the floor\n"})["title"] == "Sweep the floor"


@pytest.mark.parametrize("missing", ["project", "title"])
def test_a_missing_field_is_named(missing):
    document = {"project": "home", "title": "Sweep"}
    del document[missing]
    with pytest.raises(InvalidInput, match=f"^{missing} is missing$"):
        new_task(document)


@pytest.mark.parametrize("title", ["", "   ", "zero\0byte", "two\nlines", "half \ud83d", None, 7, ["Sweep"]])
def test_a_title_that_cannot_be_stored_is_refused(title):
    with pytest.raises(InvalidInput, match="^title must"):
        new_task({"project": "home", "title": title})


def test_a_title_may_be_as_long_as_the_limit_and_no_longer():
    assert new_task({"project": "home", "title": "x" * LONGEST_TEXT})["title"] == "x" * LONGEST_TEXT
    with pytest.raises(InvalidInput, match=f"longer than {LONGEST_TEXT}"):
        new_task({"project": "home", "title": "x" * (LONGEST_TEXT + 1)})


def test_other_scripts_than_latin_are_kept():
    assert new_task({"project": "家", "title": "掃く 🧹"})["title"] == "掃く 🧹"


@pytest.mark.parametrize("document", [None, [], "Sweep", 1])
def test_a_body_that_is_no_object_is_refused(document):
    with pytest.raises(InvalidInput, match="JSON object"):
        new_task(document)


def test_unknown_fields_are_refused_by_name():
    with pytest.raises(InvalidInput, match="unknown field: colour, size"):
        new_task({"project": "home", "title": "Sweep", "size": 1, "colour": "red"})


def test_a_change_holds_only_what_was_asked_for():
    assert changes({"priority": "high"}) == {"priority": "high"}


def test_a_change_of_nothing_is_refused():
    with pytest.raises(InvalidInput, match="nothing to change"):
        changes({})


def test_a_task_cannot_move_to_another_project():
    with pytest.raises(InvalidInput, match="unknown field: project"):
        changes({"project": "garden"})


@pytest.mark.parametrize("current", NEXT_STATUSES)
@pytest.mark.parametrize("wanted", NEXT_STATUSES)
def test_the_only_forbidden_transition_is_from_done_to_doing(current, wanted):
    if (current, wanted) == ("done", "doing"):
        with pytest.raises(Conflict, match="done cannot become doing"):
            check_transition(current, wanted)
    else:
        check_transition(current, wanted)
