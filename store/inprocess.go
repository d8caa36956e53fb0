package store

// InProcess reports whether st answers from this process's own memory. Its calls then never wait for a network, and
// patterns skip the timers that would bound such a wait. A Store says so by a method InProcess() bool.
func InProcess(st Store) bool {
	s, ok := st.(interface{ InProcess() bool })
	return ok && s.InProcess()
}
