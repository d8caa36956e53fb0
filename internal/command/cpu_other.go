//go:build !unix

package command

// cpuSeconds is not known here.
func cpuSeconds() (sys, user float64) { return 0, 0 }
