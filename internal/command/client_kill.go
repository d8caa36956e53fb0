package command

import (
	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/engine"
)

// killFilter is what CLIENT KILL was told to look for; zero fields match all.
type killFilter struct {
	addr, laddr *string
	kind        string
	account     *acl.Account
	id, maxAge  int64
	skipMe      bool
}

func clientKill(c *Ctx) {
	old := len(c.Args) == 3 // CLIENT KILL addr
	f := killFilter{skipMe: true}
	if old {
		f = killFilter{addr: text(c.Args[2])}
	} else if err := c.killFilter(&f); err != nil {
		c.Fail(err)
		return
	}
	killed := 0
	now := c.clock.Now().Unix()
	c.eachSession(func(s *Session) {
		if !f.matches(s, now) || f.skipMe && s == c.Session {
			return
		}
		killed++
		c.kick(s, "CLIENT KILL")
	})
	switch {
	case !old:
		c.Out.Int(int64(killed))
	case killed == 0:
		c.FailText("ERR No such client")
	default:
		c.OK()
	}
}

func (c *Ctx) killFilter(f *killFilter) error {
	for i := 2; i < len(c.Args); i += 2 {
		if i+1 >= len(c.Args) {
			return errSyntax
		}
		value := c.Args[i+1]
		switch {
		case c.Is(i, "ID"):
			id, err := c.IntArg(i + 1)
			if err != nil || id < 1 {
				return engine.Error("ERR client-id should be greater than 0")
			}
			f.id = id
		case c.Is(i, "MAXAGE"):
			age, err := c.IntArg(i + 1)
			if err != nil {
				return engine.Error("ERR maxage is not an integer or out of range")
			}
			if age <= 0 {
				return engine.Error("ERR maxage should be greater than 0")
			}
			f.maxAge = age
		case c.Is(i, "TYPE"):
			kind, ok := clientType(value)
			if !ok {
				return engine.Error("ERR Unknown client type '" + string(value) + "'")
			}
			f.kind = kind
		case c.Is(i, "ADDR"):
			f.addr = text(value)
		case c.Is(i, "LADDR"):
			f.laddr = text(value)
		case c.Is(i, "USER"):
			if f.account = c.users.Get(string(value)); f.account == nil {
				return engine.Error("ERR No such user '" + string(value) + "'")
			}
		case c.Is(i, "SKIPME") && isWord(value, "YES"):
			f.skipMe = true
		case c.Is(i, "SKIPME") && isWord(value, "NO"):
			f.skipMe = false
		default:
			return errSyntax
		}
	}
	return nil
}

func text(b []byte) *string {
	s := string(b)
	return &s
}

func (f *killFilter) matches(s *Session, now int64) bool {
	switch {
	case f.addr != nil && s.client.RemoteAddr() != *f.addr,
		f.laddr != nil && s.client.LocalAddr() != *f.laddr,
		f.kind != "" && s.kind() != f.kind,
		f.account != nil && s.account.Load() != f.account,
		f.id != 0 && s.ID != f.id,
		f.maxAge != 0 && now-s.born.Unix() < f.maxAge:
		return false
	}
	return true
}
