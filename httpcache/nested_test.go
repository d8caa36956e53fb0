package httpcache_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/larderdb/larder/httpcache"
	"github.com/larderdb/larder/store/storetest"
)

// TestNested: a cache inside itself, and a handler that asks its own site for what it is answering, wait for nobody.
func TestNested(t *testing.T) {
	bubble(t, httpcache.Options{Key: httpcache.KeyPolicy{IgnoreHost: true}}, func(s *site) {
		s.answer(200, "inner", "Cache-Control: max-age=100")
		inside := s.do
		twice := s.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			resp := inside(r)
			defer resp.Body.Close()
			w.Header().Set("Cache-Control", resp.Header.Get("Cache-Control"))
			io.Copy(w, resp.Body)
		}))
		done := make(chan string, 1)
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		go func() {
			rec := httptest.NewRecorder()
			twice.ServeHTTP(rec, s.request("GET", "/").WithContext(ctx))
			done <- rec.Body.String()
		}()
		synctest.Wait()
		select {
		case got := <-done:
			if got != "inner" {
				s.Errorf("got %q", got)
			}
		default:
			s.Error("it waits for itself")
		}
	})
}

// TestStreamEndsWithItsClient: a stream's ctx ends when its client leaves, also if others had waited to see whether the
// response could be shared.
func TestStreamEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSiteOn(t, asHandler, storetest.NewMemory(), nil, httpcache.Options{})
		begin := make(chan struct{})
		var streaming atomic.Int32
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			<-begin
			w.Header().Set("Cache-Control", "max-age=100")
			http.NewResponseController(w).Flush()
			streaming.Add(1)
			<-r.Context().Done()
			streaming.Add(-1)
		}
		ctx, leave := context.WithCancel(t.Context())
		for range 5 {
			go s.send(s.request("GET", "/").WithContext(ctx))
			synctest.Wait()
		}
		waiting(s, 4)
		close(begin)
		synctest.Wait()
		if streaming.Load() != 5 {
			t.Errorf("%d streams", streaming.Load())
		}
		leave()
		synctest.Wait()
		if streaming.Load() != 0 {
			t.Errorf("%d streams go on without their clients", streaming.Load())
		}
	})
}

// TestConditionalLeader: one client's condition that the origin answers with 304 does not keep others from sharing.
func TestConditionalLeader(t *testing.T) {
	bubble(t, httpcache.Options{}, func(s *site) {
		release := make(chan struct{})
		s.origin = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Cache-Control", "max-age=100")
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			<-release
			io.WriteString(w, "body")
		}
		if got := s.get("/", `If-None-Match: "1"`); got.status != 304 {
			s.Errorf("%+v", got)
		}
		for range 10 {
			go s.get("/")
		}
		synctest.Wait()
		if s.asked() != 2 {
			s.Errorf("%d fetches", s.asked())
		}
		close(release)
		synctest.Wait()
	})
}
