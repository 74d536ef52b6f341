"""Shuffle."""

from __future__ import annotations

from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, as_expr, maximum, select
from dovetail.core.types import DataType
from dovetail.plugins import Input, Ints, Moved, Output, Plugin, field, require_that
from dovetail.plugins.builtin._values import elements_of, follow
from dovetail.plugins.onnx import as_extents, extents, onnx_op, rank_of, reshaped, transposed

TYPES = tuple(t for t in DataType if t != DataType.FP8)
KEEP = (-2,)


class Shuffle(Plugin):
    """y = transpose(reshape(transpose(x, first_transpose), reshape_dims), second_transpose)

    Inputs    x     any dims and type
              dims  optional, [rank of the reshaped tensor], int32 or int64: in place of `reshape_dims`. Its contents
                    must follow from constants, extents and shape inputs. One that is known, or an element of a shape
                    input, is read as an element of `reshape_dims` is; any other is an extent
    Outputs   y     type of x
    Fields    in reshape_dims, 0 stands for the extent of the same axis of the transposed x (an extent of 0 where
              `zero_is_placeholder` is False), and one -1 for whatever makes the number of elements right
    Errors    ShapeError if the numbers of elements differ, a transposition is not an order of the axes, a 0 has no axis
              to copy from, or there is more than one -1
    Source    TensorRT 8.5 IShuffleLayer
    """

    purpose = "Shape and order"
    x = Input(TYPES)
    dims = Input((DataType.INT32, DataType.INT64), optional=True, shape=True, doc="In place of reshape_dims.")
    y = Output(like="x")
    first_transpose: Ints = field((), low=0, high=7, doc="Axis i of the result is this axis; () changes nothing.")
    reshape_dims: Ints = field(KEEP, low=-2, doc="Dims in between; (-2,), the default, changes nothing.")
    zero_is_placeholder: bool = field(True, doc="Does 0 in reshape_dims copy an extent?")
    second_transpose: Ints = field((), low=0, high=7, doc="As first_transpose, after the reshape.")

    def infer(self, x, dims):
        first = self._order("first_transpose", self.first_transpose, x.rank)
        transposed = DimsExprs(x.dims[axis] for axis in first)
        reshaped = self._reshaped(transposed, self._wanted(dims))
        second = self._order("second_transpose", self.second_transpose, len(reshaped))
        y = x.like(reshaped[axis] for axis in second)
        extents = [d.value for d in reshaped]
        return follow(y, lambda a: a.transpose(first).reshape(extents).transpose(second), x)

    def _wanted(self, dims):
        """Elements of the dims in between, None where they stay."""
        if dims is not None:
            return elements_of(self.label, "dims", dims)
        return None if self.reshape_dims == KEEP else list(self.reshape_dims)

    def _order(self, name, order, rank):
        if not order:
            return list(range(rank))
        if sorted(order) != list(range(rank)):
            raise ShapeError(
                f"{self.label} cannot use {name} = {list(order)} on a tensor with {rank} dims",
                facts=[(name, f"each of 0..{rank - 1} once" if rank else "empty for a scalar")],
                field=name,
                expected=rank,
                got=tuple(order),
            )
        return list(order)

    def _reshaped(self, given, wanted):
        if wanted is None:
            return given
        known = [getattr(extent, "value", extent) for extent in wanted]
        unknown_axes = [i for i, extent in enumerate(known) if extent == -1]
        facts = [("reshape_dims", known), ("from", given)]
        if len(unknown_axes) > 1 or any(extent is not None and extent < -1 for extent in known):
            raise self._refuse(given, wanted, "one -1 at most, others 0 or more")
        result = list(wanted)
        for axis, extent in enumerate(known):
            if extent == 0 and self.zero_is_placeholder:
                if axis >= len(given):
                    raise self._refuse(given, wanted, f"0 on axis {axis} copies from {len(given)} dims")
                result[axis] = given[axis]
        if unknown_axes:
            others = DimsExprs(extent for i, extent in enumerate(result) if i != unknown_axes[0]).volume
            if others.value == 0:
                raise self._refuse(given, wanted, "-1 follows from others that are not 0")
            result[unknown_axes[0]] = given.volume // others
        plain = DimsExprs(result)
        reshaped = plain if unknown_axes else self._told_late(given, plain)
        require_that(
            reshaped.volume == given.volume,
            f"{self.label} cannot reshape {given} into {plain}: the numbers of elements differ",
            [*facts, ("elements", f"{given.volume} and {reshaped.volume}")],
            expected=given.volume.value,
            got=reshaped.volume.value,
        )
        return reshaped

    def _told_late(self, given, wanted):
        """Elements that are contents of a shape input are read when they are bound: -1 and 0 as in `reshape_dims`."""
        leaves = [as_expr(extent).leaf for extent in wanted]
        late = [axis for axis, leaf in enumerate(leaves) if leaf is not None and leaf.is_element]
        result = list(wanted)
        for axis in late:
            if self.zero_is_placeholder and axis < len(given):
                result[axis] = select(wanted[axis] == 0, given[axis], wanted[axis])
        others = DimsExprs(select(e == -1, 1, e) if axis in late else e for axis, e in enumerate(result)).volume
        for axis in late:
            rest = given.volume // maximum(others, 1)
            result[axis] = select(wanted[axis] == -1, rest, result[axis])
        return DimsExprs(result)

    def _refuse(self, given, wanted, rule):
        return ShapeError(
            f"{self.label} cannot reshape {given} into [{', '.join(map(str, wanted))}]",
            facts=[("reshape_dims", rule)],
            field="reshape_dims",
            expected=rule,
        )

    def reference(self, x, dims):
        transposed = x.transpose(self.first_transpose or range(x.ndim))
        wanted = transposed.shape if self.reshape_dims == KEEP else self.reshape_dims
        wanted = wanted if dims is None else [int(extent) for extent in dims]
        if self.zero_is_placeholder:
            wanted = [transposed.shape[axis] if extent == 0 else extent for axis, extent in enumerate(wanted)]
        reshaped = transposed.reshape(wanted)
        return reshaped.transpose(self.second_transpose or range(reshaped.ndim))

    def moves(self, y, x, dims):
        first = self._order("first_transpose", self.first_transpose, x.rank)
        second = self._order("second_transpose", self.second_transpose, y.rank)
        is_kept = _keeps_order(first, [x.dims[axis] for axis in first]) and _keeps_order(second, y.dims)
        return Moved() if is_kept else None

    @staticmethod
    def onnx():
        return (
            onnx_op("Reshape", rewrite=reshape),
            onnx_op("Transpose", rewrite=transpose),
            onnx_op("Flatten", rewrite=flatten),
            onnx_op("DepthToSpace", rewrite=depth_to_space),
            onnx_op("SpaceToDepth", rewrite=space_to_depth),
        )

    @classmethod
    def add(cls, network, input):
        """A Shuffle layer that changes nothing until its attributes are set; set_input(1, tensor) gives the dims."""
        return network.add_plugin("Shuffle", [input])


def _keeps_order(order, dims):
    """True if only axes of extent 1 change places; `dims` are those in this order."""
    moved = [axis for axis, extent in zip(order, dims, strict=True) if not extent.same(1)]
    return moved == sorted(moved)


# ---- ONNX


def reshape(node):
    """ONNX Reshape: a shape that is known, or computed from shapes."""
    fields = {"zero_is_placeholder": not node.attr("allowzero", 0)}
    shape = node.constant(1)
    if shape is not None:
        return node.add("Shuffle", [node[0]], reshape_dims=tuple(shape.tolist()), **fields)
    return node.add("Shuffle", [node[0], as_extents(node, node[1])], **fields)


def transpose(node):
    """ONNX Transpose: without perm the axes are reversed."""
    return transposed(node, node[0], node.attr("perm", tuple(reversed(range(rank_of(node[0]))))))


def flatten(node):
    """ONNX Flatten: the axes in front of `axis` become one, and those from it on."""
    x = node[0]
    rank = rank_of(x)
    axis, dims = node.attr("axis", 1), extents(node, x)
    if not -rank <= axis <= rank:
        raise node.fail(f"axis {axis} is outside of -{rank}..{rank}", x=x.shape)
    axis += rank if axis < 0 else 0
    return reshaped(node, x, [dims[:axis].product(), dims[axis:].product()])


def depth_to_space(node):
    """ONNX DepthToSpace: channels become blocks of the plane."""
    x, size = node[0], _block_size(node)
    n, c, h, w = _plane(node, x)
    is_crd = node.attr("mode", "DCR") == "CRD"
    blocks = [n, c // (size * size), size, size, h, w] if is_crd else [n, size, size, c // (size * size), h, w]
    order = (0, 1, 4, 2, 5, 3) if is_crd else (0, 3, 4, 1, 5, 2)
    y = transposed(node, reshaped(node, x, blocks), order)
    return reshaped(node, y, [n, c // (size * size), h * size, w * size])


def space_to_depth(node):
    """ONNX SpaceToDepth: blocks of the plane become channels."""
    x, size = node[0], _block_size(node)
    n, c, h, w = _plane(node, x)
    order = (0, 3, 5, 1, 2, 4) if node.attr("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    y = transposed(node, reshaped(node, x, [n, c, h // size, size, w // size, size]), order)
    return reshaped(node, y, [n, c * (size * size), h // size, w // size])


def _block_size(node):
    size = node.attr("blocksize")
    if not 1 <= size < 2**31:
        raise node.fail("blocks have 1 to 2147483647 cells in each axis", blocksize=size)
    return size


def _plane(node, x):
    if rank_of(x) != 4:
        raise node.fail("its input must have 4 dims: batch, channels, height, width", x=x.shape)
    dims = extents(node, x)
    return [dims[axis] for axis in range(4)]
