"""The security list points to tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_security_list_names_exists_and_so_does_every_file():
    text = (ROOT / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named - set(re.findall(r"def (test_\w+)", sources)) == set()
    assert len(named) > 60
    identity = ROOT / "services" / "identity"
    for file in set(
        re.findall(
            r"`((?:accounts|web|signing|templates|static)/[\w./-]+\.\w+|(?:headers|middleware|admin|settings)\.py)`",
            text,
        )
    ):
        assert (identity / file).exists(), file
