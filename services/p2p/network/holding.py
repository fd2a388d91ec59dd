"""What a node unpacks and keeps for others: the parts of hivemind that meet strangers, made to stand them.

    rpc_store, rpc_find --Bounds--> Serializer --> Validator --> Shelf
    answers of others ------------> Serializer --> Validator

hivemind as it comes follows whatever is packed into a dictionary until its stack ends, drops a holder's whole answer
for one bad record, and adds to its heap with every copy of a record that it has already.
"""

from __future__ import annotations

from typing import Any

from hivemind.dht.routing import DHTID
from hivemind.dht.storage import DHTLocalStorage, DictionaryDHTValue
from hivemind.dht.validation import DHTRecord, RecordValidatorBase
from hivemind.utils.auth import AuthorizerBase
from hivemind.utils.serializer import MSGPackSerializer

from services.p2p.trust.gate import Gate
from services.p2p.wire.dictionaries import MAX_SUBKEY, entries_of, is_dictionary, plain
from services.p2p.wire.rejection import Reason

MAX_REQUEST_KEYS = 256  # keys that one request may ask for or bring
NEWER_S = 1.0  # a record that is to replace an earlier one of its peer lasts so much longer


class Serializer:
    """In place of `MSGPackSerializer`: unpacks dictionaries, entry by entry, and plain subkeys."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    dumps = staticmethod(MSGPackSerializer.dumps)

    def loads(self, packed: bytes) -> object:
        """A dictionary, empty where it is none at all; or a subkey."""
        if not is_dictionary(packed):
            return plain(packed, MAX_SUBKEY)
        found = DictionaryDHTValue()
        try:
            with found.freeze():  # what has expired is for the gate to count
                for entry in entries_of(packed):
                    if isinstance(entry, bytes):
                        self._gate.refuse(Reason.MALFORMED, entry)
                    else:
                        found.store(*entry)
        except ValueError:
            self._gate.refuse(Reason.MALFORMED, packed)
            return DictionaryDHTValue()
        return found


class Validator(RecordValidatorBase):  # type: ignore[misc]  # hivemind has no types
    """Asked by hivemind for each record that is to be stored here."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def validate(self, record: DHTRecord) -> bool:
        """Whether a record may be stored."""
        return self._admits(record.key, plain(record.subkey, MAX_SUBKEY), record.value, record.expiration_time)

    def sift(self, key: bytes, dictionary: object) -> bool:
        """Drop the bad records of a whole dictionary, keep the good ones."""
        if not isinstance(dictionary, DictionaryDHTValue):
            return False
        with dictionary.freeze():
            for subkey, (value, expiration) in list(dictionary.items()):
                if not self._admits(key, subkey, value, expiration):
                    del dictionary[subkey]
        dictionary.latest_expiration_time = max((item.expiration_time for item in dictionary.data.values()), default=0)
        return bool(dictionary.data)

    def _admits(self, key: bytes, subkey: object, packed: bytes, expiration: float) -> bool:
        if subkey is None or (value := plain(packed)) is None:
            self._gate.refuse(Reason.MALFORMED, key, subkey, packed)
            return False
        return self._gate.admit(key, subkey, value, expiration)


class Shelf(DHTLocalStorage):  # type: ignore[misc]  # hivemind has no types
    """hivemind's storage without its growth: no second copy of a record, nothing of rounds that are over."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def store_subkey(self, key: DHTID, subkey: str, value: bytes, expiration_time: float) -> bool:
        """Keep a record that the gate has admitted; False if there is one that lasts as long."""
        held = self.get(key)
        if held is None or not isinstance(held.value, DictionaryDHTValue):
            for place in [place for place in self.data if not self._gate.knows(place.to_bytes())]:
                del self[place]
        elif (known := held.value.data.get(subkey)) and expiration_time < known.expiration_time + NEWER_S:
            return False
        stored = super().store_subkey(key, subkey, value, expiration_time)
        return bool(stored)


class Bounds(AuthorizerBase):  # type: ignore[misc]  # hivemind has no types
    """hivemind's hook for signed requests, used to bound them: nobody has us look up a hundred thousand keys."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def sign_request(self, request: Any, service_public_key: Any) -> None:
        """Requests need no signature: the records have theirs."""

    async def validate_request(self, request: Any) -> bool:
        """Whether to answer at all."""
        keys = getattr(request, "keys", ())
        if len(keys) > MAX_REQUEST_KEYS:
            self._gate.refuse(Reason.TOO_MANY, request.SerializeToString())
        return len(keys) <= MAX_REQUEST_KEYS

    async def sign_response(self, response: Any, request: Any) -> None:
        """See `sign_request`."""

    async def validate_response(self, response: Any, request: Any) -> bool:
        """What the response holds is looked at record by record."""
        return True


def harden(dht: Any, gate: Gate) -> None:
    """Put these parts into a hivemind node that was made with `Validator(gate)` and `Bounds(gate)`."""
    protocol = dht.protocol
    protocol.serializer = Serializer(gate)
    protocol.storage = protocol.cache = Shelf(gate)
    protocol._validate_dictionary = protocol.record_validator.sift
