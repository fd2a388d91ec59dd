// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Leaderboard
/// @notice Counts points per key and keeps the keys sorted, most points first, at a constant price per point.
/// @dev A point moves a key from score s to s + 1, so the only key it can overtake is the first one that still has
///      score s. That one stands at index `atLeast[s + 1]`: swapping the two keeps the order. Keys of equal score
///      stand in no particular order.
library Leaderboard {
    struct Standing {
        // Points so far.
        uint128 score;
        // Index in `order`; means something only while score > 0.
        uint128 index;
    }

    struct Board {
        // Every key with at least one point, most points first.
        bytes32[] order;
        mapping(bytes32 key => Standing) standings;
        // How many keys have this score or more.
        mapping(uint256 score => uint256) atLeast;
    }

    /// @notice Gives `key` one more point.
    function addPoint(Board storage board, bytes32 key) internal {
        Standing storage mine = board.standings[key];
        if (mine.score == 0) {
            mine.index = uint128(board.order.length);
            board.order.push(key);
        }
        uint256 score = mine.score + 1;
        uint256 index = board.atLeast[score];
        if (index != mine.index) {
            bytes32 overtaken = board.order[index];
            board.order[mine.index] = overtaken;
            board.standings[overtaken].index = mine.index;
            board.order[index] = key;
        }
        board.standings[key] = Standing(uint128(score), uint128(index));
        board.atLeast[score] = index + 1;
    }

    /// @notice The points of `key`, 0 for a key never seen.
    function scoreOf(Board storage board, bytes32 key) internal view returns (uint256) {
        return board.standings[key].score;
    }

    /// @notice How many keys have points.
    function size(Board storage board) internal view returns (uint256) {
        return board.order.length;
    }

    /// @notice The places `start` to `end` (the end not included) and their points; places beyond the last are left out.
    function page(Board storage board, uint256 start, uint256 end)
        internal
        view
        returns (bytes32[] memory keys, uint256[] memory scores)
    {
        if (end > board.order.length) end = board.order.length;
        uint256 length = start < end ? end - start : 0;
        keys = new bytes32[](length);
        scores = new uint256[](length);
        for (uint256 i = 0; i < length; ++i) {
            keys[i] = board.order[start + i];
            scores[i] = board.standings[keys[i]].score;
        }
    }
}
