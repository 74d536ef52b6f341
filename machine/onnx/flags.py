"""The part of `OnnxParser` for TensorRT's scripts: flags, and properties that are always empty."""

from __future__ import annotations

from typing import Any

from dovetail.core.named import member_of
from dovetail.machine.enums import OnnxParserFlag
from dovetail.machine.logger import Reporting
from dovetail.machine.settings import bits


class ParserFlags(Reporting):
    """Flags are kept and read back. None changes what is imported: NATIVE_INSTANCENORM is what happens anyway."""

    _flags = 0

    @property
    def flags(self) -> int:
        """All flags as bits, `1 << int(flag)` each."""
        return self._flags

    @flags.setter
    def flags(self, flags: int) -> None:
        self._flags = bits(OnnxParserFlag)("parser flags", flags)

    def set_flag(self, flag: OnnxParserFlag) -> None:
        self._flags |= 1 << _flag(flag)

    def clear_flag(self, flag: OnnxParserFlag) -> None:
        self._flags &= ~(1 << _flag(flag))

    def get_flag(self, flag: OnnxParserFlag) -> bool:
        return bool(self._flags >> _flag(flag) & 1)

    def get_used_vc_plugin_libraries(self) -> list[str]:
        """Always []: a model needs only libraries that are registered."""
        return []

    def set_builder_config(self, builder_config: Any) -> bool:
        """Returns True: an import does not depend on the config."""
        return True


def _flag(flag: Any) -> int:
    return int(member_of(OnnxParserFlag, flag, "a parser flag"))
