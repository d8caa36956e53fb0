//go:build !linux

package command

const multiplexing = "goroutines"
