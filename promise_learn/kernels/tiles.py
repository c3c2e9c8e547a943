"""Products of a few rows with a few others, summed in the registers of the machine.

Written for the compiler and not in Python: on Intel machines it would make vectors of
half the length that registers have, and no transposition without memory.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic


def _features():
    """Return what Numba compiles for: this machine, unless it was told otherwise."""
    told = config.CPU_FEATURES
    return codegen.get_host_cpu_features() if told is None else told


LONG_VECTORS = "+avx512f" in _features()
# rows of a tile, and bits of a vector: sixteen sums and what they are made of fit
# thirty-two registers, nine fit sixteen
SIDE, BITS = (4, 512) if LONG_VECTORS else (3, 256)
TURNED = 8  # rows and columns that are transposed at a time


@intrinsic
def turn_tile(typing, Z, j, T, at):
    """T[j:j + 8, at:at + 8] = Z[:8, j:j + 8]', of one dtype and in row order."""

    def generate(context, builder, signature, arguments):
        (kind, *_), (Z, j, T, at) = signature.args, arguments
        word, size = context.get_data_type(kind.dtype), kind.dtype.bitwidth // 8
        vector = ir.VectorType(word, TURNED)
        lanes = ir.VectorType(ir.IntType(32), TURNED)
        some, intp = range(TURNED), cgutils.intp_t

        def entry(array, row, column):
            made = context.make_array(kind)(context, builder, array)
            at = cgutils.get_item_pointer(context, builder, kind, made, [row, column])
            return builder.bitcast(at, vector.as_pointer())

        rows = [builder.load(entry(Z, intp(m), j), align=size) for m in some]
        for step in (4, 2, 1):  # blocks of that side change places across the diagonal
            for m in (m for m in some if not m & step):
                a, b = rows[m], rows[m | step]
                upper = [k if not k & step else k - step + TURNED for k in some]
                lower = [k + step if not k & step else k + TURNED for k in some]
                rows[m] = builder.shuffle_vector(a, b, lanes(upper))
                rows[m | step] = builder.shuffle_vector(a, b, lanes(lower))
        for m in some:
            builder.store(rows[m], entry(T, builder.add(j, intp(m)), at), align=size)
        return context.get_dummy_value()

    if Z != T:
        raise TypeError("arrays of one type only")
    return types.void(Z, types.intp, T, types.intp), generate


@intrinsic
def add_tile(typing, T, j, k, length, G):
    """Add T[j:j + SIDE, :length] T[k:k + SIDE, :length]' to the same rows of G.

    T and G are of one dtype, in row order, and have those rows and columns; the length
    is rounded up to a vector, 64 bytes at the most.
    """

    def generate(context, builder, signature, arguments):
        (kind, *_, target), (values, j, k, length, sums) = signature.args, arguments
        values = context.make_array(kind)(context, builder, values)
        sums = context.make_array(target)(context, builder, sums)
        word, size = context.get_data_type(kind.dtype), kind.dtype.bitwidth // 8
        vector, intp = ir.VectorType(word, BITS // (8 * size)), cgutils.intp_t
        some, contract = range(SIDE), ("contract",)

        def entry(array, of, row, column):
            return cgutils.get_item_pointer(context, builder, of, array, [row, column])

        def rows(first):
            return [
                entry(values, kind, builder.add(first, intp(m)), intp(0)) for m in some
            ]

        def load(row, i):
            at = builder.bitcast(builder.gep(row, [i]), vector.as_pointer())
            return builder.load(at, align=size)

        left, right, before = rows(j), rows(k), builder.block
        loop = builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        builder.branch(loop)
        builder.position_at_end(loop)
        i = builder.phi(intp)
        total = [[builder.phi(vector) for _ in some] for _ in some]
        xs, ys = [load(row, i) for row in left], [load(row, i) for row in right]
        for a in some:
            for b in some:
                product = builder.fmul(xs[a], ys[b], flags=contract)
                more = builder.fadd(total[a][b], product, flags=contract)
                total[a][b].add_incoming(vector([0.0] * vector.count), before)
                total[a][b].add_incoming(more, loop)
                total[a][b] = more
        following = builder.add(i, intp(vector.count))
        i.add_incoming(intp(0), before)
        i.add_incoming(following, loop)
        again = builder.icmp_signed("<", following, length)
        builder.cbranch(again, loop, after)
        builder.position_at_end(after)
        add_up = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(word, [word, vector]),
            f"llvm.vector.reduce.fadd.v{vector.count}f{8 * size}",
        )
        for a in some:
            for b in some:
                at = entry(
                    sums, target, builder.add(j, intp(a)), builder.add(k, intp(b))
                )
                one = builder.call(
                    add_up, [word(-0.0), total[a][b]], fastmath=("reassoc",)
                )
                builder.store(builder.fadd(builder.load(at), one), at)
        return context.get_dummy_value()

    return types.void(T, types.intp, types.intp, types.intp, G), generate
