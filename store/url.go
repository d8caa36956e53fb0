package store

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Target is the kind of store that a URL leads to.
type Target uint8

const (
	Embedded Target = iota // mem://
	Single                 // redis:// rediss:// redis+unix://
	Sentinel               // redis+sentinel:// rediss+sentinel://
	Cluster                // redis+cluster:// rediss+cluster://
	REST                   // http:// https://
)

// String is the target's name in a sentence.
func (t Target) String() string {
	return [...]string{"embedded", "single server", "sentinel", "cluster", "REST"}[t]
}

// Defaults of a Config from ParseURL.
const (
	DefaultPort         = "6379"
	DefaultSentinelPort = "26379"
	DefaultDialTimeout  = 5 * time.Second
	DefaultTimeout      = 3 * time.Second
	DefaultKeepAlive    = 30 * time.Second
	DefaultRetries      = 3
)

// Config is a parsed URL: where the store is and how to talk to it. [ParseURL] fills every field; code that builds a
// Config itself may leave any field but Target and Addrs zero, which then means what its comment says.
//
// String shows it without passwords, so it may be logged.
type Config struct {
	Target Target
	Addrs  []string // host:port of the server, the sentinels or the cluster's seeds; a path for redis+unix; none for mem

	Username, Password                 string
	SentinelUsername, SentinelPassword string
	Master                             string // the master's name at the sentinels
	DB                                 int
	ClientName                         string // shown by CLIENT LIST; empty sends none

	TLS                bool
	InsecureSkipVerify bool   // accept any certificate: for tests only
	ServerName         string // checked against the certificate; empty means the host
	Unix               bool   // Addrs[0] is the path of a socket

	Protocol    int           // 2 or 3; 0 means 3, falling back to 2
	DialTimeout time.Duration // for one attempt to connect; 0 means DefaultDialTimeout
	Timeout     time.Duration // for a server to answer before its connection is given up; 0 means DefaultTimeout
	KeepAlive   time.Duration // between TCP probes; 0 means DefaultKeepAlive
	Retries     int           // attempts after the first, per request; 0 means DefaultRetries, -1 none
	PoolSize    int           // connections for blocking commands, at most; 0 leaves it to the adapter

	// Path and Params are what the URL says to an embedded or a REST store: directory and settings of mem://, base
	// path and token of https://. Nil for the others: an unknown parameter there is an error, not ignored.
	Path   string
	Params url.Values
}

// ParseURL reads the address of a store.
//
//	mem://                                              embedded in this process
//	mem://?maxmemory=64mb&maxmemory-policy=allkeys-lru  the same, with settings named as in redis.conf
//	redis://user:password@host:6379/0                   one Redis, Valkey or Larder server; rediss:// with TLS
//	redis+unix:///run/redis.sock?db=0                   the same through a socket
//	redis+sentinel://:password@host:26379,host2/mymaster/0
//	redis+cluster://host:6379,host2:6379                any of the cluster's nodes
//	https://token@host                                  Vercel KV, Upstash or Larder's REST API
//
// valkey may stand for redis everywhere. Host defaults to localhost, port to 6379 (26379 for sentinels), database to 0.
// Special characters in user and password are percent-encoded.
//
// Query parameters of the redis family:
//
//	db=N                    database, instead of the path
//	protocol=2|3            RESP version; default 3, falling back to 2 with old servers
//	client_name=NAME        shown by CLIENT LIST
//	dial_timeout=5s         time to connect
//	timeout=3s              time for an answer
//	keepalive=30s           between TCP keep-alive probes
//	retries=3               attempts after the first, per request; 0 for none
//	pool_size=N             connections for blocking commands, at most
//	skip_verify=true        TLS without checking the certificate (tests only)
//	server_name=NAME        the name in the certificate, if not the host
//	sentinel_username=U, sentinel_password=P   credentials at the sentinels themselves
//
// Of those a REST API takes dial_timeout, timeout, keepalive, retries, skip_verify and server_name; and token=T or _token=T for
// its token, where that is not the user.
//
// A malformed URL, a misspelt parameter or a value out of range is an ErrInvalid whose text shows no password.
func ParseURL(s string) (Config, error) {
	c := Config{
		DialTimeout: DefaultDialTimeout, Timeout: DefaultTimeout, KeepAlive: DefaultKeepAlive, Retries: DefaultRetries,
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return Config{}, badURL("no scheme: want mem://, redis://, rediss://, redis+sentinel://, redis+cluster:// or https://")
	}
	scheme = strings.Replace(strings.ToLower(scheme), "valkey", "redis", 1)
	port, ok := c.setScheme(scheme)
	if !ok {
		return Config{}, badURL(fmt.Sprintf("unknown scheme %q: want mem, redis, rediss, redis+unix, redis+sentinel, redis+cluster or https", clip(scheme)))
	}
	// net/url refuses lists of hosts, so the authority is cut off first.
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	u, err := url.Parse(tail)
	if err != nil || u.Fragment != "" {
		return Config{}, badURL("path or query is malformed")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Config{}, badURL("query is malformed")
	}
	if authority, err = c.setUser(authority); err != nil {
		return Config{}, err
	}
	switch c.Target {
	case Embedded, REST:
		err = c.setForeign(scheme, authority, u.Path, query)
	default:
		err = c.setRedis(authority, port, u.Path, query)
	}
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// setScheme sets the target and tells its default port.
func (c *Config) setScheme(scheme string) (port string, ok bool) {
	switch scheme {
	case "mem":
		c.Target = Embedded
		return "", true
	case "http", "https":
		c.Target, c.TLS = REST, scheme == "https"
		return "", true
	case "redis+unix":
		c.Target, c.Unix = Single, true
		return "", true
	}
	base, kind, _ := strings.Cut(scheme, "+")
	if base != "redis" && base != "rediss" {
		return "", false
	}
	c.TLS = base == "rediss"
	switch kind {
	case "":
		c.Target = Single
		return DefaultPort, !strings.HasSuffix(scheme, "+")
	case "sentinel":
		c.Target = Sentinel
		return DefaultSentinelPort, true
	case "cluster":
		c.Target = Cluster
		return DefaultPort, true
	}
	return "", false
}

// setUser cuts user:password@ off the authority.
func (c *Config) setUser(authority string) (hosts string, err error) {
	i := strings.LastIndexByte(authority, '@')
	if i < 0 {
		return authority, nil
	}
	user, password, _ := strings.Cut(authority[:i], ":")
	if c.Username, err = url.PathUnescape(user); err == nil {
		c.Password, err = url.PathUnescape(password)
	}
	if err != nil {
		return "", badURL("user or password is not percent-encoded properly")
	}
	return authority[i+1:], nil
}

// setForeign fills the Config of a store that reads Path and Params itself.
func (c *Config) setForeign(scheme, authority, path string, query url.Values) error {
	c.Path, c.Params = path, query
	if c.Target == Embedded {
		if authority != "" || c.Username != "" || c.Password != "" {
			return badURL("mem:// has no host: write mem:// or mem:///directory")
		}
		return nil
	}
	if authority == "" {
		return badURL(scheme + ":// needs a host")
	}
	c.Addrs = []string{authority}
	return c.setTransport(query)
}

func (c *Config) setRedis(authority, port, path string, query url.Values) error {
	db := ""
	switch segments := strings.Split(strings.Trim(path, "/"), "/"); {
	case c.Unix:
		if authority != "" || path == "" || path == "/" {
			return badURL("redis+unix:// wants the socket's path: redis+unix:///run/redis.sock")
		}
		c.Addrs = []string{path}
	case c.Target == Sentinel:
		c.Master = segments[0]
		if c.Master == "" || len(segments) > 2 {
			return badURL("redis+sentinel:// wants the master's name in the path: redis+sentinel://host:26379/mymaster")
		}
		if len(segments) == 2 {
			db = segments[1]
		}
	case len(segments) > 1:
		return badURL(fmt.Sprintf("path %q is not a database number", clip(path)))
	default:
		db = segments[0]
	}
	if !c.Unix {
		for host := range strings.SplitSeq(authority, ",") {
			addr, err := hostPort(host, port)
			if err != nil {
				return err
			}
			c.Addrs = append(c.Addrs, addr)
		}
		if c.Target == Single && len(c.Addrs) > 1 {
			return badURL("redis:// takes one host: did you mean redis+sentinel:// or redis+cluster://?")
		}
	}
	if db != "" {
		if query.Has("db") {
			return badURL("the database is given twice, in the path and as db")
		}
		query.Set("db", db)
	}
	return c.setParams(query)
}

// hostPort adds what is missing of host:port. IPv6 addresses stand in brackets.
func hostPort(s, port string) (string, error) {
	host := s
	if h, p, err := net.SplitHostPort(s); err == nil {
		host = h
		if p != "" {
			port = p
		}
	} else if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		host = s[1 : len(s)-1]
	} else if strings.ContainsAny(s, ":[]") {
		return "", badURL(fmt.Sprintf("host %q: IPv6 addresses stand in brackets, [::1]:6379", clip(s)))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", badURL(fmt.Sprintf("port %q is not a number from 1 to 65535", clip(port)))
	}
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}

// String is the URL again, without passwords.
func (c Config) String() string {
	var b strings.Builder
	switch c.Target {
	case Embedded:
		return "mem://" + (&url.URL{Path: c.Path}).EscapedPath()
	case REST:
		b.WriteString("http")
	default:
		b.WriteString("redis")
	}
	if c.TLS {
		b.WriteByte('s')
	}
	switch {
	case c.Unix:
		b.WriteString("+unix")
	case c.Target == Sentinel:
		b.WriteString("+sentinel")
	case c.Target == Cluster:
		b.WriteString("+cluster")
	}
	b.WriteString("://")
	b.WriteString(strings.Join(c.Addrs, ","))
	if c.Target == REST {
		return b.String()
	}
	if c.Master != "" {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(c.Master))
	}
	if c.DB != 0 {
		if c.Unix {
			b.WriteString("?db=")
		} else {
			b.WriteByte('/')
		}
		b.WriteString(strconv.Itoa(c.DB))
	}
	return b.String()
}

func badURL(why string) error { return fmt.Errorf("%w: store URL: %s", ErrInvalid, why) }
