package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/internal/leaktest"
)

// opened is the site of --rest over an embedded store, which is served until the test ends.
func opened(t *testing.T, args ...string) *site {
	t.Helper()
	leaktest.Check(t, "larder/cmd/larder")
	c := settings(t, append([]string{"--rest", "127.0.0.1:0", "--rest-token", "secret"}, args...)...)
	db, err := larder.Open(larder.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	list, err := openSites(t.Context(), slog.New(slog.DiscardHandler), c.Settings(), db)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	list[0].start(func(err error) { t.Error(err) })
	t.Cleanup(func() { closeSites(list) })
	return list[0]
}

// ask sends a request with a token.
func ask(t *testing.T, client *http.Client, url, token string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestREST(t *testing.T) {
	w := opened(t, "--rest-readonly-token", "reader")
	url := "http://" + w.listener.Addr().String()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		token, path string
		status      int
		want        string
	}{
		{"secret", "/set/a/b", 200, `{"result":"OK"}`}, {"reader", "/get/a", 200, `{"result":"b"}`},
		{"reader", "/set/a/c", 400, "NOPERM"}, {"other", "/get/a", 401, "WRONGPASS"},
		{"reader", "/config/get/rest-token", 400, "NOPERM"}, {"secret", "/config/get/rest*", 200, `"rest-origins"`},
	} {
		status, answer := ask(t, client, url+c.path, c.token)
		if status != c.status || !strings.Contains(answer, c.want) || strings.Contains(answer, "secret") {
			t.Errorf("%s: %d %s", c.path, status, answer)
		}
	}
}

// Without rest-token those get in who have a password, wherever that was set.
func TestRESTForUsersAlone(t *testing.T) {
	for token, args := range map[string][]string{
		"default:pw": {"--requirepass", "pw"},
		"shop:pw":    {"--user", "shop", "on", ">pw", "~*", "+@all"},
	} {
		w := opened(t, append(args, "--rest-token", "")...)
		client := &http.Client{Transport: &http.Transport{}}
		status, answer := ask(t, client, "http://"+w.listener.Addr().String()+"/ping", token)
		client.CloseIdleConnections()
		if status != 200 || answer != `{"result":"PONG"}` {
			t.Errorf("%s: %d %s", token, status, answer)
		}
	}
}

// A stream of events does not hold up the end.
func TestRESTEndsWithSubscribers(t *testing.T) {
	w := opened(t, "--shutdown-timeout", "1000")
	conn, err := net.Dial("tcp", w.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /subscribe/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 12)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "HTTP/1.1 200" {
		t.Fatalf("%q %v", got, err)
	}
	w.close()
	if rest, err := io.ReadAll(conn); err != nil || !bytes.Contains(rest, []byte("data: subscribe,a,1")) {
		t.Errorf("%q %v", rest, err)
	}
}

func TestRESTOverTLS(t *testing.T) {
	cert, key := certificate(t)
	w := opened(t, "--rest-tls-cert-file", cert, "--rest-tls-key-file", key)
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	if status, answer := ask(t, client, "https://"+w.listener.Addr().String()+"/ping", "secret"); status != 200 {
		t.Error(status, answer)
	}
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

func TestSitesAreRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--rest", "127.0.0.1:0"}, "set rest-token or requirepass"},
		{[]string{"--rest", "127.0.0.1:0", "--rest-token", "a", "--rest-readonly-token", "a"}, "the same"},
		{[]string{"--rest", "127.0.0.1:0", "--rest-token", "a", "--rest-origins", "nowhere"}, "origin"},
		{[]string{"--rest", "127.0.0.1:0", "--rest-token", "a", "--rest-tls-cert-file", "x"}, "go together"},
		{[]string{"--rest", "127.0.0.1:0", "--rest-token", "a", "--rest-tls-cert-file", "x", "--rest-tls-key-file", "y"}, "no such file"},
		{[]string{"--rest", taken.Addr().String(), "--rest-token", "a"}, "the port is in use"},
		{[]string{"--rest", "203.0.113.1:0", "--rest-token", "a"}, "203.0.113.1"},
	} {
		list, err := openSites(t.Context(), slog.New(slog.DiscardHandler), settings(t, c.args...).Settings(), db)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v %v", c.args, list, err)
		}
	}
	if _, err := command(t, "serve", "--rest", "8079"); err == nil || !strings.Contains(err.Error(), "an address such as") {
		t.Error(err)
	}
	if _, err := command(t, "serve", "--rest", "x:1", "--rest-token", "the-secret", "more"); err == nil || strings.Contains(err.Error(), "the-secret") {
		t.Error(err)
	}
}

// Who asks nobody for a password is there for this machine alone.
func TestUnguardedSite(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	for _, c := range []struct {
		addr    string
		guarded bool
		args    []string
		ok      bool
	}{
		{"127.0.0.1:0", false, nil, true}, {"localhost:0", false, nil, true}, {":0", false, nil, false}, {"0.0.0.0:0", false, nil, false},
		{"[::]:0", false, nil, false}, {":0", true, nil, true}, {":0", false, []string{"--protected-mode", "no"}, true},
	} {
		w := &site{name: "metrics", addr: c.addr, handler: hello, guarded: c.guarded}
		err := w.open(t.Context(), slog.New(slog.DiscardHandler), settings(t, c.args...).Settings())
		if (err == nil) != c.ok {
			t.Errorf("%s guarded %v %v: %v", c.addr, c.guarded, c.args, err)
		}
		if err == nil {
			w.close()
		}
	}
	asked := func(addr, args string, want map[string]int) {
		w := &site{name: "metrics", addr: addr, handler: hello}
		if err := w.open(t.Context(), slog.New(slog.DiscardHandler), settings(t, strings.Fields(args)...).Settings()); err != nil {
			t.Fatal(err)
		}
		w.start(func(err error) { t.Error(err) })
		defer w.close()
		_, port, _ := net.SplitHostPort(w.listener.Addr().String())
		for host, want := range want {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port, http.NoBody)
			req.Host = host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s %q: %s", addr, host, resp.Status)
			}
		}
	}
	asked("127.0.0.1:0", "", map[string]int{"": 200, "localhost:1": 200, "[::1]:80": 200, "evil.example.com": 403, "127.0.0.1.evil.example.com": 403})
	asked("0.0.0.0:0", "--protected-mode no", map[string]int{"larder:9121": 200, "larder.internal": 200})
}

// A site that fails ends the server.
func TestRunEndsWithSite(t *testing.T) {
	w := &site{name: "metrics", addr: "127.0.0.1:0", handler: http.NotFoundHandler()}
	if err := w.open(t.Context(), slog.New(slog.DiscardHandler), settings(t).Settings()); err != nil {
		t.Fatal(err)
	}
	_ = w.listener.Close()
	db := newFakeServer(nil)
	err := run(context.Background(), slog.New(slog.DiscardHandler), db, newSockets(db, nil, nil), w)
	if err == nil || !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "metrics") {
		t.Error(err)
	}
}

// Past maxclients connections are closed, and there is room again when others go.
func TestSiteConnections(t *testing.T) {
	w := opened(t, "--maxclients", "2")
	get := func() (net.Conn, error) {
		conn, err := net.Dial("tcp", w.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET /ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n") // it may be closed already
		_, err = io.ReadFull(conn, make([]byte, 12))
		return conn, err
	}
	var conns []net.Conn
	for i := range 3 {
		conn, err := get()
		if (err == nil) != (i < 2) {
			t.Errorf("connection %d: %v", i, err)
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	fleet.Eventually(t, "room again", func() bool {
		conn, err := get()
		_ = conn.Close()
		return err == nil
	})
}
