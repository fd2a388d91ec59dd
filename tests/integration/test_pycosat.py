"""vendor/pycosat does for reasoning-gym what the package that it replaces does."""

import itertools
import random
from importlib.metadata import version

import pycosat
import pytest
import reasoning_gym
from reasoning_gym.logic.contrib.logic_puzzle.generate import generate_puzzle
from reasoning_gym.logic.contrib.logic_puzzle.sat_utils import one_of, solve_all, solve_one

FORMULAS = {
    "free": [(1, 2, 3)],
    "one solution": [(1,), (-1, 2), (-2, -3)],
    "a variable that no clause names": [(1, 3)],
    "none": [(1, 2), (-1, 2), (1, -2), (-1, -2)],
    "exactly two of four": [
        (-1, -2, -3),
        (-1, -2, -4),
        (-1, -3, -4),
        (-2, -3, -4),
        (1, 2, 3),
        (1, 2, 4),
        (1, 3, 4),
        (2, 3, 4),
    ],
}


def test_it_is_the_one_that_needs_no_compiler():
    assert version("pycosat") == "0.6.6+pysat"


@pytest.mark.parametrize("clauses", FORMULAS.values(), ids=FORMULAS)
def test_every_solution_comes_once(clauses):
    variables = range(1, 1 + max(abs(literal) for clause in clauses for literal in clause))
    expected = {
        signs
        for signs in itertools.product(*((variable, -variable) for variable in variables))
        if all(set(clause) & set(signs) for clause in clauses)
    }
    found = [tuple(solution) for solution in pycosat.itersolve(clauses)]
    assert set(found) == expected and len(found) == len(expected)


def test_reasoning_gym_reads_its_solutions():
    houses = one_of(["a 1", "a 2"]) + one_of(["b 1", "b 2"]) + [("~a 1", "~b 1"), ("~a 2", "~b 2")]
    assert sorted(map(sorted, solve_all(houses))) == [["a 1", "b 2"], ["a 2", "b 1"]]
    assert solve_one([*houses, ("a 1",)]) == ["a 1", "b 2"]


def test_zebra_puzzles_are_made_and_solved():
    _, puzzle = generate_puzzle(random.Random(3), 4, 4)
    (solution,) = solve_all(puzzle.as_cnf())
    assert set(solution) == {f"{item} {house}" for item, house in puzzle.solution.items()}


def test_the_dataset_of_zebra_puzzles_is_there():
    puzzles = reasoning_gym.create_dataset("zebra_puzzles", size=5, seed=3)
    for puzzle in puzzles:
        assert puzzle["answer"] in puzzle["question"]
        assert puzzles.score_answer(puzzle["answer"], puzzle) == 1.0
