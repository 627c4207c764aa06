"""What a task is and what may be done with it. Nothing here touches a database or a network."""

PRIORITIES = ("low", "normal", "high")
LONGEST_TEXT = 200

# Which status may follow which. A task that is done can only be opened again.
NEXT_STATUSES = {
    "open": ("doing", "done"),
    "doing": ("open", "done"),
    "done": ("open",),
}


class InvalidInput(ValueError):
    """What a client sent is not usable. The message is meant for that client."""


class Conflict(ValueError):
    """The request is understood, but the task is in no state for it."""


def new_task(document):
    """Returns the complete fields of a new task from a client's document."""
    fields = _known_fields(document, ("project", "title", "priority"))
    for name in ("project", "title"):
        if name not in fields:
            raise InvalidInput(f"{name} is missing")
    return {
        "project": _text("project", fields["project"]),
        "title": _text("title", fields["title"]),
        "priority": _one_of("priority", fields.get("priority", "normal"), PRIORITIES),
    }


def changes(document):
    """Returns the fields that a client wants to change, at least one."""
    fields = _known_fields(document, ("title", "priority", "status"))
    if not fields:
        raise InvalidInput("nothing to change")
    wanted = {}
    if "title" in fields:
        wanted["title"] = _text("title", fields["title"])
    if "priority" in fields:
        wanted["priority"] = _one_of("priority", fields["priority"], PRIORITIES)
    if "status" in fields:
        wanted["status"] = _one_of("status", fields["status"], tuple(NEXT_STATUSES))
    return wanted


def check_transition(current, wanted):
    """Raises Conflict unless a task may go from one status to the other. Staying is always allowed."""
    if wanted != current and wanted not in NEXT_STATUSES[current]:
        raise Conflict(f"a task that is {current} cannot become {wanted}")


def _known_fields(document, known):
    if not isinstance(document, dict):
        raise InvalidInput("the body must be a JSON object")
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise InvalidInput(f"unknown field: {', '.join(unknown)}")
    return document


def _text(name, value):
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a string")
    value = value.strip()
    if not value:
        raise InvalidInput(f"{name} must not be empty")
    if len(value) > LONGEST_TEXT:
        raise InvalidInput(f"{name} must not be longer than {LONGEST_TEXT} characters")
    # The database stores neither zero bytes nor halves of surrogate pairs, which JSON can express.
    if not value.isprintable():
        raise InvalidInput(f"{name} must be one line of printable characters")
    return value


def _one_of(name, value, allowed):
    if value not in allowed:
        raise InvalidInput(f"{name} must be one of: {', '.join(allowed)}")
    return value
