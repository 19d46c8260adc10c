"""The small tools that every other package shares."""

import configparser
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from skdctr._utils import optional
from skdctr._utils.atomic import replacing
from skdctr._utils.numbers import check_count

SETUP = Path(__file__).parents[2] / "setup.cfg"


def test_a_file_is_replaced_as_a_whole(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with replacing(file) as draft:
        draft.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("written", [True, False])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, written):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with suppress(KeyboardInterrupt), replacing(file) as draft:
        if written:
            draft.write_text("half")
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_two_writers_do_not_share_a_draft(tmp_path):
    file = tmp_path / "a.txt"
    with replacing(file) as first, replacing(file) as second:
        first.write_text("first")
        second.write_text("second")
    assert file.read_text() == "first"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_what_the_user_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        with replacing(tmp_path / "a.txt") as draft:
            draft.touch()
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_every_extra_that_an_error_names_exists():
    setup = configparser.ConfigParser()
    setup.read(SETUP)
    extras = setup["options.extras_require"]
    for package, known in optional._PACKAGES.items():
        assert package in extras[known.extra].split()


def test_check_count():
    assert check_count("n", np.int64(3)) == 3
    assert type(check_count("n", np.int64(3))) is int
    assert check_count("n", 0, least=0) == 0
    for value in (True, 2.0, "2", None):
        with pytest.raises(TypeError, match=r"n must be an int, got .*; pass a whole number"):
            check_count("n", value)
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        check_count("n", 1, least=2)
