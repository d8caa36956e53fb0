package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// renewable is the certificate of a site. Its files are read again once they have changed, since certificates end after weeks
// and a store that is restarted for a new one has lost its data.
type renewable struct {
	certFile, keyFile string
	log               *slog.Logger

	mu   sync.Mutex
	seen string           // guarded by mu: what the files looked like when they were read last
	pair *tls.Certificate // guarded by mu
}

func newRenewable(certFile, keyFile string, log *slog.Logger) (*renewable, error) {
	r := &renewable{certFile: certFile, keyFile: keyFile, log: log}
	r.seen = r.look()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	r.pair = &pair
	return r, err
}

// look tells one state of the files from another.
func (r *renewable) look() (state string) {
	for _, name := range []string{r.certFile, r.keyFile} {
		if info, err := os.Stat(name); err == nil {
			state += fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " ")
		}
	}
	return state
}

// get is for each connection. New files that are no pair, as when one of them is not written yet, are logged and tried again
// when they change: until then the pair before them stays.
func (r *renewable) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.look(); now != r.seen {
		r.seen = now
		pair, err := tls.LoadX509KeyPair(r.certFile, r.keyFile)
		if err != nil {
			r.log.Warn("the certificate stays as it was", "err", err)
			return r.pair, nil
		}
		r.pair = &pair
		r.log.Info("the certificate was read again", "file", r.certFile)
	}
	return r.pair, nil
}
