package main

import (
	"crypto/tls"
	"os"
	"testing"
	"time"
)

// A certificate that is renewed while the server runs is shown to whoever connects then; one that is half written is not.
func TestSiteTakesARenewedCertificate(t *testing.T) {
	a := newAuthority(t)
	cert, key := t.TempDir()+"/cert.pem", t.TempDir()+"/key.pem"
	a.sign("first", cert, key)
	w := opened(t, "--rest-tls-cert-file", cert, "--rest-tls-key-file", key)
	later := time.Now()
	shown := func(want string) {
		t.Helper()
		later = later.Add(time.Second) // as a file system with coarse times would tell
		for _, name := range []string{cert, key} {
			_ = os.Chtimes(name, later, later)
		}
		conn, err := tls.Dial("tcp", w.listener.Addr().String(), &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if name := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; name != want {
			t.Errorf("the certificate of %q, want that of %q", name, want)
		}
	}
	shown("first")
	a.sign("second", cert, key)
	shown("second")
	a.sign("third", cert, t.TempDir()+"/elsewhere.pem")
	shown("second") // the key is not of it
	_ = os.Remove(cert)
	shown("second")
	a.sign("fourth", cert, key)
	shown("fourth")
}
