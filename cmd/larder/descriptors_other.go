//go:build !linux && !darwin

package main

// descriptorLimit is not known: Windows has none that would matter.
func descriptorLimit() (limit uint64, known bool) { return 0, false }
