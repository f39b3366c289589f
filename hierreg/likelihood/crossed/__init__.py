"""The engine of several grouping factors: sparse elimination of the mixed-model equations."""
