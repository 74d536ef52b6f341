"""Halftones for dovetail: what the package brings, told to the registry by two hooks."""

from pathlib import Path

from dovetail.plugins import hookimpl
from halftone.dither import Dither

__all__ = ["Dither"]


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Dither)


@hookimpl
def dovetail_native_libraries():
    return [str(Path(__file__).with_name("libhalftone_cpu.so"))]
