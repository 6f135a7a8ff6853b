"""A file a source: what its payloads look like, and how each element becomes our events.

``reading`` holds what the files share; ``values`` reads single values with tolerance; ``checks``
holds the limits every event must keep. Which file reads a payload is decided in
:mod:`edge.ingest.decode`.
"""
