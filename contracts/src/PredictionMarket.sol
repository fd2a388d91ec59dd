// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SwarmCoordinator} from "./SwarmCoordinator.sol";

/// @title PredictionMarket
/// @notice A swarm's peers bet tokens on the answer to a question while its clues are shown one by one. Right bets come
///         back, and the wrong ones are shared out among the right ones, in proportion to their weight: bet times the
///         number of clues that were still to come, the one that was shown included. So a right guess never loses,
///         and an earlier one earns more.
/// @dev Tokens are numbers in this contract and nothing else: they are granted, bet, and paid out, never sold or sent.
///      At any time `tokensGranted` is the sum of all balances and all pots. Who owns a peer, and who owns the swarm, is
///      asked from the SwarmCoordinator. Rules cannot change during a game, so this contract cannot be upgraded.
///
///      createGame -> (revealClue -> guessAnswer ...) ... -> closeBets -> revealAnswer -> claimReward ...
///      createGame -> ... -> the time is up without an answer -> claimReward: every bet back
contract PredictionMarket {
    enum State {
        // Clues are shown and bets taken.
        Open,
        // No more bets; the answer is awaited.
        Closed,
        // The right bets come back and share the wrong ones.
        Answered,
        // Nobody was right: every bet goes back.
        Refunded
    }

    struct Game {
        State state;
        // Choices are numbered from 0, and so are clues.
        uint8 choiceCount;
        uint8 clueCount;
        uint8 cluesShown;
        // The right choice; means something only when answered.
        uint8 answer;
        // Unix seconds; without an answer by then every bet goes back.
        uint64 revealBy;
        // keccak-256 of the answer and a salt, so that the answer stands before the bets do.
        bytes32 commitment;
        // Tokens that were bet and are not paid out yet.
        uint256 pot;
        // Of these, the wrong bets; and the weight of the right bets among which they are still to be shared out.
        uint256 prize;
        uint256 weight;
    }

    struct Bet {
        uint128 tokens;
        // Tokens, each times the number of clues from its bet to the last.
        uint128 weight;
    }

    struct Stake {
        // Tokens bet in all.
        uint128 tokens;
        // A bit for each clue that was bet on: one bet a clue.
        uint40 clues;
        // It was paid out.
        bool isPaid;
    }

    struct Purse {
        uint128 tokens;
        // The first round that gives tokens again.
        uint64 nextRound;
    }

    uint256 private constant MAX_CHOICES = 255;
    uint256 private constant MAX_CLUES = 40;
    uint256 private constant MAX_DURATION = 30 days;

    /// @notice A role of the SwarmCoordinator: makes games, shows clues, closes bets and reveals answers.
    bytes32 public constant MARKET_MANAGER_ROLE = keccak256("MARKET_MANAGER_ROLE");

    /// @notice Who knows the peers, the round and the roles.
    SwarmCoordinator public immutable swarm;
    /// @notice Tokens each peer is given in every round it bets in; 0 unless an owner changed it.
    uint64 public roundTokens;
    /// @notice All tokens there are.
    uint256 public tokensGranted;

    Game[] private _games;
    mapping(uint256 gameId => mapping(bytes32 peer => Stake)) private _stakes;
    mapping(uint256 gameId => mapping(bytes32 peer => mapping(uint256 choiceIdx => Bet))) private _bets;
    mapping(uint256 gameId => mapping(uint256 choiceIdx => Bet)) private _betsOn;
    mapping(address account => mapping(bytes32 peer => Purse)) private _purses;

    /// @notice From now on each peer is given `amount` tokens in every round it bets in.
    event RoundTokensSet(uint64 amount);
    /// @notice The peer `peerId` of `account` was given `amount` tokens.
    event TokensGranted(address indexed account, string peerId, uint256 amount);
    /// @notice A game began.
    event GameCreated(
        uint256 indexed gameId, uint256 choiceCount, uint256 clueCount, uint256 revealBy, bytes32 commitment
    );
    /// @notice A clue of a game is shown now; bets on the clue before are too late.
    event ClueRevealed(uint256 indexed gameId, uint256 clueId);
    /// @notice The peer `peerId` of `account` bet `bet` tokens on a choice.
    event AnswerGuessed(
        address indexed account, uint256 indexed gameId, string peerId, uint256 clueId, uint256 choiceIdx, uint256 bet
    );
    /// @notice A game takes no more bets.
    event BetsClosed(uint256 indexed gameId);
    /// @notice A game has its answer. `prize` are the wrong bets, `weight` is that of the right ones: 0 sends all back.
    event AnswerRevealed(uint256 indexed gameId, uint256 choiceIdx, uint256 prize, uint256 weight);
    /// @notice The peer `peerId` of `account` was paid `tokens` out of a game.
    event RewardClaimed(address indexed account, uint256 indexed gameId, string peerId, uint256 tokens);

    /// @notice The caller does not own the swarm.
    error OnlyOwner();
    /// @notice The caller lacks MARKET_MANAGER_ROLE on the SwarmCoordinator.
    error OnlyMarketManager();
    /// @notice A game has 2 to 255 choices, 1 to 40 clues, and an end within 30 days.
    error InvalidGame();
    /// @notice There is no game of this number.
    error UnknownGame();
    /// @notice It is not the next clue of the game, or there is no such clue to be seen.
    error InvalidClue();
    /// @notice There is no such choice.
    error InvalidChoice();
    /// @notice Nothing was bet.
    error InvalidBet();
    /// @notice The answer and the salt are not those of the game's commitment.
    error InvalidAnswer();
    /// @notice The peer id does not belong to the caller, or to anybody.
    error InvalidVoterPeerId();
    /// @notice The next clue is there already, or bets are closed.
    error BetTooLate();
    /// @notice The peer has bet on this clue already.
    error AlreadyGuessed();
    /// @notice The peer has fewer tokens than that.
    error InsufficientTokens();
    /// @notice Bets are not closed yet, or the game has neither an answer nor run out of time.
    error TooEarly();
    /// @notice The game is over, or its time is.
    error GameOver();
    /// @notice The peer was paid already.
    error RewardAlreadyClaimed();
    /// @notice The peer has no right bet in the game, or none at all.
    error NothingToClaim();

    modifier onlyOwner() {
        if (!swarm.hasRole(swarm.OWNER_ROLE(), msg.sender)) revert OnlyOwner();
        _;
    }

    modifier onlyMarketManager() {
        if (!swarm.hasRole(MARKET_MANAGER_ROLE, msg.sender)) revert OnlyMarketManager();
        _;
    }

    /// @notice A market of one swarm.
    /// @param coordinator The swarm's SwarmCoordinator (its proxy, if it has one).
    constructor(SwarmCoordinator coordinator) {
        swarm = coordinator;
    }

    // ---- tokens ----

    /// @notice Sets how many tokens each peer is given in every round it bets in; owners of the swarm only.
    /// @param amount The tokens, 0 for none. They come with the first bet of the round, and are not saved up.
    function setRoundTokens(uint64 amount) external onlyOwner {
        roundTokens = amount;
        emit RoundTokensSet(amount);
    }

    /// @notice Gives tokens to peers; owners of the swarm only.
    /// @param peerIds Registered peers.
    /// @param amount What each gets.
    function grantTokens(string[] calldata peerIds, uint64 amount) external onlyOwner {
        address[] memory owners = swarm.getEoa(peerIds);
        for (uint256 i = 0; i < peerIds.length; ++i) {
            if (owners[i] == address(0)) revert InvalidVoterPeerId();
            _grant(owners[i], peerIds[i], amount);
        }
    }

    /// @notice The tokens that a peer of an account can bet now.
    /// @param account The owner of the peer.
    /// @param peerId The peer.
    /// @return The balance, what the round will give included.
    function betTokenBalance(address account, string calldata peerId) external view returns (uint256) {
        Purse storage purse = _purses[account][_key(peerId)];
        bool isOwner = account != address(0) && _ownerOf(peerId) == account;
        return purse.tokens + (isOwner ? _dueTokens(purse) : 0);
    }

    // ---- games ----

    /// @notice Begins a game; market managers only. No clue is shown yet.
    /// @param choiceCount How many choices there are, 2 to 255.
    /// @param clueCount How many clues there will be, 1 to 40.
    /// @param revealBy Unix seconds, at most 30 days ahead; without an answer by then every bet goes back.
    /// @param commitment keccak-256 of the right choice and of a secret salt, each in 32 bytes.
    /// @return gameId The game's number, counted from 0.
    function createGame(uint256 choiceCount, uint256 clueCount, uint64 revealBy, bytes32 commitment)
        external
        onlyMarketManager
        returns (uint256 gameId)
    {
        if (choiceCount < 2 || choiceCount > MAX_CHOICES) revert InvalidGame();
        if (clueCount == 0 || clueCount > MAX_CLUES) revert InvalidGame();
        if (revealBy <= block.timestamp || revealBy > block.timestamp + MAX_DURATION) revert InvalidGame();
        gameId = _games.length;
        Game storage game = _games.push();
        game.choiceCount = uint8(choiceCount);
        game.clueCount = uint8(clueCount);
        game.revealBy = revealBy;
        game.commitment = commitment;
        emit GameCreated(gameId, choiceCount, clueCount, revealBy, commitment);
    }

    /// @notice Shows the next clue of a game; market managers only. Its text comes from the judge.
    /// @param gameId The game.
    /// @param clueId The next clue, so that sending this twice shows one.
    function revealClue(uint256 gameId, uint256 clueId) external onlyMarketManager {
        Game storage game = _openGame(gameId);
        if (clueId != game.cluesShown || clueId >= game.clueCount) revert InvalidClue();
        ++game.cluesShown;
        emit ClueRevealed(gameId, clueId);
    }

    /// @notice Bets, as one of the caller's peers, on the answer of a game; once a clue, while that clue is the last
    ///         that is shown.
    /// @param gameId The game.
    /// @param peerId The peer, one of the caller's.
    /// @param clueId The clue that is shown.
    /// @param choiceIdx The choice that is bet on.
    /// @param bet Tokens, at least 1.
    function guessAnswer(uint256 gameId, string calldata peerId, uint256 clueId, uint256 choiceIdx, uint256 bet)
        external
    {
        Game storage game = _game(gameId);
        if (game.state != State.Open || _isTimeUp(game) || clueId + 1 < game.cluesShown) revert BetTooLate();
        if (clueId >= game.cluesShown) revert InvalidClue();
        if (choiceIdx >= game.choiceCount) revert InvalidChoice();
        bytes32 peer = _ownPeer(peerId);
        Stake storage stake = _stakes[gameId][peer];
        uint40 bit = uint40(1 << clueId);
        if (stake.clues & bit != 0) revert AlreadyGuessed();
        _spend(peerId, peer, bet);

        stake.clues |= bit;
        stake.tokens += uint128(bet);
        game.pot += bet;
        uint256 weight = bet * (game.clueCount - clueId);
        _add(_bets[gameId][peer][choiceIdx], bet, weight);
        _add(_betsOn[gameId][choiceIdx], bet, weight);
        emit AnswerGuessed(msg.sender, gameId, peerId, clueId, choiceIdx, bet);
    }

    /// @notice Ends the bets of a game, so that nobody bets on an answer that is on its way; market managers only.
    /// @param gameId The game.
    function closeBets(uint256 gameId) external onlyMarketManager {
        _openGame(gameId).state = State.Closed;
        emit BetsClosed(gameId);
    }

    /// @notice Says the answer of a game whose bets are closed, in time; market managers only.
    /// @param gameId The game.
    /// @param choiceIdx The right choice.
    /// @param salt The salt of the game's commitment.
    function revealAnswer(uint256 gameId, uint256 choiceIdx, bytes32 salt) external onlyMarketManager {
        Game storage game = _game(gameId);
        if (game.state == State.Open) revert TooEarly();
        if (game.state != State.Closed || _isTimeUp(game)) revert GameOver();
        if (keccak256(abi.encode(choiceIdx, salt)) != game.commitment) revert InvalidAnswer();
        if (choiceIdx >= game.choiceCount) revert InvalidChoice();
        game.answer = uint8(choiceIdx);
        Bet memory right = _betsOn[gameId][choiceIdx];
        (game.prize, game.weight) = (game.pot - right.tokens, right.weight);
        game.state = right.weight == 0 ? State.Refunded : State.Answered;
        emit AnswerRevealed(gameId, choiceIdx, game.prize, game.weight);
    }

    /// @notice Pays out one of the caller's peers, once a game: its right bets and its share of the wrong ones, or all
    ///         its bets where nobody was right or no answer came in time.
    /// @param gameId The game.
    /// @param peerId The peer, one of the caller's.
    /// @return tokens What was paid.
    function claimReward(uint256 gameId, string calldata peerId) external returns (uint256 tokens) {
        Game storage game = _game(gameId);
        bytes32 peer = _ownPeer(peerId);
        Stake storage stake = _stakes[gameId][peer];
        if (stake.isPaid) revert RewardAlreadyClaimed();
        if (game.state == State.Answered) {
            tokens = _takeShare(game, _bets[gameId][peer][game.answer]);
        } else if (game.state == State.Refunded || _isTimeUp(game)) {
            tokens = stake.tokens;
        } else {
            revert TooEarly();
        }
        if (tokens == 0) revert NothingToClaim();

        stake.isPaid = true;
        game.pot -= tokens;
        _purses[msg.sender][peer].tokens += uint128(tokens);
        emit RewardClaimed(msg.sender, gameId, peerId, tokens);
    }

    /// @notice How many games there were; the last one has the number below.
    /// @return The number of games.
    function gameCount() external view returns (uint256) {
        return _games.length;
    }

    /// @notice A game as it is now.
    /// @param gameId The game.
    /// @return All that is known of it.
    function getGame(uint256 gameId) external view returns (Game memory) {
        return _game(gameId);
    }

    /// @notice What a peer has bet in a game.
    /// @param gameId The game.
    /// @param peerId The peer.
    /// @return The tokens, the clues, and whether it was paid.
    function getStake(uint256 gameId, string calldata peerId) external view returns (Stake memory) {
        return _stakes[gameId][_key(peerId)];
    }

    /// @notice A peer's bets on one choice of a game.
    /// @param gameId The game.
    /// @param peerId The peer.
    /// @param choiceIdx The choice.
    /// @return The tokens and their weight.
    function getBet(uint256 gameId, string calldata peerId, uint256 choiceIdx) external view returns (Bet memory) {
        return _bets[gameId][_key(peerId)][choiceIdx];
    }

    /// @notice Everybody's bets on one choice of a game.
    /// @param gameId The game.
    /// @param choiceIdx The choice.
    /// @return The tokens and their weight.
    function getBetsOn(uint256 gameId, uint256 choiceIdx) external view returns (Bet memory) {
        return _betsOn[gameId][choiceIdx];
    }

    // ---- inside ----

    /// @dev What right bets earn. The share is one of what is left: so the last one takes what rounding down has left
    ///      over, and nobody gets less than its share of the whole rounded down.
    function _takeShare(Game storage game, Bet storage bet) private returns (uint256) {
        if (bet.tokens == 0) return 0;
        uint256 share = game.prize * bet.weight / game.weight;
        game.prize -= share;
        game.weight -= bet.weight;
        return bet.tokens + share;
    }

    /// @dev Nothing here and in the purses overflows: an amount has 64 bits, it is granted less than 2^50 times, and a
    ///      weight is 40 times as much at most.
    function _add(Bet storage bet, uint256 tokens, uint256 weight) private {
        bet.tokens += uint128(tokens);
        bet.weight += uint128(weight);
    }

    function _spend(string calldata peerId, bytes32 peer, uint256 bet) private {
        Purse storage purse = _purses[msg.sender][peer];
        uint256 due = _dueTokens(purse);
        if (due > 0) {
            purse.nextRound = uint64(swarm.currentRound() + 1);
            _grant(msg.sender, peerId, due);
        }
        if (bet == 0) revert InvalidBet();
        if (bet > purse.tokens) revert InsufficientTokens();
        purse.tokens -= uint128(bet);
    }

    function _grant(address account, string calldata peerId, uint256 amount) private {
        tokensGranted += amount;
        _purses[account][_key(peerId)].tokens += uint128(amount);
        emit TokensGranted(account, peerId, amount);
    }

    function _dueTokens(Purse storage purse) private view returns (uint256) {
        return swarm.currentRound() < purse.nextRound ? 0 : roundTokens;
    }

    function _game(uint256 gameId) private view returns (Game storage) {
        if (gameId >= _games.length) revert UnknownGame();
        return _games[gameId];
    }

    function _openGame(uint256 gameId) private view returns (Game storage game) {
        game = _game(gameId);
        if (game.state != State.Open || _isTimeUp(game)) revert GameOver();
    }

    function _isTimeUp(Game storage game) private view returns (bool) {
        return block.timestamp > game.revealBy;
    }

    function _ownPeer(string calldata peerId) private view returns (bytes32) {
        if (_ownerOf(peerId) != msg.sender) revert InvalidVoterPeerId();
        return _key(peerId);
    }

    function _ownerOf(string calldata peerId) private view returns (address) {
        string[] memory one = new string[](1);
        one[0] = peerId;
        return swarm.getEoa(one)[0];
    }

    function _key(string calldata peerId) private pure returns (bytes32) {
        return keccak256(bytes(peerId));
    }
}
