"""Which files a scan reads: all rows of the table in memory, or an error that names what cannot be read."""

import bz2
import gzip

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError
from hierreg.gram import Gram
from tests.helpers.tables import assert_same

FORMULA = "y ~ x + (1 | g)"
QUIET = {"progress": False}


@pytest.fixture
def data(rng):
    g = np.repeat(np.arange(6), 10)
    return pd.DataFrame({"y": rng.normal(size=6)[g] + rng.normal(size=60), "x": rng.normal(size=60), "g": g})


@pytest.fixture
def halves(data, tmp_path):
    """The first half of the rows as CSV in a folder of its own, and a function that writes the other."""
    folder = tmp_path / "rows"
    folder.mkdir()
    data[:30].to_csv(folder / "a.csv", index=False)

    def write(name, **options):
        if name.endswith(("parq", "PARQUET", "parquet")):
            (folder / "a.csv").unlink(missing_ok=True)
            data[:30].to_parquet(folder / "a.parquet")
            data[30:].to_parquet(folder / name)
        else:
            data[30:].to_csv(folder / name, index=False, **options)
        return folder

    return write


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b.CSV", {}),
        ("b.tsv", {"sep": "\t"}),
        ("b.TSV.gz", {"sep": "\t", "compression": "gzip"}),
        ("b.csv.gz", {"compression": "gzip"}),
        ("b.csv.GZ", {"compression": "gzip"}),
        ("b.csv.bz2", {"compression": "bz2"}),
        ("sub.folder/b.csv", {}),
        ("b.parq", {}),
        ("b.PARQUET", {}),
    ],
)
def test_every_ending_that_can_be_read_is_read(name, options, data, halves, tmp_path):
    (tmp_path / "rows" / "sub.folder").mkdir()
    assert_same(Gram.scan(halves(name, **options), FORMULA, **QUIET), hr.Model(FORMULA, data).gram)


def test_zstandard_is_read(data, halves):
    pa = pytest.importorskip("pyarrow")
    folder = halves("b.csv")
    raw = (folder / "b.csv").read_bytes()
    (folder / "b.csv").unlink()
    with pa.CompressedOutputStream(str(folder / "b.csv.zst"), "zstd") as stream:
        stream.write(raw)
    assert_same(Gram.scan(folder, FORMULA, **QUIET), hr.Model(FORMULA, data).gram)


@pytest.mark.parametrize("name", ["b.txt", "b.csv.zip", "b.parquet.gz", "README", "b.xlsx", "b.csv.bak", "_b.csv"])
def test_a_file_that_cannot_be_read_is_named(name, halves):
    folder = halves("c.csv")
    (folder / name).write_bytes(b"something")
    with pytest.raises(DataError, match=name):
        Gram.scan(folder, FORMULA, **QUIET)


def test_links_to_folders_and_unfinished_rows_are_named(halves, tmp_path):
    folder = halves("b.csv")
    (tmp_path / "elsewhere").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(DataError, match=r"link.*a link to a folder"):
        Gram.scan(folder, FORMULA, **QUIET)
    (folder / "link").unlink()
    (folder / "_delta_log").mkdir()
    with pytest.raises(DataError, match=r"_delta_log.*Delta"):
        Gram.scan(folder, FORMULA, **QUIET)


def test_hidden_files_and_markers_are_left_out(data, halves):
    folder = halves("b.csv")
    for name in (".b.csv.crc", ".DS_Store", "_SUCCESS", "_metadata", "_common_metadata", "_committed_123"):
        (folder / name).write_bytes(b"no rows")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a.csv").write_text("y,x,g\n1,2,3\n")
    assert_same(Gram.scan(folder, FORMULA, **QUIET), hr.Model(FORMULA, data).gram)


def test_the_same_rows_twice_are_refused(data, halves):
    """An export and its compressed copy stand side by side."""
    folder = halves("b.csv")
    for name, packed in (("b.csv.gz", gzip.compress), ("B.CSV.bz2", bz2.compress)):
        (folder / name).write_bytes(packed((folder / "b.csv").read_bytes()))
        for files in (folder, str(folder / "[ab]*") if name[0] == "b" else folder):
            with pytest.raises(DataError, match="look like the same rows"):
                Gram.scan(files, FORMULA, **QUIET)
        chosen = [folder / "a.csv", folder / name]
        assert_same(Gram.scan(chosen, FORMULA, **QUIET), hr.Model(FORMULA, data).gram)
        (folder / name).unlink()
    with pytest.raises(DataError, match="look like the same rows"):
        Gram.scan([folder / "a.csv", str(folder / "a.csv")], FORMULA, **QUIET)


def test_columns_stand_in_any_order_and_all_are_there(data, tmp_path):
    data[:30].to_csv(tmp_path / "a.csv", index=False)
    data.loc[30:, ["g", "y", "x"]].assign(other="t").to_csv(tmp_path / "b.csv", index=False)
    assert_same(Gram.scan(tmp_path, FORMULA, **QUIET), hr.Model(FORMULA, data).gram)
    data.loc[30:, ["g", "y"]].to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match=r"b\.csv' has no column 'x'"):
        Gram.scan(tmp_path, FORMULA, **QUIET)
    (tmp_path / "b.csv").write_text("y,x,x,g\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"b\.csv' has 2 columns called 'x'"):
        Gram.scan(tmp_path, FORMULA, **QUIET)


@pytest.mark.parametrize("decimal", [".", ","])
def test_semicolons_are_said(decimal, data, tmp_path):
    data.to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=decimal)
    with pytest.raises(DataError, match=r"a\.csv.*separated by ';'.*sep=';'"):
        Gram.scan(tmp_path / "a.csv", FORMULA, **QUIET)
    with pytest.raises(DataError, match=r"separated by ';'.*sep=';'"):
        hr.Model(FORMULA, pd.read_csv(tmp_path / "a.csv"))


@pytest.mark.parametrize("content", [b"", b"y,x,g\n1,2\n", b"\xff\xfey\x00,\x00", "y,x,g\n1,2,é\n".encode("latin-1")])
def test_text_that_is_no_table_is_named(content, halves):
    folder = halves("c.csv")
    (folder / "b.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.csv"):
        Gram.scan(folder, FORMULA, **QUIET)


def test_missing_values_say_where_they_are(data, halves):
    folder = halves("b.csv")
    text = (folder / "b.csv").read_text().splitlines()
    text[5] = text[5].rsplit(",", 1)[0] + ",NA"
    (folder / "b.csv").write_text("\n".join(text))
    with pytest.raises(DataError, match=r"b\.csv'.*data\['g'\] .grouping factor. has 1 missing value"):
        Gram.scan(folder, "y ~ x + (1 | g)", **QUIET)
    text = [line.replace(",0", ",zero") for line in (folder / "a.csv").read_text().splitlines()]
    (folder / "a.csv").write_text("\n".join(text))
    with pytest.raises(DataError, match="has 1 missing value"):  # not a group called NA
        Gram.scan(folder, "y ~ 1 + (1 | g)", batch_rows=8, **QUIET)
