"""What the page shows: sections of the view and of the household around it."""

import json

import pytest

from services.identity.live import View
from services.identity.sections import sections
from services.identity.shown import swarm
from services.identity.shown.around import Around
from services.identity.shown.explanation import explain
from services.identity.shown.nodes import MAX_NODES, ours
from services.identity.shown.swarm import heard, leaders
from services.identity.shown.texts import LABEL, LONGEST, label, plain
from shared.household import Activity, PeerNote
from shared.messages import Attempt, Heard, Judged, Round
from shared.names import name_of
from shared.streams import SUBMISSIONS
from tests.identity_kit import (
    ME,
    OTHER,
    YOU,
    chain_of,
    exchanged,
    landed,
    recorded,
    refused,
    reward,
    sampled,
    state_of,
    trained,
    view_of,
    vote,
)
from tests.page_messages import exam_board

NAMES = [a + b * 29 for a in "ABCDEFGHJK" for b in "123456789"]


def test_an_empty_view_has_every_section_and_says_nothing_false():
    empty = sections(View(), Around())
    assert (empty["round"], empty["nodes"], empty["samples"], empty["activity"]) == (None, [], [], {})
    assert empty["summary"]["mean"] is empty["summary"]["share"] is empty["summary"]["heard"] is None
    assert empty["chain"] == {"state": None, "refused": {}, "transactions": [], "explorer": None}
    assert empty["leaders"] == {"count": 0, "from": None, "to": None, "rows": []}
    json.dumps(empty)


def test_a_hosted_peer_has_a_card_before_its_first_round():
    shown = sections(view_of(trained(YOU, 1)), Around(hosted=[ME]))["nodes"]
    assert [(card["id"], card["name"], card["reward"], card["status"]) for card in shown] == [
        (ME, name_of(ME), None, "away"),
        (YOU, name_of(YOU), 0.5, "away"),
    ]


def test_a_card_tells_what_its_trainer_says_of_itself():
    facts = {"peer": ME, "model": "tiny", "device": "cpu", "parameters": 500_000}
    trainer = state_of(status="degraded", degraded={"judge": "gone"}, facts=facts, starts=3, memory_mib=671.3)
    around = Around(states=[trainer, state_of("p2p")], hosted=[ME])
    view = view_of(trained(ME, 1), trained(ME, 2), recorded(reward(ME, 1, 900)), recorded(vote(ME)))
    (card,) = sections(view, around.shown())["nodes"]
    assert (card["model"], card["device"], card["parameters"]) == ("tiny", "cpu", 500_000)
    assert (card["status"], card["reasons"], card["restarts"], card["memory_mib"]) == (
        "degraded",
        ["judge: gone"],
        2,
        670,
    )
    assert (card["round"], card["points"], card["wins"], card["share"]) == (2, 900, 1, 0.5)
    assert (card["tokens_s"], card["rounds_min"]) == (100.0, 60.0)


def test_a_trainer_that_tells_little_has_a_card_with_little():
    (card,) = sections(View(), Around(states=[state_of(facts={"peer": ME, "parameters": "many"})], hosted=[ME]))[
        "nodes"
    ]
    assert (card["model"], card["device"], card["parameters"], card["memory_mib"]) == (None, None, None, None)


def test_the_judges_pass_rate_is_that_of_the_latest_exams():
    exams = [Judged(at=1.0, peer_id=ME, round=n, score=1.0 if n >= 30 else 0.5) for n in range(40)]
    (card,) = sections(view_of(trained(ME, 1), *exams), Around())["nodes"]
    assert (card["judge"]["rate"], card["judge"]["exams"]) == (0.5, 40)
    assert card["judge"]["spark"][0] == 0 < card["judge"]["spark"][-1]


def test_what_a_trainer_does_is_shown_for_own_peers_only():
    doing = Activity(phase="learning", round=3, since=1.0)
    shown = sections(View(), Around(hosted=[ME], activities={ME: doing, OTHER: doing}))
    assert shown["activity"] == {ME: {"phase": "learning", "round": 3, "since": 1.0}}


def test_a_new_report_that_says_the_same_is_no_news():
    one, other = state_of(at=1.0, progress_age_s=0.1, memory_mib=671.0), state_of(at=3.0, memory_mib=668.0)
    assert Around(states=[one]).shown() == Around(states=[other]).shown()
    assert Around(states=[one]).shown() != Around(states=[state_of(memory_mib=900.0)]).shown()


def test_cards_are_bounded():
    assert len(ours(View(), Around(hosted=NAMES))) == MAX_NODES < len(NAMES)


def test_the_share_of_others_is_that_of_their_groups():
    view = view_of(trained(ME, 1, external_groups=0), trained(ME, 2, local_groups=2, external_groups=2))
    assert sections(view, Around())["nodes"][0]["share"] == 0.25
    none = view_of(trained(ME, 1, local_groups=0, external_groups=0))
    assert sections(none, Around())["nodes"][0]["share"] is None


def test_the_chain_and_the_services_are_shown_as_they_say():
    around = Around(states=[state_of("p2p")], chain=chain_of(paused=True))
    opened = Round(number=2, stage=0, opened_at=1.0, deadline=2.0)
    view = view_of(
        opened, landed(vote(ME, YOU)), refused(reward()), landed(reward(), "<b>no hash</b>"), exchanged(1, late=2)
    )
    shown = sections(view, around)
    assert (shown["summary"]["settled"], shown["summary"]["winners"]) == (77, 8)
    assert shown["services"] == [{"service": "p2p", "instance": "one", "status": "ok", "degraded": {}}]
    assert shown["round"]["paused"]
    odd, vote_ = shown["chain"]["transactions"]
    assert (vote_["kind"], vote_["winners"], vote_["points"]) == ("winners", 2, None)
    assert odd["transaction"] is None
    assert shown["network"]["rejected"] == {"late": 2}


@pytest.mark.parametrize(("chain", "waiting"), [(None, 0), (chain_of(waiting=12), 12)])
def test_what_waits_for_the_key_is_told_with_its_bound(chain, waiting):
    told = sections(View(), Around(key="locked", owned=True, chain=chain))["door"]
    assert told == {"key": "locked", "owned": True, "waiting": waiting, "bound": SUBMISSIONS.bound}


def test_the_judges_board_is_shown_as_it_tells_it_and_names_nobody_backwards():
    row = exam_board().rows[0]
    odd = row.model_copy(update={"user_id": "<b>\u202e", "model_name": "x\ny", "fixed_pass_at_1": None})
    board = exam_board().model_copy(update={"rows": (row, odd)})
    shown = sections(View(), Around(hosted=[row.user_id], exams=board))["exams"]
    assert (shown["source"], shown["bank"], shown["count"]) == ("bank", "six", 3)
    assert [(one["own"], one["pass"], one["fixed"]) for one in shown["rows"]] == [
        (True, 0.82, 0.77),
        (False, 0.82, None),
    ]
    assert (shown["rows"][1]["id"], shown["rows"][1]["model"]) == ("<b>\ufffd", "x y")
    assert sections(View(), Around())["exams"] == {"source": None, "bank": None, "count": 0, "rows": []}


def test_the_leaderboard_is_by_points_bounded_and_marks_its_own(monkeypatch):
    monkeypatch.setattr(swarm, "LEADERS", 2)
    view = view_of(*(recorded(reward(peer, 4, points)) for peer, points in ((ME, 5), (YOU, 9), (OTHER, 1))))
    shown = leaders(view.history, {ME: None})
    assert (shown["count"], shown["from"], shown["to"]) == (3, 4, 4)
    assert [(row["place"], row["id"], row["own"]) for row in shown["rows"]] == [(1, YOU, False), (2, ME, True)]


def test_who_was_only_voted_for_stands_on_the_leaderboard_without_a_round():
    (row,) = leaders(view_of(recorded(vote(OTHER))).history, {})["rows"]
    assert (row["wins"], row["round"], row["transaction"]) == (1, None, None)


def test_a_peers_quality_is_over_all_groups_that_own_trainers_scored():
    good, bad = Heard(groups=3, informative=3, mean_reward=1.0), Heard(groups=1, informative=0, mean_reward=0.0)
    view = view_of(trained(ME, 1, heard={OTHER: good}), trained(YOU, 1, heard={OTHER: bad}))
    (row,) = heard(view, Around(), ours(view, Around()))["rows"]
    assert (row["groups"], row["reward"], row["informative"], row["accepted"]) == (4, 0.75, 0.75, None)


def test_peers_in_quarantine_come_first_with_their_reason(monkeypatch):
    monkeypatch.setattr(swarm, "HEARD", 2)
    notes = [
        PeerNote(peer_id=peer, round=1, accepted=2, rejected={"late": 1}, quarantined=peer == OTHER, reason="<b>late")
        for peer in (ME, YOU, OTHER)
    ]
    shown = heard(View(), Around(notes=notes, hosted=[ME]), {})
    assert shown["count"] == 3
    assert shown["rows"][0]["id"] == OTHER
    assert (shown["rows"][0]["reason"], shown["rows"][0]["rejected"]) == ("<b>late", {"late": 1})


def test_a_long_completion_is_shown_with_its_end_where_the_answer_is():
    (shown,) = sections(view_of(sampled(text="x" * 19_000 + "<answer>1</answer>", answer=None)), Around())["samples"]
    (attempt,) = shown["attempts"]
    assert len(attempt["text"]) < LONGEST + 20
    assert attempt["text"].endswith("<answer>1</answer>")
    assert (shown["answer"], shown["reader"]) == (None, None)


def test_a_strangers_rollout_names_who_wrote_it_and_who_read_it():
    many = tuple(Attempt(text=str(n), reward=0.0) for n in range(8))
    (shown,) = sections(view_of(sampled(1, ME, author=OTHER, attempts=many)), Around())["samples"]
    assert (shown["name"], shown["reader"], len(shown["attempts"])) == (name_of(OTHER), name_of(ME), 4)


def test_what_own_peers_read_of_each_other_is_not_shown_twice():
    view = view_of(trained(ME, 1), trained(YOU, 1), sampled(1, ME), sampled(1, YOU, author=ME))
    assert [shown["reader"] for shown in sections(view, Around())["samples"]] == [None]
    assert len(explain(view, ours(view, Around()), 1, only=ME).peers[0].samples) == 1


def test_texts_cannot_run_backwards_or_hide():
    assert plain("a\u202eb\u2066c\x00d\u200be\ufeff\ud800") == "a�b�c�d�e��"
    assert plain("line\n\ttab, 日本, é, 👩\u200d🔬") == "line\n\ttab, 日本, é, 👩\u200d🔬"
    assert label("two\nlines " + "x" * 200) == f"two lines {'x' * (LABEL - 10)}"


GROUPS = {"datasets": ("lcm", "gcd"), "rewards": ((1.0, 0.0), (0.5, 0.5))}


def test_an_own_round_is_explained_down_to_its_completions():
    view = view_of(
        trained(ME, 3, 0.5, **GROUPS), recorded(reward(ME, 3, 500)), recorded(vote(YOU, number=3), "b"), sampled(3)
    )
    told = explain(view, ours(view, Around()), 3, explorer="https://scan/tx/{hash}")
    (peer,) = told.peers
    assert (told.known, told.others, told.before, told.after) == (True, 0, None, None)
    assert (peer.mean, peer.points, peer.points_on_chain, peer.completions) == (0.5, 500, 500, 4)
    assert [(group.dataset, group.mean, group.informative) for group in peer.groups] == [
        ("lcm", 0.5, True),
        ("gcd", 0.5, False),
    ]
    assert peer.reward_on_chain.link == f"https://scan/tx/0x{'a' * 64}"
    assert [vote_.name for vote_ in peer.vote] == [name_of(YOU)]
    assert (peer.vote_on_chain.transaction, len(peer.samples)) == (f"0x{'b' * 64}", 1)


def test_what_is_no_longer_kept_is_said():
    view = view_of(trained(ME, 3), recorded(reward(ME, 2)), trained(ME, 5, rewards=((1.0,), ())))
    own = ours(view, Around())
    (numbers,), (chain_only,), (unnamed,) = (explain(view, own, number).peers for number in (3, 2, 5))
    assert (numbers.trained, numbers.kept, numbers.groups) == (True, False, [])
    assert (chain_only.trained, chain_only.kept, chain_only.points_on_chain, chain_only.vote) == (False, False, 500, [])
    assert [group.dataset for group in unnamed.groups] == ["unnamed"]


def test_of_strangers_the_chain_is_told_best_first_and_one_can_be_picked():
    view = view_of(
        trained(ME, 1),
        *(recorded(reward(peer, 1, n)) for n, peer in enumerate(NAMES * 2)),
        recorded(vote(ME, peer=OTHER)),
    )
    view.history.rounds[1] |= {
        str(n): view.history.rounds[1][f"reward:1:0:{NAMES[0]}"]._replace(peer=f"{n:030}") for n in range(20)
    }
    own = ours(view, Around())
    told = explain(view, own, 1)
    assert (told.others, len(told.peers)) == (111, 101)
    assert [peer.points_on_chain for peer in told.peers[1:3]] == [179, 178]
    (picked,) = explain(view, own, 1, only=OTHER).peers
    assert (picked.own, picked.points_on_chain, picked.vote[0].peer_id) == (False, None, ME)
    assert [peer.peer_id for peer in explain(view, own, 1, only=ME).peers] == [ME]
    assert explain(view, own, 1, only="Z" * 30).peers == []


def test_of_an_unknown_round_the_nearest_known_ones_are_told():
    view = view_of(trained(ME, 3), recorded(reward(OTHER, 9)))
    told = explain(view, ours(view, Around()), 5)
    assert (told.known, told.peers, told.before, told.after) == (False, [], 3, 9)
