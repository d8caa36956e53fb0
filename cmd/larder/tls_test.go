package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/leaktest"
)

// authority signs certificates.
type authority struct {
	t      *testing.T
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
	pool   *x509.CertPool
	file   string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := a.template("authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	a.write(a.file, "CERTIFICATE", der)
	return a
}

func (a *authority) template(name string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) write(file, kind string, der []byte) {
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// sign writes a certificate of name and its key into files.
func (a *authority) sign(name, certFile, keyFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, a.template(name), a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(certFile, "CERTIFICATE", der)
	a.write(keyFile, "PRIVATE KEY", keyDER)
}

// tlsServer serves clients of port and tls-port until the test ends.
func tlsServer(t *testing.T, args ...string) *config.Config {
	t.Helper()
	c := settings(t, append([]string{"--bind", "127.0.0.1"}, args...)...)
	db, err := larder.Open(larder.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	certs, err := newIdentity(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := listen(t.Context(), c.Settings(), certs.config())
	if err != nil {
		t.Fatal(err)
	}
	s := newSockets(db, listeners, certs.config())
	c.OnChange(s.follow, "bind", "port", "tls-port")
	s.start()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		s.wait()
	})
	return c
}

// greet sends PING over TLS and gives the name in the server's certificate.
func greet(t *testing.T, port string, conf *tls.Config) (string, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, conf)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return "", err
	}
	answer := make([]byte, 7)
	if _, err := conn.Read(answer); err != nil { // with TLS 1.3 a refusal comes only now
		return "", err
	}
	if string(answer) != "+PONG\r\n" {
		t.Errorf("PING: %q", answer)
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestTLS(t *testing.T) {
	leaktest.Check(t)
	a := newAuthority(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	clientCert, clientKey := filepath.Join(dir, "client.pem"), filepath.Join(dir, "client-key.pem")
	a.sign("first", cert, key)
	a.sign("client", clientCert, clientKey)
	mine, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := freePort(t), freePort(t)
	c := tlsServer(t, "--port", plain, "--tls-port", secure, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.file)
	known, stranger := &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{mine}}, &tls.Config{RootCAs: a.pool}
	set := func(want string, pairs ...config.Pair) {
		t.Helper()
		got := ""
		if err := c.Set(config.Remote, pairs...); err != nil {
			got = err.Error()
		}
		if !strings.HasSuffix(got, want) || want == "" && got != "" {
			t.Errorf("%v: %q, want %q", pairs, got, want)
		}
	}
	answers := func(conf *tls.Config, port, want string) {
		t.Helper()
		if got, err := greet(t, port, conf); got != want || (err == nil) != (want != "") {
			t.Errorf("at port %s: %q, %v; want %q", port, got, err, want)
		}
	}
	exchange(t, "127.0.0.1:"+plain, "PING", "+PONG")
	answers(known, secure, "first")
	answers(stranger, secure, "") // tls-auth-clients is yes if nothing is said
	set("", config.Pair{Name: "tls-auth-clients", Value: "optional"})
	answers(known, secure, "first")
	answers(stranger, secure, "first")
	other := newAuthority(t)
	other.sign("somebody", clientCert, clientKey)
	theirs, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	answers(&tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{theirs}, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &theirs, nil }}, secure, "")

	// The certificate is renewed under its name: open connections live on.
	old, err := tls.Dial("tcp", "127.0.0.1:"+secure, stranger)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	converse(t, old, "PING", "+PONG")
	a.sign("second", cert, key)
	answers(stranger, secure, "first")
	set("", config.Pair{Name: "tls-cert-file", Value: cert})
	answers(stranger, secure, "second")
	converse(t, old, "PING", "+PONG")

	// What cannot be loaded changes nothing.
	const refused = "Unable to update TLS configuration. Check server logs."
	set(refused, config.Pair{Name: "tls-cert-file", Value: clientKey})
	set(refused, config.Pair{Name: "tls-ca-cert-file", Value: key}, config.Pair{Name: "tls-auth-clients", Value: "yes"})
	set(refused, config.Pair{Name: "tls-protocols", Value: "SSLv3"})
	set(refused, config.Pair{Name: "tls-ca-cert-file", Value: ""}, config.Pair{Name: "tls-auth-clients", Value: "yes"})
	answers(stranger, secure, "second")

	set("", config.Pair{Name: "tls-protocols", Value: "TLSv1.2"})
	answers(&tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS13}, secure, "")
	answers(stranger, secure, "second")

	// Ports trade places.
	moved := freePort(t)
	set("", config.Pair{Name: "tls-port", Value: moved})
	answers(stranger, moved, "second")
	set("", config.Pair{Name: "port", Value: moved}, config.Pair{Name: "tls-port", Value: plain})
	exchange(t, "127.0.0.1:"+moved, "PING", "+PONG")
	answers(stranger, plain, "second")
	set("", config.Pair{Name: "tls-port", Value: "0"})
	if conn, err := net.Dial("tcp", "127.0.0.1:"+plain); err == nil {
		conn.Close()
		t.Error("the port of TLS is still open")
	}
}

// TestTLSWithRedisCLI: a client that was written for Redis.
func TestTLSWithRedisCLI(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("no redis-cli here")
	}
	a := newAuthority(t)
	dir := t.TempDir()
	cert, key, port := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), freePort(t)
	a.sign("localhost", cert, key)
	tlsServer(t, "--port", "0", "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-dir", filepath.Dir(a.file))
	big := strings.Repeat("x", 3<<20)
	run := func(stdin string, args ...string) string {
		cmd := exec.Command(cli, append([]string{"-p", port, "--tls", "--cacert", a.file, "--cert", cert, "--key", key}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v, %.200s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := run(big, "-x", "set", "k"); got != "OK" {
		t.Errorf("SET: %.100s", got)
	}
	if got := run("", "get", "k"); got != big {
		t.Errorf("GET: %d bytes, want %d", len(got), len(big))
	}
}

func TestTLSNeedsItsFiles(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	a.sign("x", cert, key)
	for want, args := range map[string][]string{
		errNoKey.Error():          {"--tls-port", "7000"},
		"no such file":            {"--tls-port", "7000", "--tls-cert-file", cert, "--tls-key-file", filepath.Join(dir, "none")},
		errNoCA.Error():           {"--tls-port", "7000", "--tls-cert-file", cert, "--tls-key-file", key},
		"no certificate in":       {"--tls-port", "7000", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", key},
		`no version "TLSv9"`:      {"--tls-port", "7000", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no", "--tls-protocols", "TLSv1.2 TLSv9"},
		"":                        {"--tls-port", "7000", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no"},
		"tls-cert-file, tls-key-": {"--tls-port", "7000", "--tls-cert-file", key, "--tls-key-file", key},
	} {
		_, err := newIdentity(settings(t, args...), slog.New(slog.DiscardHandler))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
