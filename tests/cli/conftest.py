"""Files of rows that the tests of commands share."""

import pytest

import hierreg as hr


@pytest.fixture(scope="module")
def sleep_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "sleep.csv"
    hr.load_dataset("sleepstudy").to_csv(path, index=False)
    return path
