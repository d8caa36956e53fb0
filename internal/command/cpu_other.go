//go:build !unix

package command

import "runtime"

// cpuSeconds is not known here.
func cpuSeconds() (sys, user float64) { return 0, 0 }

// systemName is the system and the processor.
func systemName() string { return runtime.GOOS + " " + runtime.GOARCH }
