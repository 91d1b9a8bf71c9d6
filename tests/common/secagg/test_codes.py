"""Every code this room raises has a remedy, and every remedy of the room is used."""

import re
from pathlib import Path

from recommons.common import secagg
from recommons.common.codes import REMEDIES


def test_codes_and_remedies_agree() -> None:
    room = Path(secagg.__path__[0])
    text = "".join(path.read_text() for path in sorted(room.glob("*.py")))
    used = set(re.findall(r'"(secagg/[a-z-]+)"', text))
    used |= {f"secagg/inbox-{what}" for what in re.findall(r'_abort\("([a-z]+)"', text)}
    assert {code for code in REMEDIES if code.startswith("secagg/")} == used
