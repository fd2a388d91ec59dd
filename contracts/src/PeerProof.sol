// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Base58} from "@openzeppelin/contracts/utils/Base58.sol";
import {RSA} from "@openzeppelin/contracts/utils/cryptography/RSA.sol";

/// @title PeerProof
/// @notice Proves that somebody holds the private key of a libp2p peer id: RSA of 2,048 bits with the exponent 65537,
///         which is what a node's identity file holds.
/// @dev The public key is libp2p's protobuf round a SubjectPublicKeyInfo. For this kind of key all of it but the
///      modulus is the same for everybody, so nothing needs to be parsed.
library PeerProof {
    uint256 private constant LENGTH = 299;
    uint256 private constant MODULUS_START = 38;
    uint256 private constant MODULUS_END = 294;
    // Protobuf: type RSA, 294 bytes. DER: rsaEncryption, a bit string that holds the modulus of 256 bytes ...
    bytes32 private constant HEAD = keccak256(
        hex"080012a60230820122300d06092a864886f70d01010105000382010f003082010a0282010100"
    );
    // ... and the exponent.
    bytes32 private constant TAIL = keccak256(hex"0203010001");

    /// @notice The peer id of a public key: base58 of its sha256 multihash.
    function peerIdOf(bytes calldata publicKey) internal pure returns (string memory) {
        return Base58.encode(bytes.concat(hex"1220", sha256(publicKey)));
    }

    /// @notice Whether `signature` of `message` (PKCS #1 v1.5, SHA-256) was made with the key of `publicKey`.
    function isSigned(bytes calldata publicKey, bytes calldata signature, bytes memory message)
        internal
        view
        returns (bool)
    {
        if (publicKey.length != LENGTH) return false;
        if (keccak256(publicKey[:MODULUS_START]) != HEAD || keccak256(publicKey[MODULUS_END:]) != TAIL) return false;
        return RSA.pkcs1Sha256(message, signature, hex"010001", publicKey[MODULUS_START:MODULUS_END]);
    }
}
