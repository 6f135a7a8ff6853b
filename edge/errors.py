"""The world's mistakes, as types: each is caught in exactly one place and counted with its reason.

A caller's mistake is an assertion, not one of these.
"""


class Rfid3Error(Exception):
    """Base of every error this product raises on purpose."""


class ConfigError(Rfid3Error):
    """A setting is missing, unknown or out of range; the message names file, line, key and cure."""


class WrongUsage(Rfid3Error):
    """What was asked for on a command line cannot be; the message says what, where and the cure."""


class JournalFull(Rfid3Error):
    """The disk or the journal's own limit is reached: nothing is lost, try again later."""

    cure = "free some disk space"


class JournalBusy(JournalFull):
    """Another program holds the journal's write lock: only wait; giving up history would not help."""

    cure = "end the other program that writes to the journal (a backup, a database shell)"


class JournalBroken(Rfid3Error):
    """A failed fsync or corruption: what is on disk can no longer be trusted, so stop and say so."""


class SnapshotUnusable(Rfid3Error):
    """A state snapshot is damaged or was written by another catalogue; replay from an older one."""


class InboxFull(Rfid3Error):
    """The corridor is full; the caller should try again shortly (HTTP 503)."""


class LinkDown(Rfid3Error):
    """The broker is not connected, so nothing can be published now."""


class FormatError(Rfid3Error):
    """A payload cannot be read as the format it claims; carries a reason for the dead letter."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
