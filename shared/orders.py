"""What the swarm's owner orders the coordinator to do on the contract, and what came of it.

owner:order:<id>    Order    (identity's command line --> coordinator; lapses when nobody takes it up)
owner:answer:<id>   Answer   (coordinator --> who ordered)

An order says how things shall be, so it does no harm to obey one twice.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.invite import ACCOUNT
from shared.queue import Store

ORDER = "owner:order:"
ANSWER = "owner:answer:"
TTL_S = 120.0  # an order is not obeyed when nobody waits for it any more
MAX_ACCOUNTS = 100  # in one order

Account = Annotated[str, Field(pattern=ACCOUNT)]


class Order(BaseModel):
    """How the owner wants the contract to be; what is not named stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    allow: tuple[Account, ...] = Field(default=(), max_length=MAX_ACCOUNTS)  # to be on the allow list
    disallow: tuple[Account, ...] = Field(default=(), max_length=MAX_ACCOUNTS)  # not to be there
    listed_only: bool | None = None  # whether only accounts on it take part; None: as it is
    heir: Account | None = None  # to be an owner, with all roles, and to lead the rounds; None: nobody new
    leave: bool = False  # give up all of our own roles to the heir


class Answer(BaseModel):
    """What came of an order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    lines: tuple[str, ...] = ()  # what was done and what holds now, for people
    error: str = ""  # why it was not done, a sentence without its full stop; "": it was
    remedy: str = ""


async def give_order(store: Store, order: Order) -> None:
    """Ask the coordinator."""
    await store.put(ORDER + order.id, order.model_dump_json(), ttl_s=TTL_S)


async def orders(store: Store) -> list[Order]:
    """Those that nobody has obeyed yet."""
    texts = [await store.get(key) for key in await store.keys(ORDER)]
    return [Order.model_validate_json(text) for text in texts if text]


async def withdraw(store: Store, order: Order) -> None:
    """It is not wanted any more."""
    await store.take(ORDER + order.id)


async def put_answer(store: Store, answer: Answer) -> None:
    """Tell who ordered."""
    await store.put(ANSWER + answer.id, answer.model_dump_json(), ttl_s=TTL_S)


async def answer_to(store: Store, order: Order) -> Answer | None:
    """What came of it; None: not known yet."""
    text = await store.take(ANSWER + order.id)
    return Answer.model_validate_json(text) if text else None
