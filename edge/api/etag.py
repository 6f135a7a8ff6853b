"""Entity tags for polling: weak, made of revisions, so a 304 is decided before a body is built.

They are weak because one revision may be sent plain or as gzip, and because the moment an answer
stands for moves on while nothing that it tells has changed.

Source: RFC 9110, sections 8.8.3 and 13.1.2.
"""


def tag_of(instance: str, *parts: int | str) -> str:
    """A weak tag; ``instance`` tells this run of the daemon from every other.

    >>> tag_of("a1", 7, 3)
    'W/"a1-7-3"'
    """
    return f'W/"{"-".join((instance, *map(str, parts)))}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether the client already holds ``tag`` (weak comparison).

    >>> matches('"x", W/"a1-7"', 'W/"a1-7"'), matches("*", 'W/"a"'), matches(None, 'W/"a"')
    (True, True, False)
    """
    if not if_none_match:
        return False
    if if_none_match.strip() == "*":
        return True
    opaque = tag.removeprefix("W/")
    return any(part.strip().removeprefix("W/") == opaque for part in if_none_match.split(","))
