"""How many groups the kernels evaluate at once."""

# One cache line of doubles: two AVX2 registers, one AVX-512 register.
LANES = 8
