// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SwarmCoordinator} from "../src/SwarmCoordinator.sol";

/// @dev What forge lets a test do to its chain.
interface Vm {
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
}

/// @title World
/// @notice A few accounts and peer ids, and the choice among them by any number that forge comes up with.
abstract contract World {
    Vm internal constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant ACCOUNTS = 4;
    uint256 internal constant PEERS = 6;

    uint256 internal _now = 1_000_000;
    uint256 private _calls;

    /// @notice Lets time pass, half an hour at most.
    function wait(uint256 time) public {
        _now += time % 1800;
        VM.warp(_now);
    }

    function account(uint256 seed) public pure returns (address) {
        return address(uint160(0xACC0 + seed % ACCOUNTS));
    }

    function peer(uint256 seed) public pure returns (string memory) {
        return string(abi.encodePacked("peer ", uint8(0x61 + seed % PEERS)));
    }

    function peers() public pure returns (string[] memory all) {
        all = new string[](PEERS);
        for (uint256 i = 0; i < PEERS; ++i) {
            all[i] = peer(i);
        }
    }

    function accounts() public pure returns (address[] memory all) {
        all = new address[](ACCOUNTS);
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            all[i] = account(i);
        }
    }

    /// @dev Forge likes to repeat its numbers.
    function _any(uint256 seed) internal returns (uint256) {
        return uint256(keccak256(abi.encode(seed, ++_calls)));
    }

    function _found() internal returns (SwarmCoordinator swarm) {
        VM.warp(_now);
        swarm = new SwarmCoordinator();
        swarm.initialize(account(0));
    }
}
