// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Leaderboard} from "./Leaderboard.sol";
import {PeerProof} from "./PeerProof.sol";

/// @title SwarmCoordinator
/// @notice What a swarm agrees on: the round it is in, who its peers are, where to find it, and each peer's rewards
///         and votes. It judges nothing: rewards and votes are claims of the account that owns the peer. What it asks
///         of them beyond that is for its owners to switch on: see `Rules`.
/// @dev Works alone and behind an ERC-1967 proxy (UUPS). Peer ids are text at the border and their keccak-256 hash
///      inside; the text of an id is stored once. New state variables go to the end: an upgrade keeps the storage.
contract SwarmCoordinator is Initializable, UUPSUpgradeable {
    using EnumerableSet for EnumerableSet.AddressSet;
    using Leaderboard for Leaderboard.Board;

    struct Peer {
        // The text of the id; empty until the id is registered or voted for.
        string id;
        // The account that registered it; zero while it is only voted for.
        address owner;
        // Sum of all its rewards.
        int256 reward;
    }

    /// @notice What owners may switch on. Each is off when it is 0 or false, as all are in the beginning, and each is
    ///         checked behind what is checked without it.
    struct Rules {
        // Peer ids have 1 to 128 bytes, and a vote names 1 to 64 winners.
        bool bounded;
        // A peer is registered with proof that its key is held.
        bool proofRequired;
        // Only accounts on the allow list register peers and submit.
        bool listedOnly;
        // How many rounds back rewards and votes are taken.
        uint32 lookBack;
        // After how many seconds anybody may end a stage.
        uint32 stageSeconds;
        // The largest reward of either sign.
        uint128 rewardCap;
    }

    /// @notice One reward of a batch: see `submitReward`.
    struct RewardClaim {
        uint256 roundNumber;
        uint256 stageNumber;
        int256 reward;
        string peerId;
    }

    uint256 private constant MAX_PEER_ID_BYTES = 128;
    uint256 private constant MAX_WINNERS = 64;

    /// @notice May grant and revoke roles and upgrade the contract.
    bytes32 public constant OWNER_ROLE = keccak256("OWNER_ROLE");
    /// @notice May advance the stage and the round.
    bytes32 public constant STAGE_MANAGER_ROLE = keccak256("STAGE_MANAGER_ROLE");
    /// @notice May edit the list of bootnodes.
    bytes32 public constant BOOTNODE_MANAGER_ROLE = keccak256("BOOTNODE_MANAGER_ROLE");

    /// @notice Stages in a round; 1 unless an owner changed it.
    uint256 public stageCount;
    /// @notice The round that is on, counted from 0.
    uint256 public currentRound;
    /// @notice The stage of the round that is on, counted from 0.
    uint256 public currentStage;
    /// @notice Whether `account` holds `role`.
    mapping(bytes32 role => mapping(address account => bool)) public hasRole;

    string[] private _bootnodes;
    mapping(bytes32 key => Peer) private _peers;
    mapping(address account => bytes32[]) private _peersOf;

    // Kept beside the votes, so that an empty vote counts as a vote too.
    mapping(uint256 round => mapping(bytes32 voter => bool)) private _voted;
    mapping(uint256 round => mapping(bytes32 voter => bytes32[])) private _votes;
    mapping(uint256 round => mapping(bytes32 peer => uint256)) private _votesFor;
    Leaderboard.Board private _winners;
    Leaderboard.Board private _voters;

    mapping(uint256 round => mapping(uint256 stage => mapping(bytes32 peer => bool))) private _rewarded;
    mapping(uint256 round => mapping(uint256 stage => mapping(address account => int256))) private _accountReward;

    // At most so many accounts as hold OWNER_ROLE: those that held it before this was counted are left out.
    uint256 private _ownersKnown;
    Rules private _rules;
    // Unix seconds; means something only while `stageSeconds` is on.
    uint256 private _stageStartedAt;
    EnumerableSet.AddressSet private _listed;

    /// @notice `owner` set the number of stages in a round to `count`.
    event StageCountSet(address indexed owner, uint256 count);
    /// @notice `owner` set the rules.
    event RulesSet(address indexed owner, Rules rules);
    /// @notice `owner` put `account` on the allow list, or took it off.
    event AccountListed(address indexed owner, address indexed account, bool listed);
    /// @notice The swarm entered stage `newStage` of round `roundNumber`.
    event StageAdvanced(uint256 indexed roundNumber, uint256 newStage);
    /// @notice The swarm entered round `newRoundNumber`.
    event RoundAdvanced(uint256 indexed newRoundNumber);
    /// @notice The account `eoa` now owns the peer `peerId`.
    event PeerRegistered(address indexed eoa, string peerId);
    /// @notice `manager` added `count` bootnodes.
    event BootnodesAdded(address indexed manager, uint256 count);
    /// @notice `manager` removed the bootnode at `index`; the last one, if another, stands there now.
    event BootnodeRemoved(address indexed manager, uint256 index);
    /// @notice `manager` emptied the list of bootnodes.
    event AllBootnodesCleared(address indexed manager);
    /// @notice The peer `peerId` of `account` voted for `winners` in round `roundNumber`.
    event WinnerSubmitted(address indexed account, string peerId, uint256 indexed roundNumber, string[] winners);
    /// @notice The peer `peerId` of `account` claimed `reward` for a stage of a round.
    event RewardSubmitted(
        address indexed account, uint256 indexed roundNumber, uint256 indexed stageNumber, int256 reward, string peerId
    );
    /// @notice The rewards of the peer `peerId` of `account` now sum to `totalRewards`.
    event CumulativeRewardsUpdated(address indexed account, string peerId, int256 totalRewards);
    /// @notice A reward of a batch of `account` was not taken, for the error with the selector `reason`.
    event RewardSkipped(
        address indexed account, uint256 indexed roundNumber, uint256 indexed stageNumber, string peerId, bytes4 reason
    );
    /// @notice `sender` gave `role` to `account`.
    event RoleGranted(bytes32 indexed role, address indexed account, address indexed sender);
    /// @notice `sender` took `role` from `account`.
    event RoleRevoked(bytes32 indexed role, address indexed account, address indexed sender);

    /// @notice The caller lacks OWNER_ROLE.
    error OnlyOwner();
    /// @notice The caller lacks STAGE_MANAGER_ROLE.
    error OnlyStageManager();
    /// @notice The caller lacks BOOTNODE_MANAGER_ROLE.
    error OnlyBootnodeManager();
    /// @notice There is no bootnode at this index.
    error InvalidBootnodeIndex();
    /// @notice The peer id belongs to an account already.
    error PeerIdAlreadyRegistered();
    /// @notice The peer id does not belong to the caller.
    error InvalidVoterPeerId();
    /// @notice The vote names a winner twice; or, in a bounded swarm, none or more than 64.
    error InvalidVote();
    /// @notice The round has not begun.
    error InvalidRoundNumber();
    /// @notice The stage has not begun, or no round has it; or a round was to have no stage.
    error InvalidStageNumber();
    /// @notice The peer voted in this round already.
    error WinnerAlreadyVoted();
    /// @notice The peer has a reward for this stage of this round already.
    error RewardAlreadySubmitted();
    /// @notice The reward, or the sum it is added to, does not fit into int256, which is what is stored; or the reward
    ///         is beyond the cap.
    error RewardTooLarge();
    /// @notice The account is the last that is known to hold OWNER_ROLE, and nobody could ever give it again.
    error LastOwner();
    /// @notice Nobody may end this stage by the clock, or not yet.
    error NotDue();
    /// @notice The round is too long ago.
    error RoundTooOld();
    /// @notice A peer id has 1 to 128 bytes.
    error InvalidPeerId();
    /// @notice Peers are registered with `registerPeerWithProof` only.
    error ProofRequired();
    /// @notice The key is not the one of the peer id, or did not sign for this account and contract.
    error InvalidProof();
    /// @notice The caller is not on the allow list.
    error AccountNotListed();

    modifier onlyOwner() {
        if (!hasRole[OWNER_ROLE][msg.sender]) revert OnlyOwner();
        _;
    }

    modifier onlyStageManager() {
        if (!hasRole[STAGE_MANAGER_ROLE][msg.sender]) revert OnlyStageManager();
        _;
    }

    modifier onlyBootnodeManager() {
        if (!hasRole[BOOTNODE_MANAGER_ROLE][msg.sender]) revert OnlyBootnodeManager();
        _;
    }

    /// @notice Gives `owner` all three roles; works once. Call it in the transaction that creates the proxy: whoever
    ///         calls first decides.
    /// @param owner The first owner, stage manager and bootnode manager.
    function initialize(address owner) external initializer {
        stageCount = 1;
        _grantRole(OWNER_ROLE, owner);
        _grantRole(STAGE_MANAGER_ROLE, owner);
        _grantRole(BOOTNODE_MANAGER_ROLE, owner);
    }

    // ---- roles ----

    /// @notice Gives `role` to `account`; owners only.
    /// @param role Any role, also one this contract does not know.
    /// @param account Who gets it.
    function grantRole(bytes32 role, address account) external onlyOwner {
        _grantRole(role, account);
    }

    /// @notice Takes `role` from `account`; owners only. An owner may leave while another is known to stay: one that
    ///         was granted the role since this is counted.
    /// @param role Any role.
    /// @param account Who loses it.
    function revokeRole(bytes32 role, address account) external onlyOwner {
        if (role == OWNER_ROLE && hasRole[role][account]) {
            // Who takes the role from another keeps it.
            if (account == msg.sender && _ownersKnown < 2) revert LastOwner();
            if (_ownersKnown > 0) --_ownersKnown;
        }
        hasRole[role][account] = false;
        emit RoleRevoked(role, account, msg.sender);
    }

    // ---- rules ----

    /// @notice Sets all rules at once; owners only. What is on the contract already stays, whatever they say.
    /// @param newRules The rules from now on. Where `stageSeconds` was 0, the stage that is on begins now.
    function setRules(Rules calldata newRules) external onlyOwner {
        if (_rules.stageSeconds == 0) _stageStartedAt = block.timestamp;
        _rules = newRules;
        emit RulesSet(msg.sender, newRules);
    }

    /// @notice The rules that are on.
    /// @return All rules; 0 and false are off.
    function rules() external view returns (Rules memory) {
        return _rules;
    }

    /// @notice Puts accounts on the allow list, or takes them off; owners only. The list can be read whether or not
    ///         the rule `listedOnly` is on.
    /// @param accounts The accounts.
    /// @param listed True to put them on it.
    function setListed(address[] calldata accounts, bool listed) external onlyOwner {
        for (uint256 i = 0; i < accounts.length; ++i) {
            bool changed = listed ? _listed.add(accounts[i]) : _listed.remove(accounts[i]);
            if (changed) emit AccountListed(msg.sender, accounts[i], listed);
        }
    }

    /// @notice Whether an account is on the allow list.
    /// @param account The account.
    /// @return True if it is.
    function isListed(address account) external view returns (bool) {
        return _listed.contains(account);
    }

    /// @notice The allow list.
    /// @return All accounts on it, in no particular order.
    function listedAccounts() external view returns (address[] memory) {
        return _listed.values();
    }

    // ---- rounds ----

    /// @notice Sets the number of stages in a round, from the round that is on; owners only.
    /// @param count At least 1. A stage beyond the new last one is finished first.
    function setStageCount(uint256 count) external onlyOwner {
        if (count == 0) revert InvalidStageNumber();
        stageCount = count;
        emit StageCountSet(msg.sender, count);
    }

    /// @notice Goes on to the next stage, or from the last stage to the next round; stage managers only.
    /// @return The round and the stage that are on now.
    function updateStageAndRound() external onlyStageManager returns (uint256, uint256) {
        return _advance();
    }

    /// @notice Goes on as `updateStageAndRound` does, whoever calls, once the stage has lasted `stageSeconds`: a swarm
    ///         does not stand still because its stage managers do. Reverts before that, and while that rule is off.
    /// @return The round and the stage that are on now.
    function advanceRoundIfDue() external returns (uint256, uint256) {
        if (block.timestamp < dueAt()) revert NotDue();
        return _advance();
    }

    /// @notice From when on `advanceRoundIfDue` ends the stage that is on.
    /// @return Unix seconds; the largest uint256 while the rule `stageSeconds` is off.
    function dueAt() public view returns (uint256) {
        uint256 stageSeconds = _rules.stageSeconds;
        return stageSeconds == 0 ? type(uint256).max : _stageStartedAt + stageSeconds;
    }

    // ---- peers ----

    /// @notice Makes the caller the owner of a peer id. An account may own many.
    /// @param peerId An id nobody owns yet.
    function registerPeer(string calldata peerId) external {
        _register(peerId, false);
    }

    /// @notice Makes the caller the owner of a peer id whose key it holds: RSA of 2,048 bits, exponent 65537.
    /// @param peerId An id nobody owns yet.
    /// @param publicKey The key that the id is the hash of: libp2p's protobuf, 299 bytes.
    /// @param signature Of `registrationMessage` of the caller, made with the private key: PKCS #1 v1.5 with SHA-256.
    function registerPeerWithProof(string calldata peerId, bytes calldata publicKey, bytes calldata signature)
        external
    {
        if (keccak256(bytes(PeerProof.peerIdOf(publicKey))) != _key(peerId)) revert InvalidProof();
        if (!PeerProof.isSigned(publicKey, signature, registrationMessage(msg.sender))) revert InvalidProof();
        _register(peerId, true);
    }

    /// @notice What a peer's key signs to be registered by an account: worth nothing to another account, on another
    ///         contract or on another chain.
    /// @param account The account.
    /// @return The text `rlswarm registration` and a zero byte, the chain id in 32 bytes, the addresses of this contract
    ///         and of the account in 20 each.
    function registrationMessage(address account) public view returns (bytes memory) {
        return abi.encodePacked("rlswarm registration\x00", block.chainid, address(this), account);
    }

    /// @notice The peer ids of each account, in the order they were registered.
    /// @param eoas The accounts asked about.
    /// @return peerIds One list per account, empty for an account without peers.
    function getPeerId(address[] calldata eoas) external view returns (string[][] memory peerIds) {
        peerIds = new string[][](eoas.length);
        for (uint256 i = 0; i < eoas.length; ++i) {
            peerIds[i] = _texts(_peersOf[eoas[i]]);
        }
    }

    /// @notice The owner of each peer id.
    /// @param peerIds The ids asked about.
    /// @return eoas One account per id, zero for an id nobody registered.
    function getEoa(string[] calldata peerIds) external view returns (address[] memory eoas) {
        eoas = new address[](peerIds.length);
        for (uint256 i = 0; i < peerIds.length; ++i) {
            eoas[i] = _peers[_key(peerIds[i])].owner;
        }
    }

    // ---- bootnodes ----

    /// @notice Appends bootnodes to the list; bootnode managers only.
    /// @param newBootnodes Their multiaddresses.
    function addBootnodes(string[] calldata newBootnodes) external onlyBootnodeManager {
        for (uint256 i = 0; i < newBootnodes.length; ++i) {
            _bootnodes.push(newBootnodes[i]);
        }
        emit BootnodesAdded(msg.sender, newBootnodes.length);
    }

    /// @notice Removes one bootnode and puts the last of the list in its place; bootnode managers only.
    /// @param index Its place in `getBootnodes()`.
    function removeBootnode(uint256 index) external onlyBootnodeManager {
        uint256 count = _bootnodes.length;
        if (index >= count) revert InvalidBootnodeIndex();
        if (index != count - 1) _bootnodes[index] = _bootnodes[count - 1];
        _bootnodes.pop();
        emit BootnodeRemoved(msg.sender, index);
    }

    /// @notice Removes all bootnodes; bootnode managers only.
    function clearBootnodes() external onlyBootnodeManager {
        delete _bootnodes;
        emit AllBootnodesCleared(msg.sender);
    }

    /// @notice Where a new peer can join the swarm.
    /// @return The multiaddresses of all bootnodes.
    function getBootnodes() external view returns (string[] memory) {
        return _bootnodes;
    }

    /// @notice How many bootnodes there are.
    /// @return The length of `getBootnodes()`.
    function getBootnodesCount() external view returns (uint256) {
        return _bootnodes.length;
    }

    // ---- votes ----

    /// @notice Votes, as one of the caller's peers, for the winners of a round that has begun; once per peer and
    ///         round. Winners need not be registered, and a peer may vote for itself.
    /// @param roundNumber The round voted on.
    /// @param winners Ids of the winners, none twice; may be empty.
    /// @param peerId The voting peer, one of the caller's.
    function submitWinners(uint256 roundNumber, string[] calldata winners, string calldata peerId) external {
        bytes32 voter = _key(peerId);
        if (roundNumber > currentRound) revert InvalidRoundNumber();
        if (_voted[roundNumber][voter]) revert WinnerAlreadyVoted();
        if (_peers[voter].owner != msg.sender) revert InvalidVoterPeerId();
        Rules memory on = _rules;
        if (_isTooOld(on, roundNumber)) revert RoundTooOld();
        _checkListed(on);
        if (on.bounded && (winners.length == 0 || winners.length > MAX_WINNERS)) revert InvalidVote();
        bytes32[] memory votes = _distinctKeys(winners);

        _voted[roundNumber][voter] = true;
        _votes[roundNumber][voter] = votes;
        _voters.addPoint(voter);
        for (uint256 i = 0; i < votes.length; ++i) {
            _checkPeerId(on, winners[i]);
            _remember(winners[i]);
            ++_votesFor[roundNumber][votes[i]];
            _winners.addPoint(votes[i]);
        }
        emit WinnerSubmitted(msg.sender, peerId, roundNumber, winners);
    }

    /// @notice Whom a peer voted for in a round.
    /// @param roundNumber The round.
    /// @param peerId The voting peer.
    /// @return The winners in the order they were named; empty also when the peer did not vote.
    function getVoterVotes(uint256 roundNumber, string calldata peerId) external view returns (string[] memory) {
        return _texts(_votes[roundNumber][_key(peerId)]);
    }

    /// @notice In how many rounds a peer voted.
    /// @param peerId The voting peer.
    /// @return The number of rounds.
    function getVoterVoteCount(string calldata peerId) external view returns (uint256) {
        return _voters.scoreOf(_key(peerId));
    }

    /// @notice How many votes a peer got in a round.
    /// @param roundNumber The round.
    /// @param peerId The peer voted for.
    /// @return The number of votes.
    function getPeerVoteCount(uint256 roundNumber, string calldata peerId) external view returns (uint256) {
        return _votesFor[roundNumber][_key(peerId)];
    }

    /// @notice How many votes a peer got in all rounds.
    /// @param peerId The peer voted for.
    /// @return The number of votes.
    function getTotalWins(string calldata peerId) external view returns (uint256) {
        return _winners.scoreOf(_key(peerId));
    }

    /// @notice How many peers ever voted.
    /// @return The number of peers.
    function uniqueVoters() external view returns (uint256) {
        return _voters.size();
    }

    /// @notice How many peers were ever voted for.
    /// @return The number of peers.
    function uniqueVotedPeers() external view returns (uint256) {
        return _winners.size();
    }

    /// @notice The peers with the most votes received, most first; equals in no particular order.
    /// @param start The first place, counted from 0.
    /// @param end The place after the last; cut to the length of the board.
    /// @return peerIds The peers.
    /// @return wins The votes each got in all rounds.
    function winnerLeaderboard(uint256 start, uint256 end)
        external
        view
        returns (string[] memory peerIds, uint256[] memory wins)
    {
        return _page(_winners, start, end);
    }

    /// @notice The peers that voted in the most rounds, most first; equals in no particular order.
    /// @param start The first place, counted from 0.
    /// @param end The place after the last; cut to the length of the board.
    /// @return peerIds The peers.
    /// @return voteCounts The rounds each voted in.
    function voterLeaderboard(uint256 start, uint256 end)
        external
        view
        returns (string[] memory peerIds, uint256[] memory voteCounts)
    {
        return _page(_voters, start, end);
    }

    // ---- rewards ----

    /// @notice Claims, as one of the caller's peers, a reward given as an unsigned number.
    /// @param roundNumber The round.
    /// @param stageNumber The stage.
    /// @param reward The reward, at most the largest int256.
    /// @param peerId The peer, one of the caller's.
    function submitReward(uint256 roundNumber, uint256 stageNumber, uint256 reward, string calldata peerId) external {
        if (reward > uint256(type(int256).max)) revert RewardTooLarge();
        submitReward(roundNumber, stageNumber, int256(reward), peerId);
    }

    /// @notice Claims, as one of the caller's peers, the reward of a stage that has begun; once per peer, round and
    ///         stage. Past rounds are open too, and have one more stage, number `stageCount`.
    /// @param roundNumber The round.
    /// @param stageNumber The stage.
    /// @param reward The reward, of either sign.
    /// @param peerId The peer, one of the caller's.
    function submitReward(uint256 roundNumber, uint256 stageNumber, int256 reward, string calldata peerId) public {
        bytes4 reason = _submitReward(_rules, roundNumber, stageNumber, reward, peerId);
        if (reason == 0) return;
        assembly ("memory-safe") {
            mstore(0, reason)
            revert(0, 4)
        }
    }

    /// @notice Claims many rewards as `submitReward` does each. One that it would refuse is skipped, which an event
    ///         tells, and the others count: a batch that is sent twice settles every reward once.
    /// @param claims The rewards, of any of the caller's peers, in any order.
    /// @return reasons For each the selector of the error it was skipped for, 0 if it was taken.
    function submitRewards(RewardClaim[] calldata claims) external returns (bytes4[] memory reasons) {
        Rules memory on = _rules;
        reasons = new bytes4[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            RewardClaim calldata claim = claims[i];
            reasons[i] = _submitReward(on, claim.roundNumber, claim.stageNumber, claim.reward, claim.peerId);
            if (reasons[i] == 0) continue;
            emit RewardSkipped(msg.sender, claim.roundNumber, claim.stageNumber, claim.peerId, reasons[i]);
        }
    }

    /// @notice The reward of each account for a stage of a round: the sum over the account's peers.
    /// @param roundNumber The round.
    /// @param stageNumber The stage.
    /// @param accounts The accounts asked about.
    /// @return rewards One sum per account, 0 for an account without rewards.
    function getRoundStageReward(uint256 roundNumber, uint256 stageNumber, address[] calldata accounts)
        external
        view
        returns (int256[] memory rewards)
    {
        rewards = new int256[](accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            rewards[i] = _accountReward[roundNumber][stageNumber][accounts[i]];
        }
    }

    /// @notice The sum of all rewards of each peer.
    /// @param peerIds The peers asked about.
    /// @return rewards One sum per peer, 0 for a peer without rewards.
    function getTotalRewards(string[] calldata peerIds) external view returns (int256[] memory rewards) {
        rewards = new int256[](peerIds.length);
        for (uint256 i = 0; i < peerIds.length; ++i) {
            rewards[i] = _peers[_key(peerIds[i])].reward;
        }
    }

    /// @notice Whether a peer has a reward for a stage of a round.
    /// @param roundNumber The round.
    /// @param stageNumber The stage.
    /// @param peerId The peer.
    /// @return True once it is submitted.
    function hasSubmittedRoundStageReward(uint256 roundNumber, uint256 stageNumber, string calldata peerId)
        external
        view
        returns (bool)
    {
        return _rewarded[roundNumber][stageNumber][_key(peerId)];
    }

    /// @notice Whether any peer of an account has a reward for a stage of a round.
    /// @param roundNumber The round.
    /// @param stageNumber The stage.
    /// @param account The account.
    /// @return True once the first is submitted.
    function hasSubmittedRoundStageReward(uint256 roundNumber, uint256 stageNumber, address account)
        external
        view
        returns (bool)
    {
        bytes32[] storage keys = _peersOf[account];
        for (uint256 i = 0; i < keys.length; ++i) {
            if (_rewarded[roundNumber][stageNumber][keys[i]]) return true;
        }
        return false;
    }

    // ---- inside ----

    /// @dev Lets owners, and nobody else, upgrade the proxy.
    function _authorizeUpgrade(address) internal override onlyOwner {}

    function _grantRole(bytes32 role, address account) private {
        if (role == OWNER_ROLE && !hasRole[role][account]) ++_ownersKnown;
        hasRole[role][account] = true;
        emit RoleGranted(role, account, msg.sender);
    }

    function _advance() private returns (uint256, uint256) {
        if (_rules.stageSeconds != 0) _stageStartedAt = block.timestamp;
        if (currentStage + 1 < stageCount) {
            ++currentStage;
        } else {
            currentStage = 0;
            ++currentRound;
            emit RoundAdvanced(currentRound);
        }
        emit StageAdvanced(currentRound, currentStage);
        return (currentRound, currentStage);
    }

    function _register(string calldata peerId, bool isProven) private {
        Rules memory on = _rules;
        bytes32 key = _key(peerId);
        if (_peers[key].owner != address(0)) revert PeerIdAlreadyRegistered();
        if (on.proofRequired && !isProven) revert ProofRequired();
        _checkListed(on);
        _checkPeerId(on, peerId);
        _remember(peerId);
        _peers[key].owner = msg.sender;
        _peersOf[msg.sender].push(key);
        emit PeerRegistered(msg.sender, peerId);
    }

    /// @dev Takes a reward, or says with which error it is to be refused.
    function _submitReward(
        Rules memory on,
        uint256 roundNumber,
        uint256 stageNumber,
        int256 reward,
        string calldata peerId
    ) private returns (bytes4 reason) {
        bytes32 key = _key(peerId);
        reason = _objection(on, roundNumber, stageNumber, reward, key);
        if (reason != 0) return reason;

        _rewarded[roundNumber][stageNumber][key] = true;
        _accountReward[roundNumber][stageNumber][msg.sender] += reward;
        int256 total = _peers[key].reward + reward;
        _peers[key].reward = total;

        emit RewardSubmitted(msg.sender, roundNumber, stageNumber, reward, peerId);
        emit CumulativeRewardsUpdated(msg.sender, peerId, total);
    }

    function _objection(Rules memory on, uint256 roundNumber, uint256 stageNumber, int256 reward, bytes32 key)
        private
        view
        returns (bytes4)
    {
        if (roundNumber > currentRound) return InvalidRoundNumber.selector;
        uint256 lastStage = roundNumber == currentRound ? currentStage : stageCount;
        if (stageNumber > lastStage) return InvalidStageNumber.selector;
        if (_rewarded[roundNumber][stageNumber][key]) return RewardAlreadySubmitted.selector;
        if (_peers[key].owner != msg.sender) return InvalidVoterPeerId.selector;
        if (_isTooOld(on, roundNumber)) return RoundTooOld.selector;
        if (!_mayTakePart(on)) return AccountNotListed.selector;
        int256 cap = int256(uint256(on.rewardCap));
        if (cap != 0 && (reward > cap || reward < -cap)) return RewardTooLarge.selector;
        if (!_fits(_peers[key].reward, reward)) return RewardTooLarge.selector;
        if (!_fits(_accountReward[roundNumber][stageNumber][msg.sender], reward)) return RewardTooLarge.selector;
        return 0;
    }

    /// @dev Whether the sum is no overflow: one reward must not make a whole batch fail.
    function _fits(int256 sum, int256 reward) private pure returns (bool) {
        return reward > 0 ? sum <= type(int256).max - reward : sum >= type(int256).min - reward;
    }

    function _isTooOld(Rules memory on, uint256 roundNumber) private view returns (bool) {
        return on.lookBack != 0 && roundNumber + on.lookBack < currentRound;
    }

    function _mayTakePart(Rules memory on) private view returns (bool) {
        return !on.listedOnly || _listed.contains(msg.sender);
    }

    function _checkListed(Rules memory on) private view {
        if (!_mayTakePart(on)) revert AccountNotListed();
    }

    function _checkPeerId(Rules memory on, string calldata peerId) private pure {
        uint256 length = bytes(peerId).length;
        if (on.bounded && (length == 0 || length > MAX_PEER_ID_BYTES)) revert InvalidPeerId();
    }

    function _key(string calldata peerId) private pure returns (bytes32) {
        return keccak256(bytes(peerId));
    }

    /// @dev Stores the text of an id at first sight, and returns its key.
    function _remember(string calldata peerId) private returns (bytes32 key) {
        key = _key(peerId);
        if (bytes(_peers[key].id).length == 0) _peers[key].id = peerId;
    }

    function _distinctKeys(string[] calldata ids) private pure returns (bytes32[] memory keys) {
        keys = new bytes32[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            keys[i] = _key(ids[i]);
            for (uint256 j = 0; j < i; ++j) {
                if (keys[j] == keys[i]) revert InvalidVote();
            }
        }
    }

    function _texts(bytes32[] memory keys) private view returns (string[] memory texts) {
        texts = new string[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            texts[i] = _peers[keys[i]].id;
        }
    }

    function _page(Leaderboard.Board storage board, uint256 start, uint256 end)
        private
        view
        returns (string[] memory peerIds, uint256[] memory points)
    {
        bytes32[] memory keys;
        (keys, points) = board.page(start, end);
        peerIds = _texts(keys);
    }
}
