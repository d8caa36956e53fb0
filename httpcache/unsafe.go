package httpcache

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// unsafe lets the handler answer a request that may change things, and invalidates what it changed before the client
// hears of it (RFC 9111, 4.4).
func (h *handler) unsafe(w http.ResponseWriter, r *http.Request) {
	h.announce(w.Header(), outcome{forward: fwdMethod}, nil, h.Clock.Now())
	watch := &watcher{w: w, head: func(status int, header http.Header) {
		h.changed(r, r.Host, r.TLS != nil, status, header)
	}}
	h.next.ServeHTTP(watch, r)
	watch.decide(http.StatusOK)
}

// changed invalidates after the response to an unsafe request: its URL, those that Location and Content-Location name if
// they are of the same origin, and the groups of Cache-Group-Invalidation.
func (c *Cache) changed(r *http.Request, host string, secure bool, status int, header http.Header) {
	if status < 200 || status >= 400 {
		return
	}
	t := c.target(r, host, secure)
	urls := []*url.URL{r.URL}
	for _, name := range []string{"Location", "Content-Location"} {
		if u := sameOrigin(r.URL, plainHost(host, secure), header.Get(name)); u != nil {
			urls = append(urls, u)
		}
	}
	ctx := context.WithoutCancel(r.Context()) // a client that leaves must not keep its change hidden
	for _, u := range urls {
		key := c.urlKey(t.host, u.EscapedPath(), c.query(u.RawQuery))
		if err := c.purge(ctx, hard, key); err != nil {
			c.failed(ctx, "invalidate", key, err)
		}
	}
	groups, _ := parseGroups(header["Cache-Group-Invalidation"])
	if len(groups) > 0 {
		if err := c.purgeGroups(ctx, hard, t.host, groups); err != nil {
			c.failed(ctx, "invalidate", c.gens, err)
		}
	}
}

// headSeen makes what is stored for GET stale if a response to HEAD shows that it is no longer right (RFC 9111, 4.3.5).
func (c *Cache) headSeen(ctx context.Context, t *target, e *entry, status int, header http.Header) {
	if e == nil || status != http.StatusOK || e.status != http.StatusOK {
		return
	}
	same := true
	for _, name := range []string{"Etag", "Last-Modified"} {
		if now := header.Get(name); now != "" && now != e.header.Get(name) {
			same = false
		}
	}
	if size := header.Get("Content-Length"); size != "" && size != strconv.Itoa(len(e.body)) {
		same = false
	}
	if same {
		return
	}
	key := strings.TrimSuffix(t.base, "s")
	if err := c.purge(ctx, soft, key); err != nil {
		c.failed(ctx, "invalidate", key, err)
	}
}

// sameOrigin resolves a reference against a request's URL. nil if it leads elsewhere, or nowhere.
func sameOrigin(at *url.URL, host, ref string) *url.URL {
	if ref == "" {
		return nil
	}
	u, err := url.Parse(ref)
	if err != nil {
		return nil
	}
	if u.Host != "" && plainHost(u.Host, u.Scheme == "https") != host {
		return nil
	}
	if u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return at.ResolveReference(u)
}

// watcher calls head before a response's head goes out.
type watcher struct {
	w       http.ResponseWriter
	head    func(status int, header http.Header)
	decided bool
}

func (x *watcher) decide(status int) {
	if !x.decided {
		x.decided = true
		x.head(status, x.w.Header())
	}
}

// Header is the client's.
func (x *watcher) Header() http.Header { return x.w.Header() }

// Unwrap is for http.ResponseController.
func (x *watcher) Unwrap() http.ResponseWriter { return x.w }

// WriteHeader calls head first, if the status is final.
func (x *watcher) WriteHeader(status int) {
	if status >= 200 {
		x.decide(status)
	}
	x.w.WriteHeader(status)
}

// Write calls head first.
func (x *watcher) Write(p []byte) (int, error) {
	x.decide(http.StatusOK)
	return x.w.Write(p)
}

// ReadFrom calls head first, and copies by what is wrapped's own means.
func (x *watcher) ReadFrom(src io.Reader) (int64, error) {
	x.decide(http.StatusOK)
	return io.Copy(x.w, src)
}

// Flush is FlushError.
func (x *watcher) Flush() { _ = x.FlushError() }

// FlushError calls head first: flushing sends it.
func (x *watcher) FlushError() error {
	x.decide(http.StatusOK)
	return http.NewResponseController(x.w).Flush()
}

// Hijack hands the connection over.
func (x *watcher) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	x.decided = true
	return http.NewResponseController(x.w).Hijack()
}
