// Package leaderboard ranks members by score: players of a game, products by sales, drivers by lap time.
//
//	weekly, err := leaderboard.New(st, leaderboard.Options{Name: "weekly", TTL: 8 * 24 * time.Hour})
//
//	res, err := weekly.Add(ctx, "ann", 10)        // or Set, or Best: the last score, or the best, counts
//	top, err := weekly.Top(ctx, 10)
//	near, err := weekly.Around(ctx, "ann", 3)     // ann, and three on each side
//	where, ok, err := weekly.Rank(ctx, "ann")     // where.Rank, where.Percentile()
//	friends, err := weekly.Among(ctx, "ann", "bob", "cy")
//
// [Seasons] begin a new board each day, week or month, and keep the best of those that ended. A [Batch] changes many members,
// and several boards, in one step.
//
// # Scores
//
// Scores are int64 from -(2^53-1) to 2^53-1: all integers that the float64 of a sorted set holds exactly. An update that
// would leave the range is refused whole (ErrRange). Sums of integers do not depend on their order; for fractions count
// in the smallest unit, cents or milliseconds.
//
// # Ties
//
// Who reaches a score first stands before who reaches it later, exactly, however close in time: the order is
// that of the updates in the store and not of anybody's clock. It takes no bits of the score. Options.Ties = ByMember
// puts ties in the order of names instead and takes less memory.
//
// # Cost
//
// Every operation is one round trip and atomic. An update, a rank of any kind and the first entry of a page are O(log n) for n
// members; each further entry O(1). Dense ranks need a list of the different scores, which updates of a Dense board maintain,
// also in O(log n). Boards of 10 million members: see the page on leaderboards for memory and times.
//
// A cluster keeps a board, or all boards of a Group, on one node.
package leaderboard
