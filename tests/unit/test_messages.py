import json

import pytest
from pydantic import ValidationError

from shared import asks, messages, wagers
from shared.messages import Message, Reward, Rollouts, Round, Trained, Winners
from shared.streams import ALL, EVENTS, SUBMISSIONS
from tests.examples import ALICE, EXAMPLES, GOLDEN, REWARD

by_name = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)


def test_every_message_has_an_example():
    every = {c for module in (messages, asks, wagers) for c in vars(module).values() if isinstance(c, type)}
    every = {c for c in every if issubclass(c, Message) and c is not Message}
    assert every == {type(example) for example in EXAMPLES}


@by_name
def test_the_wire_form_of_a_message_does_not_change_unnoticed(example):
    golden = (GOLDEN / f"{type(example).__name__}.json").read_text()
    assert json.loads(golden) == json.loads(example.model_dump_json())
    assert type(example).model_validate_json(golden) == example


@by_name
def test_a_message_refuses_fields_it_does_not_know(example):
    with pytest.raises(ValidationError):
        type(example).model_validate({**example.model_dump(), "surprise": 1})


@by_name
def test_a_message_cannot_be_changed(example):
    with pytest.raises(ValidationError):
        setattr(example, next(iter(type(example).model_fields)), None)


def test_nobody_claims_more_informative_groups_than_there_are():
    (rollouts,) = [example for example in EXAMPLES if isinstance(example, Rollouts)]
    with pytest.raises(ValidationError):
        Rollouts.model_validate({**rollouts.model_dump(), "informative": 2})


def test_keys_tell_messages_apart_and_survive_the_wire():
    keyed = [example for example in EXAMPLES if type(example).key is not Message.key]
    assert len({(type(example), example.key) for example in keyed}) == len(keyed)
    assert all(type(e).model_validate_json(e.model_dump_json()).key == e.key for e in keyed)
    with pytest.raises(AttributeError):
        _ = messages.Completion(text="", finished=True).key


@pytest.mark.parametrize(
    "change",
    [
        {"peer_id": "../../etc/passwd"},
        {"peer_id": ""},
        {"round": -1},
        {"round": 2**63},
        {"points": 10**30},
        {"points": float("nan")},
    ],
)
def test_a_reward_out_of_bounds_is_refused(change):
    with pytest.raises(ValidationError):
        Reward.model_validate({**REWARD.model_dump(), **change})


def test_a_vote_is_neither_empty_nor_endless():
    for winners in ((), (ALICE,) * 65):
        with pytest.raises(ValidationError):
            Winners(peer_id=ALICE, round=1, winners=winners)


def test_deeply_nested_metadata_is_refused_and_not_a_crash():
    rollouts = next(e for e in EXAMPLES if isinstance(e, Rollouts)).model_dump()
    text = json.dumps(rollouts).replace(
        '{"num_terms": [2, 2], "num_digits": [1, 1]}', '{"a":' * 100_000 + "1" + "}" * 100_000
    )
    with pytest.raises(ValidationError):
        Rollouts.model_validate_json(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_in_metadata_too(number):
    with pytest.raises(ValidationError):
        messages.Question.model_validate_json(f'{{"text": "", "dataset": "x", "metadata": {{"a": [{number}]}}}}')


def test_a_round_told_by_the_version_before_can_still_be_read():
    now = next(example for example in EXAMPLES if isinstance(example, Trained))
    new = {"weights": "", "parent": "", "datasets": (), "rewards": (), "heard": {}}
    before = {key: value for key, value in now.model_dump().items() if key not in new}
    assert EVENTS.decode(json.dumps(before)) == now.model_copy(update=new)


@pytest.mark.parametrize("weights", ["4d", "x" * 64, "4D" * 32])
def test_weights_are_named_by_a_digest_or_not_at_all(weights):
    now = next(example for example in EXAMPLES if isinstance(example, Trained))
    with pytest.raises(ValidationError):
        Trained.model_validate({**now.model_dump(), "weights": weights})


@pytest.mark.parametrize(("stage", "closes"), [(0, False), (1, False), (2, True)])
def test_a_round_closes_with_the_last_of_its_stages(stage, closes):
    assert Round(number=7, stage=stage, stages=3, opened_at=1.0, deadline=2.0).closes is closes


def test_every_stream_has_writers_readers_and_a_bound():
    assert len({stream.name for stream in ALL}) == len(ALL)
    assert all(stream.writers and stream.readers and stream.bound > 0 for stream in ALL)
    assert all(len(stream.readers) == 1 for stream in ALL if stream.kind == "work")


def test_a_stream_tells_the_kinds_of_a_union_apart():
    assert SUBMISSIONS.decode(SUBMISSIONS.encode(REWARD)) == REWARD
    with pytest.raises(ValidationError):
        SUBMISSIONS.decode('{"kind": "bribe"}')
