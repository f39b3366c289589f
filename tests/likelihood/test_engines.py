"""The engines side by side: each can do all that is asked of one, and nobody else asks which one it is."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

import hierreg as hr
from hierreg.likelihood.engines import ENGINES, Engine, Likelihood

# Not all engines make draws on the way, or need what is exact at once where differences or least squares take long.
MAY_LACK = {"drawing", "draw_kept", "draw_near", "curvature", "left"}


@pytest.mark.parametrize("engine", get_args(Likelihood))
def test_every_engine_has_every_verb(engine):
    lacking = {one.name for one in fields(Engine) if getattr(ENGINES[engine], one.name) is None}
    assert lacking <= MAY_LACK


def test_nobody_asks_for_the_class_of_an_engine():
    package = Path(hr.__file__).parent
    asking = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"isinstance\([^)]*(Marginal|Crossed)Likelihood", path.read_text())
    ]
    assert asking == []
