import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recommons.common.errors import RecommonsError
from recommons.server.attendance import attended, is_attended, killed_in, last_end

PROGRAM = """
import sys, time
from pathlib import Path
from recommons.server.attendance import attended
with attended(Path(sys.argv[1]), 7):
    print("here", flush=True)
    time.sleep(60)
"""


def test_a_process_that_was_killed_is_told_from_one_that_lives_and_one_that_left(
    tmp_path: Path,
) -> None:
    assert killed_in(tmp_path) is None
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert is_attended(tmp_path)
        assert killed_in(tmp_path) is None
        with pytest.raises(RecommonsError, match="another process") as found, attended(tmp_path, 8):
            pass
        assert found.value.code == "run/ledger-busy"
        process.send_signal(signal.SIGKILL)
    assert (killed_in(tmp_path), last_end(tmp_path)) == (7, None)
    with attended(tmp_path, 8):
        assert killed_in(tmp_path) is None
    end = last_end(tmp_path)
    assert end is not None
    assert (end.code, killed_in(tmp_path)) == (None, None)
