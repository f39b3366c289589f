"""The catalogue: complete worked models, one folder each, with answers that were known before.

``python -m models`` runs all of them, ``python -m models NAME`` one.
"""
