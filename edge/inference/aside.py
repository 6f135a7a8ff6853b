"""Work of a thread kept off the processor that the loop is on. No models, no onnxruntime.

A thread that does not hold the interpreter may still hold the loop: where both are on one processor
the kernel lets the one that runs go on until its next tick, 4 ms at 250 a second, although another
processor is free. What asks for nothing but time can say beforehand that it will go elsewhere.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROCESSOR = 36
"""Field of /proc/…/stat after the name in brackets: the processor a thread was last on (proc(5), 39)."""


@contextmanager
def off_the_loops_processor() -> Iterator[None]:
    """For the calling thread and as long as the block; nothing happens where there is one processor.

    The loop is the process's first thread. Where the kernel says no, all goes on as without.
    """
    if threading.get_native_id() == os.getpid():
        yield
        return
    allowed = os.sched_getaffinity(0)
    others = allowed - {_loops_processor()}
    if others and others != allowed:
        with suppress(OSError):
            os.sched_setaffinity(0, others)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)


def _loops_processor() -> int:
    """-1: nobody knows."""
    try:
        told = Path(f"/proc/self/task/{os.getpid()}/stat").read_text()
        return int(told.rpartition(")")[2].split()[PROCESSOR])
    except (OSError, ValueError, IndexError):
        return -1
