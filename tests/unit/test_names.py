from hashlib import md5

from shared.names import ADJECTIVES, ANIMALS, name_of
from tests.examples import ALICE, BOB


def test_a_name_is_two_adjectives_and_an_animal_and_never_changes():
    assert name_of(ALICE) == "brave crimson herring"
    first, second, animal = name_of(ALICE, "_").split("_")
    digest = md5(ALICE.encode()).digest()
    assert first == ADJECTIVES[digest[2] % len(ADJECTIVES)]
    assert second == ADJECTIVES[digest[1] % len(ADJECTIVES)]
    assert animal == ANIMALS[digest[0] % len(ANIMALS)]
    assert name_of(ALICE) != name_of(BOB)


def test_the_lists_are_about_two_hundred_plain_words_without_repeats():
    for words in (ADJECTIVES, ANIMALS):
        assert 180 <= len(words) == len(set(words)) <= 256
        assert all(word.isalpha() and word.islower() for word in words)
