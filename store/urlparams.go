package store

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// setParams reads the query of the redis family and refuses what it does not know.
func (c *Config) setParams(query url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if len(values) != 1 {
			return badURL(fmt.Sprintf("parameter %s is given %d times", clip(name), len(values)))
		}
		known, want := c.setParam(name, values[0])
		if !known {
			return badURL(fmt.Sprintf("unknown parameter %q", clip(name)))
		}
		if want != "" {
			return badURL(fmt.Sprintf("parameter %s: want %s", name, want))
		}
	}
	if c.Target == Cluster && c.DB != 0 {
		return badURL("a cluster has only database 0")
	}
	return nil
}

// setTransport reads what a REST API's query says of the way there, and leaves Params without it.
func (c *Config) setTransport(query url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if n := len(query[name]); n != 1 {
			return badURL(fmt.Sprintf("parameter %s is given %d times", clip(name), n))
		}
		switch name {
		case "dial_timeout", "timeout", "keepalive", "retries", "skip_verify", "server_name":
			if _, want := c.setParam(name, query.Get(name)); want != "" {
				return badURL(fmt.Sprintf("parameter %s: want %s", name, want))
			}
			query.Del(name)
		case "token", "_token":
		default:
			return badURL(fmt.Sprintf("unknown parameter %q", clip(name)))
		}
	}
	return nil
}

// setParam sets one parameter. want is empty when the value was fine. The value itself is never shown: it may be a
// password.
func (c *Config) setParam(name, value string) (known bool, want string) {
	switch name {
	case "db":
		return true, number(value, 0, 1<<20, &c.DB)
	case "protocol":
		return true, number(value, 2, 3, &c.Protocol)
	case "client_name":
		c.ClientName = value
	case "dial_timeout":
		return true, duration(value, &c.DialTimeout)
	case "timeout":
		return true, duration(value, &c.Timeout)
	case "keepalive":
		return true, duration(value, &c.KeepAlive)
	case "retries":
		want = number(value, 0, 100, &c.Retries)
		if c.Retries == 0 {
			c.Retries = -1
		}
		return true, want
	case "pool_size":
		return true, number(value, 1, 1<<16, &c.PoolSize)
	case "skip_verify":
		if value != "" && value != "true" && value != "false" {
			return true, "true or false"
		}
		c.InsecureSkipVerify = value != "false"
	case "server_name":
		c.ServerName = value
	case "sentinel_username":
		c.SentinelUsername = value
	case "sentinel_password":
		c.SentinelPassword = value
	default:
		return false, ""
	}
	return true, ""
}

func number(value string, least, most int, to *int) (want string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return fmt.Sprintf("a number from %d to %d", least, most)
	}
	*to = n
	return ""
}

func duration(value string, to *time.Duration) (want string) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return "a duration such as 500ms or 3s"
	}
	*to = d
	return ""
}

// FromEnv reads the address from the environment, through getenv (os.Getenv).
//
// The first that is set wins: LARDER_URL; REDIS_URL; KV_REST_API_URL with KV_REST_API_TOKEN, or
// UPSTASH_REDIS_REST_URL with UPSTASH_REDIS_REST_TOKEN; REDIS_HOST with REDIS_PORT (6379) and REDIS_PASSWORD. ok is false
// when none is: the caller then takes the embedded store. REDIS_PORT or REDIS_PASSWORD alone mean localhost.
func FromEnv(getenv func(string) string) (c Config, ok bool, err error) {
	for _, name := range []string{"LARDER_URL", "REDIS_URL"} {
		if s := getenv(name); s != "" {
			if c, err = ParseURL(s); err != nil {
				return Config{}, false, fmt.Errorf("%s: %w", name, err)
			}
			return c, true, nil
		}
	}
	for _, name := range []string{"KV_REST_API", "UPSTASH_REDIS_REST"} {
		if s := getenv(name + "_URL"); s != "" {
			if c, err = ParseURL(s); err == nil && c.Target != REST {
				err = badURL("not the address of a REST API, which is https://host")
			}
			if err != nil {
				return Config{}, false, fmt.Errorf("%s_URL: %w", name, err)
			}
			if token := getenv(name + "_TOKEN"); token != "" {
				c.Username, c.Password = "", token
			}
			return c, true, nil
		}
	}
	host, port, password := getenv("REDIS_HOST"), getenv("REDIS_PORT"), getenv("REDIS_PASSWORD")
	if host == "" && port == "" && password == "" {
		return Config{}, false, nil
	}
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = DefaultPort
	}
	if c, err = ParseURL("redis://" + net.JoinHostPort(host, port)); err != nil {
		return Config{}, false, fmt.Errorf("REDIS_HOST and REDIS_PORT: %w", err)
	}
	c.Password = password
	return c, true, nil
}
