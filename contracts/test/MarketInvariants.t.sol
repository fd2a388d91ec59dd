// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PredictionMarket} from "../src/PredictionMarket.sol";
import {SwarmCoordinator} from "../src/SwarmCoordinator.sol";
import {World} from "./World.sol";

/// @title MarketWorld
/// @notice Whatever anybody may do to a market: each account plays with a peer of its own.
contract MarketWorld is World {
    bytes32 private constant SALT = "salt";
    uint256 public constant GAMES = 3;

    SwarmCoordinator public immutable swarm = _found();
    PredictionMarket public immutable market = new PredictionMarket(swarm);

    // What the market must remember.
    mapping(uint256 who => uint256) public purse;
    mapping(uint256 who => uint256) public nextRound;
    mapping(uint256 game => uint256) public betIn;
    mapping(uint256 game => uint256) public paidBy;
    mapping(uint256 game => uint256) public rightAnswer;
    mapping(uint256 game => mapping(uint256 who => uint256)) public betOf;
    mapping(uint256 game => mapping(uint256 choice => uint256)) public tokensOn;
    mapping(uint256 game => mapping(uint256 choice => uint256)) public weightOn;
    mapping(uint256 game => mapping(uint256 choice => mapping(uint256 who => uint256))) public tokensOf;
    mapping(uint256 game => mapping(uint256 choice => mapping(uint256 who => uint256))) public weightOf;
    mapping(uint256 game => mapping(uint256 who => bool)) public isPaid;
    mapping(uint256 game => mapping(uint256 who => mapping(uint256 clue => bool))) public hasBet;
    string public fault;

    constructor() {
        bytes32 role = market.MARKET_MANAGER_ROLE();
        VM.prank(account(0));
        swarm.grantRole(role, account(0));
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            VM.prank(account(i));
            swarm.registerPeer(peer(i));
        }
    }

    function grantTokens(uint256 who, uint64 amount, bool isForever) external {
        string[] memory one = new string[](1);
        one[0] = peer(who % ACCOUNTS);
        VM.prank(account(0));
        if (isForever) return market.setRoundTokens(amount % 1000);
        market.grantTokens(one, amount % 1000);
        purse[who % ACCOUNTS] += amount % 1000;
    }

    function advance() external {
        VM.prank(account(0));
        swarm.updateStageAndRound();
    }

    function createGame(uint256 choices, uint256 clues, uint256 time, uint256 answer) external {
        require(market.gameCount() < GAMES);
        choices = 2 + choices % 3;
        answer %= choices;
        bytes32 commitment = keccak256(abi.encode(answer, SALT));
        VM.prank(account(0));
        uint256 game = market.createGame(choices, 1 + clues % 4, uint64(_now + 1 + time % 60_000), commitment);
        rightAnswer[game] = answer;
    }

    function revealClue(uint256 game) external {
        game = _game(game);
        uint256 next = market.getGame(game).cluesShown;
        VM.prank(account(0));
        market.revealClue(game, next);
    }

    /// @notice Everybody bets.
    function guessAll(uint256 game, uint256 seed) external {
        for (uint256 who = 0; who < ACCOUNTS; ++who) {
            try this.guess(who, game, 1, _any(seed), seed) {} catch {}
        }
    }

    function guess(uint256 who, uint256 game, uint256 clue, uint256 choice, uint256 bet) external {
        game = _game(game);
        who %= ACCOUNTS;
        PredictionMarket.Game memory now_ = market.getGame(game);
        // Mostly the clue that is shown, now and then another one.
        if (clue % 8 != 0 && now_.cluesShown > 0) clue = now_.cluesShown - 1;
        choice %= now_.choiceCount;
        uint256 due = dueTo(who);
        bet = _any(bet);
        // Mostly what it has.
        if (bet % 8 != 0) bet %= purse[who] + due + 1;
        VM.prank(account(who));
        market.guessAnswer(game, peer(who), clue, choice, bet);

        _check(now_.state == PredictionMarket.State.Open && _now <= now_.revealBy, "a late bet was taken");
        _check(clue + 1 == now_.cluesShown, "a bet on another clue than is shown");
        _check(bet > 0 && bet <= purse[who] + due, "a bet of tokens that are not there");
        _check(!hasBet[game][who][clue], "two bets on one clue");
        hasBet[game][who][clue] = true;
        if (due > 0) nextRound[who] = swarm.currentRound() + 1;
        purse[who] = purse[who] + due - bet;
        uint256 weight = bet * (now_.clueCount - clue);
        betIn[game] += bet;
        betOf[game][who] += bet;
        tokensOn[game][choice] += bet;
        tokensOf[game][choice][who] += bet;
        weightOn[game][choice] += weight;
        weightOf[game][choice][who] += weight;
    }

    function closeBets(uint256 game) external {
        game = _game(game);
        // Mostly after the last clue.
        PredictionMarket.Game memory now_ = market.getGame(game);
        require(now_.cluesShown == now_.clueCount || _any(game) % 8 == 0);
        VM.prank(account(0));
        market.closeBets(game);
    }

    function revealAnswer(uint256 game) external {
        game = _game(game);
        VM.prank(account(0));
        market.revealAnswer(game, rightAnswer[game], SALT);
    }

    /// @notice Everybody claims.
    function claimAll(uint256 game) external {
        for (uint256 who = 0; who < ACCOUNTS; ++who) {
            try this.claim(who, game) {} catch {}
        }
    }

    function claim(uint256 who, uint256 game) external {
        game = _game(game);
        who %= ACCOUNTS;
        (uint256 least, uint256 most) = dueFrom(game, who);
        VM.prank(account(who));
        try market.claimReward(game, peer(who)) returns (uint256 tokens) {
            _check(tokens >= least && tokens <= most, "another share");
            isPaid[game][who] = true;
            paidBy[game] += tokens;
            purse[who] += tokens;
        } catch {
            _check(most == 0, "what is due was not paid");
        }
    }

    /// @notice What an account is to be paid by a game: its right bets and its share of the others rounded down, or
    ///         more by what others' shares were rounded down by; or all its bets; or nothing.
    function dueFrom(uint256 game, uint256 who) public view returns (uint256 least, uint256 most) {
        PredictionMarket.Game memory now_ = market.getGame(game);
        if (isPaid[game][who]) return (0, 0);
        if (now_.state == PredictionMarket.State.Answered) {
            uint256 answer = rightAnswer[game];
            if (tokensOf[game][answer][who] == 0) return (0, 0);
            least = tokensOf[game][answer][who]
                + (betIn[game] - tokensOn[game][answer]) * weightOf[game][answer][who] / weightOn[game][answer];
            most = least + ACCOUNTS - 1;
        } else if (now_.state == PredictionMarket.State.Refunded || _now > now_.revealBy) {
            least = most = betOf[game][who];
        }
    }

    /// @notice What an account is given with its next bet.
    function dueTo(uint256 who) public view returns (uint256) {
        return swarm.currentRound() < nextRound[who] ? 0 : market.roundTokens();
    }

    function _game(uint256 seed) private view returns (uint256) {
        require(market.gameCount() > 0);
        return seed % market.gameCount();
    }

    function _check(bool isRight, string memory otherwise) private {
        if (!isRight && bytes(fault).length == 0) fault = otherwise;
    }
}

/// @title MarketInvariants
/// @notice What holds whatever anybody does to a market.
contract MarketInvariants {
    uint256 private constant ACCOUNTS = 4;
    MarketWorld private _world;

    function setUp() external {
        _world = new MarketWorld();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_world);
    }

    /// @dev One function, so that all is held against the same calls.
    function invariant_what_holds_whatever_anybody_does() external view {
        require(bytes(_world.fault()).length == 0, _world.fault());
        _noTokenIsLostOrMade();
        _gamesArePaidOutToTheLastToken();
    }

    function _noTokenIsLostOrMade() private view {
        PredictionMarket market = _world.market();
        uint256 tokens;
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            uint256 balance = market.betTokenBalance(_world.account(i), _world.peer(i)) - _world.dueTo(i);
            require(balance == _world.purse(i), "another balance");
            tokens += balance;
        }
        for (uint256 game = 0; game < market.gameCount(); ++game) {
            uint256 pot = market.getGame(game).pot;
            require(pot + _world.paidBy(game) == _world.betIn(game), "another pot");
            tokens += pot;
        }
        require(tokens == market.tokensGranted(), "another sum");
    }

    function _gamesArePaidOutToTheLastToken() private view {
        PredictionMarket market = _world.market();
        for (uint256 game = 0; game < market.gameCount(); ++game) {
            PredictionMarket.Game memory now_ = market.getGame(game);
            bool isOver = now_.state == PredictionMarket.State.Answered || now_.state == PredictionMarket.State.Refunded;
            for (uint256 who = 0; who < ACCOUNTS; ++who) {
                (, uint256 most) = _world.dueFrom(game, who);
                if (most > 0) isOver = false;
            }
            if (isOver) require(now_.pot == 0, "something is left");
        }
    }
}
