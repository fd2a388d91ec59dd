"""`python -m services.doctor`: is everything well here, and if not, what is to be done. Changes nothing.

In containers `docker compose run --rm doctor`; without Docker `rlswarm doctor` looks at more, and at this, too.
Exit code 0: fit; 1: this machine is not; 2: the settings are not; 3: something that it talks to is not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from services.doctor.check import Check, as_json, as_line, exit_code
from services.doctor.examination import examine
from services.doctor.settings import DoctorSettings
from shared.errors import SettingsError
from shared.settings import load


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="doctor", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--started", choices=("yes", "no"), help="whether the household is up; else as it seems")
    parser.add_argument("--no-gpu", action="store_true", help="do not load torch")
    told = parser.parse_args(arguments)
    checks = _examined(told)
    print(json.dumps(as_json(checks)) if told.json else "\n".join(map(as_line, checks)))
    return exit_code(checks)


def _examined(told: argparse.Namespace) -> list[Check]:
    try:
        settings = load("doctor", DoctorSettings)
    except SettingsError as error:
        return [Check("settings", False, error.cause, error.remedy, "settings")]
    started = {"yes": True, "no": False}.get(told.started)
    return examine(settings, time.time(), started=started, with_gpu=not told.no_gpu)


if __name__ == "__main__":
    sys.exit(main())
