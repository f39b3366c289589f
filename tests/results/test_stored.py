"""Files that are whole or not there: full disks, interrupted saves, changed values, other programs."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.exceptions import DataError
from hierreg.results.writing import SpareFile
from hierreg.stored import digest, replacing
from tests.helpers.sampled_models import model

pytestmark = [
    pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning"),
]


@pytest.fixture(scope="module")
def tree():
    return model("by").sample(draws=12, chains=2, progress=False, seed=7)


def others(folder, path):
    return sorted(one.name for one in folder.iterdir() if one != path)


# ---- what cannot be written

FULL = """
    import gc, resource, signal, sys
    import numpy as np
    import xarray as xr
    import hierreg as hr

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = sys.argv[1]
    wide = xr.Dataset({f"v{i}": (("chain", "draw"), np.random.default_rng(i).normal(size=(4, 9000))) for i in range(6)})
    tree = xr.DataTree.from_dict({"posterior": wide})
    tree.attrs = {"hierreg_version": "0", "formula": "y ~ x", "errors": "independent()", "factors": "[]"}
    if not path.endswith(".npz"):
        hr.save(tree.isel(draw=slice(10)), path)
        write = lambda: hr.save(tree, path)
    else:
        table = {"y": np.arange(6000.0) % 7, "g": np.arange(6000) % 3000}
        hr.Model("y ~ 1", {"y": [1.0, 2.0, 4.0]}).gram.save(path)
        gram = hr.Model("y ~ 1 + (1 | g)", table).gram
        write = lambda: gram.save(path)
    for limit in (0, 1000, 60_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            write()
        except hr.exceptions.DataError as error:
            assert "could not be written: File too large" in str(error), error
            assert "as it was" in str(error)
        else:
            raise SystemExit("was written?")
        gc.collect()
    print("alive")
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
@pytest.mark.parametrize("ending", [".nc", ".zarr", ".npz"])
def test_a_full_disk_leaves_the_earlier_file_and_the_process(ending, tmp_path):
    """A limit on the size of files stands for the disk; HDF5 used to end the process."""
    if ending == ".zarr":
        pytest.importorskip("zarr")
    path = tmp_path / f"fit{ending}"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(path)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["alive"]), done.stderr
    assert done.stderr == ""
    assert others(tmp_path, path) == []
    if ending == ".npz":
        assert hr.Gram.load(path).n == 3
    else:
        assert hr.load(path)["posterior"].sizes["draw"] == 10


def test_hdf5_can_be_finished_after_a_write_that_failed(tmp_path, monkeypatch):
    """At whatever write the disk is full, the file is closed without an error and reads back while it is open."""
    real = os.pwrite
    n_writes, values = [0], np.arange(3000.0)

    def write(path, full_at):
        def pwrite(*args):
            n_writes[0] += 1
            if n_writes[0] >= full_at:
                raise OSError(28, "No space left on device")
            return real(*args)

        n_writes[0] = 0
        monkeypatch.setattr(os, "pwrite", pwrite)
        with SpareFile(path) as file, h5py.File(file, "w") as h5:
            for i in range(3):
                h5.create_group(f"g{i}")["values"] = values
                h5.flush()
                h5[f"g{i}"].attrs["text"] = "t" * 100
            assert list(h5) == ["g0", "g1", "g2"]
        return file.error

    assert write(tmp_path / "whole", 10**9) is None
    with h5py.File(tmp_path / "whole") as h5:
        np.testing.assert_array_equal(h5["g2/values"], values)
    total = n_writes[0]
    assert total > 5
    for k in range(1, total, 3):
        assert write(tmp_path / f"full{k}", k).errno == 28


def test_what_cannot_be_stored_leaves_nothing(tree, tmp_path):
    odd = tree.copy()
    odd["posterior"] = xr.DataTree(xr.Dataset({"a": ("i", np.array([{}, []], dtype=object))}))
    with pytest.raises(DataError, match="could not be written"):
        hr.save(odd, tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_ends_in_the_middle_leaves_the_earlier_file(tree, tmp_path, monkeypatch):
    path = hr.save(tree, tmp_path / "fit.nc")
    before = path.read_bytes()
    monkeypatch.setattr(xr.DataTree, "to_netcdf", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        hr.save(tree, path)
    assert path.read_bytes() == before
    assert others(tmp_path, path) == []


def test_values_that_read_back_otherwise_are_not_put_in_place(tree, tmp_path, monkeypatch):
    path = hr.save(tree, tmp_path / "fit.nc")
    before = path.read_bytes()
    real = xr.DataTree.to_netcdf

    def other(self, *args, **options):
        changed = self.copy(deep=True)
        changed["posterior/beta"].values[0, 0, 0] += 1e-12
        real(changed, *args, **options)

    monkeypatch.setattr(xr.DataTree, "to_netcdf", other)
    with pytest.raises(DataError, match=r"reads back otherwise.*posterior/beta"):
        hr.save(tree, path)
    assert path.read_bytes() == before


def test_links_and_permissions_stay(tree, tmp_path):
    path = hr.save(tree, tmp_path / "fit.nc")
    path.chmod(0o640)
    link = tmp_path / "link.nc"
    link.symlink_to(path)
    hr.save(tree, link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_folder_of_other_files_is_not_replaced(tree, tmp_path):
    pytest.importorskip("zarr")
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="would be lost"):
        hr.save(tree, tmp_path / "mine.zarr")
    assert (tmp_path / "mine.zarr" / "thesis.tex").exists()
    (tmp_path / "file.zarr").write_text("a file")
    with pytest.raises(DataError, match="is a file"):
        hr.save(tree, tmp_path / "file.zarr")
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        hr.save(tree, tmp_path / "folder.nc")


# ---- what is not as it was saved


@pytest.fixture(scope="module")
def raw_tree(tree, tmp_path_factory):
    """What is saved, as xarray reads it."""
    path = hr.save(tree, tmp_path_factory.mktemp("saved") / "fit.nc")
    with xr.open_datatree(path, engine="h5netcdf") as file:
        return file.load()


@pytest.fixture
def stored(raw_tree, tmp_path):
    """A function that writes what was saved once more, with a change and its list of checksums."""

    def rewrite(change, *, keep=True):
        raw = raw_tree.copy(deep=True)
        changed = change(raw) or raw
        if not keep:
            del changed.attrs["hierreg_checksums"]
        changed.to_netcdf(tmp_path / "changed.nc", engine="h5netcdf")
        return tmp_path / "changed.nc"

    return rewrite


def with_variable(name, change):
    """Return a change of one variable of a group."""

    def apply(raw):
        group, variable = name.split("/")
        dataset = raw[group].to_dataset()
        raw[group] = xr.DataTree(change(dataset, variable))

    return apply


DAMAGE = {
    "dropped": with_variable("posterior/sd_g", lambda d, v: d.drop_vars(v)),
    "renamed": with_variable("posterior/beta", lambda d, v: d.rename({v: "gamma"})),
    "transposed": with_variable("posterior/b_g", lambda d, v: d.assign({v: d[v].transpose(..., "draw")})),
    "in another order": with_variable(
        "posterior/beta", lambda d, v: d.assign({v: (d[v].dims, d[v].values[..., ::-1])})
    ),
    "labels in another order": with_variable("posterior/coef", lambda d, v: d.assign_coords({v: d[v].values[::-1]})),
    "of another type": with_variable("posterior/error_sd", lambda d, v: d.assign({v: d[v].astype("float32")})),
    "cut": with_variable("posterior/draw", lambda d, _: d.isel(draw=slice(5))),
    "one bit": with_variable("statistics/group_ZtZ_g", lambda d, v: d.assign({v: d[v] * (1 + 1e-15)})),
    "lost group": lambda raw: raw.drop_nodes("mixed_model_limit"),
    "attribute": lambda raw: raw.attrs.update(formula="y ~ 1"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_whatever_was_changed_is_named(what, stored):
    with pytest.raises(DataError, match=r"changed\.nc.*is not whole: .*(posterior|statistics|limit|attributes)"):
        hr.load(stored(DAMAGE[what]))


def test_a_list_of_checksums_that_cannot_be_read(stored):
    with pytest.raises(DataError, match="list of checksums cannot be read"):
        hr.load(stored(lambda raw: raw.attrs.update(hierreg_checksums="[1")))


def test_groups_that_another_program_added_are_kept(tree, stored):
    extra = xr.Dataset({"score": ("i", [1.0, 2.0])})
    loaded = hr.load(stored(lambda raw: raw.assign(mine=xr.DataTree(extra))))
    assert loaded["mine"].to_dataset().identical(extra)
    xr.testing.assert_identical(loaded["posterior"].to_dataset(), tree["posterior"].to_dataset())


@pytest.mark.parametrize("what", [None, "lost group", "transposed"])
def test_files_without_checksums_are_refused(what, stored):
    """As of a tree that xarray or ArviZ wrote: whether it was permuted cannot be seen."""
    with pytest.raises(DataError, match=r"changed\.nc.* has no checksums: it was not written by hr\.save"):
        hr.load(stored(DAMAGE.get(what, lambda raw: None), keep=False))


@pytest.mark.long
def test_what_xarray_wrote_is_read_by_xarray_and_saved_anew(tree, stored, tmp_path):
    """The way that the refusal names, and that of a result that was changed on purpose."""
    with xr.open_datatree(stored(lambda raw: None, keep=False), engine="h5netcdf") as file:
        theirs = file.load()
    assert str(hr.summary(theirs)) == str(hr.summary(tree))
    theirs["posterior"]["beta"] += 1.0
    loaded = hr.load(hr.save(theirs, tmp_path / "again.nc"))
    assert loaded["posterior"]["beta"].equals(tree["posterior"]["beta"] + 1.0)
    assert "hierreg_checksums" not in loaded.attrs  # so that nothing written from it by xarray has a list of another


# ---- zarr


@pytest.fixture(scope="module")
def saved_store(tree, tmp_path_factory):
    pytest.importorskip("zarr")
    return hr.save(tree, tmp_path_factory.mktemp("saved") / "fit.zarr")


@pytest.fixture
def store(saved_store, tmp_path):
    return shutil.copytree(saved_store, tmp_path / "fit.zarr")


def test_half_a_store_says_what_is_missing(store):
    """As a copy that was interrupted, or a process that was killed, leaves it."""
    shutil.rmtree(store / "posterior" / "beta")
    with pytest.raises(DataError, match=r"fit\.zarr.*is not whole: .*'posterior/beta'.* (is|are) missing"):
        hr.load(store)
    shutil.rmtree(store / "statistics")
    with pytest.raises(DataError, match=r"fit\.zarr.*statistics.*missing"):
        hr.load(store)


def test_groups_and_variables_that_another_program_added_to_a_store_are_kept(tree, store):
    xr.Dataset({"score": ("i", [1.0, 2.0])}).to_zarr(store, group="mine", mode="a", consolidated=False)
    xr.Dataset({"level": ("chain", [3.0, 4.0])}).to_zarr(store, group="posterior", mode="a", consolidated=False)
    loaded = hr.load(store)
    np.testing.assert_array_equal(loaded["mine/score"], [1.0, 2.0])
    np.testing.assert_array_equal(loaded["posterior/level"], [3.0, 4.0])
    assert list(loaded["posterior"].data_vars)[:-1] == list(tree["posterior"].data_vars)


@pytest.mark.long
def test_a_store_read_by_xarray_is_saved_in_the_order_it_has_then(tree, store, tmp_path):
    """The list of another order, which a store has among its attributes, is not taken along."""
    theirs = xr.open_datatree(store, engine="zarr", consolidated=False).load()
    theirs["posterior"] = xr.DataTree(theirs["posterior"].to_dataset().drop_vars("theta_g"))
    for ending in ("nc", "zarr"):
        assert "theta_g" not in hr.load(hr.save(theirs, tmp_path / f"again.{ending}"))["posterior"]


def test_a_list_of_another_order_is_an_error(store):
    with xr.open_datatree(store, engine="zarr", consolidated=False) as file:
        raw = file.load()
    raw.attrs["order"] = json.dumps({"posterior": ["gamma"]})
    shutil.rmtree(store)
    raw.to_zarr(store, consolidated=False)
    with pytest.raises(DataError, match="order of variables"):
        hr.load(store)


@pytest.mark.parametrize("name", ["posterior/beta", "posterior/coef", "statistics/group_index_g"])
def test_a_lost_chunk_is_not_read_as_missing_values(name, store):
    chunks = [file for file in (store / name / "c").rglob("*") if file.is_file()]
    chunks[0].unlink()
    with pytest.raises(DataError, match=rf"'{name}'.* not as saved|cannot be read"):
        hr.load(store)


def test_metadata_of_a_store_that_are_lost(store):
    (store / "posterior" / "zarr.json").write_text("{")
    with pytest.raises(DataError, match=r"fit\.zarr.*cannot be read as zarr"):
        hr.load(store)
    (store / "posterior" / "zarr.json").unlink()
    with pytest.raises(DataError, match=r"fit\.zarr.*(not whole|cannot be read)"):
        hr.load(store)
    (store / "zarr.json").unlink()
    with pytest.raises(DataError, match=r"fit\.zarr"):
        hr.load(store)


def test_a_store_is_replaced_whole(tree, store, tmp_path, monkeypatch):
    hr.save(tree.isel(draw=slice(4)), store)
    assert hr.load(store)["posterior"].sizes["draw"] == 4
    assert others(tmp_path, store) == []
    real = type(store).rename

    def rename(self, target):
        if self.name.endswith("partial"):
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(type(store), "rename", rename)
    with pytest.raises(DataError, match="Input/output error"):
        hr.save(tree, store)
    assert hr.load(store)["posterior"].sizes["draw"] == 4
    assert others(tmp_path, store) == []


def test_a_save_that_was_killed_between_two_names_says_where_the_result_is(store):
    store.rename(store.with_name(".fit.zarr.0123.old"))
    with pytest.raises(DataError, match=r"no such file.*\.fit\.zarr\.0123\.old"):
        hr.load(store)


# ---- the parts


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    with contextlib.suppress(ZeroDivisionError), replacing(path) as partial:
        partial.write_text("two")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    with pytest.raises(DataError, match="could not be written"), replacing(tmp_path / "none" / "a") as partial:
        partial.write_text("three")
    assert others(tmp_path, path) == []


def test_checksums_are_of_values_and_types():
    x = np.arange(6.0).reshape(2, 3)
    assert digest([], [x]) == digest([], [np.asfortranarray(x)]) == digest([], [x.astype(">f8")])
    assert digest([], [np.array(["a", "b"])]) == digest([], [np.array(["a", "b"], dtype=object)])
    different = [x, x.T, x + 0j, x.astype("f4"), x.astype(int), -x, np.array(["a,b"]), np.array(["a", "b"]), x[:0]]
    assert len({digest([], [one]) for one in different}) == len(different)
    assert digest([1], [x]) != digest([2], [x])
    with pytest.raises(TypeError, match="dict"):
        digest([], [np.array([{}], dtype=object)])
    assert json.loads(json.dumps(digest([], []))) == digest([], [])
