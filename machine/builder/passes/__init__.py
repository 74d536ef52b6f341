"""The passes of the builder, one file each: `(graph, build) -> graph`. pipeline.py lists them in order."""
