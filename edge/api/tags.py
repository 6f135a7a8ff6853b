"""Tags that many endpoints share: of what hangs on the view's revision, and of what never changes."""

from typing import Any

from edge.api.endpoint import Api, Call
from edge.api.etag import tag_of


def state_tag(api: Api, call: Call[Any, Any]) -> str:
    """The tag of everything that only depends on the view's revision."""
    return tag_of(api.instance, api.view.revision)


def fixed_tag(api: Api, call: Call[Any, Any]) -> str:
    """The tag of what does not change while the daemon runs."""
    return tag_of(api.instance, "fixed")
