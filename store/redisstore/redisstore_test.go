package redisstore_test

import (
	"testing"

	"github.com/larderdb/larder/internal/leaktest"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
	"github.com/larderdb/larder/store/storetest"
)

// open makes a Store for a URL that lasts as long as the test.
func open(t testing.TB, url string, opts redisstore.Options) *redisstore.Store {
	t.Helper()
	cfg, err := store.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	st, err := redisstore.Open(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func TestConformance(t *testing.T) {
	leaktest.Check(t)
	server := redistest.Start(t)
	for name, query := range map[string]string{"RESP3": "", "RESP2": "?protocol=2"} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t testing.TB) store.Store { return open(t, server.URL()+query, redisstore.Options{}) })
		})
	}
}

func TestConformanceSentinel(t *testing.T) {
	leaktest.Check(t)
	sentinel := redistest.StartSentinel(t, redistest.Start(t))
	storetest.Run(t, func(t testing.TB) store.Store {
		return open(t, "redis+sentinel://"+sentinel.Addr+"/mymaster", redisstore.Options{})
	})
}

func TestConformanceCluster(t *testing.T) {
	leaktest.Check(t)
	nodes := redistest.StartCluster(t, 3)
	storetest.Run(t, func(t testing.TB) store.Store {
		return open(t, "redis+cluster://"+nodes[0].Addr, redisstore.Options{})
	})
}
