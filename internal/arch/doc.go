// Package arch holds the code to its plan. It has only tests: the floors of ARCHITECTURE.md against the real imports, the
// budgets of files and functions, and the names and calls that are not used here.
package arch
