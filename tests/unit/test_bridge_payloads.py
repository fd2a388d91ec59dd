from hashlib import md5

import pytest

from services.p2p.bridge.layouts import MAX_VALUE, Unreadable, read
from services.p2p.bridge.payloads import MAX_GROUPS, SHARED, VALUE, groups_of, room, value_of
from shared.messages import MAX_COMPLETIONS, MAX_TEXT, Completion, Group, Question
from tests.p2p_kit import identity, rollouts_of
from tests.stock_kit import LAYOUTS, batches, packed, payload


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_stock_nodes_payloads_become_groups_of_which_no_completion_counts_as_finished(layout):
    first, second = payload(), payload(question="1 + 1", answer=None, actions=["2"])
    asked = Question(
        text="2 + 2",
        answer="4",
        dataset="basic_arithmetic",
        metadata={"source_dataset": "basic_arithmetic", "source_index": 3},
    )
    said = (Completion(text="<answer>4</answer>", finished=False), Completion(text="5", finished=False))
    groups = groups_of(layout(batches(first, second)))
    assert groups[0] == Group(question=asked, completions=said)
    assert (groups[1].question.answer, groups[1].completions[0].text) == (None, "2")


def environment(**changes):
    whole = payload()
    whole["world_state"]["environment_states"].update(changes)
    return whole


def without(field):
    return {key: part for key, part in payload().items() if key != field}


ODD = {
    "no batches": {},
    "an empty batch": {"a": []},
    "a list": [payload()],
    "a text": "payload",
    "another batch": {md5(b"another").hexdigest(): [payload()]},
    "no payload": {"a": [7]},
    "another type": batches(payload(__type__="WorldState")),
    "a field more": batches(payload(reward=1.0)),
    "a field less": batches(without("actions")),
    "no actions": batches(payload(actions=[])),
    "actions of numbers": batches(payload(actions=[4])),
    "one action": batches({**payload(), "actions": "4"}),
    "many actions": batches(payload(actions=["4"] * (MAX_COMPLETIONS + 1))),
    "a long action": batches(payload(actions=["4" * (MAX_TEXT + 1)])),
    "a long question": batches(payload(question="4" * (MAX_TEXT + 1))),
    "an answer that is a number": batches(environment(answer=4)),
    "a state more": batches(environment(prior_stage_input_states=None)),
    "no metadata": batches(environment(metadata=None)),
    "no set": batches(payload(metadata={"source_index": 3})),
    "a set that is a number": batches(payload(metadata={"source_dataset": 3})),
    "many groups": batches(*(payload(question=f"{n} + 2") for n in range(MAX_GROUPS + 1))),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("tree", ODD.values(), ids=ODD)
def test_payloads_of_another_form_are_refused_in_one_way(layout, tree):
    with pytest.raises(Unreadable):
        groups_of(layout(tree))


def test_what_we_write_is_what_a_stock_node_would_and_marked_as_ours():
    ours = rollouts_of(identity("alice").peer_id)
    written = read(value_of(ours, completions=2, room=VALUE.stop))
    metadata = {**ours.groups[0].question.metadata, "source_dataset": "basic_arithmetic"}
    expected = payload(actions=["4", "5"], metadata=metadata)
    assert written == batches({**expected, "metadata": {"rlswarm": 1}})
    assert groups_of(packed(written)) == ()


def test_of_each_question_as_many_completions_are_written_as_stock_nodes_take():
    ours = rollouts_of(identity("alice").peer_id)
    (batch,) = read(value_of(ours, completions=1, room=VALUE.stop)).values()
    assert batch[0]["actions"] == ["4"]
    assert value_of(ours, completions=3, room=VALUE.stop) is None


def many(count, size=0):
    one = rollouts_of(identity("alice").peer_id, size=size).groups[0]
    asked = [one.question.model_copy(update={"text": f"{n} + 2"}) for n in range(count)]
    groups = tuple(one.model_copy(update={"question": question}) for question in asked)
    return rollouts_of(identity("alice").peer_id).model_copy(update={"groups": groups})


def test_what_is_written_keeps_to_its_room():
    value = value_of(many(60, size=900), completions=2, room=10_000)
    assert 8_000 < len(value) <= 10_000
    assert value_of(many(1, size=5_000), completions=2, room=4_000) is None


def test_a_set_that_stock_nodes_do_not_have_is_not_written():
    ours = many(2)
    first, second = ours.groups
    strange = first.model_copy(update={"question": first.question.model_copy(update={"dataset": "gsm8k"})})
    mixed = ours.model_copy(update={"groups": (strange, second)})
    assert len(read(value_of(mixed, completions=2, room=VALUE.stop))) == 1


@pytest.mark.parametrize("peers", [0, 1, 16, 17, 100, 500, 10_000])
def test_the_room_shrinks_with_the_number_of_peers_so_that_all_of_it_still_travels(peers):
    assert VALUE.start <= room(peers) <= VALUE.stop < MAX_VALUE
    assert peers * room(peers) <= SHARED or room(peers) == VALUE.start
