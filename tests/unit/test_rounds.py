from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.coordinator.pace import clock_of, rules_of
from services.coordinator.rounds import (
    Advance,
    ClockState,
    Due,
    Extend,
    Finish,
    Rules,
    Stay,
    is_final,
    jumped,
    needed,
    tick,
    turn,
)
from services.coordinator.settings import ClockSettings
from shared.household import Pace

RULES = Rules(leads=True, min_s=1.0, max_s=20.0, quorum=1.0, max_rounds=None)
STATE = ClockState(RULES, 5, 0, 1, opened_at=100.0, deadline=120.0, voters=0, expected=3, reached=(5, 0))


def test_a_round_without_votes_stays_until_its_deadline_and_is_then_extended():
    assert tick(STATE, 119.9) == Stay()
    assert tick(STATE, 120.0) == Extend(140.0)
    assert tick(replace(STATE, expected=0), 120.0) == Extend(140.0)


def test_a_round_ends_when_all_expected_have_voted_but_not_before_its_least_time():
    voted = replace(STATE, voters=3)
    assert tick(voted, 100.9) == Stay()
    assert tick(voted, 101.0) == Advance()


def test_a_round_ends_at_its_deadline_if_anybody_has_voted():
    voted = replace(STATE, voters=1)
    assert tick(voted, 119.9) == Stay()
    assert tick(voted, 120.0) == Advance()


def test_a_clock_that_went_back_begins_the_round_anew_instead_of_waiting_for_the_hour_that_was_taken_back():
    assert tick(STATE, 99.9) == Extend(119.9, opened_at=99.9)
    assert tick(replace(STATE, voters=3), -3_500.0) == Extend(-3_480.0, opened_at=-3_500.0)


def test_a_clock_that_is_set_moves_the_round_with_it():
    assert tick(replace(STATE, jump=-3_600.0), -3_490.0) == Extend(-3_480.0, opened_at=-3_500.0)
    assert tick(replace(STATE, jump=50_000.0, voters=3), 50_110.0) == Extend(50_120.0, opened_at=50_100.0)
    assert [jumped(10.0, 9.2), jumped(9.2, 10.0), jumped(3_610.0, 10.0), jumped(10.0, 3_610.0)] == [0, 0, 3_600, -3_600]


def test_a_round_whose_least_time_was_made_longer_does_not_end_at_its_old_deadline():
    longer = replace(STATE, rules=replace(RULES, min_s=60.0, max_s=60.0), voters=1)
    assert tick(longer, 120.0) == Extend(180.0)
    assert tick(replace(longer, deadline=180.0, voters=3), 159.9) == Stay()
    assert tick(replace(longer, deadline=180.0, voters=3), 160.0) == Advance()


def test_a_quorum_below_one_ends_a_round_early():
    half = replace(STATE, rules=replace(RULES, quorum=0.5))
    assert tick(replace(half, voters=1), 110.0) == Stay()
    assert tick(replace(half, voters=2), 110.0) == Advance()
    assert (needed(0.1, 30), needed(0.1, 31), needed(1.0, 0)) == (3, 4, 1)


def test_the_last_round_finishes_on_the_same_condition():
    last = replace(STATE, rules=replace(RULES, max_rounds=6))
    assert is_final(last.rules, 5)
    assert not is_final(last.rules, 4)
    assert not is_final(RULES, 5)
    assert tick(last, 110.0) == Stay()
    assert tick(last, 120.0) == Extend(140.0)
    assert tick(replace(last, voters=3), 101.0) == Finish()
    assert tick(replace(last, voters=1), 120.0) == Finish()


def test_a_round_beyond_the_last_is_finished_at_once():
    assert tick(replace(STATE, rules=replace(RULES, max_rounds=5)), 100.0) == Finish()


def test_the_last_round_goes_through_all_its_stages_before_it_finishes():
    last = replace(STATE, rules=replace(RULES, max_rounds=6), stages=2, voters=3)
    assert tick(last, 110.0) == Advance()
    assert tick(replace(last, stage=1), 110.0) == Finish()


def test_who_follows_never_advances_and_gives_more_time_while_the_chain_stays():
    follower = replace(STATE, rules=replace(RULES, leads=False), voters=3)
    assert tick(follower, 110.0) == Stay()
    assert tick(follower, 120.0) == Extend(140.0)
    assert tick(replace(follower, number=4), 200.0) == Stay()


def test_a_chain_that_lost_its_last_rounds_is_brought_back_at_once():
    assert tick(replace(STATE, number=4), 100.0) == Advance()
    assert tick(replace(STATE, stages=2, reached=(5, 1)), 100.0) == Advance()


def test_a_paused_round_is_not_advanced_whoever_has_voted_and_gets_ever_new_deadlines():
    paused = replace(STATE, rules=replace(RULES, paused=True), voters=3)
    assert tick(paused, 110.0) == Stay()
    assert tick(paused, 120.0) == Extend(140.0)
    assert tick(replace(paused, number=4), 100.0) == Stay()
    assert tick(replace(paused, rules=RULES), 110.0) == Advance()


def test_the_last_round_of_a_paused_swarm_ends_because_nothing_is_advanced_after_it():
    last = replace(STATE, rules=replace(RULES, max_rounds=6, paused=True), voters=3)
    assert tick(last, 110.0) == Finish()


def test_a_round_that_was_opened_for_longer_than_rounds_may_last_now_ends_sooner():
    long = replace(STATE, deadline=3_700.0)
    assert tick(long, 110.0) == Extend(130.0)
    assert tick(replace(long, deadline=130.0), 110.0) == Stay()
    assert tick(replace(long, voters=3), 110.0) == Advance()


# Due at 120, as its deadline is; 5 seconds for who leads, ours is the middle of the 5 seconds behind them.
DUE = replace(STATE, due=Due(120.0, 20.0, 0.5), voters=1)
GUEST = replace(DUE, rules=replace(RULES, leads=False))


def test_who_leads_ends_a_due_round_by_the_contracts_clock_as_soon_as_somebody_else_might():
    assert tick(replace(DUE, voters=3), 114.9) == Advance()
    assert tick(replace(DUE, voters=3), 115.0) == Stay()
    assert tick(DUE, 119.9) == Stay()
    assert tick(DUE, 120.0) == Advance(by_clock=True)
    assert tick(replace(DUE, deadline=500.0, rules=replace(RULES, max_s=400.0)), 120.0) == Advance(by_clock=True)


def test_the_others_end_a_due_round_in_their_turns_if_who_leads_does_not():
    assert [tick(GUEST, now) for now in (120.0, 127.4, 127.5)] == [Extend(140.0), Extend(147.4), Advance(by_clock=True)]
    assert tick(replace(GUEST, due=Due(120.0, 20.0, 0.9)), 129.0) == Extend(149.0)
    assert tick(replace(GUEST, due=None), 129.0) == Extend(149.0)


def test_nobody_ends_a_due_round_without_votes_or_of_a_founder_who_pauses_or_beyond_the_last():
    assert tick(replace(GUEST, voters=0), 200.0) == Extend(220.0)
    assert tick(replace(DUE, rules=replace(RULES, paused=True)), 200.0) == Extend(220.0)
    assert tick(replace(GUEST, rules=replace(GUEST.rules, max_rounds=6)), 200.0) == Finish()


def test_the_time_for_who_leads_follows_the_stages_length_within_bounds():
    assert [Due(0, seconds, 0).hold_s for seconds in (1, 20, 3_600)] == [1, 5, 30]


def test_turns_are_spread_and_change_from_stage_to_stage():
    turns = [turn(f"0x{account:040x}", number, 0) for account in range(40) for number in range(50)]
    assert all(0 <= one < 1 for one in turns)
    assert len(set(turns)) == len(turns)
    assert 0.45 < sum(turns) / len(turns) < 0.55
    assert turn("0xAB", 1, 2) == turn("0xab", 1, 2)


def test_the_contracts_clock_has_the_longest_round_that_the_founder_named_and_stops_in_a_pause():
    assert clock_of(None) is None
    wanted = [Pace(), Pace(max_s=60), Pace(max_s=0.2), Pace(max_s=7.5), Pace(max_s=60, paused=True)]
    assert [clock_of(one) for one in wanted] == [0, 60, 1, 8, 0]


CLOCK = ClockSettings(leads="auto", min_s=1, max_s=20, quorum=1, max_rounds=None)


def test_the_founders_pace_stands_above_the_settings_where_it_says_something():
    assert rules_of(CLOCK, Pace(), may_advance=True) == RULES
    wanted = Pace(paused=True, min_s=2, max_s=5, quorum=0.5)
    assert rules_of(CLOCK, wanted, may_advance=True) == Rules(True, 2, 5, 0.5, None, paused=True)
    assert rules_of(CLOCK, Pace(max_s=0.5), may_advance=True) == Rules(True, 0.5, 0.5, 1, None)
    assert rules_of(CLOCK, Pace(min_s=60), may_advance=True) == Rules(True, 60, 60, 1, None)


def test_who_does_not_lead_has_no_pace_to_set():
    wanted = Pace(paused=True, min_s=2, max_s=5, quorum=0.5)
    follower = replace(RULES, leads=False)
    assert rules_of(CLOCK, wanted, may_advance=False) == follower
    assert rules_of(CLOCK.model_copy(update={"leads": "no"}), wanted, may_advance=True) == follower


votes = st.lists(st.tuples(st.integers(0, 4), st.floats(0, 30)), max_size=60)  # (votes that come in, seconds passed)
rules = st.builds(
    Rules,
    leads=st.booleans(),
    min_s=st.floats(0, 5),
    max_s=st.floats(5, 20),
    quorum=st.floats(0.01, 1),
    max_rounds=st.none() | st.integers(1, 5),
    paused=st.booleans(),
)


@given(rules, votes, st.integers(0, 5), st.integers(1, 3))
def test_the_clock_never_skips_never_goes_back_and_never_leaves_a_round_without_votes(rules, votes, expected, stages):
    now, state = 0.0, ClockState(rules, 0, 0, stages, 0.0, rules.max_s, 0, expected, (0, 0))
    for came, passed in votes:
        now += passed
        state = replace(state, voters=state.voters + came)
        action = tick(state, now)
        if isinstance(action, Advance):
            assert rules.leads and not rules.paused
            assert state.voters > 0
            assert now - state.opened_at >= rules.min_s or now >= state.deadline
            last = state.stage + 1 == stages
            place = (state.number + 1, 0) if last else (state.number, state.stage + 1)
            state = replace(
                state,
                number=place[0],
                stage=place[1],
                opened_at=now,
                deadline=now + rules.max_s,
                voters=0,
                reached=place,
            )
        elif isinstance(action, Extend):
            assert action.deadline > now
            assert now >= state.deadline or state.deadline > now + rules.max_s
            state = replace(state, deadline=action.deadline)
        elif isinstance(action, Finish):
            assert state.number + 1 == rules.max_rounds
            assert state.voters > 0
        assert rules.max_rounds is None or state.number < rules.max_rounds


@given(rules, st.integers(1, 5), st.integers(1, 3))
def test_a_clock_that_leads_ends_its_last_round_if_somebody_always_votes(rules, expected, stages):
    rules = replace(rules, leads=True, paused=False, max_rounds=rules.max_rounds or 3)
    now, place, advances = 0.0, (0, 0), 0
    while True:
        state = ClockState(rules, *place, stages, now, now + rules.max_s, 1, expected, place)
        now += rules.max_s
        action = tick(state, now)
        if isinstance(action, Finish):
            break
        assert action == Advance()
        advances += 1
        place = (place[0] + 1, 0) if place[1] + 1 == stages else (place[0], place[1] + 1)
    assert advances == rules.max_rounds * stages - 1


@given(rules, st.integers(0, 5), st.floats(0, 100))
def test_the_clock_stands_still_at_a_reached_end(rules, voters, now):
    rules = replace(rules, max_rounds=3)
    assert tick(ClockState(rules, 3, 0, 1, 0.0, 20.0, voters, 3, (3, 0)), now) == Finish()
