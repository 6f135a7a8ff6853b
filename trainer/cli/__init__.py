"""The commands of the trainer, one file each; ``trainer.__main__`` holds the table of them.

A command's module has ``EPILOG``, ``add_options(parser)`` and ``run(args) -> int``.
"""
