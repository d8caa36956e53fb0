package command

import (
	"net"
	"time"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// MIGRATE moves keys to another server: it sends it their RESTOREs and deletes what the other has taken. The shards of
// the keys stay locked until the other has answered, for the given time at the most: a key is at one place or the
// other, never at both unless the connection breaks between the RESTORE and its answer.

func migrateRow() Command {
	return Command{Name: "migrate", Arity: -6, Flags: Write, ACL: CatKeyspace | CatDangerous, Group: "generic", Since: "2.6.0",
		Keys: []KeySpec{
			{Flags: RW | Access | Delete, Begin: 3, Step: 1},
			{Flags: RW | Access | Delete | Incomplete, Keyword: "KEYS", Begin: -2, Last: -1, Step: 1},
		},
		KeysAt: migrateKeys,
		Cost:   "O(N) where N is the size of the keys, and what the network takes", Summary: "Moves keys to another server.",
		Tips: []string{"nondeterministic_output"}, Secret: migrateSecret, Run: migrate}
}

// migrateKeys finds the keys: argument 3 or, where that is empty, all behind the first KEYS that is no password.
func migrateKeys(args [][]byte) (first, n int) {
	for i := 6; i < len(args) && len(args[3]) == 0; i++ {
		switch {
		case isWord(args[i], "KEYS"):
			return i + 1, len(args) - i - 1
		case isWord(args[i], "AUTH"):
			i++
		case isWord(args[i], "AUTH2"):
			i += 2
		}
	}
	return 3, 1
}

// migrateSecret is the Secret of MIGRATE: what stands behind AUTH and AUTH2.
func migrateSecret(args [][]byte, i int) bool {
	for at := 6; at < len(args) && at < i; at++ {
		switch {
		case isWord(args[at], "KEYS"):
			return false
		case isWord(args[at], "AUTH"):
			if at++; i == at {
				return true
			}
		case isWord(args[at], "AUTH2"):
			if i == at+1 || i == at+2 {
				return true
			}
			at += 2
		}
	}
	return false
}

// migration is what MIGRATE was asked for.
type migration struct {
	db            int64
	timeout       time.Duration
	copy, replace bool
	auth          [][]byte // password, or user and password
	keys          [][]byte
}

func (c *Ctx) migration() (m migration, err error) {
	m.keys = c.Args[3:4]
options:
	for i := 6; i < len(c.Args); i++ {
		left := len(c.Args) - 1 - i
		switch {
		case c.Is(i, "COPY"):
			m.copy = true
		case c.Is(i, "REPLACE"):
			m.replace = true
		case c.Is(i, "AUTH") && left >= 1:
			m.auth = c.Args[i+1 : i+2]
			i++
		case c.Is(i, "AUTH2") && left >= 2:
			m.auth = c.Args[i+1 : i+3]
			i += 2
		case c.Is(i, "KEYS"):
			if len(c.Args[3]) != 0 {
				return m, engine.Error("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string")
			}
			m.keys = c.Args[i+1:]
			break options
		default:
			return m, errSyntax
		}
	}
	millis, err := c.IntArg(5)
	if err != nil {
		return m, err
	}
	if m.db, err = c.IntArg(4); err != nil {
		return m, err
	}
	if millis <= 0 {
		millis = 1000
	}
	m.timeout = saturated(millis, time.Millisecond)
	return m, nil
}

func migrate(c *Ctx) {
	m, err := c.migration()
	if err != nil {
		c.Fail(err)
		return
	}
	w := resp.NewWriter(nil)
	sent := c.restores(w, &m)
	if len(sent) == 0 {
		c.Out.Simple("NOKEY")
		return
	}
	conn, err := (&net.Dialer{Timeout: m.timeout}).Dial("tcp", net.JoinHostPort(string(c.Args[1]), string(c.Args[2])))
	if err != nil {
		c.FailText("IOERR error or timeout connecting to the client")
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(c.clock.Now().Add(m.timeout)) // a fault shows with the next call
	if _, err := conn.Write(w.Bytes()); err != nil {
		c.FailText("IOERR error or timeout writing to target instance")
		return
	}
	taken, refusal, err := m.answers(resp.NewReader(conn), sent)
	c.handOver(&m, taken)
	switch {
	case refusal != "":
		c.FailText("ERR Target instance replied with error: " + refusal)
	case err != nil:
		c.FailText("IOERR error or timeout reading from target instance")
	default:
		c.OK()
	}
}

// restores writes the commands for the other server and tells which keys they are for.
func (c *Ctx) restores(w *resp.Writer, m *migration) (sent [][]byte) {
	command := func(words ...[]byte) {
		w.Array(len(words))
		for _, word := range words {
			w.Bulk(word)
		}
	}
	if len(m.auth) > 0 {
		command(append([][]byte{words("AUTH")}, m.auth...)...)
	}
	command(words("SELECT"), intWord(m.db))
	for _, key := range m.keys {
		c.Tx.Step()
		e := c.Tx.Find(key)
		if e == nil {
			continue
		}
		ttl := int64(0)
		if e.Expiry() != 0 {
			ttl = max(e.Expiry()-c.Tx.Now(), 1)
		}
		restore := [][]byte{words("RESTORE"), key, intWord(ttl), dump.Payload(e, c.compressDumps())}
		if m.replace {
			restore = append(restore, words("REPLACE"))
		}
		command(restore...)
		sent = append(sent, key)
	}
	return sent
}

// answers reads what the other server says: which keys it has taken, and the first error.
func (m *migration) answers(r *resp.Reader, sent [][]byte) (taken [][]byte, refusal string, err error) {
	note := func() (ok bool, err error) {
		v, err := r.Read()
		if err != nil {
			return false, err
		}
		if v.Kind == resp.Error && refusal == "" {
			refusal = v.Text()
		}
		return v.Kind != resp.Error, nil
	}
	before := 1 // SELECT
	if len(m.auth) > 0 {
		before++
	}
	for range before {
		if _, err := note(); err != nil {
			return nil, refusal, err
		}
	}
	led := refusal != "" // nothing is where it should be
	for _, key := range sent {
		ok, err := note()
		if err != nil {
			return taken, refusal, err
		}
		if ok && !led {
			taken = append(taken, key)
		}
	}
	return taken, refusal, nil
}

// handOver deletes what the other server has now.
func (c *Ctx) handOver(m *migration, taken [][]byte) {
	if m.copy || len(taken) == 0 {
		return
	}
	effect := [][]byte{words("DEL")}
	for _, key := range taken {
		if c.Tx.Delete(key) {
			effect = append(effect, key)
		}
	}
	c.Tx.Effect(effect...)
}
