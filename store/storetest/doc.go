// Package storetest holds what every store.Store must pass, and the tools to test a pattern with.
//
//   - Run is the conformance suite of the seam.
//   - Scripts holds the two bodies of a script against each other on random calls.
//   - Memory is a small Store in Go maps whose clock the test moves: patterns' unit tests run on it.
//   - Faulty wraps a Store that fails, hangs, or loses its answers on order.
package storetest
