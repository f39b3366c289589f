"""The word before kernels are compiled for the first time."""

import logging
import sys
from types import SimpleNamespace

import pytest

from hierreg.likelihood import first_use


@pytest.mark.parametrize("folder", first_use._BESIDE)
def test_said_only_where_nothing_was_compiled_and_kept(folder, monkeypatch, tmp_path, caplog):
    entry, function = f"{folder}.entry", "log_densities"
    kernels = SimpleNamespace(
        **{first_use._BESIDE[folder]: SimpleNamespace(stats=SimpleNamespace(cache_path=tmp_path))}
    )
    monkeypatch.setattr(first_use, "import_module", lambda name: kernels)
    monkeypatch.delitem(sys.modules, f"hierreg.likelihood.{entry}", raising=False)
    with caplog.at_level(logging.WARNING, logger="hierreg"):
        first_use.announce(entry, function)
        assert "first use" in caplog.text
        caplog.clear()
        (tmp_path / f"entry.{function}-12.py312.nbi").touch()
        first_use.announce(entry, function)
        assert not caplog.text


@pytest.mark.parametrize("folder", first_use._BESIDE)
def test_every_folder_has_the_function_that_knows_where_code_is_kept(folder):
    from importlib import import_module

    beside = getattr(import_module(f"hierreg.likelihood.{folder}.kernels"), first_use._BESIDE[folder])
    assert getattr(beside, "alone", beside).stats.cache_path
