"""A passkey and a wallet in software, and what is asked of them."""

import base64
import hashlib
import json
import secrets
import struct

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from eth_account.messages import encode_defunct


def sign(wallet, text):
    return "0x" + bytes(wallet.sign_message(encode_defunct(text=text)).signature).hex()


def asked(client, wallet, path="/api/wallets/login/text"):
    return client.post(path, json={"address": wallet.address}).json()


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Authenticator:
    """A passkey in software: ES256, no attestation."""

    def __init__(self, origin, rp="localhost"):
        self.key, self.id, self.count = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16), 0
        self.origin, self.rp = origin, rp

    def _told(self, kind, challenge):
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told).encode()

    def _seen(self, flags, more=b""):
        return hashlib.sha256(self.rp.encode()).digest() + struct.pack(">BI", flags, self.count) + more

    def create(self, options):
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        seen = self._seen(0x45, bytes(16) + struct.pack(">H", len(self.id)) + self.id + public)
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": seen})
        told = self._told("webauthn.create", options["challenge"])
        return self._credential({"clientDataJSON": b64(told), "attestationObject": b64(made)})

    def get(self, options):
        self.count += 1
        told, seen = self._told("webauthn.get", options["challenge"]), self._seen(0x05)
        signature = self.key.sign(seen + hashlib.sha256(told).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": told, "authenticatorData": seen, "signature": signature}
        return self._credential({name: b64(raw) for name, raw in response.items()})

    def _credential(self, response):
        id_ = b64(self.id)
        return {"id": id_, "rawId": id_, "type": "public-key", "response": response, "clientExtensionResults": {}}


def shown(client, passkey):
    return passkey.get(client.post("/api/passkeys/login/options").json())
