"""A benchmark refuses a place it cannot write to before it measures anything."""

from pathlib import Path

import pytest

from recommons.common.errors import InvalidInput
from recommons.simulations.benchmarks.quality import measure_quality
from recommons.simulations.benchmarks.results_folder import writable_file, writable_folder
from recommons.simulations.benchmarks.secagg import FULL, measure_secagg
from recommons.simulations.release_attacks.measure import measure_attacks


def test_folders_are_made_and_files_are_not(tmp_path: Path) -> None:
    assert writable_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    file = tmp_path / "c" / "rows.json"
    assert writable_file(file) == file
    assert file.parent.is_dir()
    assert not file.exists()
    assert writable_folder(None) is None
    assert writable_file(None) is None


def test_what_cannot_be_written_is_refused_before_a_long_measurement(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(InvalidInput, match="taken") as caught:
        measure_secagg(extent=FULL, output=taken, as_json=True)
    assert caught.value.code == "bench/output"
    with pytest.raises(InvalidInput, match="taken"):
        measure_attacks(
            data=None, epsilons=(1.0,), sites=8, shadows=16, seed=0, output=taken, as_json=True
        )
    with pytest.raises(InvalidInput, match="a folder"):
        measure_quality(
            data=None,
            model="als",
            epsilons=("1",),
            delta=None,
            sites=8,
            colluding=0,
            runs=1,
            output=tmp_path,
            as_json=True,
        )
