"""Distributions of group effects that are not normal: values, and what is checked where they are made."""

from hierreg.effects.mixture import Mixture
from hierreg.effects.student_t import StudentT

__all__ = ["Mixture", "StudentT"]
