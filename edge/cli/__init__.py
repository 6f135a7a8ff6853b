"""The commands of ``rfid3``, one file each; ``edge.__main__`` holds the table of them.

A command's module has ``add_parser(subparsers)`` and ``run(args) -> int``. It is imported only
when its command is given, and imports what is heavy inside ``run``.
"""
