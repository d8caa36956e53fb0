package httpcache

import (
	"context"
	"fmt"
	"net/url"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Purge makes what is stored for URLs unusable: all variants, for http and https. A URL is absolute
// ("https://shop.example/products/7?lang=de"), or begins with / where KeyPolicy.IgnoreHost is set. Once it has returned
// nothing older is served for them, by any process, and responses that were asked for before are not stored. A URL of
// which nothing is stored is no error. One round trip per URL, O(1).
func (c *Cache) Purge(ctx context.Context, urls ...string) error {
	return c.purgeURLs(ctx, hard, urls)
}

// SoftPurge makes what is stored for URLs stale. It may still be served as stale responses are: while another is fetched,
// if the origin fails, or if the origin confirms it.
func (c *Cache) SoftPurge(ctx context.Context, urls ...string) error {
	return c.purgeURLs(ctx, soft, urls)
}

// PurgeGroups makes unusable all responses of a host ("shop.example", "localhost:8080"; empty where KeyPolicy.IgnoreHost
// is set) that named one of the groups in Cache-Groups. One round trip, O(1) per group.
func (c *Cache) PurgeGroups(ctx context.Context, host string, groups ...string) error {
	return c.purgeGroups(ctx, hard, host, groups)
}

// SoftPurgeGroups makes them stale.
func (c *Cache) SoftPurgeGroups(ctx context.Context, host string, groups ...string) error {
	return c.purgeGroups(ctx, soft, host, groups)
}

// PurgeAll makes everything that this Prefix stores unusable. One round trip, O(1); what was stored goes when its TTL
// ends.
func (c *Cache) PurgeAll(ctx context.Context) error { return c.invalidate(ctx, hard) }

// SoftPurgeAll makes everything stale.
func (c *Cache) SoftPurgeAll(ctx context.Context) error { return c.invalidate(ctx, soft) }

func (c *Cache) purgeURLs(ctx context.Context, mode string, urls []string) error {
	keys := make([]string, len(urls))
	for i, s := range urls {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" && !c.Key.IgnoreHost || u.Opaque != "" || u.Path != "" && u.Path[0] != '/' {
			err = fmt.Errorf("%w: %q is no absolute URL", store.ErrInvalid, s)
			return store.Wrap("httpcache", "purge", "", err)
		}
		host := ""
		if !c.Key.IgnoreHost {
			host = plainHost(u.Host, u.Scheme == "https")
		}
		keys[i] = c.urlKey(host, u.EscapedPath(), c.query(u.RawQuery))
	}
	for _, key := range keys {
		if err := c.purge(ctx, mode, key); err != nil {
			return store.Wrap("httpcache", "purge", key, err)
		}
	}
	return nil
}

// purge is for one URL, by its key for http.
func (c *Cache) purge(ctx context.Context, mode, key string) error {
	ctx, end := observe.Begin(ctx, c.Observer, c.op("purge", key))
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	c.n.purges.Add(1)
	err := c.st.Run(ctx, purgeScript, []string{key, key + "s"}, mode, newNonce(), millis(fillMost)).Err()
	if err != nil {
		end(observe.Failed, err)
		return err
	}
	end(observe.OK, nil)
	return nil
}

func (c *Cache) purgeGroups(ctx context.Context, mode, host string, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	if c.Key.IgnoreHost {
		host = ""
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		if g == "" {
			return store.Wrap("httpcache", "purge", "", fmt.Errorf("%w: a group without a name", store.ErrInvalid))
		}
		names[i] = groupName(plainHost(host, false), g)
	}
	return c.invalidate(ctx, mode, names...)
}

func (c *Cache) invalidate(ctx context.Context, mode string, names ...string) error {
	ctx, end := observe.Begin(ctx, c.Observer, c.op("purge", ""))
	ctx, cancel := c.timeout.Bound(ctx)
	defer cancel()
	c.n.purges.Add(max(uint64(len(names)), 1))
	if _, err := c.advance(ctx, mode, names...); err != nil {
		end(observe.Failed, err)
		return store.Wrap("httpcache", "purge", c.gens, err)
	}
	end(observe.OK, nil)
	return nil
}
