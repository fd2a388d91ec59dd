"""What a peer can provably do wrong."""

from __future__ import annotations

from enum import StrEnum


class Offence(StrEnum):
    """Closed list: the label of a metric, and what people are shown."""

    RUBBISH = "rubbish"  # a body that is not what its announcement or the format says
    UNREACHABLE = "unreachable"  # announced, and not handed out
    COPIED = "copied"  # another peer's rollouts under its own name
    FORGED = "forged"  # questions or answers that are not the swarm's, found when they were made again
    OVERSTATED = "overstated"  # fewer informative groups than announced
    FOREIGN = "foreign"  # questions that this swarm does not play: useless here, hardly malice


WEIGHTS = {Offence.OVERSTATED: 0.5, Offence.FOREIGN: 0.25}
"""What an offence counts, in failures of the setting `quarantine.budget`; 1 where nothing is said."""
