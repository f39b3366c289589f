"""Files: the same statistics as the table in them, constant memory, and scans that go on where they stopped."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, FormulaError, ModelError
from hierreg.gram import Gram, batches, scan
from hierreg.threads import one_thread
from tests.helpers.gram import assert_identical
from tests.helpers.tables import ERRORS, FORMULA, assert_same, table


@pytest.fixture
def data(rng):
    frame = table(rng, n=120)
    frame["stratum"] = np.where(frame["unit"] % 3 == 0, "P", "Q")
    return frame


@pytest.fixture
def files(data, tmp_path):
    """Three Parquet files, of unlike sizes, with a column that is not needed."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for i, part in enumerate(np.split(np.arange(120), [31, 76])):
        data.iloc[part].assign(other="text").to_parquet(folder / f"part{i}.parquet", row_group_size=20)
    return folder


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("batch_rows", [16, 1000])
def test_files_are_the_same_as_one_table(kind, batch_rows, data, files):
    gram = Gram.scan(files, FORMULA, ERRORS[kind], batch_rows=batch_rows, progress=False)
    assert_same(gram, hr.Model(FORMULA, data, errors=ERRORS[kind]).gram)


def test_every_way_to_name_files(data, files):
    expected = Gram.scan(files, FORMULA, batch_rows=16, progress=False)
    for way in (
        str(files),
        str(files / "*.parquet"),
        sorted(files.iterdir()),
        [str(f) for f in sorted(files.iterdir())],
    ):
        assert_identical(Gram.scan(way, FORMULA, batch_rows=16, progress=False), expected)
    data.to_csv(files.parent / "rows.csv", index=False)
    assert_same(Gram.scan(files.parent / "rows.csv", FORMULA, batch_rows=16, progress=False), expected)
    data.to_feather(files.parent / "rows.feather")
    assert_same(Gram.scan(files.parent / "rows.feather", FORMULA, progress=False), expected)


def test_transforms_learn_from_all_files(data, files):
    formula = "y ~ poly(x, 2) + scale(se) + (scale(se) | g)"
    assert_same(Gram.scan(files, formula, batch_rows=16, progress=False), hr.Model(formula, data).gram, rtol=1e-10)


def test_progress_says_rows_and_speed(files, capsys):
    Gram.scan(files, FORMULA, batch_rows=16)
    shown = capsys.readouterr()
    assert not shown.out
    assert "120 rows" in shown.err
    assert "rows/s" in shown.err


class StoppedError(Exception):
    """Stands for an interruption."""


def stop_after(monkeypatch, n):
    """Let a scan write a checkpoint after every batch, and stop after n batches."""
    done = []
    real = scan.part_of

    def part_of(*args):
        if len(done) == n:
            raise StoppedError
        done.append(args[-1])
        return real(*args)

    monkeypatch.setattr(scan, "_EVERY", 1)
    monkeypatch.setattr(scan, "part_of", part_of)
    return done


@pytest.mark.parametrize("kind", ["by", "correlated", "exchangeable"])
@pytest.mark.parametrize("formula", ["y ~ scale(x) + c + (x | g)", "y ~ x + (x | g:h)"])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_scan_that_was_stopped_goes_on_with_the_same_result(kind, formula, n, files, tmp_path, monkeypatch):
    checkpoint = tmp_path / "scan.npz"
    expected = Gram.scan(files, formula, ERRORS[kind], batch_rows=16, progress=False)
    options = {"batch_rows": 16, "progress": False, "checkpoint": checkpoint}
    with monkeypatch.context() as patch:
        stop_after(patch, n)
        # one after the other: the first n are done
        with one_thread(), pytest.raises(StoppedError):
            Gram.scan(files, formula, ERRORS[kind], **options)
    with monkeypatch.context() as patch:
        tables = stop_after(patch, 100)
        patch.setattr(scan, "learn", None)  # what the first pass found is in the checkpoint
        gram = Gram.scan(files, formula, ERRORS[kind], **options)
        assert sum(map(len, tables)) < 120
    assert_identical(gram, expected)
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_checkpoint_of_another_scan_is_refused(files, tmp_path, monkeypatch):
    options = {"batch_rows": 16, "progress": False, "checkpoint": tmp_path / "scan.npz"}
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with one_thread(), pytest.raises(StoppedError):
            Gram.scan(files, FORMULA, **options)
    with pytest.raises(DataError, match="formula differ"):
        Gram.scan(files, "y ~ x + (x | g)", **options)
    with pytest.raises(DataError, match="error structure differ"):
        Gram.scan(files, FORMULA, hr.by("site"), **options)
    with pytest.raises(DataError, match="batch_rows differ"):
        Gram.scan(files, FORMULA, **(options | {"batch_rows": 17}))
    with pytest.raises(DataError, match="levels differ"):
        Gram.scan(files, FORMULA, levels={"c": ["u", "v", "w"]}, **options)
    os.utime(files / "part1.parquet", (1, 1))
    with pytest.raises(DataError, match="times of change differ"):
        Gram.scan(files, FORMULA, **options)
    with pytest.raises(DataError, match=r"must end in \.npz"):
        Gram.scan(files, FORMULA, progress=False, checkpoint=tmp_path / "scan.nc")
    hr.Model("y ~ 1", {"y": [1.0, 2.0]}).gram.save(tmp_path / "gram.npz")
    with pytest.raises(DataError, match="no file of kind"):
        Gram.scan(files, FORMULA, progress=False, checkpoint=tmp_path / "gram.npz")


def test_units_that_are_not_next_to_each_other(data, tmp_path):
    data.sample(frac=1, random_state=1).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="more than one batch"):
        Gram.scan(tmp_path / "rows.parquet", FORMULA, ERRORS["correlated"], batch_rows=16, progress=False)


@pytest.mark.parametrize(
    ("change", "exception", "words"),
    [
        ({"files": "nothing/*.parquet"}, DataError, "no such file"),
        ({"files": ["a.parquet"]}, DataError, "no such file"),
        ({"files": 3}, DataError, "must be a path"),
        ({"batch_rows": 0}, ModelError, "batch_rows=0"),
        ({"formula": "y ~ X"}, DataError, "no column 'X' .predictor.. Did you mean 'x'"),
        ({"formula": "y ~ (1 | G)"}, DataError, "no column 'G' .grouping factor"),
        ({"formula": "y"}, FormulaError, "no `~`"),
        ({"errors": hr.by("area")}, DataError, "no column 'area' .errors"),
        ({"errors": hr.known_cov(np.eye(2))}, ModelError, "cannot come in batches"),
    ],
)
def test_bad_arguments(change, exception, words, files):
    with pytest.raises(exception, match=words):
        Gram.scan(**({"files": files, "formula": FORMULA, "progress": False} | change))


def test_files_of_several_kinds_or_none(data, files):
    data.to_csv(files / "rows.csv", index=False)
    with pytest.raises(DataError, match="cannot be read together"):
        Gram.scan(files, FORMULA, progress=False)
    (files / "rows.txt").write_text("no table")
    with pytest.raises(DataError, match="must end in one of"):
        Gram.scan(files / "rows.txt", FORMULA, progress=False)
    (files / "bad.parquet").write_text("no table")
    with pytest.raises(DataError, match="cannot be read"):
        Gram.scan(files / "bad.parquet", FORMULA, progress=False)
    pd.DataFrame({"y": [], "x": []}).to_parquet(files / "empty.parquet")
    with pytest.raises(DataError, match="have no rows"):
        Gram.scan(files / "empty.parquet", "y ~ x", progress=False)


def test_memory_of_the_parts_does_not_grow_with_the_rows(files, monkeypatch):
    """What is held is a few times the statistics of all groups, however many batches they came from."""
    sizes, numbers = [], []
    real = scan.Total.add

    def add(self, part):
        real(self, part)
        sizes.append(sum(one.size for one in self.parts))
        numbers.append(len(self.parts))

    monkeypatch.setattr(scan.Total, "add", add)
    monkeypatch.setattr(batches, "_WAIT", 3)
    Gram.scan(files, "y ~ x + (x | g)", batch_rows=4, progress=False)
    assert len(sizes) > 20
    assert max(sizes[10:]) <= 4 * min(sizes[10:])
    assert max(numbers) <= 4
    assert replace(scan.Total(parts=[])).n == 0


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | h)", "y ~ x"])
def test_each_row_is_moved_a_few_times(formula, files, monkeypatch):
    """All joins together take no more than a few times what all parts hold."""
    held, joined = [], []
    real, unite = scan.Total.add, batches.unite_parts

    def add(self, part):
        held.append(part.size)
        real(self, part)

    def unite_parts(parts):
        joined.append(sum(part.size for part in parts))
        return unite(parts)

    monkeypatch.setattr(scan.Total, "add", add)
    monkeypatch.setattr(batches, "unite_parts", unite_parts)
    monkeypatch.setattr(batches, "_WAIT", 2)
    Gram.scan(files, formula, batch_rows=4, progress=False)
    assert len(held) > 20
    assert sum(joined) <= 2 * sum(held)
