// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SwarmCoordinator} from "../src/SwarmCoordinator.sol";
import {World} from "./World.sol";

/// @title SwarmWorld
/// @notice Whatever anybody may do to a swarm. Everything is done to two swarms, and what one is sent in batches the
///         other is sent piece by piece.
contract SwarmWorld is World {
    uint256 public constant STAGES = 4;

    SwarmCoordinator public immutable swarm = _found();
    SwarmCoordinator public immutable twin = _found();

    // What the swarm must remember.
    mapping(uint256 peer => address) public firstOwner;
    mapping(uint256 peer => int256) public rewardOf;
    mapping(uint256 peer => uint256) public votedRounds;
    mapping(uint256 peer => uint256) public winsOf;
    mapping(bytes32 place => bool) public isTaken;
    uint256 public place;
    uint256 public startedAt;
    string public fault;

    /// @notice Every peer submits and votes, each for some round.
    function play(uint256 seed) external {
        for (uint256 which = 0; which < PEERS; ++which) {
            try this.reward(1, which, seed, seed, int256(_any(seed))) {} catch {}
            try this.vote(1, which, seed, _any(seed)) {} catch {}
        }
    }

    function register(uint256 who, uint256 which) external {
        VM.prank(account(who));
        twin.registerPeer(peer(which));
        VM.prank(account(who));
        swarm.registerPeer(peer(which));
        _check(firstOwner[which % PEERS] == address(0), "a peer was registered twice");
        firstOwner[which % PEERS] = account(who);
    }

    function reward(uint256 who, uint256 which, uint256 round, uint256 stage, int256 amount) external {
        (round, stage, amount) = (_round(round), _stage(stage), _amount(amount));
        address sender = _sender(who, which);
        VM.prank(sender);
        twin.submitReward(round, stage, amount, peer(which));
        VM.prank(sender);
        swarm.submitReward(round, stage, amount, peer(which));
        _take(sender, which, round, stage, amount);
    }

    function rewards(uint256 who, uint8[4] calldata which, uint256[4] calldata places, int256[4] calldata amounts)
        external
    {
        address sender = _sender(who, which[0]);
        SwarmCoordinator.RewardClaim[] memory claims = new SwarmCoordinator.RewardClaim[](4);
        for (uint256 i = 0; i < 4; ++i) {
            claims[i].roundNumber = _round(places[i]);
            claims[i].stageNumber = _stage(places[i] / 256);
            claims[i].reward = _amount(amounts[i]);
            claims[i].peerId = peer(which[i]);
        }
        VM.prank(sender);
        try swarm.submitRewards(claims) returns (bytes4[] memory reasons) {
            for (uint256 i = 0; i < 4; ++i) {
                _check(reasons[i] == _alone(sender, claims[i]), "a batch decides otherwise");
                if (reasons[i] == 0) {
                    _take(sender, which[i], claims[i].roundNumber, claims[i].stageNumber, claims[i].reward);
                }
            }
        } catch {
            _check(false, "a batch reverted");
        }
    }

    function vote(uint256 who, uint256 which, uint256 round, uint256 winners) external {
        round = _round(round);
        address sender = _sender(who, which);
        uint256[] memory chosen = new uint256[](PEERS);
        uint256 count;
        for (uint256 i = 0; i < PEERS; ++i) {
            if (winners >> i & 1 == 1) chosen[count++] = i;
        }
        string[] memory names = new string[](count);
        for (uint256 i = 0; i < count; ++i) {
            names[i] = peer(chosen[i]);
        }
        VM.prank(sender);
        twin.submitWinners(round, names, peer(which));
        VM.prank(sender);
        swarm.submitWinners(round, names, peer(which));
        _once(keccak256(abi.encode("vote", round, which % PEERS)));
        _check(firstOwner[which % PEERS] == sender, "somebody voted as another's peer");
        ++votedRounds[which % PEERS];
        for (uint256 i = 0; i < count; ++i) {
            ++winsOf[chosen[i]];
        }
    }

    function advance(uint256 who) external {
        VM.prank(account(who));
        twin.updateStageAndRound();
        VM.prank(account(who));
        swarm.updateStageAndRound();
        _check(swarm.hasRole(swarm.STAGE_MANAGER_ROLE(), account(who)), "a stranger advanced the round");
        _move();
    }

    function advanceByClock(uint256 who) external {
        uint256 stageSeconds = swarm.rules().stageSeconds;
        bool isDue = stageSeconds != 0 && _now >= startedAt + stageSeconds;
        VM.prank(account(who));
        twin.advanceRoundIfDue();
        VM.prank(account(who));
        swarm.advanceRoundIfDue();
        _check(isDue, "a stage ended before it was due");
        _move();
    }

    function setRules(uint256 who, SwarmCoordinator.Rules memory on, uint8 kept) external {
        // Each rule is off more often than on.
        on.bounded = on.bounded && kept & 1 == 0;
        on.proofRequired = on.proofRequired && kept & 14 == 0;
        on.listedOnly = on.listedOnly && kept & 16 == 0;
        on.lookBack = kept & 32 == 0 ? on.lookBack % 4 : 0;
        on.stageSeconds = kept & 64 == 0 ? on.stageSeconds % 3600 : 0;
        on.rewardCap = kept & 128 == 0 ? on.rewardCap % 1000 : 0;
        if (swarm.rules().stageSeconds == 0) startedAt = _now;
        VM.prank(account(who));
        twin.setRules(on);
        VM.prank(account(who));
        swarm.setRules(on);
        _check(swarm.hasRole(swarm.OWNER_ROLE(), account(who)), "a stranger set the rules");
    }

    function setListed(uint256 who, uint256 whom, bool listed) external {
        address[] memory one = new address[](1);
        one[0] = account(whom);
        VM.prank(account(who));
        twin.setListed(one, listed);
        VM.prank(account(who));
        swarm.setListed(one, listed);
    }

    function setStageCount(uint256 who, uint256 count) external {
        VM.prank(account(who));
        twin.setStageCount(count % STAGES);
        VM.prank(account(who));
        swarm.setStageCount(count % STAGES);
    }

    function grant(uint256 who, uint256 whom, uint256 which) external {
        bytes32 role = _role(which);
        VM.prank(account(who));
        twin.grantRole(role, account(whom));
        VM.prank(account(who));
        swarm.grantRole(role, account(whom));
    }

    function revoke(uint256 who, uint256 whom, uint256 which) external {
        bytes32 role = _role(which);
        VM.prank(account(who));
        twin.revokeRole(role, account(whom));
        VM.prank(account(who));
        swarm.revokeRole(role, account(whom));
    }

    /// @dev Mostly the owner of the peer.
    function _sender(uint256 who, uint256 which) private view returns (address) {
        address owner = firstOwner[which % PEERS];
        return who % 8 != 0 && owner != address(0) ? owner : account(who);
    }

    /// @dev A round that has begun, or the one behind it.
    function _round(uint256 seed) private returns (uint256) {
        return _any(seed) % (swarm.currentRound() + 2);
    }

    /// @dev Mostly the first, which every round has.
    function _stage(uint256 seed) private returns (uint256) {
        seed = _any(seed);
        return seed % 4 == 0 ? seed / 4 % STAGES : 0;
    }

    /// @dev Mostly small, or else as large as it can be.
    function _amount(int256 seed) private pure returns (int256) {
        if (seed % 4 != 0) return seed % 1000;
        return seed > 0 ? type(int256).max : type(int256).min;
    }

    function _role(uint256 which) private view returns (bytes32) {
        return which % 2 == 0 ? swarm.OWNER_ROLE() : swarm.STAGE_MANAGER_ROLE();
    }

    function _alone(address sender, SwarmCoordinator.RewardClaim memory claim) private returns (bytes4) {
        VM.prank(sender);
        try twin.submitReward(claim.roundNumber, claim.stageNumber, claim.reward, claim.peerId) {
            return 0;
        } catch (bytes memory reason) {
            return bytes4(reason);
        }
    }

    function _take(address sender, uint256 which, uint256 round, uint256 stage, int256 amount) private {
        _once(keccak256(abi.encode("reward", round, stage, which % PEERS)));
        _check(firstOwner[which % PEERS] == sender, "somebody rewarded another's peer");
        _check(round <= swarm.currentRound(), "a reward for a round to come");
        rewardOf[which % PEERS] += amount;
    }

    function _once(bytes32 what) private {
        _check(!isTaken[what], "the same twice");
        isTaken[what] = true;
    }

    function _move() private {
        uint256 now_ = swarm.currentRound() * STAGES + swarm.currentStage();
        _check(now_ > place, "the swarm went back, or stood still");
        place = now_;
        startedAt = _now;
    }

    function _check(bool isRight, string memory otherwise) private {
        if (!isRight && bytes(fault).length == 0) fault = otherwise;
    }
}

/// @title SwarmInvariants
/// @notice What holds whatever anybody does to a swarm.
contract SwarmInvariants {
    SwarmWorld private _world;

    function setUp() external {
        _world = new SwarmWorld();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_world);
    }

    /// @dev One function, so that all is held against the same calls.
    function invariant_what_holds_whatever_anybody_does() external view {
        require(bytes(_world.fault()).length == 0, _world.fault());
        _peersKeepTheirFirstOwner();
        _totalsAreTheSumsOfWhatWasTaken();
        _boardsAreSortedAndCountEveryVote();
        _somebodyOwnsTheSwarm();
    }

    function _peersKeepTheirFirstOwner() private view {
        address[] memory owners = _world.swarm().getEoa(_world.peers());
        for (uint256 i = 0; i < owners.length; ++i) {
            require(owners[i] == _world.firstOwner(i), "another owner");
        }
        uint256 owned;
        string[][] memory lists = _world.swarm().getPeerId(_world.accounts());
        for (uint256 i = 0; i < lists.length; ++i) {
            owned += lists[i].length;
            for (uint256 j = 0; j < lists[i].length; ++j) {
                string[] memory one = new string[](1);
                one[0] = lists[i][j];
                require(_world.swarm().getEoa(one)[0] == _world.account(i), "in another's list");
            }
        }
        for (uint256 i = 0; i < owners.length; ++i) {
            if (owners[i] != address(0)) --owned;
        }
        require(owned == 0, "in two lists");
    }

    function _totalsAreTheSumsOfWhatWasTaken() private view {
        int256[] memory totals = _world.swarm().getTotalRewards(_world.peers());
        int256[] memory alone = _world.twin().getTotalRewards(_world.peers());
        for (uint256 i = 0; i < totals.length; ++i) {
            require(totals[i] == _world.rewardOf(i), "another total than taken");
            require(totals[i] == alone[i], "another total than one by one");
        }
    }

    function _boardsAreSortedAndCountEveryVote() private view {
        SwarmCoordinator swarm = _world.swarm();
        (string[] memory winners, uint256[] memory wins) = swarm.winnerLeaderboard(0, 100);
        (string[] memory voters, uint256[] memory rounds) = swarm.voterLeaderboard(0, 100);
        _checkSorted(wins);
        _checkSorted(rounds);
        require(winners.length == swarm.uniqueVotedPeers() && voters.length == swarm.uniqueVoters(), "another length");
        string[] memory peers = _world.peers();
        uint256 won;
        uint256 voted;
        for (uint256 i = 0; i < peers.length; ++i) {
            require(swarm.getTotalWins(peers[i]) == _world.winsOf(i), "another number of wins");
            require(swarm.getVoterVoteCount(peers[i]) == _world.votedRounds(i), "another number of votes");
            won += _world.winsOf(i);
            voted += _world.votedRounds(i);
        }
        require(_sum(wins) == won && _sum(rounds) == voted, "another sum");
    }

    function _somebodyOwnsTheSwarm() private view {
        SwarmCoordinator swarm = _world.swarm();
        address[] memory accounts = _world.accounts();
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (swarm.hasRole(swarm.OWNER_ROLE(), accounts[i])) return;
        }
        revert("nobody owns it");
    }

    function _checkSorted(uint256[] memory points) private pure {
        for (uint256 i = 1; i < points.length; ++i) {
            require(points[i] <= points[i - 1], "not sorted");
        }
    }

    function _sum(uint256[] memory points) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < points.length; ++i) {
            sum += points[i];
        }
    }
}
