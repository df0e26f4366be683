"""Ids for machines and names for people."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence


def _words(text: str) -> Sequence[str]:
    return text.split()


_ADJECTIVES: Sequence[str] = _words(
    "able agile amber ample apt bold brave bright brisk calm candid clear clever crisp curious "
    "deft eager early fair fine fleet fond frank fresh gentle glad golden grand happy hardy "
    "honest humble jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble "
    "noble patient placid plucky polite proud quick quiet rapid ready rustic serene sharp silent "
    "silver smart smooth snug solid spry steady still sunny sure swift tidy tranquil true upbeat "
    "valiant vivid warm wise witty zesty"
)
_NOUNS: Sequence[str] = _words(
    "ant badger bat bear beaver bee bison boar bream carp cat crab crane cricket crow deer dingo "
    "dove duck eagle eel elk falcon ferret finch fox frog gecko goat goose grouse gull hare hawk "
    "heron horse ibis jay kite koala lark lemur lion lizard llama lynx magpie marlin marten mole "
    "moose moth mouse newt okapi otter owl panda perch pike plover pony puffin quail raven robin "
    "salmon seal shrew skink snail sparrow squid stoat stork swan tapir tern toad trout turtle "
    "vole walrus weasel whale wolf wombat wren yak zebra"
)

# A generator of its own: the user's random numbers must come out as if nbtrack was not there.
_random = random.Random()  # noqa: S311 - names, not secrets


def new_id() -> str:
    """Return a new id: 32 hex digits, as MLflow's."""
    return uuid.uuid4().hex


def new_name() -> str:
    """Return a name such as ``brave-otter-12``."""
    return f"{_random.choice(_ADJECTIVES)}-{_random.choice(_NOUNS)}-{_random.randrange(1, 1000)}"
