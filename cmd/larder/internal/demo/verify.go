package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
)

// samePages fetches a sample of pages from both servers and fails if one differs in status or in a single byte. With
// the layer each is fetched twice, so that answers from the cache are compared as well as those that fill it.
func (d *demo) samePages(ctx context.Context, plain, layered *server) (compared int, err error) {
	const pages = 200
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	r := rand.New(rand.NewPCG(d.Seed, 3))
	for i := range pages {
		path := d.traffic.path(r)
		want, err := fetch(ctx, client, plain.addr, path, i)
		if err != nil {
			return 0, err
		}
		for range 2 {
			got, err := fetch(ctx, client, layered.addr, path, i)
			if err != nil {
				return 0, err
			}
			if !bytes.Equal(got, want) {
				return 0, fmt.Errorf("%s is not the same:\nwithout Larder %s\nwith Larder %s", path, want, got)
			}
		}
	}
	return pages, nil
}

// fetch returns a page's body. The sample's clients are its own, so that the limiter refuses none of them.
func fetch(ctx context.Context, client *http.Client, addr, path string, n int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", n))
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s%s: %s: %s", addr, path, resp.Status, body)
	}
	return body, nil
}
