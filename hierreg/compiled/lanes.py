"""How many groups the kernels evaluate at once; part of what a seed means, so never a function of the machine."""

# One cache line of doubles: two AVX2 registers, one AVX-512 register.
LANES = 8
# Of groups of three coefficients and more that stand alone, as many as fit go together, a multiple of LANES: loops over
# them are vector instructions, where loops over eight are unrolled before the compiler looks for any. Not STRIP.
WIDEST = 56

# Groups of one or two coefficients are so small that more of them go together (see `strip_kernels`).
STRIP = 64
# With numbers for each of some dozens of nodes, fewer fit the first cache (see `node_tables.kernels`).
NODE_STRIP = 32
EPS = 2.0**-52
