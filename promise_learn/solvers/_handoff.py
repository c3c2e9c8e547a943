"""Turn a routine that calls back into a generator."""

import contextvars
import threading
from queue import SimpleQueue


class _Stopped(Exception):
    """The consumer of the generator went away."""


def generated(routine):
    """Yield what ``routine(emit)`` passes to ``emit``, one item at a time.

    The routine runs in a thread that waits inside ``emit`` while the consumer works, so
    the two never run at once; it sees the context variables of the consumer, such as
    NumPy's error state. An exception of the routine is raised here; closing the
    generator ends the routine at its next ``emit``.
    """
    items, permits = SimpleQueue(), SimpleQueue()

    def emit(item):
        items.put(("item", item))
        if not permits.get():
            raise _Stopped

    def work():
        try:
            if permits.get():
                routine(emit)
        except _Stopped:
            items.put(("end", None))
        except BaseException as error:
            items.put(("error", error))
        else:
            items.put(("end", None))

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), daemon=True)
    thread.start()
    try:
        while True:
            permits.put(True)
            kind, content = items.get()
            if kind == "error":
                raise content
            if kind == "end":
                return
            yield content
    finally:
        permits.put(False)
        thread.join()
