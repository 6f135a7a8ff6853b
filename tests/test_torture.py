"""Kill -9 under load, more than fifty times; and mistakes made on purpose, each of which is found.

``make torture KILLS=n SEED=s`` does the same as often as you like.
"""

from pathlib import Path

import pytest

from tests.torture.judge import Verdict
from tests.torture.run import Settings, torture

KILLS = 54


def test_nothing_acknowledged_is_lost_or_doubled_and_every_state_is_the_replays(
    tmp_path: Path,
) -> None:
    report = torture(Settings(tmp_path, kills=KILLS, seed=20_261_121, slices=(7, 1_024)))
    assert report.kills >= KILLS
    assert report.messages > 10_000


def test_a_replay_message_by_message_gives_the_same_state(tmp_path: Path) -> None:
    torture(Settings(tmp_path, kills=2, seed=7, rate=500, slices=(1,)))


# Where the daemon dies, so that few deaths are enough; and words of what must be found.
WRONG = {
    "acknowledge-before-commit": (("before-commit",), "lost"),
    "snapshot-without-position": (("after-snapshot",), "differs from an uninterrupted replay"),
    "snapshot-behind-its-state": (("after-snapshot",), "differs from an uninterrupted replay"),
    "snapshot-ahead-of-its-state": (("after-snapshot",), "uninterrupted replay|ends at"),
    "redeliveries-let-in": (("after-commit",), "too many|differs from an uninterrupted"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_made_on_purpose_is_found(mistake: str, tmp_path: Path) -> None:
    points, words = WRONG[mistake]
    settings = Settings(
        tmp_path, kills=6, seed=5, rate=1_000, points=points, aimed=1.0, mistake=mistake, slices=()
    )
    with pytest.raises(Verdict, match=words):
        torture(settings)
