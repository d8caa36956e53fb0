//go:build !unix

package redistest

// Pause skips the test: there is no way to freeze a process here.
func (s *Server) Pause() {
	s.t.Helper()
	s.t.Skip("redistest: this system cannot freeze a process")
}

// Resume ends a Pause.
func (s *Server) Resume() {}
