package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/larderdb/larder/internal/config"
)

// secured marks a listener that speaks TLS.
type secured struct{ net.Listener }

// identity is what the server shows to clients of tls-port, and asks of them. CONFIG SET of a tls directive, also to
// the value it has, reads the files again, for connections made from then on.
type identity struct{ current atomic.Pointer[tls.Config] }

// Errors of CONFIG SET and of the start, Redis's words.
var (
	errTLS   = errors.New("Unable to update TLS configuration. Check server logs.")
	errNoCA  = errors.New("either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients is enabled: to admit clients without a certificate, set tls-auth-clients no")
	errNoKey = errors.New("tls-port needs tls-cert-file and tls-key-file")
)

// newIdentity reads the files and follows c.
func newIdentity(c *config.Config, log *slog.Logger) (*identity, error) {
	id := &identity{}
	if err := id.load(c.Settings()); err != nil {
		return nil, err
	}
	c.OnChange(func(s *config.Settings) error {
		if err := id.load(s); err != nil {
			log.Error("TLS stays as it was", "err", err)
			return errTLS
		}
		return nil
	}, "tls-port", "tls-cert-file", "tls-key-file", "tls-ca-cert-file", "tls-ca-cert-dir", "tls-auth-clients", "tls-protocols", "tls-session-caching")
	return id, nil
}

// config is for listeners: each connection takes what was loaded last.
func (id *identity) config() *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if conf := id.current.Load(); conf != nil {
			return conf, nil
		}
		return nil, errNoKey
	}}
}

// load reads what the settings name, all of it or nothing. Without a tls-port there is nothing to read.
func (id *identity) load(s *config.Settings) error {
	t := &s.TLS
	if t.Port == 0 {
		return nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return errNoKey
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return fmt.Errorf("tls-cert-file, tls-key-file: %w", err)
	}
	lowest, highest, err := t.Versions()
	if err != nil {
		return err
	}
	conf := &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: lowest, MaxVersion: highest,
		ClientAuth: t.Clients, SessionTicketsDisabled: !t.SessionTickets,
	}
	if t.Clients != tls.NoClientCert {
		if conf.ClientCAs, err = signers(t); err != nil {
			return err
		}
	}
	id.current.Store(conf)
	return nil
}

// signers are the authorities whose clients are admitted.
func signers(t *config.TLSSettings) (*x509.CertPool, error) {
	var files []string
	if t.CACertFile != "" {
		files = append(files, t.CACertFile)
	}
	if t.CACertDir != "" {
		entries, err := os.ReadDir(t.CACertDir)
		if err != nil {
			return nil, fmt.Errorf("tls-ca-cert-dir: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(t.CACertDir, e.Name()))
			}
		}
	}
	if len(files) == 0 {
		return nil, errNoCA
	}
	pool, found := x509.NewCertPool(), false
	for _, f := range files {
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		found = pool.AppendCertsFromPEM(pem) || found
	}
	if !found {
		return nil, fmt.Errorf("certificate authorities: no certificate in %q", files)
	}
	return pool, nil
}
