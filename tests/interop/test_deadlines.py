"""What takes its time: 15 s for a handshake, 30 s without reading (deadlines.py has the stories).

They run beside all other tests of this suite and are waited for last."""
import pytest

pytest.importorskip("librats_node", reason="needs the package python3-cryptography")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("story", ["unfinished", "dialed", "stalled"])
def test_story(stories, story):
    stories.result(story)
